// NumPy's file format, version 1.0: a matrix of float32, little-endian, in C order.
#ifndef AK_CLI_NPY_H
#define AK_CLI_NPY_H

#include "core/base/error.h"

#include <stddef.h>

// Writes or replaces the file as a whole. rows (n, dims).
ak_status ak_npy_write(const char *path, const float *rows, size_t n, size_t dims, ak_error *err);

#endif
