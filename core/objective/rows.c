#include "core/objective/rows.h"

void R(ak_rows_normalise)(real *u, real *norm, const real *x, size_t n, size_t d)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < d; j++)
            sum += (double)x[i * d + j] * (double)x[i * d + j];
        norm[i] = (real)sqrt(sum);
        for (size_t j = 0; j < d; j++)
            u[i * d + j] = norm[i] > 0 ? x[i * d + j] / norm[i] : 0;
    }
}

void R(ak_rows_normalise_backward)(real *dx, const real *du, const real *u, const real *norm,
                                   size_t n, size_t d)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++) {
        double dot = 0;
        for (size_t j = 0; j < d; j++)
            dot += (double)u[i * d + j] * (double)du[i * d + j];
        for (size_t j = 0; j < d; j++)
            dx[i * d + j] = norm[i] > 0 ? (du[i * d + j] - u[i * d + j] * (real)dot) / norm[i] : 0;
    }
}

// glibc has exp of many at once (libmvec, 4 ulp at most), but its header offers it to -ffast-math
// alone, which does not know infinities.
#ifdef AK_F64
__attribute__((simd("notinbranch"))) extern double(exp)(double x);
#else
__attribute__((simd("notinbranch"))) extern float(expf)(float x);
#endif

double R(ak_log_sum_exp)(real *row, size_t n, double tau)
{
    real most = -INFINITY, inverse = (real)(1 / tau);
    double sum = 0;
#pragma omp simd reduction(max : most)
    for (size_t k = 0; k < n; k++)
        most = row[k] > most ? row[k] : most;
    real origin = most > -INFINITY ? most : 0;
#pragma omp simd reduction(+ : sum)
    for (size_t k = 0; k < n; k++) {
        row[k] = exp((row[k] - origin) * inverse);
        sum += (double)row[k];
    }
    if (sum == 0)
        return -INFINITY;
    real scale = (real)(1 / (sum * tau));
    for (size_t k = 0; k < n; k++)
        row[k] *= scale;
    return (double)most / tau + log(sum);
}
