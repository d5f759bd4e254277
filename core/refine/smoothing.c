#include "core/refine/smoothing.h"

#include "core/base/mem.h"
#include "core/describe/eigen.h"
#include "core/refine/near.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void norm(float *row, size_t d)
{
    float length = cblas_snrm2((int)d, row, 1);
    for (size_t k = 0; k < d && length > 0; k++)
        row[k] /= length;
}

// s(x) for row i, by its nearest rows.
static void smooth(float *out, const float *x, size_t i, const uint32_t *near, size_t k, size_t d)
{
    const float *from = x + i * d;
    memcpy(out, from, d * sizeof *out);
    for (size_t j = 0; j < k; j++) {
        const float *other = x + near[j] * d;
        float score = fmaxf(0, cblas_sdot((int)d, from, 1, other, 1));
        cblas_saxpy((int)d, score * score * score, other, 1, out, 1);
    }
    norm(out, d);
    cblas_saxpy((int)d, 1, from, 1, out, 1);
    norm(out, d);
}

ak_status ak_smoothing_targets(float *z, const float *x, size_t n, size_t d, size_t neighbours,
                               ak_error *err)
{
    if (n < AK_SMOOTHING_LEAST)
        return ak_fail(err, AK_BAD_VALUE, "a smoothing needs %d pictures; there are %zu",
                       AK_SMOOTHING_LEAST, n);
    const size_t most = n / AK_SMOOTHING_SHARE, k = neighbours < most ? neighbours : most;
    size_t cells, pairs;
    bool fits = ak_mul(&cells, n, d) && ak_mul(&pairs, n, k);
    float *once = fits ? ak_alloc(cells, sizeof *once) : NULL;
    uint32_t *near = fits ? ak_alloc(pairs, sizeof *near) : NULL;
    ak_status status =
        once && near ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to smooth %zu rows", n);
    for (int hop = 0; hop < 2 && status == AK_OK; hop++) {
        const float *from = hop ? once : x;
        float *to = hop ? z : once;
        status = ak_near_neighbours(near, from, n, d, k, err);
#pragma omp parallel for schedule(static) if (status == AK_OK)
        for (size_t i = 0; i < n; i++)
            if (status == AK_OK)
                smooth(to + i * d, from, i, near + i * k, k, d);
    }
    free(near);
    free(once);
    return status;
}

// map = R' X (X' X + ridge n / d)^-1, by the eigenvectors V (rows) and values of X' X.
static ak_status regress(float *map, const float *x, const float *r, size_t n, size_t d,
                         double ridge, ak_error *err)
{
    float *v = ak_alloc(d * d, sizeof *v), *values = ak_alloc(d, sizeof *values);
    float *rx = ak_alloc(d * d, sizeof *rx), *turned = ak_alloc(d * d, sizeof *turned);
    ak_status status = v && values && rx && turned
                           ? AK_OK
                           : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a smoothing");
    const int rows = (int)n, dims = (int)d;
    if (status == AK_OK) {
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, dims, rows, 1, x, dims, 0, v, dims);
        status = ak_eigen_symmetric(v, values, d, err);
    }
    if (status == AK_OK) {
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, dims, dims, rows, 1, r, dims, x, dims,
                    0, rx, dims);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, dims, dims, dims, 1, rx, dims, v, dims,
                    0, turned, dims);
        for (size_t i = 0; i < d; i++)
            for (size_t j = 0; j < d; j++)
                turned[i * d + j] /=
                    (float)(fmax(0, (double)values[j]) + ridge * (double)n / (double)d);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, dims, dims, dims, 1, turned, dims, v,
                    dims, 0, map, dims);
    }
    free(turned);
    free(rx);
    free(values);
    free(v);
    return status;
}

// Of the map's symmetric part the eigenvectors with positive values.
static ak_status strengthen(float *map, size_t d, ak_error *err)
{
    float *v = ak_alloc(d * d, sizeof *v), *values = ak_alloc(d, sizeof *values);
    ak_status status =
        v && values ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a smoothing");
    for (size_t i = 0; i < d && status == AK_OK; i++)
        for (size_t j = 0; j <= i; j++)
            v[i * d + j] = (map[i * d + j] + map[j * d + i]) / 2;
    if (status == AK_OK)
        status = ak_eigen_symmetric(v, values, d, err);
    if (status == AK_OK) {
        for (size_t k = 0; k < d; k++)
            cblas_sscal((int)d, sqrtf(fmaxf(0, values[k])), v + k * d, 1);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)d, (int)d, (int)d, 1, v, (int)d,
                    v, (int)d, 0, map, (int)d);
    }
    free(values);
    free(v);
    return status;
}

ak_status ak_smoothing_fit(float *map, const float *x, size_t n, size_t d, const ak_smoothing *how,
                           ak_error *err)
{
    size_t cells;
    float *r = ak_mul(&cells, n, d) ? ak_alloc(cells, sizeof *r) : NULL;
    if (!r)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a smoothing");
    ak_status status = ak_smoothing_targets(r, x, n, d, how->neighbours, err);
    if (status == AK_OK) {
        for (size_t i = 0; i < cells; i++)
            r[i] -= x[i];
        status = regress(map, x, r, n, d, how->ridge, err);
    }
    if (status == AK_OK)
        status = strengthen(map, d, err);
    free(r);
    return status;
}
