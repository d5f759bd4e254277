#include "core/describe/scatter.h"

#include "core/base/mem.h"

#include <cblas.h>
#include <stdlib.h>

#define BLOCK 4096 // rows at a time

ak_status ak_scatter_init(ak_scatter *s, size_t d, ak_error *err)
{
    size_t cells;
    bool enough = ak_mul(&cells, d, d);
    *s = (ak_scatter){.d = d};
    s->mean = ak_alloc(d, sizeof *s->mean);
    s->total = enough ? ak_alloc(cells, sizeof *s->total) : NULL;
    s->within = enough ? ak_alloc(cells, sizeof *s->within) : NULL;
    if (s->mean && s->total && s->within)
        return AK_OK;
    ak_scatter_clear(s);
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the scatter of %zu dimensions", d);
}

void ak_scatter_clear(ak_scatter *s)
{
    free(s->mean);
    free(s->total);
    free(s->within);
    *s = (ak_scatter){0};
}

static double trace_of(const float *a, size_t d)
{
    double trace = 0;
    for (size_t j = 0; j < d; j++)
        trace += (double)a[j * d + j];
    return trace;
}

static void scale(float *a, size_t d, double by)
{
    cblas_sscal((int)(d * d), (float)by, a, 1);
}

ak_status ak_scatter_total(ak_scatter *s, const float *x, size_t n, ak_error *err)
{
    const size_t d = s->d, rows = n < BLOCK ? n : BLOCK;
    if (n < 2)
        return ak_fail(err, AK_BAD_VALUE, "a whitening from %zu pictures; at least 2", n);
    float *centred = ak_alloc(rows * d, sizeof *centred);
    if (!centred)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a whitening");
    for (size_t j = 0; j < d; j++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += (double)x[i * d + j];
        s->mean[j] = (float)(sum / (double)n);
    }
    for (size_t first = 0; first < n; first += rows) {
        size_t part = n - first < rows ? n - first : rows;
        for (size_t i = 0; i < part; i++)
            for (size_t j = 0; j < d; j++)
                centred[i * d + j] = x[(first + i) * d + j] - s->mean[j];
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)part, 1.0f, centred, (int)d,
                    first ? 1.0f : 0.0f, s->total, (int)d);
    }
    free(centred);
    double trace = trace_of(s->total, d);
    if (trace > 0)
        scale(s->total, d, 1 / trace);
    return AK_OK;
}

ak_status ak_scatter_pairs(ak_scatter *s, const float *x, const ak_pair *pairs, size_t n,
                           float weight, ak_error *err)
{
    const size_t d = s->d, rows = n < BLOCK ? n : BLOCK;
    if (n == 0)
        return AK_OK;
    float *apart = ak_alloc(rows * d, sizeof *apart);
    if (!apart)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a whitening");
    double squares = 0; // their sum is the trace that the matrix will have
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < d; j++) {
            double by = (double)x[pairs[i].a * d + j] - (double)x[pairs[i].b * d + j];
            squares += by * by;
        }
    for (size_t first = 0; first < n && squares > 0; first += rows) {
        size_t part = n - first < rows ? n - first : rows;
        for (size_t i = 0; i < part; i++)
            for (size_t j = 0; j < d; j++)
                apart[i * d + j] = x[pairs[first + i].a * d + j] - x[pairs[first + i].b * d + j];
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (int)d, (int)part,
                    weight / (float)squares, apart, (int)d, 1.0f, s->within, (int)d);
    }
    free(apart);
    return AK_OK;
}

void ak_scatter_norm(ak_scatter *s)
{
    double trace = trace_of(s->within, s->d);
    if (trace > 0)
        scale(s->within, s->d, 1 / trace);
    for (size_t j = 0; j < s->d && !(trace > 0); j++)
        s->within[j * s->d + j] = 1 / (float)s->d;
}
