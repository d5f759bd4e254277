// Errors: the table, the texts, what a system call's errno becomes.
#include "core/base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void every_status_has_a_code_and_sane_numbers(void **state)
{
    (void)state;
    for (int s = 0; s < AK_STATUS_COUNT; s++) {
        assert_true(strlen(ak_status_code(s)) > 0);
        assert_true(strlen(ak_status_title(s)) > 0);
        assert_in_range(ak_status_http(s), 200, 599);
        assert_in_range(ak_status_exit(s), 0, 3);
        for (int t = 0; t < s; t++)
            assert_string_not_equal(ak_status_code(s), ak_status_code(t));
    }
    assert_int_equal(ak_status_exit(AK_OK), 0);
    assert_string_equal(ak_status_code(AK_UNKNOWN_COLLECTION), "unknown_collection");
}

static void fail_fills_and_returns_the_status(void **state)
{
    (void)state;
    ak_error err = {0};
    assert_int_equal(ak_fail(&err, AK_BAD_VALUE, "k is %d; at most %d", 2000, 1000), AK_BAD_VALUE);
    assert_int_equal(err.status, AK_BAD_VALUE);
    assert_string_equal(err.text, "k is 2000; at most 1000");
    assert_int_equal(ak_fail(NULL, AK_IO, "nobody listens"), AK_IO);
}

static void errno_decides_the_status_of_a_failed_call(void **state)
{
    (void)state;
    ak_error err = {0};
    assert_int_equal(ak_fail_errno(&err, ENOSPC, "cannot write %s", "x"), AK_DISK_FULL);
    assert_non_null(strstr(err.text, "cannot write x: "));
    assert_int_equal(ak_fail_errno(&err, EDQUOT, "w"), AK_DISK_FULL);
    assert_int_equal(ak_fail_errno(&err, EROFS, "w"), AK_READ_ONLY);
    assert_int_equal(ak_fail_errno(&err, EACCES, "w"), AK_READ_ONLY);
    assert_int_equal(ak_fail_errno(&err, ENOMEM, "w"), AK_OUT_OF_MEMORY);
    assert_int_equal(ak_fail_errno(&err, EIO, "w"), AK_IO);
    assert_int_equal(ak_fail_errno(NULL, ENOSPC, "w"), AK_DISK_FULL);
}

static void context_is_put_before_the_text(void **state)
{
    (void)state;
    ak_error err = {0};
    ak_fail(&err, AK_CORRUPT, "bad magic");
    assert_int_equal(ak_fail_within(&err, "model %d", 7), AK_CORRUPT);
    assert_string_equal(err.text, "model 7: bad magic");
}

static void texts_that_are_too_long_are_cut(void **state)
{
    (void)state;
    char lengthy[2000];
    ak_error err = {0};
    memset(lengthy, 'x', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = 0;
    ak_fail(&err, AK_IO, "%s", lengthy);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    ak_fail_within(&err, "%s", lengthy);
    assert_true(strlen(err.text) < sizeof err.text);
    ak_fail_errno(&err, EIO, "%s", lengthy);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_code_and_sane_numbers),
        cmocka_unit_test(fail_fills_and_returns_the_status),
        cmocka_unit_test(errno_decides_the_status_of_a_failed_call),
        cmocka_unit_test(context_is_put_before_the_text),
        cmocka_unit_test(texts_that_are_too_long_are_cut),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
