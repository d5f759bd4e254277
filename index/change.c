// From one model to another: a change is begun, its vectors put, then it is promoted; and back.
//
// Vectors of the generation that is to serve are loaded by the caller's thread from a reader's
// state, folded, and handed to the writer, which brings them up to date under its transaction: it
// lists the collection's images once more when something changed meanwhile (a second for a million
// images). Searches go on with the old generation until the commit, then take the new one.
#include "index/group.h"
#include "index/valid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *model;
    const char *const *collections;
    size_t n;
} beginning;

typedef struct {
    const char *model;
    int dims;
    const ak_sha256 *sums;
    const float *vectors;
    size_t n;
} batch;

typedef struct {
    ak_role from; // COMING: a promotion; RETAINED: a rollback
    ak_generation **items;
    size_t n;
    int64_t served; // the answer: how many serve now
    int64_t to_come;
} serving;

// --- beginning and abandoning ------------------------------------------------------------------

ak_status ak_store_change_begin(ak_store *store, const char *model, const char *const *collections,
                                size_t n, ak_error *err)
{
    beginning inside = {model, collections, n};
    ak_write write = {.kind = (ak_write_kind)AK_WRITE_CHANGE_BEGIN, .inside = &inside};
    return ak_queue_write(&store->queue, &write, err);
}

static ak_status begin_one(ak_group *group, const ak_model_row *model, const beginning *begin,
                           const char *name, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    ak_collection_row row;
    ak_model_row coming;
    int64_t generation = 0;
    bool listed;
    ak_status status = ak_catalog_collection(&row, db, name, err);
    if (status == AK_UNKNOWN_COLLECTION || (status == AK_OK && row.model_key == model->key))
        return AK_OK;
    if (status == AK_OK && row.coming) {
        status = ak_catalog_model_coming(&coming, db, row.key, err);
        if (status == AK_OK && coming.key != model->key)
            status = ak_fail(err, AK_CONFLICT,
                             "\"%s\" is changing to another model already; a change to %.64s can "
                             "begin when that is over",
                             name, begin->model);
        return status;
    }
    if (status == AK_OK)
        status = ak_catalog_generation_new(&generation, db, row.key, model->key, err);
    if (status == AK_OK)
        status = ak_catalog_role_set(db, row.key, AK_ROLE_COMING, generation, err);
    return status == AK_OK ? ak_catalog_missing_list(&listed, db, row.key, 0, err) : status;
}

static ak_status begin_change(ak_group *group, const beginning *begin, ak_error *err)
{
    ak_model_row model;
    ak_status status = ak_catalog_model(&model, group->store->catalog, begin->model, err);
    for (size_t i = 0; status == AK_OK && i < begin->n; i++)
        status = begin_one(group, &model, begin, begin->collections[i], err);
    return status;
}

ak_status ak_store_change_abandon(ak_store *store, const char *model, ak_error *err)
{
    ak_write write = {.kind = (ak_write_kind)AK_WRITE_CHANGE_ABANDON, .inside = &model};
    return ak_queue_write(&store->queue, &write, err);
}

static ak_status abandon_change(ak_group *group, const char *id, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    ak_generation_row *rows = NULL;
    ak_model_row model;
    size_t n = 0;
    ak_status status = ak_catalog_model(&model, db, id, err);
    if (status == AK_OK)
        status = ak_catalog_generations(&rows, &n, db, AK_ROLE_COMING, model.key, err);
    for (size_t i = 0; status == AK_OK && i < n; i++)
        status = ak_catalog_role_set(db, rows[i].collection, AK_ROLE_COMING, 0, err);
    free(rows);
    group->deleted = true;
    return status;
}

// --- vectors -----------------------------------------------------------------------------------

static ak_status find_model(ak_reader **reader, ak_model_row *row, ak_store *store, const char *id,
                            ak_error *err)
{
    ak_status status = ak_reader_take(reader, &store->readers, err);
    return status == AK_OK ? ak_catalog_model(row, (*reader)->catalog, id, err) : status;
}

ak_status ak_store_missing(ak_sha256 *sums, size_t *n, int64_t *after, ak_store *store,
                           const char *model, size_t limit, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_model_row row;
    *n = 0;
    ak_status status = find_model(&reader, &row, store, model, err);
    if (status == AK_OK)
        status = ak_catalog_missing(sums, n, after, reader->catalog, row.key, limit, err);
    ak_reader_give(&store->readers, reader);
    return status;
}

