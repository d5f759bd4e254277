// The rule that makes ids from paths, and text that is safe to show.
#include "cli/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_id(const char *path, const char *id)
{
    char got[AK_IMPORT_ID_MAX + 1];
    ak_import_id(got, path);
    assert_string_equal(got, id);
}

static void id_of_a_plain_path_is_the_path_with_colons(void **state)
{
    (void)state;
    expect_id("beach/2020/a-1_b.jpg", "beach:2020:a-1_b.jpg");
    expect_id("x", "x");
    expect_id("a:b.jpg", "a:b.jpg");
}

static void id_of_another_path_ends_in_its_hash(void **state)
{
    (void)state;
    expect_id("a/b c.jpg", "a:b_c.jpg-d722776ad06a");
    expect_id("stra\u00dfe/\u6f22.png",
              "stra_e:_.png-6bac5dbe5050"); // one '_' a character, not a byte
    expect_id("\xff/x.jpg", "_:x.jpg-817f6c077d74");
    expect_id(".", ".-cdb4ee2aea69");
}

static void id_holds_128_characters_and_is_cut_beyond(void **state)
{
    (void)state;
    char path[200], id[AK_IMPORT_ID_MAX + 1];
    memset(path, 'a', sizeof path);
    path[128] = 0;
    expect_id(path, path);
    path[128] = 'a';
    path[129] = 0;
    ak_import_id(id, path);
    assert_int_equal(strlen(id), 128);
    assert_int_equal(id[115], '-');

    memset(path, 0, sizeof path);
    for (int i = 0; i < 70; i++)
        memcpy(path + 2 * i, "d/", 2);
    memcpy(path + 140, "x.jpg", 5);
    ak_import_id(id, path);
    assert_string_equal(id + 115, "-b2d396131a16");
    assert_memory_equal(id, "d:d:d:", 6);
}

static void paths_that_look_alike_get_different_ids(void **state)
{
    (void)state;
    char a[AK_IMPORT_ID_MAX + 1], b[AK_IMPORT_ID_MAX + 1];
    ak_import_id(a, "a b.jpg");
    ak_import_id(b, "a+b.jpg");
    assert_string_not_equal(a, b);
}

static void utf8_is_told_from_what_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"a", 1},        {"\xc3\xa9", 2},     {"\xe6\xbc\xa2", 3},     {"\xf0\x9f\x90\x88", 4},
        {"\xc0\x80", 0}, {"\xe0\x80\xaf", 0}, {"\xed\xa0\x80", 0},     {"\xf4\x90\x80\x80", 0},
        {"\x80", 0},     {"\xc3", 0},         {"\xe6\xbc", 0},         {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},     {"\xc3z", 0},        {"\xf0\x82\x82\xac", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(ak_utf8_length(cases[i].text, strlen(cases[i].text)), cases[i].length);
    assert_int_equal(ak_utf8_length("", 0), 0);
}

static void name_is_the_path_with_what_is_no_utf8_replaced(void **state)
{
    (void)state;
    char *name = ak_import_name("caf\xe9/\xc3\xa9.jpg");
    assert_string_equal(name, "caf\xef\xbf\xbd/\xc3\xa9.jpg");
    free(name);
}

static void shown_names_cannot_draw_on_the_terminal(void **state)
{
    (void)state;
    char out[16];
    ak_printable(out, sizeof out, "a\x1b[31m\n\xc2\x9b\xff");
    assert_string_equal(out, "a?[31m???");
    ak_printable(out, 4, "ab\xe6\xbc\xa2"); // a character that does not fit is left out whole
    assert_string_equal(out, "ab");
    ak_printable(out, 1, "ab");
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_of_a_plain_path_is_the_path_with_colons),
        cmocka_unit_test(id_of_another_path_ends_in_its_hash),
        cmocka_unit_test(id_holds_128_characters_and_is_cut_beyond),
        cmocka_unit_test(paths_that_look_alike_get_different_ids),
        cmocka_unit_test(utf8_is_told_from_what_is_none),
        cmocka_unit_test(name_is_the_path_with_what_is_no_utf8_replaced),
        cmocka_unit_test(shown_names_cannot_draw_on_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
