#include "core/learn/normalise.h"
#include "core/learn/objectives.h"

#include <cblas.h>
#include <math.h>

size_t ak_proxy_softmax_work(size_t n, size_t d, size_t classes)
{
    return n * classes + 2 * n * d + 2 * classes * d + n + classes;
}

double ak_proxy_softmax(float *dx, float *dproxies, const float *x, const float *proxies,
                        const uint32_t *labels, size_t n, size_t d, size_t classes, float tau,
                        float smoothing, float *work)
{
    float *s = work, *u = s + n * classes, *du = u + n * d, *w = du + n * d, *dw = w + classes * d;
    float *u_norm = dw + classes * d, *w_norm = u_norm + n;
    float other = smoothing / (float)classes;
    double loss = 0;
    ak_rows_normalise(u, u_norm, x, n, d);
    ak_rows_normalise(w, w_norm, proxies, classes, d);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)classes, (int)d, 1.0f / tau,
                u, (int)d, w, (int)d, 0.0f, s, (int)classes);
#pragma omp parallel for reduction(+ : loss) schedule(static)
    for (size_t i = 0; i < n; i++) {
        float *row = s + i * classes, most = -INFINITY;
        double sum = 0, wanted = 0;
        for (size_t c = 0; c < classes; c++)
            most = row[c] > most ? row[c] : most;
        for (size_t c = 0; c < classes; c++) {
            float target = other + (c == labels[i] ? 1.0f - smoothing : 0.0f);
            wanted += (double)(target * (row[c] - most));
            row[c] = expf(row[c] - most);
            sum += (double)row[c];
        }
        loss += log(sum) - wanted;
        for (size_t c = 0; c < classes; c++)
            row[c] = row[c] / (float)sum - other - (c == labels[i] ? 1.0f - smoothing : 0.0f);
    }
    float scale = 1.0f / ((float)n * tau);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)d, (int)classes, scale, s,
                (int)classes, w, (int)d, 0.0f, du, (int)d);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)classes, (int)d, (int)n, scale, s,
                (int)classes, u, (int)d, 0.0f, dw, (int)d);
    ak_rows_normalise_backward(dx, du, u, u_norm, n, d);
    ak_rows_normalise_backward(dproxies, dw, w, w_norm, classes, d);
    return loss / (double)n;
}
