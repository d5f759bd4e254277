// A query needs no full sort: the ranks of its relevant pictures are enough for every measure, and
// they follow from the sorted relevant ones and one pass over the rest.
#include "core/eval/retrieval.h"

#include "core/base/mem.h"
#include "core/eval/scores.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    double ap, p1, p10, p20;
    size_t first; // rank of the first relevant one, from 1; 0: there is none
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

// similarity (n); relevant, strangers: room for the label's count.
static outcome measure(const ground *g, size_t query, const float *similarity, ak_scored *relevant,
                       size_t *strangers)
{
    outcome o = {0};
    size_t r = 0, members = g->count[query];
    for (size_t i = 0; i < members; i++) {
        size_t j = g->members[g->start[query] + i].index;
        if (j != query)
            relevant[r++] = (ak_scored){similarity[j], j};
    }
    if (!r)
        return o;
    ak_scored_sort(relevant, r);
    // strangers[i]: how many of other labels stand between relevant i - 1 and relevant i.
    memset(strangers, 0, r * sizeof *strangers);
    for (size_t j = 0; j < g->n; j++) {
        if (g->labels[j] == g->labels[query])
            continue;
        size_t at = ak_scored_place(relevant, r, (ak_scored){similarity[j], j});
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
    o.first = strangers[0] + 1;
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
        ak_scored *relevant = ak_alloc(largest, sizeof *relevant);
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
                               size_t n, size_t queries, size_t dims, ak_error *err)
{
    *out = (ak_retrieval){0};
    ak_status status = ak_scores_check(descriptors, n, dims, err);
    if (status != AK_OK)
        return status;
    member *members = ak_alloc(n, sizeof *members);
    size_t *start = ak_alloc(n, sizeof *start), *count = ak_alloc(n, sizeof *count);
    outcome *outcomes = ak_alloc(queries, sizeof *outcomes);
    float *similarity = ak_alloc(n, AK_SCORE_BLOCK * sizeof *similarity); // (BLOCK, n)
    if (!members || !start || !count || !outcomes || !similarity)
        goto out_of_memory;

    size_t largest = group(members, start, count, labels, n);
    ground g = {.labels = labels, .n = n, .members = members, .start = start, .count = count};
    for (size_t from = 0; from < queries; from += AK_SCORE_BLOCK) {
        size_t m = queries - from < AK_SCORE_BLOCK ? queries - from : AK_SCORE_BLOCK;
        ak_scores_block(similarity, descriptors + from * dims, m, descriptors, n, dims);
        if (!measure_block(outcomes, &g, similarity, from, m, largest))
            goto out_of_memory;
    }
    for (size_t i = 0; i < queries; i++) { // in order, so that the sums are the same every time
        const outcome *o = &outcomes[i];
        if (!o->first)
            continue;
        out->queries++;
        out->map += o->ap;
        out->p1 += o->p1;
        out->p10 += o->p10;
        out->p20 += o->p20;
        out->r5 += o->first <= 5;
        out->r10 += o->first <= 10;
        out->r20 += o->first <= 20;
    }
    if (out->queries) {
        double *sums[] = {&out->map, &out->p1,  &out->p10, &out->p20,
                          &out->r5,  &out->r10, &out->r20};
        for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
            *sums[i] /= (double)out->queries;
    } else {
        status = ak_fail(err, AK_BAD_VALUE,
                         "none of the %zu pictures shares its class with another one; "
                         "the first folder of a path is the class",
                         queries);
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
