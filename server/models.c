// Models for administrators: listed, exported, imported; and a collection's way back.
#include "core/base/clock.h"
#include "server/condition.h"
#include "server/daemon.h"
#include "server/handlers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static json_t *model_json(const ak_model_record *m)
{
    char created[AK_TIME_TEXT];
    ak_time_text(created, m->created_at);
    return json_pack("{s:s, s:s, s:s?, s:b, s:i, s:I, s:s, s:o, s:o}", "id", m->id, "state",
                     ak_model_state_name(m->state), "parent", m->parent[0] ? m->parent : NULL,
                     "base", m->base, "dimensions", m->dims, "bytes", (json_int_t)m->bytes,
                     "created_at", created, "lineage", json_loads(m->lineage, 0, NULL), "measures",
                     json_loads(m->measures, 0, NULL));
}

// --- the list ----------------------------------------------------------------------------------

// The place after the model that the cursor names; models come newest first.
static size_t place_after(const ak_model_record *items, size_t n, const ak_position *at)
{
    size_t i = 0;
    while (i < n && strcmp(items[i].id, at->id) != 0)
        i++;
    if (i < n)
        return i + 1;
    for (i = 0; i < n && items[i].created_at >= at->created_at; i++)
        continue; // it is gone: on with the older ones
    return i;
}

void ak_handle_models(ak_request *r)
{
    static const char list[] = "models";
    ak_error err = {0};
    ak_model_record *items = NULL;
    size_t n = 0;
    int64_t limit;
    ak_position at = {0};
    char next[AK_CURSOR_MAX];
    const char *cursor = ak_request_query(r, "cursor");
    if (ak_request_number(&limit, r, "limit", 100, 1, AK_LIST_MAX, &err) != AK_OK ||
        (cursor && ak_cursor_read(&at, &r->server->cursor_key, list, cursor, &err) != AK_OK) ||
        ak_store_models(&items, &n, r->server->store, &err) != AK_OK) {
        ak_request_fail(r, &err);
        return;
    }
    size_t from = cursor ? place_after(items, n, &at) : 0;
    size_t end = n - from > (size_t)limit ? from + (size_t)limit : n;
    json_t *array = json_array();
    for (size_t i = from; i < end; i++)
        json_array_append_new(array, model_json(&items[i]));
    if (end < n) {
        at.created_at = items[end - 1].created_at;
        snprintf(at.id, sizeof at.id, "%s", items[end - 1].id);
        ak_cursor_write(next, &r->server->cursor_key, list, &at);
    }
    ak_respond_json(r, 200,
                    json_pack("{s:o, s:s?}", "items", array, "next_cursor", end < n ? next : NULL));
    for (size_t i = 0; i < n; i++)
        ak_model_record_clear(&items[i]);
    free(items);
    ak_request_finish(r);
}

// --- one model ---------------------------------------------------------------------------------

void ak_handle_model_get(ak_request *r)
{
    ak_error err = {0};
    ak_model_record model;
    if (ak_store_model(&model, r->server->store, r->params[0], &err) != AK_OK) {
        ak_request_fail(r, &err);
        return;
    }
    // The record is small and changes with what collections do: its own sum tells it apart.
    json_t *json = model_json(&model);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS), tag[AK_TAG_TEXT] = "";
    if (text) {
        ak_sha256 sum = ak_sha256_of((ak_bytes){(const uint8_t *)text, strlen(text)});
        ak_hex(tag, sum.at, 16);
    }
    free(text);
    ak_model_record_clear(&model);
    if (ak_condition_unchanged(r, tag))
        json_decref(json);
    else
        ak_respond_json(r, 200, json);
    ak_request_finish(r);
}

void ak_handle_model_checkpoint(ak_request *r)
{
    ak_error err = {0};
    ak_buf file = {0};
    const char *id = r->params[0];
    if (ak_store_model_read(&file, r->server->store, id, &err) != AK_OK) {
        ak_request_fail(r, &err);
        return;
    }
    ak_respond_header(r, "Content-Disposition", "attachment; filename=\"%s.akin\"", id);
    if (ak_condition_unchanged(r, id)) // a model never changes
        ak_buf_clear(&file);
    else
        ak_respond_bytes(r, 200, "application/octet-stream", &file);
    ak_request_finish(r);
}

// --- import ------------------------------------------------------------------------------------

// What is wrong with a file that somebody sent is their fault, not ours.
static ak_status read_import(ak_model **out, ak_bytes file, ak_error *err)
{
    ak_status status = ak_model_read(out, file, err);
    if (status == AK_CORRUPT)
        status = AK_BROKEN_MODEL;
    else if (status == AK_BAD_VALUE)
        status = AK_FOREIGN_MODEL;
    err->status = status;
    return status;
}

static ak_status check_dims(const ak_model *model, ak_server *server, ak_error *err)
{
    ak_model_record base;
    ak_status status =
        ak_store_model(&base, server->store, ak_encoders_base(server->encoders), err);
    if (status != AK_OK)
        return status;
    int dims = base.dims;
    ak_model_record_clear(&base);
    return ak_model_dims(model) == dims
               ? AK_OK
               : ak_fail(err, AK_OTHER_DIMENSIONS,
                         "the model makes vectors of %d numbers; those of this service have %d",
                         ak_model_dims(model), dims);
}

void ak_handle_models_post(ak_request *r)
{
    ak_error err = {0};
    ak_model *model = NULL;
    ak_model_record record = {0};
    ak_store *store = r->server->store;
    if (read_import(&model, r->body, &err) != AK_OK || check_dims(model, r->server, &err) != AK_OK)
        goto done;
    const char *id = ak_model_id(model);
    bool there = ak_store_model(&record, store, id, NULL) == AK_OK;
    ak_model_facts facts = {.id = id,
                            .dims = ak_model_dims(model),
                            .state = AK_MODEL_IMPORTED,
                            .lineage = "{\"source\": \"import\"}"};
    if (!there && (ak_store_model_add(store, &facts, r->body, &err) != AK_OK ||
                   ak_store_model(&record, store, id, &err) != AK_OK))
        goto done;
    ak_respond_header(r, "Location", "/v1/admin/models/%s", id);
    ak_respond_json(r, there ? 200 : 201, model_json(&record));
done:
    ak_model_record_clear(&record);
    ak_model_free(model);
    if (err.status != AK_OK)
        ak_respond_error(r, &err);
    ak_request_finish(r);
}

// --- rollback ----------------------------------------------------------------------------------

void ak_handle_collection_rollback(ak_request *r)
{
    ak_error err = {0};
    ak_server *server = r->server;
    ak_generation *generation = NULL;
    char model[AK_NAME_MAX + 1], before[AK_NAME_MAX + 1];
    int64_t to_come = 0;
    if (ak_store_generation(&generation, server->store, r->params[0], &err) != AK_OK) {
        ak_request_fail(r, &err);
        return;
    }
    snprintf(before, sizeof before, "%s", ak_generation_model(generation));
    ak_generation_release(generation);
    if (ak_store_rollback(model, &to_come, server->store, r->params[0], &err) != AK_OK) {
        ak_request_fail(r, &err);
        return;
    }
    if (to_come)
        ak_filler_wake(server->filler);
    ak_encoders_trim(server->encoders);
    ak_respond_json(r, 200,
                    json_pack("{s:s, s:s, s:s, s:I}", "collection", r->params[0], "model", model,
                              "previous_model", before, "to_come", (json_int_t)to_come));
    ak_request_finish(r);
}
