// Checked sizes, aligned memory, growing buffers.
#include "core/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void multiplication_says_when_it_overflows(void **state)
{
    (void)state;
    size_t n = 0;
    assert_true(ak_mul(&n, 3, 5));
    assert_int_equal(n, 15);
    assert_true(ak_mul(&n, 0, SIZE_MAX));
    assert_true(ak_mul(&n, SIZE_MAX, 1));
    assert_false(ak_mul(&n, SIZE_MAX / 2 + 1, 2));
}

static void allocations_are_zeroed_and_aligned(void **state)
{
    (void)state;
    for (size_t n = 0; n < 300; n += 7) {
        uint8_t *at = ak_alloc(n, 3);
        assert_non_null(at);
        assert_int_equal((uintptr_t)at % 64, 0);
        for (size_t i = 0; i < 3 * n; i++)
            assert_int_equal(at[i], 0);
        free(at);
    }
}

static void an_allocation_that_overflows_is_null(void **state)
{
    (void)state;
    assert_null(ak_alloc(SIZE_MAX / 2, 3));
    assert_null(ak_alloc(SIZE_MAX, 1));
    assert_null(ak_alloc(SIZE_MAX - 63, 1));
}

static void a_copy_has_a_zero_behind_it(void **state)
{
    (void)state;
    char *copy = ak_strndup("abc\0def", 7);
    assert_memory_equal(copy, "abc\0def", 8);
    free(copy);
    copy = ak_strndup(NULL, 0);
    assert_string_equal(copy, "");
    free(copy);
    assert_null(ak_strndup("", SIZE_MAX));
}

static void a_buffer_keeps_what_was_appended(void **state)
{
    (void)state;
    ak_buf buf = {0};
    for (int i = 0; i < 100000; i++) {
        uint8_t byte = (uint8_t)(i * 7);
        assert_true(ak_buf_append(&buf, &byte, 1));
    }
    assert_int_equal(buf.n, 100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf.at[i], (uint8_t)(i * 7));
    assert_true(ak_buf_append(&buf, NULL, 0));
    assert_int_equal(ak_buf_bytes(&buf).n, 100000);
    ak_buf_clear(&buf);
    assert_null(buf.at);
    ak_buf_clear(&buf);
}

static void a_buffer_refuses_to_overflow_and_stays_as_it_was(void **state)
{
    (void)state;
    ak_buf buf = {0};
    assert_true(ak_buf_append(&buf, "x", 1));
    assert_false(ak_buf_reserve(&buf, SIZE_MAX));
    assert_false(ak_buf_reserve(&buf, SIZE_MAX / 2));
    assert_int_equal(buf.n, 1);
    assert_int_equal(buf.at[0], 'x');
    ak_buf_clear(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplication_says_when_it_overflows),
        cmocka_unit_test(allocations_are_zeroed_and_aligned),
        cmocka_unit_test(an_allocation_that_overflows_is_null),
        cmocka_unit_test(a_copy_has_a_zero_behind_it),
        cmocka_unit_test(a_buffer_keeps_what_was_appended),
        cmocka_unit_test(a_buffer_refuses_to_overflow_and_stays_as_it_was),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
