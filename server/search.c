// Searches: by an uploaded picture, by an image of the collection, by a vector.
//
// An uploaded picture goes the way of a stored one (proxy, its pixels, the network), so that a
// stored picture finds itself with score 1. search_embedded comes on the batcher's thread and only
// hands on; the search itself runs on a worker.
#include "core/base/clock.h"
#include "server/daemon.h"
#include "server/handlers.h"
#include "server/image_json.h"
#include "server/json.h"
#include "server/multipart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT_DEFAULT 10
#define LATER         "positive negative region text filter min_match"

typedef struct {
    ak_task task;
    ak_request *request;
    ak_generation *generation;
    ak_parts parts;
    json_t *json;
    ak_picture picture;
    float *vector; // (dims); an uploaded picture's is its embedding's
    const char *self;
    int64_t limit;
    double min_score;
    bool with_metadata, with_vector;
} search;

static void search_free(search *s)
{
    if (!s->picture.n)
        free(s->vector);
    ak_picture_clear(&s->picture);
    json_decref(s->json);
    ak_parts_clear(&s->parts);
    ak_generation_release(s->generation);
    free(s);
}

static void search_end(search *s, const ak_error *err)
{
    ak_request *r = s->request;
    if (err->status != AK_OK)
        ak_respond_error(r, err);
    search_free(s); // before the body, which it borrows from, goes
    ak_request_finish(r);
}

// --- the answer --------------------------------------------------------------------------------

static json_t *hit_json(search *s, const ak_hit *hit, size_t rank, float *room)
{
    ak_request *r = s->request;
    json_t *object = json_pack(
        "{s:s, s:s?, s:f, s:o, s:i, s:o}", "id", hit->id, "name", hit->name, "score",
        (double)hit->score, "match", isnan(hit->match) ? json_null() : json_real(hit->match),
        "rank", (int)rank, "thumbnail", ak_image_link(r->params[0], hit->id, "/thumbnail"));
    if (object && s->with_metadata)
        ak_image_json_said(object, &hit->record);
    if (object && s->with_vector) {
        ak_error err = {0}; // the image may be deleted by now; its hit then lacks the vector
        bool there = ak_store_vector(room, r->server->store, s->generation, hit->id, &err) == AK_OK;
        json_object_set_new(object, "vector",
                            there ? ak_vector_json(room, ak_generation_dims(s->generation))
                                  : json_null());
    }
    return object;
}

static void search_run(ak_task *task)
{
    search *s = (search *)task;
    ak_request *r = s->request;
    ak_error err = {0};
    ak_hits hits = {0};
    float *room = NULL;
    if (ak_picture_embedded(&s->picture, &err) != AK_OK)
        goto done;
    ak_search asked = {.query = s->vector,
                       .limit = (size_t)s->limit,
                       .min_score = s->min_score,
                       .exclude = &s->self,
                       .exclude_count = s->self != NULL};
    room = ak_alloc((size_t)ak_generation_dims(s->generation), sizeof *room);
    if (!room) {
        ak_fail(&err, AK_OUT_OF_MEMORY, "no memory for a vector");
        goto done;
    }
    if (ak_store_search(&hits, r->server->store, s->generation, &asked, &err) != AK_OK)
        goto done;
    json_t *items = json_array();
    for (size_t i = 0; i < hits.n; i++)
        json_array_append_new(items, hit_json(s, &hits.items[i], i + 1, room));
    double took_ms = round((ak_clock_s() - r->started_s) * 1e5) / 100;
    ak_respond_json(r, 200,
                    json_pack("{s:o, s:s, s:b, s:I, s:f}", "items", items, "model",
                              ak_generation_model(s->generation), "exact", hits.exact, "scanned",
                              (json_int_t)hits.scanned, "took_ms", took_ms));
done:
    ak_hits_clear(&hits);
    free(room);
    search_end(s, &err);
}

// --- by an uploaded picture --------------------------------------------------------------------

static void search_embedded(ak_picture *picture)
{
    search *s = (search *)((char *)picture - offsetof(search, picture));
    ak_work_finish(s->request->server->work, &s->task);
}

// By the model of the generation that is searched, whatever serves the collection by then.
static ak_status embed_picture(search *s, ak_bytes bytes, ak_error *err)
{
    ak_server *server = s->request->server;
    ak_wanted model = {.n = 1};
    snprintf(model.ids[0], sizeof model.ids[0], "%s", ak_generation_model(s->generation));
    s->picture.bytes = bytes;
    if (ak_encoders_ready(server->encoders, err) != AK_OK ||
        ak_picture_peek(&s->picture, server, err) != AK_OK ||
        ak_picture_prepare(&s->picture, server, &model, err) != AK_OK)
        return err->status;
    s->vector = s->picture.by[0].vector;
    ak_picture_embed(&s->picture, search_embedded);
    return AK_OK;
}

// --- what was asked ----------------------------------------------------------------------------

static void read_with(search *s)
{
    ak_request *r = s->request;
    const json_t *with = json_object_get(s->json, "with");
    if (with && !json_is_array(with)) {
        ak_fault(r, "", "with", "this must be an array");
        return;
    }
    for (size_t i = 0; i < json_array_size(with); i++) {
        const char *name = json_string_value(json_array_get(with, i));
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        if (name && strcmp(name, "metadata") == 0)
            s->with_metadata = true;
        else if (name && strcmp(name, "vector") == 0)
            s->with_vector = true;
        else
            ak_fault(r, "/with", index, "this is none of: metadata, vector");
    }
}

