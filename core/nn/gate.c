#include "core/nn/gate.h"

#include "core/nn/kernels.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

// work: means, gates, and for the way back their gradients (batch, c each); hidden and its gradient
// (batch, k each).
typedef struct {
    float *means, *gates, *dmeans, *dgates, *hidden, *dhidden;
} leavings;

static leavings leavings_of(float *work, const ak_gate_shape *s)
{
    size_t n = s->batch * s->c;
    float *hidden = work + 4 * n;
    return (leavings){work, work + n, work + 2 * n, work + 3 * n, hidden, hidden + s->batch * s->k};
}

size_t ak_gate_work(const ak_gate_shape *s)
{
    return 4 * s->batch * s->c + 2 * s->batch * s->k;
}

// y (n, rows) = x (n, columns) W^T + b
static void linear(float *y, const float *x, const float *w, const float *b, size_t n, size_t rows,
                   size_t columns)
{
    for (size_t i = 0; i < n; i++)
        memcpy(y + i * rows, b, rows * sizeof *y);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)rows, (int)columns, 1.0f, x,
                (int)columns, w, (int)columns, 1.0f, y, (int)rows);
}

static void linear_backward(float *dx, float *dw, float *db, const float *dy, const float *x,
                            const float *w, size_t n, size_t rows, size_t columns)
{
    memset(db, 0, rows * sizeof *db);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < rows; j++)
            db[j] += dy[i * rows + j];
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)columns, (int)n, 1.0f, dy,
                (int)rows, x, (int)columns, 0.0f, dw, (int)columns);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)columns, (int)rows, 1.0f,
                dy, (int)rows, w, (int)columns, 0.0f, dx, (int)columns);
}

void ak_gate_forward(void *y, const void *x, const float *params, const ak_gate_shape *s,
                     float *work)
{
    leavings l = leavings_of(work, s);
    size_t c = s->c, k = s->k, n = s->batch;
    const float *w1 = params, *b1 = w1 + k * c, *w2 = b1 + k, *b2 = w2 + c * k;
    ak_avgpool(l.means, c, x, n, c, s->plane, s->block, s->bf16);
    linear(l.hidden, l.means, w1, b1, n, k, c);
    for (size_t i = 0; i < n * k; i++)
        l.hidden[i] = fmaxf(0, l.hidden[i]);
    linear(l.gates, l.hidden, w2, b2, n, c, k);
    for (size_t i = 0; i < n * c; i++)
        l.gates[i] = 1 / (1 + expf(-l.gates[i]));
    ak_scale_maps(y, x, l.gates, NULL, n * c, s->plane, s->block, s->bf16);
}

void ak_gate_backward(void *dx, float *dparams, const void *dy, const void *x, const float *params,
                      const ak_gate_shape *s, float *work)
{
    leavings l = leavings_of(work, s);
    size_t c = s->c, k = s->k, n = s->batch;
    const float *w1 = params, *w2 = w1 + k * c + k;
    float *dw1 = dparams, *db1 = dw1 + k * c, *dw2 = db1 + k, *db2 = dw2 + c * k;
    ak_dot_maps(l.dgates, dy, x, n * c, s->plane, s->block, s->bf16);
    for (size_t i = 0; i < n * c; i++)
        l.dgates[i] *= l.gates[i] * (1 - l.gates[i]);
    linear_backward(l.dhidden, dw2, db2, l.dgates, l.hidden, w2, n, c, k);
    for (size_t i = 0; i < n * k; i++)
        l.dhidden[i] = l.hidden[i] > 0 ? l.dhidden[i] : 0;
    linear_backward(l.dmeans, dw1, db1, l.dhidden, l.means, w1, n, k, c);
    for (size_t i = 0; i < n * c; i++)
        l.dmeans[i] /= (float)s->plane;
    ak_scale_maps(dx, dy, l.gates, l.dmeans, n * c, s->plane, s->block, s->bf16);
}
