// The bytes of a .npy file, against the format's own description, written and read; and the fuzz
// target without libFuzzer.
#include "core/base/file.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/npy.c"

#include <math.h>
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

// A file of the given version with this header, padded, and n bytes behind it.
static void made(ak_buf *file, int version, const char *header, const void *rows, size_t n)
{
    size_t length = strlen(header), start = version == 1 ? 10 : 12;
    size_t padded = (start + length + 64) / 64 * 64 - start;
    const uint8_t head[12] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', (uint8_t)version, 0, (uint8_t)padded, (uint8_t)(padded >> 8),
        0,    0};
    *file = (ak_buf){0};
    assert_true(ak_buf_append(file, head, start) && ak_buf_append(file, header, length));
    for (size_t i = length; i < padded; i++)
        assert_true(ak_buf_append(file, i + 1 < padded ? " " : "\n", 1));
    assert_true(ak_buf_append(file, rows, n));
}

static const float six[6] = {1, -2, 3.5f, 0, 1e-20f, 1e20f};

static void npy_of_all_versions_and_spellings_is_read(void **state)
{
    (void)state;
    const char *const headers[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}",
        "{\"shape\":(2,3,),\"descr\":\"<f4\",\"fortran_order\":False}",
        "{ 'fortran_order' : False , 'shape' : ( 2 , 3 ) , 'descr' : '<f4' , }",
    };
    for (size_t i = 0; i < 4; i++)
        for (int version = 1; version <= 3; version++) {
            ak_buf file;
            ak_npy npy;
            ak_error err = {0};
            made(&file, version, headers[i], six, sizeof six);
            assert_int_equal(ak_npy_parse(&npy, ak_buf_bytes(&file), "x.npy", &err), AK_OK);
            assert_true(npy.rows == 2 && npy.dims == 3 && !npy.f64);
            assert_memory_equal(npy.f32, six, sizeof six);
            assert_int_equal(ak_npy_widen(&npy, &err), AK_OK);
            assert_null(npy.f32);
            for (size_t k = 0; k < 6; k++)
                assert_true(npy.f64[k] == (double)six[k]);
            ak_npy_clear(&npy);
            ak_buf_clear(&file);
        }
}

static void npy_that_was_written_is_read_in_its_type(void **state)
{
    (void)state;
    const double rows[4] = {0.1, -1e300, 5e-324, 3};
    char folder[] = "/tmp/akin-npy-XXXXXX", path[64];
    ak_error err = {0};
    ak_npy npy;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.npy", folder);
    assert_int_equal(ak_npy_write_f64(path, rows, 2, 2, &err), AK_OK);
    assert_int_equal(ak_npy_read(&npy, path, &err), AK_OK);
    assert_null(npy.f32);
    assert_memory_equal(npy.f64, rows, sizeof rows);
    ak_npy_clear(&npy);
    assert_int_equal(ak_npy_write(path, six, 3, 2, &err), AK_OK);
    assert_int_equal(ak_npy_read(&npy, path, &err), AK_OK);
    assert_null(npy.f64);
    assert_memory_equal(npy.f32, six, sizeof six);
    ak_npy_clear(&npy);
    unlink(path);
    rmdir(folder);
}

static void npy_that_cannot_be_used_says_why(void **state)
{
    (void)state;
    static const float bad[2] = {1, NAN};
    static const double huge[2] = {-INFINITY, 1};
    const struct {
        const char *header;
        const void *rows;
        size_t n;
        const char *says;
    } cases[] = {
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", six, 24, ">f4"},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (1, 3), }", six, 24, "<i8"},
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (2, 6), }", six, 24, "<f2"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,), }", six, 24, "plain"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", six, 24, "Fortran"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (6,), }", six, 24, "1 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), }", six, 4, "0 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3), }", six, 24, "3 dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 0), }", six, 0, "no numbers"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six, 23, "cut short"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", six, 24, "cut short"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", six, 24, "damaged"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", six, 0,
         "cut short"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551617, 1), }", six, 4,
         "header"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }", six, 24, "header"},
        {"{'descr': '<f4', 'fortran_order': False, }", six, 24, "header"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)", six, 24, "header"},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': (2, 3), }", six, 24, "header"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }", bad, 8, "column 2 is NaN"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }", huge, 16, "infinite"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ak_buf file;
        ak_npy npy;
        ak_error err = {0};
        made(&file, 1, cases[i].header, cases[i].rows, cases[i].n);
        assert_int_equal(ak_npy_parse(&npy, ak_buf_bytes(&file), "x.npy", &err), AK_BAD_VALUE);
        if (!strstr(err.text, cases[i].says) || !strstr(err.text, "x.npy"))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
        ak_npy_clear(&npy);
        ak_buf_clear(&file);
    }
}

static void npy_cut_anywhere_is_refused(void **state)
{
    (void)state;
    ak_buf file;
    made(&file, 2, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six, sizeof six);
    for (size_t n = 0; n < file.n; n++) {
        ak_npy npy;
        ak_error err = {0};
        const ak_buf cut = {file.at, n, n};
        uint8_t *copy = exact_copy(&cut);
        assert_int_equal(ak_npy_parse(&npy, (ak_bytes){copy, n}, "x.npy", &err), AK_BAD_VALUE);
        ak_npy_clear(&npy);
        free(copy);
    }
    ak_buf_clear(&file);
}

static void npy_broken_at_random_is_read_or_refused(void **state)
{
    (void)state;
    int read = 0, refused = 0;
    for (uint32_t seed = 0; seed < 20000; seed++) {
        ak_random r = ak_random_stream(seed, 0, 0, 0);
        ak_buf file;
        made(&file, 1 + (int)ak_random_below(&r, 2),
             "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", six, sizeof six);
        mutate(&file, &r);
        uint8_t *copy = exact_copy(&file);
        *(LLVMFuzzerTestOneInput(copy, file.n) == 0 ? &read : &refused) += 1;
        free(copy);
        ak_buf_clear(&file);
    }
    assert_true(read > 100 && refused > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_holds_a_header_and_the_rows),
        cmocka_unit_test(npy_of_no_rows_is_a_header),
        cmocka_unit_test(npy_in_no_folder_says_where),
        cmocka_unit_test(npy_of_all_versions_and_spellings_is_read),
        cmocka_unit_test(npy_that_was_written_is_read_in_its_type),
        cmocka_unit_test(npy_that_cannot_be_used_says_why),
        cmocka_unit_test(npy_cut_anywhere_is_refused),
        cmocka_unit_test(npy_broken_at_random_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
