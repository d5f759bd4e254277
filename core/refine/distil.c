#include "core/refine/distil.h"

#include <cblas.h>
#include <math.h>

size_t ak_distil_work(size_t n, size_t d)
{
    return 3 * n * d + n * n + 2 * n;
}

// u = x / |x| by row; a row of zeros stays zeros, norm 0.
static void unit_rows(float *u, float *norm, const float *x, size_t n, size_t d)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < d; j++)
            sum += (double)x[i * d + j] * (double)x[i * d + j];
        norm[i] = (float)sqrt(sum);
        for (size_t j = 0; j < d; j++)
            u[i * d + j] = sum > 0 ? x[i * d + j] / norm[i] : 0;
    }
}

// dy += weight * (du - u (u . du)) / norm, by row.
static void add_raw(float *dy, const float *du, const float *u, const float *norm, size_t n,
                    size_t d, float weight)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        float dot = cblas_sdot((int)d, du + i * d, 1, u + i * d, 1);
        for (size_t j = 0; j < d && norm[i] > 0; j++)
            dy[i * d + j] += weight * (du[i * d + j] - u[i * d + j] * dot) / norm[i];
    }
}

double ak_distil_features(float *dy, const float *y, const float *t, size_t n, size_t d,
                          float weight, float *work)
{
    float *u = work, *v = u + n * d, *du = v + n * d, *norm = du + n * d, *other = norm + n;
    double loss = 0;
    unit_rows(u, norm, y, n, d);
    unit_rows(v, other, t, n, d);
    for (size_t i = 0; i < n; i++)
        loss += 1 - (double)cblas_sdot((int)d, u + i * d, 1, v + i * d, 1);
    for (size_t i = 0; i < n * d; i++)
        du[i] = -v[i] / (float)n;
    add_raw(dy, du, u, norm, n, d, weight);
    return loss / (double)n;
}

double ak_distil_relations(float *dy, const float *y, const float *t, size_t n, size_t d,
                           float weight, float *work)
{
    float *u = work, *v = u + n * d, *du = v + n * d, *norm = du + n * d, *other = norm + n;
    float *s = other + n; // (n, n)
    double loss = 0, pairs = (double)n * (double)(n - 1);
    unit_rows(u, norm, y, n, d);
    unit_rows(v, other, t, n, d);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)n, (int)d, 1, u, (int)d, u,
                (int)d, 0, s, (int)n);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)n, (int)d, -1, v, (int)d, v,
                (int)d, 1, s, (int)n);
    for (size_t i = 0; i < n; i++) {
        s[i * n + i] = 0;
        for (size_t j = 0; j < n; j++)
            loss += (double)s[i * n + j] * (double)s[i * n + j];
    }
    // The difference is symmetric, so row i meets u_i on both sides: 4, not 2.
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)d, (int)n,
                (float)(4 / pairs), s, (int)n, u, (int)d, 0, du, (int)d);
    add_raw(dy, du, u, norm, n, d, weight);
    return loss / pairs;
}
