// A query needs no full sort: the ranks of its relevant pictures are enough for every measure, and
// they follow from the sorted relevant ones and one pass over the rest.
#include "core/eval/retrieval.h"

#include "core/base/mem.h"

#include <cblas.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64 // queries whose similarities are computed by one product

typedef struct {
    float score;
    size_t index;
} scored;

typedef struct {
    double ap, p1, p10, p20;
    bool counted;
} outcome;

typedef struct {
    int32_t label;
    size_t index;
} member;

// What the queries share. All borrowed.
typedef struct {
    const int32_t *labels;
    size_t n;
    const member *members; // ordered by label, then index
    const size_t *start;   // of each picture's label in members
    const size_t *count;   // of each picture's label
} ground;

static bool before(scored a, scored b)
{
    return a.score > b.score || (a.score == b.score && a.index < b.index);
}

static int by_rank(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return before(*x, *y) ? -1 : before(*y, *x) ? 1 : 0;
}

// How many of the sorted relevant ones come before s.
static size_t place(const scored *relevant, size_t n, scored s)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (before(relevant[middle], s))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// similarity (n); relevant, strangers: room for the label's count.
static outcome measure(const ground *g, size_t query, const float *similarity, scored *relevant,
                       size_t *strangers)
{
    outcome o = {0};
    size_t r = 0, members = g->count[query];
    for (size_t i = 0; i < members; i++) {
        size_t j = g->members[g->start[query] + i].index;
        if (j != query)
            relevant[r++] = (scored){similarity[j], j};
    }
    if (!r)
        return o;
    o.counted = true;
    qsort(relevant, r, sizeof *relevant, by_rank);
    // strangers[i]: how many of other labels stand between relevant i - 1 and relevant i.
    memset(strangers, 0, r * sizeof *strangers);
    for (size_t j = 0; j < g->n; j++) {
        if (g->labels[j] == g->labels[query])
            continue;
        size_t at = place(relevant, r, (scored){similarity[j], j});
        if (at < r)
            strangers[at]++;
    }
    size_t rank = 0, in10 = 0, in20 = 0;
    for (size_t i = 0; i < r; i++) {
        rank += strangers[i] + 1;
        o.ap += (double)(i + 1) / (double)rank;
        o.p1 += rank == 1;
        in10 += rank <= 10;
        in20 += rank <= 20;
    }
    o.ap /= (double)r;
    o.p10 = (double)in10 / 10;
    o.p20 = (double)in20 / 20;
    return o;
}

static int by_label(const void *a, const void *b)
{
    const member *x = a, *y = b;
    if (x->label != y->label)
        return x->label < y->label ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

// Fills members, start and count; returns the size of the largest label.
static size_t group(member *members, size_t *start, size_t *count, const int32_t *labels, size_t n)
{
    size_t largest = 0;
    for (size_t i = 0; i < n; i++)
        members[i] = (member){labels[i], i};
    qsort(members, n, sizeof *members, by_label);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from; to < n && members[to].label == members[from].label; to++)
            ;
        for (size_t i = from; i < to; i++) {
            start[members[i].index] = from;
            count[members[i].index] = to - from;
        }
        largest = to - from > largest ? to - from : largest;
    }
    return largest;
}

// The queries [from, from + m): similarity (m, n), outcomes written at their places.
static bool measure_block(outcome *outcomes, const ground *g, const float *similarity, size_t from,
                          size_t m, size_t largest)
{
    bool enough = true;
#pragma omp parallel reduction(&& : enough)
    {
        scored *relevant = ak_alloc(largest, sizeof *relevant);
        size_t *strangers = ak_alloc(largest, sizeof *strangers);
        enough = relevant && strangers;
#pragma omp for schedule(static)
        for (size_t i = 0; i < m; i++)
            if (enough)
                outcomes[from + i] =
                    measure(g, from + i, similarity + i * g->n, relevant, strangers);
        free(strangers);
        free(relevant);
    }
    return enough;
}

ak_status ak_retrieval_measure(ak_retrieval *out, const float *descriptors, const int32_t *labels,
                               size_t n, size_t dims, ak_error *err)
{
    *out = (ak_retrieval){0};
    if (n > INT_MAX || dims > INT_MAX)
        return ak_fail(err, AK_BAD_VALUE, "%zu descriptors of %zu; at most %d of each", n, dims,
                       INT_MAX);
    for (size_t i = 0; i < n * dims; i++)
        if (!isfinite(descriptors[i]))
            return ak_fail(err, AK_BAD_VALUE, "descriptor %zu holds a value that is not finite",
                           i / dims);
    ak_status status = AK_OK;
    member *members = ak_alloc(n, sizeof *members);
    size_t *start = ak_alloc(n, sizeof *start), *count = ak_alloc(n, sizeof *count);
    outcome *outcomes = ak_alloc(n, sizeof *outcomes);
    float *similarity = ak_alloc(n, BLOCK * sizeof *similarity); // (BLOCK, n)
    if (!members || !start || !count || !outcomes || !similarity)
        goto out_of_memory;

    size_t largest = group(members, start, count, labels, n);
    ground g = {.labels = labels, .n = n, .members = members, .start = start, .count = count};
    for (size_t from = 0; from < n; from += BLOCK) {
        size_t m = n - from < BLOCK ? n - from : BLOCK;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)dims, 1,
                    descriptors + from * dims, (int)dims, descriptors, (int)dims, 0, similarity,
                    (int)n);
        if (!measure_block(outcomes, &g, similarity, from, m, largest))
            goto out_of_memory;
    }
    for (size_t i = 0; i < n; i++) { // in order, so that the sums are the same every time
        if (!outcomes[i].counted)
            continue;
        out->queries++;
        out->map += outcomes[i].ap;
        out->p1 += outcomes[i].p1;
        out->p10 += outcomes[i].p10;
        out->p20 += outcomes[i].p20;
    }
    if (out->queries) {
        double queries = (double)out->queries;
        out->map /= queries;
        out->p1 /= queries;
        out->p10 /= queries;
        out->p20 /= queries;
    } else {
        status = ak_fail(err, AK_BAD_VALUE,
                         "none of the %zu pictures shares its class with another one; "
                         "the first folder of a path is the class",
                         n);
    }
    goto done;
out_of_memory:
    status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to compare %zu descriptors", n);
done:
    free(similarity);
    free(outcomes);
    free(count);
    free(start);
    free(members);
    return status;
}
