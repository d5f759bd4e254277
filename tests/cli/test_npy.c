// The bytes of a .npy file, against the format's own description.
#include "cli/npy.h"
#include "core/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void read_back(ak_buf *file, const float *rows, size_t n, size_t dims)
{
    char folder[] = "/tmp/akin-npy-XXXXXX", path[64];
    ak_error err = {0};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.npy", folder);
    assert_int_equal(ak_npy_write(path, rows, n, dims, &err), AK_OK);
    assert_int_equal(ak_file_read(file, path, 1 << 20, &err), AK_OK);
    unlink(path);
    rmdir(folder);
}

static void npy_holds_a_header_and_the_rows(void **state)
{
    (void)state;
    const float rows[6] = {1, -2, 3.5f, 0, 1e-20f, 1e20f};
    ak_buf file = {0};
    read_back(&file, rows, 2, 3);
    assert_int_equal(file.n, 128 + sizeof rows);
    assert_memory_equal(file.at, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_int_equal(file.at[127], '\n');
    file.at[127] = 0;
    assert_non_null(strstr((char *)file.at + 10, "'descr': '<f4'"));
    assert_non_null(strstr((char *)file.at + 10, "'fortran_order': False"));
    assert_non_null(strstr((char *)file.at + 10, "'shape': (2, 3)"));
    assert_memory_equal(file.at + 128, rows, sizeof rows);
    ak_buf_clear(&file);
}

static void npy_of_no_rows_is_a_header(void **state)
{
    (void)state;
    ak_buf file = {0};
    read_back(&file, NULL, 0, 256);
    assert_int_equal(file.n, 128);
    file.at[127] = 0;
    assert_non_null(strstr((char *)file.at + 10, "'shape': (0, 256)"));
    ak_buf_clear(&file);
}

static void npy_in_no_folder_says_where(void **state)
{
    (void)state;
    ak_error err = {0};
    const float row[1] = {0};
    assert_int_not_equal(ak_npy_write("/nonexistent/x.npy", row, 1, 1, &err), AK_OK);
    assert_non_null(strstr(err.text, "/nonexistent/x.npy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_holds_a_header_and_the_rows),
        cmocka_unit_test(npy_of_no_rows_is_a_header),
        cmocka_unit_test(npy_in_no_folder_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
