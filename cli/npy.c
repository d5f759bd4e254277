#include "cli/npy.h"

#include "core/base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER   128 // written: magic, version and length are 10 bytes of it; rows begin at 64 k
#define MAGIC    "\x93NUMPY"
#define TYPE_MAX 16
#define AXES_MAX 32 // as NumPy

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are written as they lie in memory");

static ak_status write_rows(const char *path, const void *rows, const char *type, size_t size,
                            size_t n, size_t dims, ak_error *err)
{
    size_t values, bytes;
    uint8_t *file = NULL;
    if (ak_mul(&values, n, dims) && ak_mul(&bytes, values, size) && bytes <= SIZE_MAX - HEADER)
        file = ak_alloc(HEADER + bytes, 1);
    if (!file)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu rows of %zu", n, dims);
    memset(file, ' ', HEADER);
    memcpy(file, MAGIC "\x01\x00", 8);
    file[8] = HEADER - 10;
    file[9] = 0;
    int end =
        snprintf((char *)file + 10, HEADER - 10,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (%zu, %zu), }", type, n, dims);
    file[10 + end] = ' ';
    file[HEADER - 1] = '\n';
    if (bytes)
        memcpy(file + HEADER, rows, bytes);
    ak_status status = ak_file_replace(path, (ak_bytes){file, HEADER + bytes}, err);
    free(file);
    return status;
}

ak_status ak_npy_write(const char *path, const float *rows, size_t n, size_t dims, ak_error *err)
{
    return write_rows(path, rows, "<f4", sizeof *rows, n, dims, err);
}

ak_status ak_npy_write_f64(const char *path, const double *rows, size_t n, size_t dims,
                           ak_error *err)
{
    return write_rows(path, rows, "<f8", sizeof *rows, n, dims, err);
}

// --- the header: a Python dictionary of three members ------------------------------------------

typedef struct {
    const char *at, *end;
} text;

typedef struct {
    char type[TYPE_MAX];
    bool has_type, has_order, fortran;
    size_t axes[AXES_MAX], axes_n;
    bool has_shape;
} header;

static void skip_space(text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\n' || *t->at == '\t'))
        t->at++;
}

static bool ahead(text *t, const char *token)
{
    size_t n = strlen(token);
    skip_space(t);
    return (size_t)(t->end - t->at) >= n && memcmp(t->at, token, n) == 0;
}

static bool take(text *t, const char *token)
{
    if (!ahead(t, token))
        return false;
    t->at += strlen(token);
    return true;
}

// 'name' or "name", without escapes; false when it is none or does not fit.
static bool take_string(char out[TYPE_MAX], text *t)
{
    skip_space(t);
    if (t->at == t->end || (*t->at != '\'' && *t->at != '"'))
        return false;
    char quote = *t->at++;
    size_t n = 0;
    for (; t->at < t->end && *t->at != quote; t->at++) {
        if (n == TYPE_MAX - 1 || *t->at < ' ' || *t->at > '~' || *t->at == '\\')
            return false;
        out[n++] = *t->at;
    }
    out[n] = '\0';
    return t->at < t->end && *t->at++ == quote;
}

static bool take_size(size_t *out, text *t)
{
    skip_space(t);
    const char *start = t->at;
    for (*out = 0; t->at < t->end && *t->at >= '0' && *t->at <= '9'; t->at++)
        if (!ak_mul(out, *out, 10) || __builtin_add_overflow(*out, (size_t)(*t->at - '0'), out))
            return false;
    return t->at > start;
}

// (), (3,), (3, 4) ...
static bool take_shape(header *h, text *t)
{
    if (!take(t, "("))
        return false;
    while (!take(t, ")")) {
        if (h->axes_n == AXES_MAX || !take_size(&h->axes[h->axes_n++], t))
            return false;
        if (!take(t, ",") && !ahead(t, ")"))
            return false;
    }
    return true;
}

static bool take_header(header *h, text *t)
{
    char key[TYPE_MAX];
    if (!take(t, "{"))
        return false;
    while (!take(t, "}")) {
        if (!take_string(key, t) || !take(t, ":"))
            return false;
        if (strcmp(key, "descr") == 0) {
            if (!take_string(h->type, t))
                return false;
            h->has_type = true;
        } else if (strcmp(key, "fortran_order") == 0) {
            h->fortran = take(t, "True");
            if (!h->fortran && !take(t, "False"))
                return false;
            h->has_order = true;
        } else if (strcmp(key, "shape") == 0) {
            if (h->has_shape || !take_shape(h, t))
                return false;
            h->has_shape = true;
        } else {
            return false;
        }
        if (!take(t, ",") && !ahead(t, "}"))
            return false;
    }
    return h->has_type && h->has_order && h->has_shape;
}

