// NumPy's file format: a matrix of float32 or float64, little-endian, in C order. Written as
// version 1.0, read as 1.0 to 3.0.
#ifndef AK_CLI_NPY_H
#define AK_CLI_NPY_H

#include "core/base/error.h"
#include "core/base/mem.h"

// Writes or replaces the file as a whole. rows (n, dims).
ak_status ak_npy_write(const char *path, const float *rows, size_t n, size_t dims, ak_error *err);
ak_status ak_npy_write_f64(const char *path, const double *rows, size_t n, size_t dims,
                           ak_error *err);

typedef struct {
    size_t rows, dims; // at least 1 each
    float *f32;        // (rows, dims), or NULL where the numbers are
    double *f64;       // of this type
} ak_npy;

#define AK_NPY_BYTES_MAX ((size_t)4 << 30)

// AK_BAD_VALUE with what is wrong: no .npy file, another type or order, not two dimensions, cut
// short, a number that is not finite. name is the file's, for messages. Clear it in any case.
ak_status ak_npy_parse(ak_npy *out, ak_bytes file, const char *name, ak_error *err);
ak_status ak_npy_read(ak_npy *out, const char *path, ak_error *err);

// Makes its numbers float64.
ak_status ak_npy_widen(ak_npy *npy, ak_error *err);

void ak_npy_clear(ak_npy *npy);

#endif
