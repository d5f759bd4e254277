// Models, the base model, and which generation serves what.
#include "core/base/clock.h"
#include "index/catalog.h"

#include <stdio.h>
#include <stdlib.h>

ak_status ak_catalog_model_add(ak_sql *db, const char *id, int dims, size_t bytes, ak_error *err)
{
    ak_status status =
        ak_sql_run(db, err,
                   "INSERT OR IGNORE INTO models (id, dims, bytes, created_at) "
                   "VALUES (?, ?, ?, ?)",
                   ak_text(id), ak_int(dims), ak_int((int64_t)bytes), ak_int(ak_clock_ms()));
    if (status == AK_OK)
        status = ak_sql_run(db, err,
                            "UPDATE store SET base_model = (SELECT key FROM models WHERE id = ?) "
                            "WHERE base_model IS NULL",
                            ak_text(id));
    return status;
}

static ak_status one_text(char *out, size_t size, ak_sql *db, const char *text, ak_error *err)
{
    ak_rows *rows = NULL;
    bool found = false;
    out[0] = 0;
    ak_status status = ak_sql_query(&rows, db, err, text);
    if (status == AK_OK)
        status = ak_sql_next(rows, &found, err);
    if (status == AK_OK && found)
        snprintf(out, size, "%s", ak_sql_text(rows, 0));
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_base_model(char id[AK_NAME_MAX + 1], ak_sql *db, ak_error *err)
{
    return one_text(id, AK_NAME_MAX + 1, db,
                    "SELECT m.id FROM store s JOIN models m ON m.key = s.base_model", err);
}

ak_status ak_catalog_store_id(char id[32], ak_sql *db, ak_error *err)
{
    char made[AK_ULID_TEXT];
    ak_ulid(made);
    ak_status status =
        ak_sql_run(db, err, "INSERT OR IGNORE INTO store (key, id) VALUES (1, ?)", ak_text(made));
    return status == AK_OK ? one_text(id, 32, db, "SELECT id FROM store", err) : status;
}

ak_status ak_catalog_generations(ak_generation_row **out, size_t *n, ak_sql *db, ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    size_t capacity = 0;
    *out = NULL;
    *n = 0;
    ak_status status = ak_sql_query(
        &rows, db, err,
        "SELECT g.key, c.key, m.key, c.sequence, m.dims, c.name, m.id FROM collections c JOIN "
        "generations g ON g.key = c.serving_generation JOIN models m ON m.key = g.model WHERE "
        "c.name IS NOT NULL ORDER BY c.key");
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
