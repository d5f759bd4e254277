#include "core/describe/whitening.h"

#include "core/base/mem.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// LAPACK's eigenvalues of a symmetric matrix, out of OpenBLAS, which brings no header for it.
extern void ssyevd_(const char *jobz, const char *uplo, const int *n, float *a, const int *lda,
                    float *w, float *work, const int *lwork, int *iwork, const int *liwork,
                    int *info);

// a (d, d), the lower triangle filled, becomes the eigenvectors, one a row; values rise.
static ak_status eigen(float *a, float *values, size_t d, ak_error *err)
{
    int n = (int)d, info, size = -1, isize = -1, iwanted;
    float wanted;
    ssyevd_("V", "U", &n, a, &n, values, &wanted, &size, &iwanted, &isize, &info); // asks for sizes
    size = (int)wanted;
    isize = iwanted;
    float *work = ak_alloc((size_t)size, sizeof *work);
    int *iwork = ak_alloc((size_t)isize, sizeof *iwork);
    if (work && iwork)
        ssyevd_("V", "U", &n, a, &n, values, work, &size, iwork, &isize, &info);
    ak_status status = !work || !iwork ? ak_fail(err, AK_OUT_OF_MEMORY, "no memory for eigenvalues")
                       : info != 0
                           ? ak_fail(err, AK_BAD_VALUE,
                                     "the covariance has no eigenvalues (LAPACK says %d): are the "
                                     "features finite?",
                                     info)
                           : AK_OK;
    free(work);
    free(iwork);
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
    ak_status status = AK_OK;
    float *centred = ak_alloc(n * d, sizeof *centred), *values = ak_alloc(d, sizeof *values);
    float *covariance = ak_alloc(d * d, sizeof *covariance);
    if (!centred || !values || !covariance) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a whitening");
        goto done;
    }
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
    status = eigen(covariance, values, d, err);
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
    free(centred);
    free(values);
    free(covariance);
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
