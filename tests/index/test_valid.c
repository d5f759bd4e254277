// Names, ids and UTF-8 as API.md has them.
#include "tests/index/rig.h"

static void utf8_is_what_the_standard_says(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",     "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
        "a\xc3",        "\xe2\x82",         "\xe2\x28\xa1",     "\xf0\x9f\x98"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(ak_utf8_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ak_utf8_valid(bad[i], strlen(bad[i])));
    assert_false(ak_utf8_valid("a\0b", 3));
}

static void names_and_ids_have_their_limits(void **state)
{
    (void)state;
    char long_one[200];
    memset(long_one, 'a', sizeof long_one);
    assert_true(ak_name_valid("a", 1) && ak_name_valid("0_-", 3) && ak_name_valid(long_one, 64));
    assert_false(ak_name_valid("", 0) || ak_name_valid("_a", 2) || ak_name_valid("A", 1));
    assert_false(ak_name_valid(long_one, 65) || ak_name_valid("a/b", 3) || ak_name_valid("a\0", 2));
    assert_true(ak_id_valid("A.b_:-9", 7) && ak_id_valid("...", 3) && ak_id_valid(long_one, 128));
    assert_false(ak_id_valid(".", 1) || ak_id_valid("..", 2) || ak_id_valid("", 0));
    assert_false(ak_id_valid(long_one, 129) || ak_id_valid("a b", 3) || ak_id_valid("\xc3\xa4", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_what_the_standard_says),
        cmocka_unit_test(names_and_ids_have_their_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
