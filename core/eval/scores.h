// What the measures share: scores of a block of queries by one product, and the order of a ranking.
#ifndef AK_EVAL_SCORES_H
#define AK_EVAL_SCORES_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define AK_SCORE_BLOCK 64 // queries of one product

// Something ranked: a higher score comes first, of equal ones the lower index.
typedef struct {
    float score;
    size_t index;
} ak_scored;

static inline bool ak_scored_before(ak_scored a, ak_scored b)
{
    return a.score > b.score || (a.score == b.score && a.index < b.index);
}

void ak_scored_sort(ak_scored *items, size_t n);

// How many of the n sorted ones come before s.
size_t ak_scored_place(const ak_scored *sorted, size_t n, ak_scored s);

// AK_BAD_VALUE when a value is not finite, or there are more than a product takes.
ak_status ak_scores_check(const float *rows, size_t n, size_t dims, ak_error *err);

// scores (m, n): dot products of queries (m, dims) with rows (n, dims). The same input gives the
// same bits, at a fixed number of threads.
void ak_scores_block(float *scores, const float *queries, size_t m, const float *rows, size_t n,
                     size_t dims);

#endif
