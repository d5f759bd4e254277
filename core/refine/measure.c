#include "core/refine/measure.h"

#include "core/base/mem.h"
#include "core/describe/eigen.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK            64 // queries whose similarities are computed by one product
#define NEAREST          10
#define NEIGHBOURHOOD    100 // rows of a gallery to one of a neighbourhood
#define NEIGHBOURS_LEAST 8

static void similarities(float *s, const float *queries, size_t n, const float *gallery,
                         size_t count, size_t dims)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)count, (int)dims, 1, queries,
                (int)dims, gallery, (int)dims, 0, s, (int)count);
    for (size_t i = 0; i < n * count; i++)
        if (!isfinite(s[i]))
            s[i] = -2; // under every cosine
}

static bool before(const float *s, uint32_t a, uint32_t b)
{
    return a < b ? s[a] >= s[b] : s[a] > s[b];
}

ak_status ak_measure_ranks(uint32_t *rank, const float *queries, const uint32_t *target, size_t n,
                           const float *gallery, size_t count, size_t dims, ak_error *err)
{
    float *s = ak_alloc(BLOCK * count, sizeof *s);
    if (!s)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to search among %zu pictures", count);
    for (size_t from = 0; from < n; from += BLOCK) {
        size_t part = n - from < BLOCK ? n - from : BLOCK;
        similarities(s, queries + from * dims, part, gallery, count, dims);
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < part; i++) {
            const float *row = s + i * count;
            uint32_t place = 1;
            for (size_t j = 0; j < count; j++)
                place += before(row, (uint32_t)j, target[from + i]);
            rank[from + i] = row[target[from + i]] > -2 ? place : (uint32_t)count;
        }
    }
    free(s);
    return AK_OK;
}

typedef struct {
    float score;
    uint32_t row;
} placed;

