// Models: added, described, listed, removed; the base model; the store's own id.
#include "core/base/clock.h"
#include "index/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const states[AK_MODEL_STATES] = {"serving", "retained", "candidate", "refused",
                                                    "imported"};

const char *ak_model_state_name(ak_model_state state)
{
    return states[state];
}

ak_status ak_catalog_model(ak_model_row *out, ak_sql *db, const char *id, ak_error *err)
{
    ak_rows *rows = NULL;
    bool found = false;
    ak_status status =
        ak_sql_query(&rows, db, err, "SELECT key, dims FROM models WHERE id = ?", ak_text(id));
    if (status == AK_OK)
        status = ak_sql_next(rows, &found, err);
    if (status == AK_OK && !found)
        status = ak_fail(err, AK_UNKNOWN_MODEL, "there is no model \"%.80s\"", id);
    if (status == AK_OK)
        *out = (ak_model_row){ak_sql_int(rows, 0), (int)ak_sql_int(rows, 1)};
    ak_sql_end(rows);
    return status;
}

static ak_status check_object(const char *what, ak_sql *db, const char *text, ak_error *err)
{
    int64_t fine = 1;
    bool found = false;
    ak_status status = ak_sql_number(
        &fine, &found, db, err,
        "SELECT CASE WHEN json_valid(?1) THEN json_type(?1) = 'object' ELSE 0 END", ak_text(text));
    if (status == AK_OK && !fine)
        return ak_fail(err, AK_BAD_VALUE, "%s of a model is not a JSON object", what);
    return status;
}

ak_status ak_catalog_model_add(ak_sql *db, const ak_model_facts *facts, size_t bytes, ak_error *err)
{
    const char *lineage = facts->lineage ? facts->lineage : "{}";
    const char *measures = facts->measures ? facts->measures : "{}";
    ak_status status = check_object("the lineage", db, lineage, err);
    if (status == AK_OK)
        status = check_object("the measures", db, measures, err);
    if (status == AK_OK)
        status = ak_sql_run(
            db, err,
            "INSERT OR IGNORE INTO models (id, dims, bytes, state, parent, lineage, measures, "
            "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            ak_text(facts->id), ak_int(facts->dims), ak_int((int64_t)bytes),
            ak_text(states[facts->state]), ak_text(facts->parent ? facts->parent : ""),
            ak_text(lineage), ak_text(measures), ak_int(ak_clock_ms()));
    if (status == AK_OK)
        status = ak_sql_run(db, err,
                            "UPDATE store SET base_model = (SELECT key FROM models WHERE id = ?) "
                            "WHERE base_model IS NULL",
                            ak_text(facts->id));
    return status;
}

ak_status ak_catalog_model_set(ak_sql *db, int64_t key, ak_model_state state, const char *measures,
                               ak_error *err)
{
    ak_status status = measures ? check_object("the measures", db, measures, err) : AK_OK;
    return status == AK_OK ? ak_sql_run(db, err,
                                        "UPDATE models SET state = ?, measures = coalesce(?, "
                                        "measures) WHERE key = ?",
                                        ak_text(states[state]), ak_text(measures), ak_int(key))
                           : status;
}

// --- lists -------------------------------------------------------------------------------------

void ak_model_record_clear(ak_model_record *record)
{
    free(record->lineage);
    free(record->measures);
    *record = (ak_model_record){0};
}

static ak_model_state state_of(const char *name)
{
    ak_model_state state = AK_MODEL_SERVING;
    while (state < AK_MODEL_IMPORTED && strcmp(states[state], name) != 0)
        state++;
    return state;
}

static char *copy(const char *text)
{
    return ak_strndup(text, strlen(text));
}

static ak_status read_row(ak_model_record *out, ak_rows *rows, ak_error *err)
{
    bool serving = ak_sql_int(rows, 7) != 0, retained = ak_sql_int(rows, 8) != 0;
    *out = (ak_model_record){
        .dims = (int)ak_sql_int(rows, 2),
        .bytes = (uint64_t)ak_sql_int(rows, 3),
        .base = ak_sql_int(rows, 10) != 0,
        .needed = serving || retained || ak_sql_int(rows, 9) != 0,
        .lineage = copy(ak_sql_text(rows, 5)),
        .measures = copy(ak_sql_text(rows, 6)),
        .created_at = ak_sql_int(rows, 11),
    };
    snprintf(out->id, sizeof out->id, "%s", ak_sql_text(rows, 0));
    snprintf(out->parent, sizeof out->parent, "%s", ak_sql_text(rows, 1));
    out->state = serving || out->base ? AK_MODEL_SERVING
                 : retained           ? AK_MODEL_RETAINED
                                      : state_of(ak_sql_text(rows, 4));
    return out->lineage && out->measures ? AK_OK
                                         : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a model");
}

