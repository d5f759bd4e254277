#include "core/eval/knn.h"

#include "core/base/mem.h"
#include "core/eval/scores.h"

#include <math.h>
#include <stdlib.h>

// The nearest of the scores (n), best first; the one at `self` is passed over. Returns their
// number.
static size_t nearest(ak_scored out[AK_KNN_NEIGHBOURS], const float *scores, size_t n, size_t self)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept == AK_KNN_NEIGHBOURS && scores[i] <= out[kept - 1].score) // ties: the lower index
            continue;
        if (i == self)
            continue;
        size_t at = kept < AK_KNN_NEIGHBOURS ? kept++ : kept - 1;
        for (; at > 0 && out[at - 1].score < scores[i]; at--)
            out[at] = out[at - 1];
        out[at] = (ak_scored){scores[i], i};
    }
    return kept;
}

// The winner's place in `nearest`.
static size_t vote(const ak_scored *nearest, size_t kept, const int32_t *labels)
{
    double weight[AK_KNN_NEIGHBOURS] = {0}; // of a class, at its nearest member
    size_t best = 0;
    for (size_t i = 0; i < kept; i++) {
        size_t first = 0;
        while (labels[nearest[first].index] != labels[nearest[i].index])
            first++;
        // From the best score, so that no exponential overflows.
        weight[first] +=
            exp(((double)nearest[i].score - (double)nearest[0].score) / AK_KNN_TEMPERATURE);
    }
    for (size_t i = 1; i < kept; i++)
        if (weight[i] > weight[best])
            best = i;
    return best;
}

static int by_value(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

// How many of the sorted labels are `label`, two at most.
static int occurrences(const int32_t *sorted, size_t n, int32_t label)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sorted[middle] < label)
            low = middle + 1;
        else
            high = middle;
    }
    return (low < n && sorted[low] == label) + (low + 1 < n && sorted[low + 1] == label);
}

ak_status ak_knn_measure(ak_knn *out, const float *rows, const int32_t *labels, size_t n,
                         size_t queries, size_t voters, size_t dims, ak_error *err)
{
    *out = (ak_knn){0};
    ak_status status = ak_scores_check(rows, n, dims, err);
    if (status != AK_OK)
        return status;
    size_t m = n - voters, right = 0, counted = 0;
    const int32_t *voting = labels + voters;
    float *scores = ak_alloc(m, AK_SCORE_BLOCK * sizeof *scores); // (BLOCK, m)
    int32_t *sorted = ak_alloc(m, sizeof *sorted);
    if (!scores || !sorted) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to compare %zu descriptors", n);
        goto done;
    }
    for (size_t i = 0; i < m; i++)
        sorted[i] = voting[i];
    qsort(sorted, m, sizeof *sorted, by_value);
    for (size_t from = 0; from < queries && m; from += AK_SCORE_BLOCK) {
        size_t block = queries - from < AK_SCORE_BLOCK ? queries - from : AK_SCORE_BLOCK;
        ak_scores_block(scores, rows + from * dims, block, rows + voters * dims, m, dims);
#pragma omp parallel for schedule(static) reduction(+ : right, counted)
        for (size_t i = 0; i < block; i++) {
            ak_scored near[AK_KNN_NEIGHBOURS];
            size_t query = from + i;
            bool own = query >= voters; // it is among the voters itself
            if (occurrences(sorted, m, labels[query]) <= own)
                continue;
            size_t kept = nearest(near, scores + i * m, m, own ? query - voters : m);
            counted++;
            right += voting[near[vote(near, kept, voting)].index] == labels[query];
        }
    }
    out->queries = counted;
    if (counted)
        out->accuracy = (double)right / (double)counted;
    else
        status = ak_fail(err, AK_BAD_VALUE,
                         "none of the %zu pictures has another one of its class to vote for it; "
                         "the first folder of a path is the class",
                         queries);
done:
    free(sorted);
    free(scores);
    return status;
}
