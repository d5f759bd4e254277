// Multipart bodies: what is read, what is refused, and that no cut of a body reads outside it.
#include "server/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TYPE "multipart/form-data; boundary=\"b-1\""

static ak_status parse(ak_parts *parts, const char *type, const char *body, size_t n, ak_error *err)
{
    *parts = (ak_parts){0};
    uint8_t *copy = malloc(n ? n : 1); // of the exact size, for the sanitizer
    memcpy(copy, body, n);
    ak_status status = ak_multipart_read(parts, type, (ak_bytes){copy, n}, 1000, 3, err);
    // Contents are looked at by their length alone once the copy is gone.
    free(copy);
    return status;
}

static void parts_are_found_in_order(void **state)
{
    (void)state;
    static const char body[] = "preamble\r\n--b-1\r\n"
                               "content-disposition: form-data; name=\"items\"\r\n"
                               "Content-Type: Application/JSON; charset=utf-8\r\n\r\n[]"
                               "\r\n--b-1  \r\n"
                               "Content-Disposition: form-data; filename=plain.jpg; name=file\r\n"
                               "\r\nab\r\n--b\r\n\r\n--b-1--\r\nepilogue";
    ak_parts parts = {0};
    ak_error err = {0};
    ak_bytes bytes = {(const uint8_t *)body, sizeof body - 1};
    assert_int_equal(ak_multipart_read(&parts, TYPE, bytes, 1000, 3, &err), AK_OK);
    assert_int_equal(parts.n, 2);
    assert_string_equal(parts.items[0].name, "items");
    assert_null(parts.items[0].file);
    assert_string_equal(parts.items[0].type, "application/json");
    assert_memory_equal(parts.items[0].bytes.at, "[]", 2);
    assert_string_equal(parts.items[1].name, "file");
    assert_string_equal(parts.items[1].file, "plain.jpg");
    assert_int_equal(parts.items[1].bytes.n, 9);
    assert_memory_equal(parts.items[1].bytes.at, "ab\r\n--b\r\n", 9);
    ak_parts_clear(&parts);
}

static void quoted_file_names_are_unquoted(void **state)
{
    (void)state;
    static const struct {
        const char *written, *read;
    } names[] = {{"\"a\\\"b.jpg\"", "a\"b.jpg"},
                 {"\"a%22b.jpg\"", "a\"b.jpg"},
                 {"\"a;b=c.jpg\"", "a;b=c.jpg"},
                 {"\"C:\\\\x\\y.jpg\"", "C:\\x\\y.jpg"},
                 {"\"\"", ""},
                 {"bare.jpg ", "bare.jpg"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char body[300];
        int n = snprintf(body, sizeof body,
                         "--b-1\r\nContent-Disposition: form-data; name=\"f\"; filename=%s\r\n"
                         "\r\nx\r\n--b-1--",
                         names[i].written);
        ak_parts parts;
        ak_error err = {0};
        assert_int_equal(parse(&parts, TYPE, body, (size_t)n, &err), AK_OK);
        assert_string_equal(parts.items[0].file, names[i].read);
        ak_parts_clear(&parts);
    }
}

static void bad_bodies_are_refused_with_their_reason(void **state)
{
    (void)state;
#define PART "--b-1\r\nContent-Disposition: form-data; name=f\r\n\r\nx\r\n"
    static const struct {
        const char *type, *body;
        ak_status status;
    } cases[] = {
        {"multipart/form-data", PART "--b-1--", AK_BAD_REQUEST},
        {"multipart/form-data; boundary=", PART "--b-1--", AK_BAD_REQUEST},
        {TYPE, "", AK_BAD_REQUEST},
        {TYPE, "no delimiter", AK_BAD_REQUEST},
        {TYPE, PART, AK_BAD_REQUEST},
        {TYPE, PART "--b-1", AK_BAD_REQUEST},
        {TYPE, "--b-1x\r\n\r\n\r\n--b-1--", AK_BAD_REQUEST},
        {TYPE, "--b-1\r\n\r\nx\r\n--b-1--", AK_BAD_REQUEST},
        {TYPE, "--b-1\r\nContent-Disposition: form-data; filename=f\r\n\r\nx\r\n--b-1--",
         AK_BAD_REQUEST},
        {TYPE, "--b-1\r\nno colon\r\n\r\nx\r\n--b-1--", AK_BAD_REQUEST},
        {TYPE, "--b-1\r\n--b-1--", AK_BAD_REQUEST},
        {TYPE, PART PART PART PART "--b-1--", AK_TOO_LARGE},
        {TYPE, "--b-1--", AK_OK},
        {TYPE, PART PART PART "--b-1--", AK_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ak_parts parts;
        ak_error err = {0};
        assert_int_equal(parse(&parts, cases[i].type, cases[i].body, strlen(cases[i].body), &err),
                         cases[i].status);
        ak_parts_clear(&parts);
    }
}

static void a_part_over_its_limit_is_too_large(void **state)
{
    (void)state;
    char body[1200] = "--b-1\r\nContent-Disposition: form-data; name=f\r\n\r\n";
    size_t n = strlen(body);
    memset(body + n, 'x', 1001);
    strcpy(body + n + 1001, "\r\n--b-1--");
    ak_parts parts;
    ak_error err = {0};
    assert_int_equal(parse(&parts, TYPE, body, strlen(body), &err), AK_TOO_LARGE);
    assert_non_null(strstr(err.text, "1001"));
    ak_parts_clear(&parts);
}

static void no_cut_of_a_body_is_read_beyond_its_end(void **state)
{
    (void)state;
    static const char body[] = PART "--b-1 \r\nContent-Disposition: form-data; name=\"q\\\"\";"
                                    " filename=\"z\\\r\nContent-Type: a\r\n\r\n\r\n--b-1--\r\n";
    for (size_t n = 0; n < sizeof body; n++) {
        ak_parts parts;
        ak_error err = {0};
        parse(&parts, TYPE, body, n, &err);
        ak_parts_clear(&parts);
        char type[sizeof TYPE];
        snprintf(type, n < sizeof type ? n + 1 : sizeof type, "%s", TYPE);
        parse(&parts, type, body, sizeof body - 1, &err);
        ak_parts_clear(&parts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_found_in_order),
        cmocka_unit_test(quoted_file_names_are_unquoted),
        cmocka_unit_test(bad_bodies_are_refused_with_their_reason),
        cmocka_unit_test(a_part_over_its_limit_is_too_large),
        cmocka_unit_test(no_cut_of_a_body_is_read_beyond_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
