// Collections: list, create, read, change, delete.
#include "core/base/clock.h"
#include "server/condition.h"
#include "server/daemon.h"
#include "server/handlers.h"
#include "server/json.h"
#include "server/write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KNOWN "description keep_original refine"
#define LATER "recall_target"

static json_t *collection_json(const ak_collection *c)
{
    char created[AK_TIME_TEXT], updated[AK_TIME_TEXT];
    ak_time_text(created, c->created_at);
    ak_time_text(updated, c->updated_at);
    return json_pack(
        "{s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:s, s:s?, s:s?, s:{s:s}, s:s, s:s}", "name", c->name,
        "description", c->description ? c->description : "", "keep_original", c->keep_original,
        "refine", c->refine, "images", (json_int_t)c->images, "pictures", (json_int_t)c->pictures,
        "bytes", (json_int_t)c->bytes, "model", c->model, "previous_model",
        c->retained[0] ? c->retained : NULL, "coming_model", c->coming[0] ? c->coming : NULL,
        "index", "tier", c->tier ? c->tier : "flat", "created_at", created, "updated_at", updated);
}

static void collection_tag(char tag[AK_TAG_TEXT], const ak_collection *c)
{
    snprintf(tag, AK_TAG_TEXT, "%" PRId64 ".%" PRId64 ".%" PRId64 ".%" PRIu64, c->version,
             c->images, c->pictures, c->bytes);
}

void ak_handle_collections(ak_request *r)
{
    static const char list[] = "collections";
    ak_error err = {0};
    ak_collection *items = NULL;
    size_t n = 0;
    bool more = false;
    int64_t limit;
    ak_position after = {0};
    const char *cursor = ak_request_query(r, "cursor");
    if (ak_request_number(&limit, r, "limit", 100, 1, AK_LIST_MAX, &err) != AK_OK)
        goto failed;
    if (cursor && ak_cursor_read(&after, &r->server->cursor_key, list, cursor, &err) != AK_OK)
        goto failed;
    if (ak_store_collections(&items, &n, &more, r->server->store, cursor ? after.id : NULL,
                             (size_t)limit, &err) != AK_OK)
        goto failed;
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, collection_json(&items[i]));
    char next[AK_CURSOR_MAX];
    if (more && n) {
        snprintf(after.id, sizeof after.id, "%s", items[n - 1].name);
        ak_cursor_write(next, &r->server->cursor_key, list, &after);
    }
    ak_respond_json(
        r, 200, json_pack("{s:o, s:s?}", "items", array, "next_cursor", more && n ? next : NULL));
    for (size_t i = 0; i < n; i++)
        ak_collection_clear(&items[i]);
    free(items);
    ak_request_finish(r);
    return;
failed:
    ak_request_fail(r, &err);
}

void ak_handle_collection_get(ak_request *r)
{
    ak_error err = {0};
    ak_collection c = {0};
    if (ak_store_collection(&c, r->server->store, r->params[0], &err) != AK_OK) {
        ak_request_fail(r, &err);
        return;
    }
    char tag[AK_TAG_TEXT];
    collection_tag(tag, &c);
    if (!ak_condition_unchanged(r, tag))
        ak_respond_json(r, 200, collection_json(&c));
    ak_collection_clear(&c);
    ak_request_finish(r);
}

// --- changing ----------------------------------------------------------------------------------

static void collection_written(ak_writing *w)
{
    ak_request *r = w->request;
    const ak_collection *c = &w->write.collection_out;
    char tag[AK_TAG_TEXT];
    collection_tag(tag, c);
    ak_respond_header(r, "ETag", "\"%s\"", tag);
    if (w->write.created)
        ak_respond_header(r, "Location", "/v1/collections/%s", c->name);
    ak_respond_json(r, w->write.created ? 201 : 200, collection_json(c));
    ak_request_finish(r);
}

static void collection_deleted(ak_writing *w)
{
    ak_respond_empty(w->request, 204);
    ak_request_finish(w->request);
}

static void drop_json(ak_writing *w)
{
    json_decref(w->beside);
}

// The version that is there now (-1: none), for If-Match; an error other than absence is one.
static ak_status version_now(int64_t *version, const ak_request *r, ak_error *err)
{
    ak_collection c = {0};
    ak_status status = ak_store_collection(&c, r->server->store, r->params[0], err);
    *version = status == AK_OK ? c.version : -1;
    ak_collection_clear(&c);
    return status;
}

static void put_or_patch(ak_request *r, bool patch)
{
    ak_error err = {0};
    ak_writing *w = NULL;
    int64_t version = -1;
    bool keep, refine;
    json_t *json = ak_json_read(r, r->body, &err);
    if (!json)
        goto failed;
    if (!ak_name_valid(r->params[0], strlen(r->params[0]))) {
        ak_fail(&err, patch ? AK_UNKNOWN_COLLECTION : AK_BAD_VALUE,
                "a collection's name is 1 to %d of a-z 0-9 _ -, beginning with a letter or digit; "
                "this is \"%.100s\"",
                AK_NAME_MAX, r->params[0]);
        goto failed;
    }
    ak_status there = AK_OK;
    if (patch || r->headers.if_match)
        there = version_now(&version, r, &err);
    if (there != AK_OK && (patch || there != AK_UNKNOWN_COLLECTION))
        goto failed;
    w = ak_writing_new(r, AK_WRITE_COLLECTION_PUT, collection_written);
    if (!w) {
        json_decref(json);
        return;
    }
    w->beside = json;
    w->clear = drop_json;
    if (ak_json_members(r, "", json, KNOWN, LATER)) {
        ak_json_text(&w->write.description, r, "", json, "description", AK_CAPTION_MAX);
        if (ak_json_bool(&keep, r, "", json, "keep_original"))
            w->write.keep_original = keep;
        if (ak_json_bool(&refine, r, "", json, "refine"))
            w->write.refine = refine ? 1 : -1;
    }
    if (ak_json_sound(r, &err) != AK_OK ||
        ak_condition_match(w->if_match, r, version, &err) != AK_OK)
        goto refused;
    // A PATCH must not create what was deleted meanwhile: it names the version that it has seen.
    if (patch && !w->if_match[0])
        snprintf(w->if_match, sizeof w->if_match, "%" PRId64, version);
    ak_writing_submit(w);
    return;
refused:
    ak_writing_free(w);
    json = NULL;
failed:
    json_decref(json);
    ak_request_fail(r, &err);
}

void ak_handle_collection_put(ak_request *r)
{
    put_or_patch(r, false);
}

void ak_handle_collection_patch(ak_request *r)
{
    put_or_patch(r, true);
}

void ak_handle_collection_delete(ak_request *r)
{
    ak_error err = {0};
    int64_t version;
    ak_writing *w = ak_writing_new(r, AK_WRITE_COLLECTION_DELETE, collection_deleted);
    if (!w)
        return;
    if (version_now(&version, r, &err) == AK_OK &&
        ak_condition_match(w->if_match, r, version, &err) == AK_OK) {
        ak_writing_submit(w);
        return;
    }
    ak_writing_free(w);
    ak_request_fail(r, &err);
}
