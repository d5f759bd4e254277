// What refinement remembers of collections and pictures.
#include "index/alter.h"
#include "index/jobs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MILLION 1000000

// --- collections -------------------------------------------------------------------------------

ak_status ak_store_refine_facts(ak_refine_facts **items, size_t *n, ak_store *store, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_rows *rows = NULL;
    bool more = false;
    size_t room = 0;
    *items = NULL;
    *n = 0;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_sql_query(
            &rows, reader->catalog, err,
            "SELECT c.name, m.id, c.refine, c.pictures, (SELECT count(*) FROM images i WHERE i.key "
            "> c.refine_mark AND i.collection = c.key), (SELECT coalesce(max(key), 0) FROM "
            "images), "
            "c.yardstick FROM collections c JOIN generations g ON g.key = c.serving_generation "
            "JOIN models m ON m.key = g.model WHERE c.name IS NOT NULL ORDER BY c.name");
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        if (*n == room) {
            room = room ? 2 * room : 16;
            ak_refine_facts *larger = realloc(*items, room * sizeof **items);
            if (!larger) {
                status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu collections", room);
                break;
            }
            *items = larger;
        }
        ak_refine_facts *facts = &(*items)[(*n)++];
        *facts = (ak_refine_facts){.refine = ak_sql_int(rows, 2) != 0,
                                   .pictures = ak_sql_int(rows, 3),
                                   .news = ak_sql_int(rows, 4),
                                   .mark = ak_sql_int(rows, 5),
                                   .yardstick = (double)ak_sql_int(rows, 6) / MILLION};
        snprintf(facts->name, sizeof facts->name, "%s", ak_sql_text(rows, 0));
        snprintf(facts->model, sizeof facts->model, "%s", ak_sql_text(rows, 1));
    }
    ak_sql_end(rows);
    ak_reader_give(&store->readers, reader);
    if (status != AK_OK) {
        free(*items);
        *items = NULL;
        *n = 0;
    }
    return status;
}

static ak_status mark(ak_sql *db, void *arg, ak_error *err)
{
    const ak_refine_facts *facts = arg;
    return ak_sql_run(db, err,
                      "UPDATE collections SET refine_mark = max(refine_mark, ?), yardstick = "
                      "min(yardstick, ?) WHERE name = ?",
                      ak_int(facts->mark), ak_int((int64_t)(facts->yardstick * MILLION)),
                      ak_text(facts->name));
}

ak_status ak_store_refine_mark(ak_store *store, const ak_refine_facts *facts, ak_error *err)
{
    return ak_store_alter(store, mark, (void *)(uintptr_t)facts, true, err);
}

// --- drift -------------------------------------------------------------------------------------

// The mean of up to limit vectors, newest first, after or up to the mark. The caller frees *mean.
static ak_status mean_of(double **mean, size_t *dims, int64_t *n, ak_sql *db,
                         const char *collection, bool news, int64_t limit, ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    *mean = NULL;
    *n = 0;
    ak_status status = ak_sql_query(
        &rows, db, err,
        "SELECT v.vector FROM collections c JOIN generations g ON g.key = c.serving_generation "
        "JOIN images i ON i.collection = c.key JOIN vectors v ON v.picture = i.picture AND v.model "
        "= g.model WHERE c.name = ?1 AND (i.key > c.refine_mark) = ?2 ORDER BY i.key DESC LIMIT ?3",
        ak_text(collection), ak_int(news), ak_int(limit));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        ak_bytes bytes = ak_sql_bytes(rows, 0);
        if (!*mean) {
            *dims = bytes.n / sizeof(float);
            *mean = ak_alloc(*dims + 1, sizeof **mean);
            if (!*mean)
                status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a mean");
        }
        if (status != AK_OK || bytes.n != *dims * sizeof(float))
            break;
        for (size_t k = 0; k < *dims; k++) {
            float value;
            memcpy(&value, bytes.at + k * sizeof value, sizeof value);
            (*mean)[k] += (double)value;
        }
        ++*n;
    }
    ak_sql_end(rows);
    for (size_t k = 0; *n && k < *dims; k++)
        (*mean)[k] /= (double)*n;
    return status;
}