#define HAS(role)                                                                                  \
    "EXISTS (SELECT 1 FROM collections c JOIN generations g ON g.key = c." role                    \
    " WHERE c.name IS NOT NULL AND g.model = m.key)"

ak_status ak_catalog_models(ak_model_record **out, size_t *n, ak_sql *db, const char *id,
                            ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    size_t capacity = 0;
    *out = NULL;
    *n = 0;
    ak_status status =
        ak_sql_query(&rows, db, err,
                     "SELECT m.id, m.parent, m.dims, m.bytes, m.state, m.lineage, "
                     "m.measures, " HAS("serving_generation") ", " HAS(
                         "retained_generation") ", " HAS("coming_generation") ", "
                                                                              "m.key IS "
                                                                              "s.base_model, "
                                                                              "m.created_at "
                                                                              "FROM models m "
                                                                              "JOIN store s "
                                                                              "WHERE ?1 IS "
                                                                              "NULL OR "
                                                                              "m.id = ?1 ORDER "
                                                                              "BY m.key DESC",
                     ak_text(id));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        if (*n == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            ak_model_record *grown = realloc(*out, capacity * sizeof **out);
            if (!grown) {
                status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu models", capacity);
                break;
            }
            *out = grown;
        }
        status = read_row(&(*out)[(*n)++], rows, err);
    }
    ak_sql_end(rows);
    return status;
}

// --- single values -----------------------------------------------------------------------------

static ak_status one_text(char *out, size_t size, bool *found, ak_rows *rows, ak_status status,
                          ak_error *err)
{
    out[0] = 0;
    *found = false;
    if (status == AK_OK)
        status = ak_sql_next(rows, found, err);
    if (status == AK_OK && *found)
        snprintf(out, size, "%s", ak_sql_text(rows, 0));
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_base_model(char id[AK_NAME_MAX + 1], ak_sql *db, ak_error *err)
{
    ak_rows *rows = NULL;
    bool found;
    ak_status status = ak_sql_query(
        &rows, db, err, "SELECT m.id FROM store s JOIN models m ON m.key = s.base_model");
    return one_text(id, AK_NAME_MAX + 1, &found, rows, status, err);
}

ak_status ak_catalog_store_id(char id[32], ak_sql *db, ak_error *err)
{
    char made[AK_ULID_TEXT];
    ak_rows *rows = NULL;
    bool found;
    ak_ulid(made);
    ak_status status =
        ak_sql_run(db, err, "INSERT OR IGNORE INTO store (key, id) VALUES (1, ?)", ak_text(made));
    if (status == AK_OK)
        status = ak_sql_query(&rows, db, err, "SELECT id FROM store");
    return one_text(id, 32, &found, rows, status, err);
}

ak_status ak_catalog_model_spare(char id[AK_NAME_MAX + 1], bool *found, ak_sql *db, size_t spare,
                                 ak_error *err)
{
    ak_rows *rows = NULL;
    ak_status status = ak_sql_query(
        &rows, db, err,
        "SELECT m.id FROM models m JOIN store s WHERE m.key IS NOT s.base_model AND NOT EXISTS "
        "(SELECT 1 FROM generations g WHERE g.model = m.key) AND NOT EXISTS (SELECT 1 FROM vectors "
        "v WHERE v.model = m.key) ORDER BY m.key DESC LIMIT 1 OFFSET ?",
        ak_int((int64_t)spare));
    return one_text(id, AK_NAME_MAX + 1, found, rows, status, err);
}

ak_status ak_catalog_model_drop(ak_sql *db, const char *id, ak_error *err)
{
    ak_status status = ak_sql_run(
        db, err, "DELETE FROM missing WHERE model = (SELECT key FROM models WHERE id = ?)",
        ak_text(id));
    return status == AK_OK ? ak_sql_run(db, err, "DELETE FROM models WHERE id = ?", ak_text(id))
                           : status;
}
