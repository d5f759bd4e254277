// Generations, their roles, and the vectors that are missing for them.
#include "core/base/clock.h"
#include "index/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GENERATIONS(role)                                                                          \
    "SELECT g.key, c.key, m.key, c.sequence, m.dims, c.name, m.id FROM collections c JOIN "        \
    "generations g ON g.key = c." role "_generation JOIN models m ON m.key = g.model WHERE "       \
    "c.name IS NOT NULL AND (?1 = 0 OR m.key = ?1) ORDER BY c.key"

ak_status ak_catalog_generations(ak_generation_row **out, size_t *n, ak_sql *db, ak_role role,
                                 int64_t model, ak_error *err)
{
    static const char *const texts[] = {GENERATIONS("serving"), GENERATIONS("retained"),
                                        GENERATIONS("coming")};
    ak_rows *rows = NULL;
    bool more = false;
    size_t capacity = 0;
    *out = NULL;
    *n = 0;
    ak_status status = ak_sql_query(&rows, db, err, texts[role], ak_int(model));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        if (*n == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            ak_generation_row *grown = realloc(*out, capacity * sizeof **out);
            if (!grown) {
                status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu collections", capacity);
                break;
            }
            *out = grown;
        }
        ak_generation_row *row = &(*out)[(*n)++];
        *row = (ak_generation_row){ak_sql_int(rows, 0),
                                   ak_sql_int(rows, 1),
                                   ak_sql_int(rows, 2),
                                   ak_sql_int(rows, 3),
                                   "",
                                   "",
                                   (int)ak_sql_int(rows, 4)};
        snprintf(row->name, sizeof row->name, "%s", ak_sql_text(rows, 5));
        snprintf(row->model, sizeof row->model, "%s", ak_sql_text(rows, 6));
    }
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_generation_new(int64_t *key, ak_sql *db, int64_t collection, int64_t model,
                                    ak_error *err)
{
    ak_status status = ak_sql_run(
        db, err, "INSERT INTO generations (collection, model, created_at) VALUES (?, ?, ?)",
        ak_int(collection), ak_int(model), ak_int(ak_clock_ms()));
    *key = ak_sql_last_key(db);
    return status;
}

ak_status ak_catalog_role_set(ak_sql *db, int64_t collection, ak_role role, int64_t generation,
                              ak_error *err)
{
    static const char *const texts[] = {
        "UPDATE collections SET serving_generation = ?, version = version + 1 WHERE key = ?",
        "UPDATE collections SET retained_generation = ?, version = version + 1 WHERE key = ?",
        "UPDATE collections SET coming_generation = ?, version = version + 1 WHERE key = ?"};
    return ak_sql_run_args(db, texts[role],
                           AK_ARGS(generation ? ak_int(generation) : ak_null(), ak_int(collection)),
                           err);
}

ak_status ak_catalog_calibration_set(ak_sql *db, int64_t generation, ak_bytes calibration,
                                     ak_error *err)
{
    return ak_sql_run(db, err, "UPDATE generations SET calibration = ? WHERE key = ?",
                      ak_blob(calibration.at, calibration.n), ak_int(generation));
}

ak_status ak_catalog_calibration(ak_buf *out, ak_sql *db, int64_t generation, ak_error *err)
{
    ak_rows *rows = NULL;
    bool found = false;
    ak_status status =
        ak_sql_query(&rows, db, err,
                     "SELECT calibration FROM generations WHERE key = ? AND calibration IS NOT "
                     "NULL",
                     ak_int(generation));
    if (status == AK_OK)
        status = ak_sql_next(rows, &found, err);
    ak_bytes bytes = status == AK_OK && found ? ak_sql_bytes(rows, 0) : (ak_bytes){0};
    if (bytes.n && !ak_buf_append(out, bytes.at, bytes.n))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a calibration");
    ak_sql_end(rows);
    return status;
}

// --- what is needed, what is missing -----------------------------------------------------------

