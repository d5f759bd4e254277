// Collections: looked up, listed, made, changed, dropped.
#include "core/base/clock.h"
#include "index/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ak_status unknown(ak_error *err, const char *name)
{
    return ak_fail(err, AK_UNKNOWN_COLLECTION, "there is no collection \"%.80s\"", name);
}

ak_status ak_catalog_collection(ak_collection_row *out, ak_sql *db, const char *name, ak_error *err)
{
    ak_rows *rows = NULL;
    bool found = false;
    ak_status status = ak_sql_query(
        &rows, db, err,
        "SELECT c.key, c.serving_generation, m.key, c.sequence, c.version, c.pictures, m.id, "
        "m.dims, c.keep_original, c.retained_generation, c.coming_generation FROM collections c "
        "JOIN generations g ON g.key = c.serving_generation JOIN models m ON m.key = g.model "
        "WHERE c.name = ?",
        ak_text(name));
    if (status == AK_OK)
        status = ak_sql_next(rows, &found, err);
    if (status == AK_OK && !found)
        status = unknown(err, name);
    if (status == AK_OK) {
        *out = (ak_collection_row){
            .key = ak_sql_int(rows, 0),
            .generation = ak_sql_int(rows, 1),
            .model_key = ak_sql_int(rows, 2),
            .sequence = ak_sql_int(rows, 3),
            .version = ak_sql_int(rows, 4),
            .pictures = ak_sql_int(rows, 5),
            .dims = (int)ak_sql_int(rows, 7),
            .keep_original = ak_sql_int(rows, 8) != 0,
            .retained = ak_sql_int(rows, 9),
            .coming = ak_sql_int(rows, 10),
        };
        snprintf(out->model, sizeof out->model, "%s", ak_sql_text(rows, 6));
    }
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_sequence(int64_t *sequence, int64_t *pictures, ak_sql *db, int64_t collection,
                              ak_error *err)
{
    ak_rows *rows = NULL;
    bool found = false;
    ak_status status = ak_sql_query(&rows, db, err,
                                    "SELECT sequence, pictures FROM collections WHERE key = ? AND "
                                    "name IS NOT NULL",
                                    ak_int(collection));
    if (status == AK_OK)
        status = ak_sql_next(rows, &found, err);
    if (status == AK_OK && !found)
        status = ak_fail(err, AK_UNKNOWN_COLLECTION, "the collection has been deleted");
    if (status == AK_OK) {
        *sequence = ak_sql_int(rows, 0);
        *pictures = ak_sql_int(rows, 1);
    }
    ak_sql_end(rows);
    return status;
}

#define MODEL_OF(generation)                                                                       \
    "(SELECT m.id FROM generations g JOIN models m ON m.key = g.model WHERE g.key = c." generation \
    ")"
#define COLLECTIONS                                                                                \
    "SELECT c.name, " MODEL_OF(                                                                    \
        "serving_generation") ", c.description, c.keep_original, "                                 \
                              "c.images, c.pictures, c.bytes, c.created_at, c.updated_at, "        \
                              "c.version, " MODEL_OF("retained_generation") ", " MODEL_OF(         \
                                  "coming_generation") ", c.refine FROM collections c WHERE "

static ak_status read_row(ak_collection *out, ak_rows *rows, ak_error *err)
{
    const char *description = ak_sql_text(rows, 2);
    const char *retained = ak_sql_text(rows, 10), *coming = ak_sql_text(rows, 11);
    *out = (ak_collection){
        .description = ak_strndup(description, strlen(description)),
        .keep_original = ak_sql_int(rows, 3) != 0,
        .images = ak_sql_int(rows, 4),
        .pictures = ak_sql_int(rows, 5),
        .bytes = (uint64_t)ak_sql_int(rows, 6),
        .created_at = ak_sql_int(rows, 7),
        .updated_at = ak_sql_int(rows, 8),
        .version = ak_sql_int(rows, 9),
        .refine = ak_sql_int(rows, 12) != 0,
        .tier = "flat",
    };
    snprintf(out->name, sizeof out->name, "%s", ak_sql_text(rows, 0));
    snprintf(out->model, sizeof out->model, "%s", ak_sql_text(rows, 1));
    snprintf(out->retained, sizeof out->retained, "%s", retained ? retained : "");
    snprintf(out->coming, sizeof out->coming, "%s", coming ? coming : "");
    return out->description ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a collection");
}

void ak_collection_clear(ak_collection *collection)
{
    free(collection->description);
    *collection = (ak_collection){0};
}

ak_status ak_catalog_collection_read(ak_collection *out, ak_sql *db, const char *name,
                                     ak_error *err)
{
    ak_rows *rows = NULL;
    bool found = false;
    *out = (ak_collection){0};
    ak_status status = ak_sql_query(&rows, db, err, COLLECTIONS "c.name = ?", ak_text(name));
    if (status == AK_OK)
        status = ak_sql_next(rows, &found, err);
    if (status == AK_OK)
        status = found ? read_row(out, rows, err) : unknown(err, name);
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_collections(ak_collection **items, size_t *n, bool *more, ak_sql *db,
                                 const char *after, size_t limit, ak_error *err)
{
    ak_rows *rows = NULL;
    *n = 0;
    *items = ak_alloc(limit, sizeof **items);
    if (!*items)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu collections", limit);
    ak_status status =
        ak_sql_query(&rows, db, err, COLLECTIONS "c.name > ? ORDER BY c.name LIMIT ?",
                     ak_text(after ? after : ""), ak_int((int64_t)limit + 1));
    while (status == AK_OK && (status = ak_sql_next(rows, more, err)) == AK_OK && *more) {
        if (*n == limit)
            break;
        status = read_row(&(*items)[*n], rows, err);
        ++*n;
    }
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_collection_create(ak_sql *db, const char *name, const char *description,
                                       bool keep_original, ak_error *err)
{
    int64_t model = 0, now = ak_clock_ms();
    bool found = false;
    ak_status status = ak_sql_number(&model, &found, db, err,
                                     "SELECT base_model FROM store WHERE base_model IS NOT NULL");
    if (status == AK_OK && !found)
        return ak_fail(err, AK_CONFLICT, "there is no model yet that could serve \"%s\"", name);
    if (status == AK_OK)
        status = ak_sql_run(db, err,
                            "INSERT INTO collections (name, description, keep_original, "
                            "created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
                            ak_text(name), ak_text(description ? description : ""),
                            ak_int(keep_original), ak_int(now), ak_int(now));
    int64_t key = ak_sql_last_key(db), generation = 0;
    if (status == AK_OK)
        status = ak_catalog_generation_new(&generation, db, key, model, err);
    if (status == AK_OK)
        status = ak_sql_run(db, err, "UPDATE collections SET serving_generation = ? WHERE key = ?",
                            ak_int(generation), ak_int(key));
    return status;
}

ak_status ak_catalog_collection_change(ak_sql *db, int64_t key, const char *description,
                                       int keep_original, ak_error *err)
{
    ak_arg keep = keep_original < 0 ? ak_null() : ak_int(keep_original != 0);
    return ak_sql_run(db, err,
                      "UPDATE collections SET description = coalesce(?1, description), "
                      "keep_original = coalesce(?2, keep_original), updated_at = ?3, version = "
                      "version + 1 WHERE key = ?4 AND (description IS NOT coalesce(?1, "
                      "description) OR keep_original IS NOT coalesce(?2, keep_original))",
                      ak_text(description), keep, ak_int(ak_clock_ms()), ak_int(key));
}

ak_status ak_catalog_collection_refine(ak_sql *db, const char *name, bool refine, ak_error *err)
{
    return ak_sql_run(db, err,
                      "UPDATE collections SET refine = ?1, updated_at = ?2, version = version + 1 "
                      "WHERE name = ?3 AND refine <> ?1",
                      ak_int(refine), ak_int(ak_clock_ms()), ak_text(name));
}

ak_status ak_catalog_collection_drop(ak_sql *db, int64_t key, ak_error *err)
{
    return ak_sql_run(db, err, "UPDATE collections SET name = NULL WHERE key = ?", ak_int(key));
}

ak_status ak_catalog_sequence_set(ak_sql *db, int64_t collection, uint64_t sequence, ak_error *err)
{
    return ak_sql_run(db, err, "UPDATE collections SET sequence = ? WHERE key = ?",
                      ak_int((int64_t)sequence), ak_int(collection));
}