ak_status ak_store_coverage(int64_t *needed, int64_t *missing, ak_store *store, const char *model,
                            ak_error *err)
{
    ak_reader *reader = NULL;
    ak_model_row row;
    bool found;
    *needed = *missing = 0;
    ak_status status = find_model(&reader, &row, store, model, err);
    if (status == AK_OK)
        status = ak_sql_number(needed, &found, reader->catalog, err,
                               "SELECT count(DISTINCT picture) FROM needs WHERE model = ?",
                               ak_int(row.key));
    if (status == AK_OK)
        status = ak_catalog_missing_count(missing, reader->catalog, row.key, 0, err);
    ak_reader_give(&store->readers, reader);
    return status;
}

ak_status ak_store_lagging(char model[AK_NAME_MAX + 1], bool *found, ak_store *store, ak_error *err)
{
    ak_reader *reader = NULL;
    *found = false;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_catalog_lagging(model, found, reader->catalog, err);
    ak_reader_give(&store->readers, reader);
    return status;
}

ak_status ak_store_put_vectors(ak_store *store, const char *model, int dims, const ak_sha256 *sums,
                               const float *vectors, size_t n, ak_error *err)
{
    batch inside = {model, dims, sums, vectors, n};
    ak_write write = {.kind = (ak_write_kind)AK_WRITE_VECTORS, .inside = &inside};
    return ak_queue_write(&store->queue, &write, err);
}

static ak_status put_one(ak_group *group, const ak_model_row *model, const ak_sha256 *sum,
                         const float *vector, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    ak_picture_row picture = {0};
    int64_t one;
    bool found = false;
    ak_status status = ak_valid_vector(vector, model->dims, model->dims, err);
    if (status == AK_OK)
        status = ak_catalog_picture(&picture, &found, db, sum, err);
    if (status == AK_OK && found)
        status = ak_sql_number(&one, &found, db, err,
                               "SELECT 1 FROM needs WHERE picture = ? AND model = ?",
                               ak_int(picture.key), ak_int(model->key));
    return status == AK_OK && found
               ? ak_group_keep_vector(group, model, picture.key, sum, vector, err)
               : status;
}

static ak_status put_vectors(ak_group *group, const batch *put, ak_error *err)
{
    ak_model_row model;
    ak_status status = ak_catalog_model(&model, group->store->catalog, put->model, err);
    if (status == AK_OK && put->dims != model.dims)
        status = ak_fail(err, AK_BAD_VECTOR, "vectors of %d dimensions; model %.64s makes %d",
                         put->dims, put->model, model.dims);
    for (size_t i = 0; status == AK_OK && i < put->n; i++)
        status = put_one(group, &model, &put->sums[i], put->vectors + i * (size_t)put->dims, err);
    return status;
}

// --- serving -----------------------------------------------------------------------------------

// Loads the generations that are to serve, and has the writer exchange them.
static ak_status serve(serving *out, ak_store *store, ak_reader *reader,
                       const ak_generation_row *rows, size_t n, ak_error *err)
{
    ak_status status = AK_OK;
    ak_write write = {.kind = (ak_write_kind)AK_WRITE_SERVE, .inside = out};
    out->items = ak_alloc(n + 1, sizeof(*out->items));
    if (!out->items)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu generations", n);
    while (status == AK_OK && out->n < n) {
        status = ak_load_aside(&out->items[out->n], &rows[out->n], reader->catalog, err);
        out->n += status == AK_OK;
    }
    ak_reader_give(&store->readers, reader);
    if (status == AK_OK)
        status = ak_queue_write(&store->queue, &write, err);
    for (size_t i = 0; i < out->n; i++)
        ak_generation_release(out->items[i]);
    free(out->items);
    return status;
}

static ak_status still_missing(int64_t missing, ak_error *err)
{
    return ak_fail(err, AK_CONFLICT,
                   "%lld pictures have no vector of the model yet: embed them, and try again",
                   (long long)missing);
}

ak_status ak_store_promote(int64_t *promoted, ak_store *store, const char *model, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_generation_row *rows = NULL;
    ak_model_row row;
    serving inside = {.from = AK_ROLE_COMING};
    int64_t missing = 0;
    size_t n = 0;
    *promoted = 0;
    ak_status status = find_model(&reader, &row, store, model, err);
    if (status == AK_OK)
        status = ak_catalog_missing_count(&missing, reader->catalog, row.key, 0, err);
    if (status == AK_OK && missing)
        status = still_missing(missing, err);
    if (status == AK_OK)
        status = ak_catalog_generations(&rows, &n, reader->catalog, AK_ROLE_COMING, row.key, err);
    if (status == AK_OK && n)
        status = serve(&inside, store, reader, rows, n, err);
    else
        ak_reader_give(&store->readers, reader);
    free(rows);
    *promoted = status == AK_OK ? inside.served : 0;
    return status;
}