// --- reading -----------------------------------------------------------------------------------

// Where the header's text is; false when the file is no .npy or ends in it.
static bool find_header(text *t, size_t *start, ak_bytes file)
{
    if (file.n < 10 || memcmp(file.at, MAGIC, 6) != 0 || file.at[6] < 1 || file.at[6] > 3)
        return false;
    size_t length = (size_t)file.at[8] | (size_t)file.at[9] << 8;
    *start = 10;
    if (file.at[6] > 1) {
        if (file.n < 12)
            return false;
        length |= (size_t)file.at[10] << 16 | (size_t)file.at[11] << 24;
        *start = 12;
    }
    if (length > file.n - *start)
        return false;
    t->at = (const char *)file.at + *start;
    t->end = t->at + length;
    *start += length;
    return true;
}

static ak_status check_finite(const ak_npy *npy, const char *name, ak_error *err)
{
    for (size_t i = 0; i < npy->rows * npy->dims; i++) {
        double value = npy->f32 ? (double)npy->f32[i] : npy->f64[i];
        if (!isfinite(value))
            return ak_fail(err, AK_BAD_VALUE, "%s: the number in row %zu, column %zu is %s", name,
                           i / npy->dims + 1, i % npy->dims + 1, isnan(value) ? "NaN" : "infinite");
    }
    return AK_OK;
}

ak_status ak_npy_parse(ak_npy *out, ak_bytes file, const char *name, ak_error *err)
{
    text t;
    header h = {0};
    size_t start, values, bytes;
    *out = (ak_npy){0};
    if (!find_header(&t, &start, file) || !take_header(&h, &t))
        return ak_fail(err, AK_BAD_VALUE,
                       "%s is no .npy file of plain numbers, or is cut short in its header", name);
    bool wide = strcmp(h.type, "<f8") == 0;
    if (!wide && strcmp(h.type, "<f4") != 0)
        return ak_fail(err, AK_BAD_VALUE, "%s holds numbers of type %s; <f4 and <f8 are read", name,
                       h.type);
    if (h.axes_n != 2)
        return ak_fail(err, AK_BAD_VALUE, "%s has %zu dimensions; it must have 2, rows and columns",
                       name, h.axes_n);
    if (h.fortran)
        return ak_fail(err, AK_BAD_VALUE,
                       "%s is in Fortran order; save numpy.ascontiguousarray() of it", name);
    if (!h.axes[0] || !h.axes[1])
        return ak_fail(err, AK_BAD_VALUE, "%s is %zu x %zu: it holds no numbers", name, h.axes[0],
                       h.axes[1]);
    size_t size = wide ? sizeof(double) : sizeof(float);
    if (!ak_mul(&values, h.axes[0], h.axes[1]) || !ak_mul(&bytes, values, size) ||
        bytes != file.n - start)
        return ak_fail(err, AK_BAD_VALUE,
                       "%s is %zu x %zu of %zu bytes by its header, but holds %zu bytes: it is cut "
                       "short or damaged",
                       name, h.axes[0], h.axes[1], size, file.n - start);
    void *numbers = ak_alloc(values, size);
    if (!numbers)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the %zu numbers of %s", values, name);
    memcpy(numbers, file.at + start, bytes);
    *out = (ak_npy){.rows = h.axes[0],
                    .dims = h.axes[1],
                    .f32 = wide ? NULL : numbers,
                    .f64 = wide ? numbers : NULL};
    return check_finite(out, name, err);
}

ak_status ak_npy_read(ak_npy *out, const char *path, ak_error *err)
{
    ak_buf file = {0};
    *out = (ak_npy){0};
    ak_status status = ak_file_read(&file, path, AK_NPY_BYTES_MAX, err);
    if (status == AK_OK)
        status = ak_npy_parse(out, ak_buf_bytes(&file), path, err);
    ak_buf_clear(&file);
    return status;
}

ak_status ak_npy_widen(ak_npy *npy, ak_error *err)
{
    size_t n = npy->rows * npy->dims;
    if (!npy->f32)
        return AK_OK;
    npy->f64 = ak_alloc(n, sizeof *npy->f64);
    if (!npy->f64)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu numbers", n);
    for (size_t i = 0; i < n; i++)
        npy->f64[i] = (double)npy->f32[i];
    free(npy->f32);
    npy->f32 = NULL;
    return AK_OK;
}

void ak_npy_clear(ak_npy *npy)
{
    free(npy->f32);
    free(npy->f64);
    *npy = (ak_npy){0};
}