ak_status ak_store_drift(double *drift, ak_store *store, const char *collection, int64_t least,
                         int64_t limit, ak_error *err)
{
    ak_reader *reader = NULL;
    double *new_mean = NULL, *old_mean = NULL;
    size_t dims = 0, old_dims = 0;
    int64_t n = 0, old_n = 0;
    *drift = 0;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = mean_of(&new_mean, &dims, &n, reader->catalog, collection, true, limit, err);
    if (status == AK_OK && n >= least)
        status =
            mean_of(&old_mean, &old_dims, &old_n, reader->catalog, collection, false, limit, err);
    if (status == AK_OK && n >= least && old_n >= least && dims == old_dims) {
        double apart = 0, new_norm = 0, old_norm = 0;
        for (size_t k = 0; k < dims; k++) {
            apart += (new_mean[k] - old_mean[k]) * (new_mean[k] - old_mean[k]);
            new_norm += new_mean[k] * new_mean[k];
            old_norm += old_mean[k] * old_mean[k];
        }
        // Unit vectors vary by 1 - |mean|^2 around their mean, and a mean of n by 1/n of that.
        double chance = (1 - new_norm) / (double)n + (1 - old_norm) / (double)old_n;
        *drift = sqrt(fmax(0, apart - chance));
    }
    free(new_mean);
    free(old_mean);
    ak_reader_give(&store->readers, reader);
    return status;
}

// --- pictures ----------------------------------------------------------------------------------

typedef struct {
    const char *model;
    const ak_sha256 *sums;
    size_t n;
} sums_of;

static ak_status add_trained(ak_sql *db, void *arg, ak_error *err)
{
    const sums_of *a = arg;
    ak_status status = AK_OK;
    for (size_t i = 0; status == AK_OK && i < a->n; i++)
        status = ak_sql_run(db, err, "INSERT OR IGNORE INTO trained (sha256, model) VALUES (?, ?)",
                            ak_blob(&a->sums[i], AK_SHA256_BYTES), ak_text(a->model));
    return status;
}

ak_status ak_store_trained(ak_store *store, const char *model, const ak_sha256 *sums, size_t n,
                           ak_error *err)
{
    return ak_store_alter(store, add_trained, &(sums_of){model, sums, n}, false, err);
}

ak_status ak_store_removals(ak_sha256 *sums, size_t *n, ak_store *store, size_t limit,
                            ak_error *err)
{
    ak_reader *reader = NULL;
    ak_rows *rows = NULL;
    bool more = false;
    *n = 0;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_sql_query(&rows, reader->catalog, err,
                              "SELECT sha256 FROM run_removals LIMIT ?", ak_int((int64_t)limit));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        ak_bytes sum = ak_sql_bytes(rows, 0);
        memcpy(&sums[(*n)++], sum.at, AK_SHA256_BYTES);
    }
    ak_sql_end(rows);
    ak_reader_give(&store->readers, reader);
    return status;
}

static ak_status forget_removals(ak_sql *db, void *arg, ak_error *err)
{
    const sums_of *a = arg;
    ak_status status = AK_OK;
    for (size_t i = 0; status == AK_OK && i < a->n; i++)
        status = ak_sql_run(db, err, "DELETE FROM run_removals WHERE sha256 = ?",
                            ak_blob(&a->sums[i], AK_SHA256_BYTES));
    return status;
}

ak_status ak_store_removals_done(ak_store *store, const ak_sha256 *sums, size_t n, ak_error *err)
{
    return ak_store_alter(store, forget_removals, &(sums_of){NULL, sums, n}, true, err);
}
