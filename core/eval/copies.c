// All pairs are too many to keep or to sort: twice the scores are computed, a block at a time. The
// first pass finds the true pairs' scores and their ranks among their own query's; the second
// counts, for each pair that is none, which of the true ones (sorted by then) it stands before.
#include "core/eval/copies.h"

#include "core/base/mem.h"
#include "core/eval/scores.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    const float *altered, *pictures;
    const size_t *sources;
    size_t queries, families, count, dims; // queries: rows of altered
    float *scores;                         // (BLOCK, count)
    ak_scored *truths;                     // (queries), index: query * count + picture
    size_t *ranks;                         // (queries), from 1
    size_t *strangers;                     // (queries): false pairs just before the i-th true one
    size_t *head;                          // (BUCKETS + 1)
} work;

static void rank_own(work *w, size_t from, size_t m)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < m; i++) {
        const float *scores = w->scores + i * w->count;
        size_t query = from + i, source = w->sources[query / w->families], before = 0;
        ak_scored truth = {scores[source], source};
        for (size_t j = 0; j < w->count; j++)
            before += ak_scored_before((ak_scored){scores[j], j}, truth);
        w->ranks[query] = before + 1;
        w->truths[query] = (ak_scored){truth.score, query * w->count + source};
    }
}

// Where among the sorted truths a score may stand, without a search over them all: scores fall into
// buckets, higher ones first, and head[b] counts the truths of the buckets before b.
#define BUCKETS 65536

static size_t bucket(float score)
{
    float place = (1 - score) * (BUCKETS / 2);
    return place <= 0 ? 0 : place >= BUCKETS - 1 ? BUCKETS - 1 : (size_t)place;
}

static void fill_buckets(work *w)
{
    for (size_t i = 0; i < w->queries; i++)
        w->head[bucket(w->truths[i].score) + 1]++;
    for (size_t b = 0; b < BUCKETS; b++)
        w->head[b + 1] += w->head[b];
}

static bool count_strangers(work *w, size_t from, size_t m)
{
    bool enough = true;
#pragma omp parallel reduction(&& : enough)
    {
        size_t *mine = ak_alloc(w->queries, sizeof *mine);
        enough = mine;
#pragma omp for schedule(static)
        for (size_t i = 0; i < m; i++) {
            const float *scores = w->scores + i * w->count;
            size_t query = from + i, source = w->sources[query / w->families];
            for (size_t j = 0; j < w->count && mine; j++) {
                size_t b = bucket(scores[j]), low = w->head[b], high = w->head[b + 1];
                size_t at = low + ak_scored_place(w->truths + low, high - low,
                                                  (ak_scored){scores[j], query * w->count + j});
                if (at < w->queries && j != source)
                    mine[at]++;
            }
        }
#pragma omp critical
        for (size_t i = 0; i < w->queries && mine; i++)
            w->strangers[i] += mine[i];
        free(mine);
    }
    return enough;
}

static ak_status pass(work *w, ak_error *err)
{
    for (size_t from = 0; from < w->queries; from += AK_SCORE_BLOCK) {
        size_t m = w->queries - from < AK_SCORE_BLOCK ? w->queries - from : AK_SCORE_BLOCK;
        ak_scores_block(w->scores, w->altered + from * w->dims, m, w->pictures, w->count, w->dims);
        rank_own(w, from, m);
    }
    ak_scored_sort(w->truths, w->queries);
    fill_buckets(w);
    for (size_t from = 0; from < w->queries; from += AK_SCORE_BLOCK) {
        size_t m = w->queries - from < AK_SCORE_BLOCK ? w->queries - from : AK_SCORE_BLOCK;
        ak_scores_block(w->scores, w->altered + from * w->dims, m, w->pictures, w->count, w->dims);
        if (!count_strangers(w, from, m))
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to rank %zu queries", w->queries);
    }
    return AK_OK;
}

static void sum_up(ak_copies *out, const work *w)
{
    size_t n = w->queries / w->families, rank = 0;
    for (size_t q = 0; q < w->queries; q++) {
        out->r1[q % w->families] += w->ranks[q] == 1;
        out->map[q % w->families] += 1 / (double)w->ranks[q];
    }
    for (size_t f = 0; f < w->families; f++) {
        out->r1[f] /= (double)n;
        out->map[f] /= (double)n;
    }
    for (size_t i = 0; i < w->queries; i++) {
        rank += w->strangers[i] + 1;
        out->micro_ap += (double)(i + 1) / (double)rank;
    }
    out->micro_ap /= (double)w->queries;
}

ak_status ak_copies_measure(ak_copies *out, const float *altered, const size_t *sources, size_t n,
                            size_t families, const float *pictures, size_t count, size_t dims,
                            ak_error *err)
{
    *out = (ak_copies){0};
    work w = {.altered = altered,
              .pictures = pictures,
              .sources = sources,
              .queries = n * families,
              .families = families,
              .count = count,
              .dims = dims};
    if (!w.queries)
        return ak_fail(err, AK_BAD_VALUE, "there is no picture to look for");
    ak_status status = ak_scores_check(altered, w.queries, dims, err);
    if (status == AK_OK)
        status = ak_scores_check(pictures, count, dims, err);
    if (status != AK_OK)
        return status;
    w.scores = ak_alloc(count, AK_SCORE_BLOCK * sizeof *w.scores);
    w.truths = ak_alloc(w.queries, sizeof *w.truths);
    w.ranks = ak_alloc(w.queries, sizeof *w.ranks);
    w.strangers = ak_alloc(w.queries, sizeof *w.strangers);
    w.head = ak_alloc(BUCKETS + 1, sizeof *w.head);
    if (w.scores && w.truths && w.ranks && w.strangers && w.head)
        status = pass(&w, err);
    else
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to rank %zu queries", w.queries);
    if (status == AK_OK)
        sum_up(out, &w);
    free(w.head);
    free(w.strangers);
    free(w.ranks);
    free(w.truths);
    free(w.scores);
    return status;
}