ak_status ak_store_rollback(char model[AK_NAME_MAX + 1], int64_t *to_come, ak_store *store,
                            const char *collection, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_generation_row *rows = NULL;
    ak_collection_row row = {0};
    serving inside = {.from = AK_ROLE_RETAINED};
    size_t n = 0, at = 0;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_catalog_collection(&row, reader->catalog, collection, err);
    if (status == AK_OK)
        status = ak_catalog_generations(&rows, &n, reader->catalog, AK_ROLE_RETAINED, 0, err);
    while (status == AK_OK && at < n && rows[at].collection != row.key)
        at++;
    if (status == AK_OK && at == n)
        status = ak_fail(err, AK_CONFLICT, "\"%s\" has no previous generation to go back to",
                         collection);
    if (status == AK_OK)
        status = serve(&inside, store, reader, &rows[at], 1, err);
    else
        ak_reader_give(&store->readers, reader);
    if (status == AK_OK && !inside.served)
        status = ak_fail(err, AK_CONFLICT, "\"%s\" has changed this moment: look at it again",
                         collection);
    if (status == AK_OK) {
        memcpy(model, rows[at].model, sizeof rows[at].model);
        *to_come = inside.to_come;
    }
    free(rows);
    return status;
}

// The one that serves now is retained, with its calibration, so that it answers as it does now.
static ak_status retain(ak_group *group, const ak_collection_row *row, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    ak_buf calibration = {0};
    ak_status status = ak_generation_calibration_write(
        &calibration, ak_group_generation(group, row->generation), err);
    if (status == AK_OK && calibration.n)
        status = ak_catalog_calibration_set(db, row->generation, ak_buf_bytes(&calibration), err);
    if (status == AK_OK)
        status = ak_catalog_role_set(db, row->key, AK_ROLE_RETAINED, row->generation, err);
    ak_buf_clear(&calibration);
    return status;
}

static ak_status serve_one(ak_group *group, serving *all, ak_generation *generation, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    ak_collection_row row;
    ak_renewal renewal;
    ak_status status = ak_catalog_collection(&row, db, generation->name, err);
    if (status == AK_UNKNOWN_COLLECTION || (status == AK_OK && row.key != generation->collection))
        return AK_OK; // deleted meanwhile
    int64_t now = all->from == AK_ROLE_COMING ? row.coming : row.retained;
    if (status == AK_OK && now != generation->key)
        status = ak_fail(err, AK_CONFLICT, "\"%s\" is not changing to model %s any more",
                         generation->name, generation->model);
    if (status == AK_OK)
        status = ak_catalog_missing_count(&all->to_come, db, generation->model_key, row.key, err);
    if (status == AK_OK && all->from == AK_ROLE_COMING && all->to_come)
        status = still_missing(all->to_come, err);
    if (status == AK_OK &&
        (all->to_come || ak_vectors_published(generation->vectors) != (uint64_t)row.sequence))
        status = ak_load_renew(&renewal, generation, db, (uint64_t)row.sequence, err);
    if (status == AK_OK)
        status = retain(group, &row, err);
    if (status == AK_OK && all->from == AK_ROLE_COMING)
        status = ak_catalog_role_set(db, row.key, AK_ROLE_COMING, 0, err);
    if (status == AK_OK)
        status = ak_catalog_role_set(db, row.key, AK_ROLE_SERVING, generation->key, err);
    if (status != AK_OK)
        return status;
    ak_generation_keep(generation);
    all->served++;
    return ak_group_serving(group, &(ak_serving_change){generation, true}, err);
}

static ak_status serve_all(ak_group *group, serving *all, ak_error *err)
{
    ak_status status = AK_OK;
    group->deleted = true;
    all->served = 0;
    for (size_t i = 0; status == AK_OK && i < all->n; i++)
        status = serve_one(group, all, all->items[i], err);
    return status;
}

ak_status ak_change_apply(ak_group *group, ak_write *write, ak_error *err)
{
    switch ((int)write->kind) {
    case AK_WRITE_CHANGE_BEGIN:
        return begin_change(group, write->inside, err);
    case AK_WRITE_CHANGE_ABANDON:
        return abandon_change(group, *(const char **)write->inside, err);
    case AK_WRITE_VECTORS:
        return put_vectors(group, write->inside, err);
    case AK_WRITE_SERVE:
        return serve_all(group, write->inside, err);
    default:
        return ak_fail(err, AK_INTERNAL, "there is no write of kind %d", (int)write->kind);
    }
}
