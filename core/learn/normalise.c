#include "core/learn/normalise.h"

#include <math.h>

void ak_rows_normalise(float *u, float *norm, const float *x, size_t n, size_t d)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < d; j++)
            sum += (double)x[i * d + j] * (double)x[i * d + j];
        norm[i] = sum > 0 ? (float)sqrt(sum) : 1.0f;
        for (size_t j = 0; j < d; j++)
            u[i * d + j] = x[i * d + j] / norm[i];
    }
}

void ak_rows_normalise_backward(float *dx, const float *du, const float *u, const float *norm,
                                size_t n, size_t d)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        double dot = 0;
        for (size_t j = 0; j < d; j++)
            dot += (double)u[i * d + j] * (double)du[i * d + j];
        for (size_t j = 0; j < d; j++)
            dx[i * d + j] = (du[i * d + j] - u[i * d + j] * (float)dot) / norm[i];
    }
}
