#include "core/describe/whitening.h"

#include "core/base/mem.h"
#include "core/describe/eigen.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Turns the lower triangle of a covariance into the rows that make it the identity.
static ak_status whitener(float *covariance, float *values, size_t d, float shrink, ak_error *err)
{
    double trace = 0;
    for (size_t j = 0; j < d; j++)
        trace += (double)covariance[j * d + j];
    ak_status status = ak_eigen_symmetric(covariance, values, d, err);
    for (size_t k = 0; k < d && status == AK_OK; k++) {
        float value = fmaxf(values[k], 0) + shrink * (float)(trace / (double)d);
        cblas_sscal((int)d, value > 0 ? 1 / sqrtf(value) : 0, covariance + k * d, 1);
    }
    return status;
}

// The sign of an eigenvector is arbitrary: its largest number is positive.
static void fix_sign(float *vector, size_t d)
{
    size_t largest = cblas_isamax((int)d, vector, 1);
    if (vector[largest] < 0)
        cblas_sscal((int)d, -1, vector, 1);
}

static ak_status check(size_t dims, size_t d, ak_error *err)
{
    return dims <= d ? AK_OK
                     : ak_fail(err, AK_BAD_VALUE, "a whitening to %zu dimensions; there are %zu",
                               dims, d);
}

ak_status ak_whitening_pca(float *matrix, ak_scatter *s, size_t dims, float power, float shrink,
                           ak_error *err)
{
    const size_t d = s->d;
    float *values = ak_alloc(d, sizeof *values);
    ak_status status = check(dims, d, err);
    if (status == AK_OK && !values)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to whiten");
    if (status == AK_OK)
        status = ak_eigen_symmetric(s->total, values, d, err);
    for (size_t k = 0; k < dims && status == AK_OK; k++) { // eigenvalues come in rising order
        float value = fmaxf(values[d - 1 - k], 0) + shrink / (float)d; // the trace is 1
        memcpy(matrix + k * d, s->total + (d - 1 - k) * d, d * sizeof *matrix);
        fix_sign(matrix + k * d, d);
        cblas_sscal((int)d, value > 0 ? powf(value, -power / 2) : 0, matrix + k * d, 1);
    }
    free(values);
    return status;
}

ak_status ak_whitening_fit(float *matrix, float *ratios, ak_scatter *s, size_t dims, float power,
                           float shrink, ak_error *err)
{
    const size_t d = s->d;
    const int n = (int)d;
    float *values = ak_alloc(d, sizeof *values), *half = ak_alloc(d * d, sizeof *half);
    ak_status status = check(dims, d, err);
    if (status == AK_OK)
        status = values && half ? whitener(s->within, values, d, shrink, err)
                                : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to whiten");
    if (status != AK_OK)
        goto done;
    cblas_ssymm(CblasRowMajor, CblasRight, CblasLower, n, n, 1, s->total, n, s->within, n, 0, half,
                n);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, n, 1, half, n, s->within, n, 0,
                s->total, n);
    status = ak_eigen_symmetric(s->total, values, d, err);
    if (status != AK_OK)
        goto done;
    for (size_t k = 0; k < dims; k++) { // eigenvalues come in rising order
        ratios[k] = fmaxf(values[d - 1 - k], 0);
        memcpy(half + k * d, s->total + (d - 1 - k) * d, d * sizeof *half);
        fix_sign(half + k * d, d);
        cblas_sscal(n, powf(ratios[k], power / 2), half + k * d, 1);
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)dims, n, n, 1, half, n, s->within,
                n, 0, matrix, n);
done:
    free(values);
    free(half);
    return status;
}

void ak_whitening_apply(float *y, float *x, const float *mean, const float *matrix, size_t n,
                        size_t d, size_t dims)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++)
            x[i * d + j] -= mean[j];
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)dims, (int)d, 1.0f, x, (int)d,
                matrix, (int)d, 0.0f, y, (int)dims);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t k = 0; k < dims; k++)
            sum += (double)y[i * dims + k] * (double)y[i * dims + k];
        float scale = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
        for (size_t k = 0; k < dims; k++)
            y[i * dims + k] *= scale;
    }
}
