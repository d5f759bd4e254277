// Searching: main with over-fetch, then the tail, merged by exact scores. Any thread, no lock held.
#include "core/base/mem.h"
#include "index/dot.h"
#include "index/vectors_inside.h"

#include <math.h>
#include <stdlib.h>

#define OVERFETCH 32    // beyond k in the first round
#define ROUNDING  1e-5f // FAISS's order and ours differ by float rounding of unit vectors' products

// Keeps the k best and what ties with the last of them. Compacted when full, so that most rows of a
// scan cost one comparison.
typedef struct {
    ak_found *items;
    size_t n, capacity, k;
    float threshold; // what is below it cannot be among the k best
} keeper;

static int by_score(const void *a, const void *b)
{
    const ak_found *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->row.image < y->row.image ? -1 : x->row.image > y->row.image;
}

static void compact(keeper *keep)
{
    qsort(keep->items, keep->n, sizeof *keep->items, by_score);
    if (keep->n < keep->k)
        return;
    keep->threshold = keep->items[keep->k - 1].score;
    while (keep->n > keep->k && keep->items[keep->n - 1].score < keep->threshold)
        keep->n--;
}

static bool offer(keeper *keep, const ak_row *row, float score)
{
    if (!(score >= keep->threshold))
        return true;
    if (keep->n == keep->capacity) {
        compact(keep);
        if (keep->n > keep->capacity / 2) { // few fell out: many ties, or a small start
            size_t capacity = keep->capacity * 2;
            ak_found *more = realloc(keep->items, capacity * sizeof *more);
            if (!more)
                return false;
            keep->items = more;
            keep->capacity = capacity;
        }
        if (score < keep->threshold)
            return true;
    }
    keep->items[keep->n++] = (ak_found){*row, score};
    return true;
}

static float score_of(const float *query, const float *vector, int dims)
{
    float score = ak_dot(query, vector, dims);
    return score > 1 ? 1 : score < -1 ? -1 : score;
}

static bool wanted(const ak_vectors_query *query, int64_t image)
{
    for (size_t i = 0; i < query->exclude_count; i++)
        if (query->exclude[i] == image)
            return false;
    return true;
}

// --- main --------------------------------------------------------------------------------------

typedef struct {
    const ak_vectors_query *query;
    uint64_t sequence;
    int dims;
} search_job;

// One round with `fetch` candidates. *last: the score of the worst of them as FAISS has it.
static ak_status search_main(keeper *keep, float *last, const ak_main *main, const search_job *job,
                             size_t fetch, ak_error *err)
{
    ak_status status = AK_OK;
    float *scores = ak_alloc(fetch, sizeof *scores);
    int64_t *ids = ak_alloc(fetch, sizeof *ids);
    if (!scores || !ids) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu candidates", fetch);
        goto done;
    }
    status = ak_faiss_search(main->index, job->query->query, fetch, scores, ids, err);
    *last = status == AK_OK ? scores[fetch - 1] : 0;
    const float *vectors = ak_faiss_vectors(main->index);
    for (size_t i = 0; status == AK_OK && i < fetch; i++) {
        if (ids[i] < 0 || (size_t)ids[i] >= main->n)
            continue;
        size_t at = (size_t)ids[i];
        uint64_t died = atomic_load_explicit(&main->died[at], memory_order_acquire);
        if (!ak_visible(0, died, job->sequence) || !wanted(job->query, main->rows[at].image))
            continue;
        float score = score_of(job->query->query, vectors + at * (size_t)job->dims, job->dims);
        if (!offer(keep, &main->rows[at], score))
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for another candidate");
    }
done:
    free(scores);
    free(ids);
    return status;
}

// Doubles until the k best live rows of main are certain, or main is exhausted.
static ak_status all_rounds(keeper *keep, int *rounds, const ak_main *main, const search_job *job,
                            ak_error *err)
{
    size_t fetch = job->query->k + job->query->exclude_count + OVERFETCH;
    float floor = keep->threshold;
    for (;; fetch *= 2) {
        float last = 0;
        if (fetch > main->n)
            fetch = main->n;
        keep->n = 0;
        keep->threshold = floor;
        ak_status status = search_main(keep, &last, main, job, fetch, err);
        ++*rounds;
        if (status != AK_OK || fetch == main->n || last < floor - ROUNDING)
            return status;
        compact(keep);
        if (keep->n >= keep->k && last < keep->threshold - ROUNDING)
            return AK_OK;
    }
}

// --- tail --------------------------------------------------------------------------------------

static ak_status search_tail(keeper *keep, int64_t *scanned, const ak_view *view,
                             const search_job *job, ak_error *err)
{
    size_t at = view->first.at, dims = (size_t)job->dims;
    for (ak_chunk *chunk = view->first.chunk; chunk;
         chunk = atomic_load_explicit(&chunk->next, memory_order_acquire), at = 0) {
        size_t n = atomic_load_explicit(&chunk->n, memory_order_acquire);
        for (; at < n; at++) {
            uint64_t died = atomic_load_explicit(&chunk->died[at], memory_order_acquire);
            if (!ak_visible(chunk->born[at], died, job->sequence) ||
                !wanted(job->query, chunk->rows[at].image))
                continue;
            float score = score_of(job->query->query, chunk->vectors + at * dims, job->dims);
            ++*scanned;
            if (!offer(keep, &chunk->rows[at], score))
                return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for another candidate");
        }
    }
    return AK_OK;
}

ak_status ak_vectors_search(ak_vectors_answer *out, ak_vectors *vectors, uint64_t sequence,
                            const ak_vectors_query *query, ak_error *err)
{
    ak_status status = AK_OK;
    *out = (ak_vectors_answer){0};
    ak_view *view = ak_view_take(vectors);
    keeper keep = {.k = query->k, .capacity = 2 * query->k + 64};
    // The least float that is not below min_score.
    keep.threshold = (float)query->min_score;
    if ((double)keep.threshold < query->min_score)
        keep.threshold = nextafterf(keep.threshold, INFINITY);
    search_job job = {query, sequence, vectors->dims};
    if (sequence < view->base) {
        out->stale = true;
        goto done;
    }
    keep.items = ak_alloc(keep.capacity, sizeof *keep.items);
    if (!keep.items) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu hits", query->k);
        goto done;
    }
    if (view->main && view->main->n) {
        status = all_rounds(&keep, &out->rounds, view->main, &job, err);
        out->scanned = (int64_t)view->main->n;
    }
    if (status == AK_OK)
        status = search_tail(&keep, &out->scanned, view, &job, err);
    if (status != AK_OK)
        goto done;
    compact(&keep);
    out->items = keep.items;
    out->n = keep.n;
    keep.items = NULL;
done:
    free(keep.items);
    ak_view_release(view);
    return status;
}

void ak_vectors_answer_clear(ak_vectors_answer *answer)
{
    free(answer->items);
    *answer = (ak_vectors_answer){0};
}