static ak_status model_row(ak_model_row *out, ak_rows *rows, ak_status status, ak_error *err)
{
    bool found = false;
    *out = (ak_model_row){0};
    if (status == AK_OK)
        status = ak_sql_next(rows, &found, err);
    if (status == AK_OK && found)
        *out = (ak_model_row){ak_sql_int(rows, 0), (int)ak_sql_int(rows, 1)};
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_model_coming(ak_model_row *out, ak_sql *db, int64_t collection, ak_error *err)
{
    ak_rows *rows = NULL;
    ak_status status =
        ak_sql_query(&rows, db, err,
                     "SELECT m.key, m.dims FROM collections c JOIN generations g ON g.key = "
                     "c.coming_generation JOIN models m ON m.key = g.model WHERE c.key = ?",
                     ak_int(collection));
    return model_row(out, rows, status, err);
}

ak_status ak_catalog_model_of(ak_model_row *out, ak_sql *db, int64_t collection, const char *id,
                              ak_error *err)
{
    ak_rows *rows = NULL;
    ak_status status = ak_sql_query(
        &rows, db, err,
        "SELECT m.key, m.dims FROM collections c JOIN generations g ON g.key IN "
        "(c.serving_generation, c.retained_generation, c.coming_generation) JOIN models m ON "
        "m.key = g.model WHERE c.key = ? AND m.id = ?",
        ak_int(collection), ak_text(id));
    return model_row(out, rows, status, err);
}

ak_status ak_catalog_missing_list(bool *listed, ak_sql *db, int64_t collection, int64_t picture,
                                  ak_error *err)
{
    // Two statements, since the one must go by the picture and the other by the collection.
#define LIST(pictures)                                                                             \
    "INSERT OR IGNORE INTO missing (model, picture) SELECT DISTINCT g.model, i.picture FROM "      \
    "collections c JOIN generations g ON g.key IN (c.retained_generation, c.coming_generation) "   \
    "JOIN " pictures " i WHERE c.key = ?1 AND NOT EXISTS (SELECT 1 FROM vectors v WHERE "          \
    "v.picture = i.picture AND v.model = g.model)"
    ak_status status =
        picture ? ak_sql_run(db, err, LIST("(SELECT ?2 AS picture)"), ak_int(collection),
                             ak_int(picture))
                : ak_sql_run(db, err, LIST("(SELECT picture FROM images WHERE collection = ?1)"),
                             ak_int(collection));
    *listed = status == AK_OK && ak_sql_changes(db) > 0;
    return status;
}

ak_status ak_catalog_missing(ak_sha256 *sums, size_t *n, int64_t *after, ak_sql *db, int64_t model,
                             size_t limit, ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    *n = 0;
    ak_status status = ak_sql_query(
        &rows, db, err,
        "SELECT p.key, p.sha256 FROM missing x JOIN pictures p ON p.key = x.picture WHERE x.model "
        "= ?1 AND x.picture > ?2 AND EXISTS (SELECT 1 FROM needs WHERE needs.picture = x.picture "
        "AND needs.model = ?1) ORDER BY x.picture LIMIT ?3",
        ak_int(model), ak_int(*after), ak_int((int64_t)limit));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        ak_bytes sum = ak_sql_bytes(rows, 1);
        *after = ak_sql_int(rows, 0);
        if (sum.n == sizeof *sums)
            memcpy(&sums[(*n)++], sum.at, sum.n);
    }
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_missing_count(int64_t *n, ak_sql *db, int64_t model, int64_t collection,
                                   ak_error *err)
{
    bool found;
    return ak_sql_number(
        n, &found, db, err,
        "SELECT count(*) FROM missing x WHERE x.model = ?1 AND EXISTS (SELECT 1 FROM needs WHERE "
        "needs.picture = x.picture AND needs.model = ?1 AND (?2 = 0 OR needs.collection = ?2))",
        ak_int(model), ak_int(collection));
}

ak_status ak_catalog_lagging(char id[AK_NAME_MAX + 1], bool *found, ak_sql *db, ak_error *err)
{
    ak_rows *rows = NULL;
    *found = false;
    ak_status status = ak_sql_query(
        &rows, db, err,
        "SELECT m.id FROM models m WHERE NOT EXISTS (SELECT 1 FROM collections c JOIN generations "
        "g "
        "ON g.key = c.coming_generation WHERE c.name IS NOT NULL AND g.model = m.key) AND EXISTS "
        "(SELECT 1 FROM missing x JOIN needs n ON n.picture = x.picture AND n.model = x.model "
        "WHERE x.model = m.key) LIMIT 1");
    if (status == AK_OK)
        status = ak_sql_next(rows, found, err);
    if (status == AK_OK && *found)
        snprintf(id, AK_NAME_MAX + 1, "%s", ak_sql_text(rows, 0));
    ak_sql_end(rows);
    return status;
}