static ak_status read_query(search *s, const char *known, ak_error *err)
{
    ak_request *r = s->request;
    bool exact;
    if (ak_json_members(r, "", s->json, known, LATER)) {
        ak_json_whole(&s->limit, r, "", s->json, "limit", 1, AK_SEARCH_MAX);
        ak_json_real(&s->min_score, r, "", s->json, "min_score", -1, 1);
        ak_json_bool(&exact, r, "", s->json, "exact"); // every answer is exact as yet
        read_with(s);
    }
    return ak_json_sound(r, err);
}

static ak_status take_vector(search *s, const json_t *values, ak_error *err)
{
    int dims = ak_generation_dims(s->generation);
    if (!json_is_array(values) || json_array_size(values) != (size_t)dims)
        return ak_fail(err, AK_BAD_VECTOR, "the vector has %zu numbers; model %s makes %d",
                       json_array_size(values), ak_generation_model(s->generation), dims);
    double square = 0;
    for (int i = 0; i < dims; i++) {
        const json_t *value = json_array_get(values, (size_t)i);
        double x = json_number_value(value);
        if (!json_is_number(value) || !(fabs(x) <= 1e18))
            return ak_fail(err, AK_BAD_VECTOR,
                           "value %d of the vector is no number between -1e18 and 1e18", i);
        s->vector[i] = (float)x;
        square += x * x;
    }
    double length = sqrt(square);
    if (!(length > 1e-18))
        return ak_fail(err, AK_BAD_VECTOR, "the vector has length 0; it must point somewhere");
    for (int i = 0; i < dims; i++)
        s->vector[i] = (float)(json_number_value(json_array_get(values, (size_t)i)) / length);
    return AK_OK;
}

static ak_status take_json(search *s, ak_error *err)
{
    ak_request *r = s->request;
    s->json = ak_json_read(r, r->body, err);
    if (!s->json || read_query(s, "id vector limit min_score exact with", err) != AK_OK)
        return err->status;
    const json_t *vector = json_object_get(s->json, "vector");
    ak_json_text(&s->self, r, "", s->json, "id", AK_ID_MAX);
    if (ak_json_sound(r, err) != AK_OK)
        return err->status;
    if (!s->self == !vector)
        return ak_fail(err, AK_BAD_VALUE, "give one of \"id\" and \"vector\"");
    s->vector = ak_alloc((size_t)ak_generation_dims(s->generation), sizeof *s->vector);
    if (!s->vector)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a vector");
    if (vector)
        return take_vector(s, vector, err);
    return ak_store_vector(s->vector, r->server->store, s->generation, s->self, err);
}

static ak_status take_multipart(search *s, ak_bytes *picture, ak_error *err)
{
    ak_request *r = s->request;
    const ak_server_options *o = r->server->options;
    if (ak_multipart_read(&s->parts, r->headers.content_type, r->body, o->upload_part_bytes, 2,
                          err) != AK_OK)
        return err->status;
    bool found = false;
    for (size_t i = 0; i < s->parts.n; i++) {
        const ak_part *part = &s->parts.items[i];
        if (strcmp(part->name, "file") == 0 && !found) {
            *picture = part->bytes;
            found = true;
        } else if (strcmp(part->name, "query") == 0 && !s->json) {
            s->json = ak_json_read(r, part->bytes, err);
            if (!s->json)
                return ak_fail_within(err, "part \"query\"");
        } else {
            return ak_fail(err, AK_BAD_REQUEST,
                           "part %zu is \"%.64s\"; a search takes one \"file\" and one \"query\"",
                           i + 1, part->name);
        }
    }
    if (!found)
        return ak_fail(err, AK_BAD_REQUEST, "there is no part \"file\" with the picture");
    return s->json ? read_query(s, "limit min_score exact with", err) : AK_OK;
}

void ak_handle_search(ak_request *r)
{
    ak_error err = {0};
    bool multipart = ak_multipart_is(r->headers.content_type);
    bool json = ak_request_is_json(r);
    ak_bytes picture = r->body;
    search *s = calloc(1, sizeof *s);
    if (!s) {
        ak_fail(&err, AK_OUT_OF_MEMORY, "no memory for a search");
        ak_request_fail(r, &err);
        return;
    }
    s->request = r;
    s->task.run = search_run;
    s->min_score = -INFINITY;
    if (ak_request_number(&s->limit, r, "limit", LIMIT_DEFAULT, 1, AK_SEARCH_MAX, &err) != AK_OK ||
        ak_store_generation(&s->generation, r->server->store, r->params[0], &err) != AK_OK)
        goto failed;
    if (json) {
        if (take_json(s, &err) != AK_OK)
            goto failed;
        search_run(&s->task);
        return;
    }
    if (multipart && take_multipart(s, &picture, &err) != AK_OK)
        goto failed;
    if (embed_picture(s, picture, &err) == AK_OK)
        return;
failed:
    search_end(s, &err);
}
