// Images of a collection: list, read, change, delete; which sums are there; one's vector.
#include "server/condition.h"
#include "server/daemon.h"
#include "server/handlers.h"
#include "server/image_json.h"
#include "server/json.h"
#include "server/write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// --- the list ----------------------------------------------------------------------------------

static ak_status read_order(ak_order *out, const ak_request *r, ak_error *err)
{
    static const char *const names[] = {"created_at", "-created_at", "id"};
    static const ak_order orders[] = {AK_ORDER_CREATED, AK_ORDER_CREATED_DESC, AK_ORDER_ID};
    const char *text = ak_request_query(r, "order");
    *out = AK_ORDER_CREATED;
    for (size_t i = 0; text && i < sizeof orders / sizeof *orders; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = orders[i];
            return AK_OK;
        }
    }
    if (text)
        return ak_fail(err, AK_BAD_VALUE,
                       "order is \"%.32s\"; it takes created_at, -created_at or id", text);
    return AK_OK;
}

void ak_handle_images(ak_request *r)
{
    ak_error err = {0};
    ak_image_record *items = NULL;
    size_t n = 0;
    bool more = false;
    int64_t limit;
    ak_order order;
    ak_position at = {0};
    char list[AK_NAME_MAX + 32], next[AK_CURSOR_MAX];
    const char *collection = r->params[0], *cursor = ak_request_query(r, "cursor");
    if (ak_request_number(&limit, r, "limit", 100, 1, AK_LIST_MAX, &err) != AK_OK ||
        read_order(&order, r, &err) != AK_OK)
        goto failed;
    snprintf(list, sizeof list, "images/%d/%.*s", (int)order, AK_NAME_MAX, collection);
    if (cursor && ak_cursor_read(&at, &r->server->cursor_key, list, cursor, &err) != AK_OK)
        goto failed;
    if (ak_store_images(&items, &n, &more, r->server->store, collection, order, cursor ? &at : NULL,
                        (size_t)limit, &err) != AK_OK)
        goto failed;
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, ak_image_json(collection, &items[i]));
    more = more && n;
    if (more) {
        at.created_at = items[n - 1].created_at;
        memcpy(at.id, items[n - 1].id, sizeof at.id);
        ak_cursor_write(next, &r->server->cursor_key, list, &at);
    }
    ak_respond_json(r, 200,
                    json_pack("{s:o, s:s?}", "items", array, "next_cursor", more ? next : NULL));
    for (size_t i = 0; i < n; i++)
        ak_image_record_clear(&items[i]);
    free(items);
    ak_request_finish(r);
    return;
failed:
    ak_request_fail(r, &err);
}

// --- one image ---------------------------------------------------------------------------------

void ak_handle_image_get(ak_request *r)
{
    ak_error err = {0};
    ak_image_record record = {0};
    char tag[AK_TAG_TEXT];
    if (ak_store_image(&record, r->server->store, r->params[0], r->params[1], &err) != AK_OK) {
        ak_request_fail(r, &err);
        return;
    }
    snprintf(tag, sizeof tag, "%" PRId64, record.version);
    if (!ak_condition_unchanged(r, tag))
        ak_respond_json(r, 200, ak_image_json(r->params[0], &record));
    ak_image_record_clear(&record);
    ak_request_finish(r);
}

void ak_handle_image_vector(ak_request *r)
{
    ak_error err = {0};
    ak_generation *generation = NULL;
    ak_image_record record = {0};
    float *vector = NULL;
    char tag[AK_TAG_TEXT];
    if (ak_store_generation(&generation, r->server->store, r->params[0], &err) != AK_OK ||
        ak_store_image(&record, r->server->store, r->params[0], r->params[1], &err) != AK_OK)
        goto done;
    int dims = ak_generation_dims(generation);
    vector = ak_alloc((size_t)dims, sizeof *vector);
    if (!vector) {
        ak_fail(&err, AK_OUT_OF_MEMORY, "no memory for a vector");
        goto done;
    }
    if (ak_store_vector(vector, r->server->store, generation, r->params[1], &err) != AK_OK)
        goto done;
    // A vector belongs to a model and a picture, whatever is said of the image.
    snprintf(tag, sizeof tag, "%.40s-", ak_generation_model(generation));
    ak_hex(tag + strlen(tag), record.sha256.at, 16);
    if (ak_condition_unchanged(r, tag))
        goto done;
    ak_respond_json(r, 200,
                    json_pack("{s:s, s:s, s:i, s:o}", "id", r->params[1], "model",
                              ak_generation_model(generation), "dimensions", dims, "vector",
                              ak_vector_json(vector, dims)));
done:
    free(vector);
    ak_image_record_clear(&record);
    ak_generation_release(generation);
    if (err.status != AK_OK)
        ak_respond_error(r, &err);
    ak_request_finish(r);
}

// --- changing ----------------------------------------------------------------------------------

