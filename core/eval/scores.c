#include "core/eval/scores.h"

#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

static int by_rank(const void *a, const void *b)
{
    const ak_scored *x = a, *y = b;
    return ak_scored_before(*x, *y) ? -1 : ak_scored_before(*y, *x) ? 1 : 0;
}

void ak_scored_sort(ak_scored *items, size_t n)
{
    qsort(items, n, sizeof *items, by_rank);
}

size_t ak_scored_place(const ak_scored *sorted, size_t n, ak_scored s)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ak_scored_before(sorted[middle], s))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

ak_status ak_scores_check(const float *rows, size_t n, size_t dims, ak_error *err)
{
    if (n > INT_MAX || dims > INT_MAX)
        return ak_fail(err, AK_BAD_VALUE, "%zu descriptors of %zu; at most %d of each", n, dims,
                       INT_MAX);
    for (size_t i = 0; i < n * dims; i++)
        if (!isfinite(rows[i]))
            return ak_fail(err, AK_BAD_VALUE, "descriptor %zu holds a value that is not finite",
                           i / dims);
    return AK_OK;
}

void ak_scores_block(float *scores, const float *queries, size_t m, const float *rows, size_t n,
                     size_t dims)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)dims, 1, queries,
                (int)dims, rows, (int)dims, 0, scores, (int)n);
}
