#include "cli/npy.h"

#include "core/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER 128 // magic, version and length are 10 bytes of it; the rows begin aligned to 64

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are written as they lie in memory");

ak_status ak_npy_write(const char *path, const float *rows, size_t n, size_t dims, ak_error *err)
{
    size_t values, bytes;
    uint8_t *file = NULL;
    if (ak_mul(&values, n, dims) && ak_mul(&bytes, values, sizeof *rows) &&
        bytes <= SIZE_MAX - HEADER)
        file = ak_alloc(HEADER + bytes, 1);
    if (!file)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu rows of %zu", n, dims);
    memset(file, ' ', HEADER);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = HEADER - 10;
    file[9] = 0;
    int end = snprintf((char *)file + 10, HEADER - 10,
                       "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", n, dims);
    file[10 + end] = ' ';
    file[HEADER - 1] = '\n';
    if (bytes)
        memcpy(file + HEADER, rows, bytes);
    ak_status status = ak_file_replace(path, (ak_bytes){file, HEADER + bytes}, err);
    free(file);
    return status;
}