typedef struct {
    json_t *json;
    ak_said said;
} patch;

static void patch_clear(ak_writing *w)
{
    patch *p = w->beside;
    ak_said_clear(&p->said);
    json_decref(p->json);
    free(p);
}

static void image_patched(ak_writing *w)
{
    ak_request *r = w->request;
    ak_respond_header(r, "ETag", "\"%" PRId64 "\"", w->write.record.version);
    ak_respond_json(r, 200, ak_image_json(r->params[0], &w->write.record));
    ak_request_finish(r);
}

static void image_deleted(ak_writing *w)
{
    ak_respond_empty(w->request, 204);
    ak_request_finish(w->request);
}

// Fills if_match from what is there now; an image that is not is an error of its own.
static ak_status match_image(ak_writing *w, ak_error *err)
{
    ak_request *r = w->request;
    ak_image_record there = {0};
    ak_status status = ak_store_image(&there, r->server->store, r->params[0], r->params[1], err);
    if (status == AK_OK)
        status = ak_condition_match(w->if_match, r, there.version, err);
    ak_image_record_clear(&there);
    return status;
}

void ak_handle_image_patch(ak_request *r)
{
    ak_error err = {0};
    patch *p = calloc(1, sizeof *p);
    if (!p) {
        ak_fail(&err, AK_OUT_OF_MEMORY, "no memory for a patch");
        ak_request_fail(r, &err);
        return;
    }
    ak_writing *w = ak_writing_new(r, AK_WRITE_IMAGE_PATCH, image_patched);
    if (!w) {
        free(p);
        return;
    }
    w->beside = p;
    w->clear = patch_clear;
    p->json = ak_json_read(r, r->body, &err);
    if (!p->json)
        goto failed;
    ak_said_read(&p->said, r, "", p->json, false);
    if (ak_json_sound(r, &err) != AK_OK || match_image(w, &err) != AK_OK)
        goto failed;
    w->write.fields = p->said.fields;
    ak_writing_submit(w);
    return;
failed:
    ak_writing_free(w);
    ak_request_fail(r, &err);
}

void ak_handle_image_delete(ak_request *r)
{
    ak_error err = {0};
    ak_writing *w = ak_writing_new(r, AK_WRITE_IMAGE_DELETE, image_deleted);
    if (!w)
        return;
    if (match_image(w, &err) == AK_OK) {
        ak_writing_submit(w);
        return;
    }
    ak_writing_free(w);
    ak_request_fail(r, &err);
}

// --- which are there ---------------------------------------------------------------------------

typedef struct {
    const ak_sha256 *sums;
    json_t *items, *ids;
    size_t last; // the sum that ids belong to
} finds;

static void found(void *arg, size_t i, const char *id)
{
    finds *f = arg;
    if (!f->ids || f->last != i) {
        char sum[AK_SHA256_HEX + 1];
        ak_sha256_hex(sum, &f->sums[i]);
        f->ids = json_array();
        f->last = i;
        json_array_append_new(f->items, json_pack("{s:s, s:o}", "sha256", sum, "ids", f->ids));
    }
    json_array_append_new(f->ids, json_string(id));
}

static ak_status read_sums(ak_sha256 **out, size_t *n, ak_request *r, const json_t *json,
                           ak_error *err)
{
    const json_t *list = json_object_get(json, "sha256");
    if (ak_json_members(r, "", json, "sha256", "") &&
        (!json_is_array(list) || json_array_size(list) > AK_CHECK_MAX))
        ak_fault(r, "", "sha256", "this must be an array of at most %d sums", AK_CHECK_MAX);
    if (ak_json_sound(r, err) != AK_OK)
        return err->status;
    *n = json_array_size(list);
    *out = ak_alloc(*n, sizeof **out);
    if (!*out)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu sums", *n);
    for (size_t i = 0; i < *n; i++) {
        const json_t *text = json_array_get(list, i);
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        if (!json_is_string(text) ||
            !ak_sha256_parse(&(*out)[i], json_string_value(text), json_string_length(text)))
            ak_fault(r, "/sha256", index, "this must be 64 hexadecimal digits");
    }
    return ak_json_sound(r, err);
}

void ak_handle_images_check(ak_request *r)
{
    ak_error err = {0};
    ak_sha256 *sums = NULL;
    size_t n = 0;
    finds f = {.items = json_array()};
    json_t *json = ak_json_read(r, r->body, &err);
    if (!json || read_sums(&sums, &n, r, json, &err) != AK_OK)
        goto done;
    f.sums = sums;
    if (ak_store_check(r->server->store, r->params[0], sums, n, found, &f, &err) != AK_OK)
        goto done;
    ak_respond_json(r, 200, json_pack("{s:O}", "items", f.items));
done:
    json_decref(f.items);
    json_decref(json);
    free(sums);
    if (err.status != AK_OK)
        ak_respond_error(r, &err);
    ak_request_finish(r);
}
