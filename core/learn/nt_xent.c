// With U the 2n unit vectors and P the row-wise softmax of U U' / tau without its diagonal, the
// gradient is (P - Y + (P - Y)') U / (2n tau), Y marking the positives.
#include "core/learn/normalise.h"
#include "core/learn/objectives.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

size_t ak_nt_xent_work(size_t n, size_t d)
{
    size_t m = 2 * n;
    return m * m + 2 * m * d + m;
}

double ak_nt_xent(float *da, float *db, const float *a, const float *b, size_t n, size_t d,
                  float tau, float *work)
{
    size_t m = 2 * n;
    float *s = work, *u = s + m * m, *du = u + m * d, *norm = du + m * d;
    double loss = 0;
    ak_rows_normalise(u, norm, a, n, d);
    ak_rows_normalise(u + n * d, norm + n, b, n, d);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)m, (int)d, 1.0f / tau, u,
                (int)d, u, (int)d, 0.0f, s, (int)m);
#pragma omp parallel for reduction(+ : loss) schedule(static)
    for (size_t i = 0; i < m; i++) {
        float *row = s + i * m, most = -INFINITY;
        size_t positive = i < n ? i + n : i - n;
        double sum = 0;
        for (size_t k = 0; k < m; k++)
            if (k != i && row[k] > most)
                most = row[k];
        loss -= (double)(row[positive] - most);
        for (size_t k = 0; k < m; k++) {
            row[k] = k == i ? 0 : expf(row[k] - most);
            sum += (double)row[k];
        }
        loss += log(sum);
        for (size_t k = 0; k < m; k++)
            row[k] /= (float)sum;
        row[positive] -= 1.0f;
    }
    float scale = 1.0f / ((float)m * tau);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)d, (int)m, scale, s, (int)m,
                u, (int)d, 0.0f, du, (int)d);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)m, (int)d, (int)m, scale, s, (int)m,
                u, (int)d, 1.0f, du, (int)d);
    ak_rows_normalise_backward(da, du, u, norm, n, d);
    ak_rows_normalise_backward(db, du + n * d, u + n * d, norm + n, n, d);
    return loss / (double)m;
}