static int by_rank(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

// order (count): the rows but self, best first. Returns how many.
static size_t rank_all(placed *order, const float *s, size_t count, uint32_t self)
{
    size_t n = 0;
    for (uint32_t j = 0; j < count; j++)
        if (j != self)
            order[n++] = (placed){s[j], j};
    qsort(order, n, sizeof *order, by_rank);
    return n;
}

// order, marked (count) are scratch; marked is left all false.
static double precision(const float *s, size_t count, uint32_t self, const uint32_t *relevant,
                        size_t n, placed *order, bool *marked)
{
    size_t found = 0;
    double sum = 0;
    if (n == 0)
        return NAN;
    size_t ranked = rank_all(order, s, count, self);
    for (size_t k = 0; k < n; k++)
        marked[relevant[k]] = true;
    for (size_t place = 0; place < ranked && found < n; place++)
        if (marked[order[place].row])
            sum += (double)++found / (double)(place + 1);
    for (size_t k = 0; k < n; k++)
        marked[relevant[k]] = false;
    return sum / (double)n;
}

ak_status ak_measure_ap(double *ap, const uint32_t *self, const uint32_t *relevant,
                        const size_t *start, size_t n, const float *gallery, size_t count,
                        size_t dims, ak_error *err)
{
    float *s = ak_alloc(BLOCK * count, sizeof *s), *queries = ak_alloc(BLOCK * dims, sizeof *s);
    bool enough = s && queries;
    for (size_t from = 0; from < n && enough; from += BLOCK) {
        size_t part = n - from < BLOCK ? n - from : BLOCK;
        for (size_t i = 0; i < part; i++)
            memcpy(queries + i * dims, gallery + self[from + i] * dims, dims * sizeof *queries);
        similarities(s, queries, part, gallery, count, dims);
#pragma omp parallel reduction(&& : enough)
        {
            placed *order = ak_alloc(count, sizeof *order);
            bool *marked = ak_alloc(count, sizeof *marked);
            enough = order && marked;
#pragma omp for schedule(dynamic, 1)
            for (size_t i = 0; i < part; i++) {
                size_t q = from + i;
                if (enough)
                    ap[q] = precision(s + i * count, count, self[q], relevant + start[q],
                                      start[q + 1] - start[q], order, marked);
            }
            free(order);
            free(marked);
        }
    }
    free(s);
    free(queries);
    return enough ? AK_OK
                  : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to search among %zu pictures", count);
}

static size_t neighbourhood(size_t count)
{
    size_t near = count / NEIGHBOURHOOD;
    near = near > NEIGHBOURS_LEAST ? near : NEIGHBOURS_LEAST;
    return near < count - 1 ? near : count - 1;
}

static double overlap(const float *a, const float *b, size_t count, uint32_t self, placed *order,
                      bool *marked)
{
    size_t near = neighbourhood(count), same = 0;
    rank_all(order, a, count, self);
    for (size_t k = 0; k < near; k++)
        marked[order[k].row] = true;
    rank_all(order + count, b, count, self);
    for (size_t k = 0; k < near; k++)
        same += marked[order[count + k].row];
    for (size_t k = 0; k < near; k++)
        marked[order[k].row] = false;
    return (double)same / (double)near;
}

ak_status ak_measure_overlap(double *share, const float *a, const float *b, const uint32_t *self,
                             size_t n, const float *gallery, size_t count, size_t dims,
                             ak_error *err)
{
    float *s = count > 1 ? ak_alloc(2 * BLOCK * count, sizeof *s) : NULL;
    bool enough = s;
    if (count < 2)
        return ak_fail(err, AK_BAD_VALUE, "a neighbourhood needs 2 pictures; there are %zu", count);
    for (size_t from = 0; from < n && enough; from += BLOCK) {
        size_t part = n - from < BLOCK ? n - from : BLOCK;
        similarities(s, a + from * dims, part, gallery, count, dims);
        similarities(s + BLOCK * count, b + from * dims, part, gallery, count, dims);
#pragma omp parallel reduction(&& : enough)
        {
            placed *order = ak_alloc(2 * count, sizeof *order);
            bool *marked = ak_alloc(count, sizeof *marked);
            enough = order && marked;
#pragma omp for schedule(dynamic, 1)
            for (size_t i = 0; i < part; i++)
                if (enough)
                    share[from + i] = overlap(s + i * count, s + (BLOCK + i) * count, count,
                                              self[from + i], order, marked);
            free(order);
            free(marked);
        }
    }
    free(s);
    return enough ? AK_OK
                  : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to search among %zu pictures", count);
}

static void nearest(uint32_t out[NEAREST], const float *s, size_t count, uint32_t self)
{
    size_t n = 0;
    for (uint32_t j = 0; j < count; j++) {
        if (j == self)
            continue;
        size_t at = n;
        while (at > 0 && before(s, j, out[at - 1]))
            at--;
        if (at == NEAREST)
            continue;
        n += n < NEAREST;
        memmove(out + at + 1, out + at, (n - 1 - at) * sizeof *out);
        out[at] = j;
    }
}

ak_status ak_measure_churn(double *churn, const uint32_t *self, size_t n, const float *a,
                           size_t dims_a, const float *b, size_t dims_b, size_t count,
                           ak_error *err)
{
    *churn = 0;
    if (count <= NEAREST || n == 0)
        return AK_OK;
    float *s = ak_alloc(2 * count, sizeof *s);
    if (!s)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to search among %zu pictures", count);
    size_t same = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t x[NEAREST + 1], y[NEAREST + 1];
        similarities(s, a + self[i] * dims_a, 1, a, count, dims_a);
        similarities(s + count, b + self[i] * dims_b, 1, b, count, dims_b);
        nearest(x, s, count, self[i]);
        nearest(y, s + count, count, self[i]);
        for (int k = 0; k < NEAREST; k++)
            for (int l = 0; l < NEAREST; l++)
                same += x[k] == y[l];
    }
    *churn = 1 - (double)same / (double)(NEAREST * n);
    free(s);
    return AK_OK;
}

ak_status ak_measure_health(double *rank, size_t *dead, const float *x, size_t n, size_t dims,
                            ak_error *err)
{
    *rank = 0;
    *dead = dims;
    for (size_t i = 0; i < n * dims; i++)
        if (!isfinite(x[i]))
            return AK_OK; // nothing of it can be used
    float *gram = ak_alloc(dims * dims, sizeof *gram), *values = ak_alloc(dims, sizeof *values);
    ak_status status =
        gram && values ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the rank");
    if (status == AK_OK) {
        cblas_ssyrk(CblasRowMajor, CblasLower, CblasTrans, (int)dims, (int)n, 1.0f, x, (int)dims,
                    0.0f, gram, (int)dims);
        status = ak_eigen_symmetric(gram, values, dims, err);
    }
    if (status == AK_OK) {
        double sum = 0, entropy = 0;
        for (size_t k = 0; k < dims; k++)
            sum += values[k] > 0 ? sqrt((double)values[k]) : 0;
        for (size_t k = 0; k < dims; k++) {
            double p = (values[k] > 0 && sum > 0 ? sqrt((double)values[k]) / sum : 0) + 1e-7;
            entropy -= p * log(p);
        }
        *rank = exp(entropy);
        *dead = 0;
        for (size_t k = 0; k < dims; k++) {
            double mean = 0, square = 0;
            for (size_t i = 0; i < n; i++)
                mean += (double)x[i * dims + k] / (double)n;
            for (size_t i = 0; i < n; i++) {
                double d = (double)x[i * dims + k] - mean;
                square += d * d / (double)n;
            }
            *dead += sqrt(square) < 0.01 / sqrt((double)dims);
        }
    }
    free(gram);
    free(values);
    return status;
}
