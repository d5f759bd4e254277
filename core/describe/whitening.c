#include "core/describe/whitening.h"

#include "core/base/mem.h"
#include "core/describe/eigen.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// mean (d) and the lower triangle of the covariance (d, d).
static ak_status moments(float *mean, float *covariance, const float *x, size_t n, size_t d,
                         ak_error *err)
{
    float *centred = ak_alloc(n * d, sizeof *centred);
    if (!centred)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a whitening");
    for (size_t j = 0; j < d; j++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)x[i * d + j];
        mean[j] = (float)(sum / (double)n);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++)
            centred[i * d + j] = x[i * d + j] - mean[j];
    cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)n, 1.0f / (float)(n - 1),
                centred, (int)d, 0.0f, covariance, (int)d);
    free(centred);
    return AK_OK;
}

// matrix (dims, d) from the covariance, which is overwritten; `shrink` mean eigenvalues are added
// to each.
static ak_status turn(float *matrix, float *covariance, size_t d, size_t dims, float power,
                      float shrink, ak_error *err)
{
    float *values = ak_alloc(d, sizeof *values);
    if (!values)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a whitening");
    ak_status status = ak_eigen_symmetric(covariance, values, d, err);
    if (status != AK_OK)
        goto done;
    double trace = 0;
    for (size_t j = 0; j < d; j++)
        trace += (double)(values[j] > 0 ? values[j] : 0);
    float add = shrink * (float)(trace / (double)d);
    for (size_t k = 0; k < dims; k++) { // eigenvalues come in rising order
        const float *vector = covariance + (d - 1 - k) * d;
        float value = (values[d - 1 - k] > 0 ? values[d - 1 - k] : 0) + add;
        float scale = value > 0 ? powf(value, -power / 2) : 0;
        float largest = 0; // the sign of an eigenvector is arbitrary: fix it
        for (size_t j = 0; j < d; j++)
            if (fabsf(vector[j]) > fabsf(largest))
                largest = vector[j];
        if (largest < 0)
            scale = -scale;
        for (size_t j = 0; j < d; j++)
            matrix[k * d + j] = vector[j] * scale;
    }
done:
    free(values);
    return status;
}

ak_status ak_whitening_fit(float *mean, float *matrix, const float *x, size_t n, size_t d,
                           size_t dims, float power, float shrink, ak_error *err)
{
    if (n < 2 || dims > d)
        return ak_fail(err, AK_BAD_VALUE,
                       "whitening from %zu pictures to %zu of %zu dimensions; at least 2 pictures "
                       "and no more dimensions than there are",
                       n, dims, d);
    float *covariance = ak_alloc(d * d, sizeof *covariance);
    if (!covariance)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a whitening");
    ak_status status = moments(mean, covariance, x, n, d, err);
    if (status == AK_OK)
        status = turn(matrix, covariance, d, dims, power, shrink, err);
    free(covariance);
    return status;
}

// The covariance that a whitening was made from, as far as the whitening tells: its rows are the
// eigenvectors, their lengths the eigenvalues with the shrinkage in them. What was cut off had
// smaller ones; half of the smallest that stayed stands for them.
static void covariance_of(float *covariance, const float *matrix, size_t d, size_t dims,
                          float power)
{
    float least = INFINITY;
    memset(covariance, 0, d * d * sizeof *covariance);
    for (size_t k = 0; k < dims; k++) {
        float square = cblas_sdot((int)d, matrix + k * d, 1, matrix + k * d, 1);
        float value = square > 0 ? powf(square, -1 / power) : 0;
        least = value > 0 && value < least ? value : least;
    }
    float rest = isfinite(least) ? least / 2 : 0;
    for (size_t k = 0; k < dims; k++) {
        float square = cblas_sdot((int)d, matrix + k * d, 1, matrix + k * d, 1);
        if (square > 0) // value * v v' beside rest * (I - sum of v v')
            cblas_ssyr(CblasRowMajor, CblasLower, (int)d,
                       (powf(square, -1 / power) - rest) / square, matrix + k * d, 1, covariance,
                       (int)d);
    }
    for (size_t j = 0; j < d; j++)
        covariance[j * d + j] += rest;
}

ak_status ak_whitening_refit(float *mean, float *matrix, const float *x, size_t n, size_t d,
                             size_t dims, float power, float shrink, double trust, ak_error *err)
{
    if (n < 2 || !(power > 0))
        return AK_OK; // nothing to learn from, or nothing to learn
    float *base = ak_alloc(d * d, sizeof *base), *fresh = ak_alloc(d * d, sizeof *fresh);
    float *fresh_mean = ak_alloc(d, sizeof *fresh_mean);
    ak_status status = base && fresh && fresh_mean
                           ? moments(fresh_mean, fresh, x, n, d, err)
                           : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a whitening");
    if (status == AK_OK) {
        float share = (float)((double)n / ((double)n + trust)), trace = 0;
        covariance_of(base, matrix, d, dims, power);
        for (size_t j = 0; j < d; j++)
            trace += fresh[j * d + j];
        for (size_t j = 0; j < d; j++) {
            fresh[j * d + j] += shrink * trace / (float)d;
            mean[j] += share * (fresh_mean[j] - mean[j]);
        }
        for (size_t j = 0; j < d * d; j++)
            base[j] += share * (fresh[j] - base[j]);
        status = turn(matrix, base, d, dims, power, 0, err);
    }
    free(base);
    free(fresh);
    free(fresh_mean);
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
