// A search through the store: one catalog state, the vectors as of its sequence, then ids, match
// and records from the same state. Any thread; waits for nothing but a reader.
#include "index/inside.h"
#include "index/valid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ak_status check(const ak_search *search, const ak_generation *generation, ak_error *err)
{
    if (search->limit < 1 || search->limit > AK_SEARCH_MAX)
        return ak_fail(err, AK_BAD_VALUE, "limit is %zu; 1 to %d", search->limit, AK_SEARCH_MAX);
    for (int i = 0; i < generation->dims; i++)
        if (!isfinite(search->query[i]))
            return ak_fail(err, AK_BAD_VECTOR, "number %d of the query is not finite", i + 1);
    if (isnan(search->min_score))
        return ak_fail(err, AK_BAD_VALUE, "min_score is not a number");
    return AK_OK;
}

// Keys of those ids that the collection has.
static ak_status find_excluded(int64_t **keys, size_t *n, ak_reader *reader,
                               const ak_generation *generation, const ak_search *search,
                               ak_error *err)
{
    ak_status status = AK_OK;
    *n = 0;
    *keys = ak_alloc(search->exclude_count + 1, sizeof **keys);
    if (!*keys)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu ids", search->exclude_count);
    for (size_t i = 0; status == AK_OK && i < search->exclude_count; i++) {
        ak_image_row image;
        bool found = false;
        status = ak_catalog_image(&image, &found, reader->catalog, generation->collection,
                                  search->exclude[i], err);
        if (status == AK_OK && found)
            (*keys)[(*n)++] = image.key;
    }
    return status;
}

// --- hits --------------------------------------------------------------------------------------

typedef struct {
    int64_t image;
    float score;
    char id[AK_ID_MAX + 1];
} candidate;

static int by_score_and_id(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return strcmp(x->id, y->id);
}

// What was found with the ids that ties are ordered by. The caller frees *out.
static ak_status rank(candidate **out, const ak_vectors_answer *answer, ak_sql *db, ak_error *err)
{
    ak_status status = AK_OK;
    *out = ak_alloc(answer->n + 1, sizeof **out);
    if (!*out)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu hits", answer->n);
    for (size_t i = 0; status == AK_OK && i < answer->n; i++) {
        ak_rows *rows = NULL;
        bool found = false;
        candidate *item = &(*out)[i];
        *item = (candidate){answer->items[i].row.image, answer->items[i].score, ""};
        status = ak_sql_query(&rows, db, err, "SELECT id FROM images WHERE key = ?",
                              ak_int(item->image));
        if (status == AK_OK)
            status = ak_sql_next(rows, &found, err);
        if (status == AK_OK && !found)
            status = ak_fail(err, AK_INTERNAL, "a vector has no image in the catalog");
        if (status == AK_OK)
            memcpy(item->id, ak_sql_text(rows, 0), strlen(ak_sql_text(rows, 0)) + 1);
        ak_sql_end(rows);
    }
    qsort(*out, answer->n, sizeof **out, by_score_and_id);
    return status;
}

static ak_status fill(ak_hits *out, const candidate *items, size_t n, ak_sql *db,
                      const ak_calibration *calibration, ak_error *err)
{
    ak_status status = AK_OK;
    out->items = ak_alloc(n + 1, sizeof *out->items);
    if (!out->items)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu hits", n);
    for (size_t i = 0; status == AK_OK && i < n; i++) {
        ak_hit *hit = &out->items[out->n++];
        status = ak_catalog_record(&hit->record, db, items[i].image, err);
        memcpy(hit->id, items[i].id, sizeof hit->id);
        hit->name = hit->record.name; // the record's own
        hit->score = items[i].score;
        hit->match = calibration ? ak_calibration_match(calibration, hit->score) : (double)NAN;
    }
    return status;
}

void ak_hits_clear(ak_hits *hits)
{
    for (size_t i = 0; i < hits->n; i++)
        ak_image_record_clear(&hits->items[i].record);
    free(hits->items);
    *hits = (ak_hits){0};
}

// *again: a fold came between the catalog's state and the vectors; another state is needed.
static ak_status search_once(ak_hits *out, bool *again, ak_store *store, ak_generation *generation,
                             const ak_search *search, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_vectors_answer answer = {0};
    ak_calibration *calibration = NULL;
    candidate *items = NULL;
    int64_t *excluded = NULL, sequence = 0, pictures = 0;
    ak_vectors_query query = {
        .query = search->query, .k = search->limit, .min_score = search->min_score};
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status =
            ak_catalog_sequence(&sequence, &pictures, reader->catalog, generation->collection, err);
    if (status == AK_OK)
        status = find_excluded(&excluded, &query.exclude_count, reader, generation, search, err);
    query.exclude = excluded;
    if (status == AK_OK)
        status = ak_vectors_search(&answer, generation->vectors, (uint64_t)sequence, &query, err);
    *again = status == AK_OK && answer.stale;
    if (status == AK_OK && !*again)
        status = rank(&items, &answer, reader->catalog, err);
    if (status != AK_OK || *again)
        goto done;
    calibration = ak_generation_calibration(generation, pictures);
    size_t n = answer.n < search->limit ? answer.n : search->limit;
    status = fill(out, items, n, reader->catalog, calibration, err);
    out->exact = true;
    out->scanned = answer.scanned;
done:
    ak_reader_give(&store->readers, reader);
    ak_calibration_release(calibration);
    ak_vectors_answer_clear(&answer);
    free(items);
    free(excluded);
    return status;
}

ak_status ak_store_search(ak_hits *out, ak_store *store, ak_generation *generation,
                          const ak_search *search, ak_error *err)
{
    *out = (ak_hits){0};
    bool again = true;
    ak_status status = check(search, generation, err);
    while (status == AK_OK && again)
        status = search_once(out, &again, store, generation, search, err);
    if (status != AK_OK)
        ak_hits_clear(out);
    return status;
}
