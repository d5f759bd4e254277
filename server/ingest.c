// Uploads: one picture or many, from the body to the commit.
//
// Each picture is a `part`: a worker takes it (part_run), the batcher embeds it (part_embedded),
// the store's writer commits it (part_written). Parts are worked on side by side, but handed to
// the store in their order, so that of two equal pictures in one upload the first is the one that
// is created. ingest->lock guards next and the parts' `ready`; it is held while a write is handed
// in, to keep the order. The ingest is freed by whoever drops the last of `holds`: one a part, and
// one each submit_ready while it runs.
#include "server/condition.h"
#include "server/daemon.h"
#include "server/handlers.h"
#include "server/image_json.h"
#include "server/json.h"
#include "server/multipart.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define PART_TRIES 4 // changes of model that one upload outlives

typedef struct ingest ingest;

typedef struct {
    ak_task task;
    ingest *owner;
    ak_picture picture;
    ak_said said;
    ak_write write;
    bool pinned, ready, submitted;
    int tries;
    ak_error error; // why it failed before it was handed in
} part;

struct ingest {
    ak_task end;
    ak_request *request;
    ak_generation *generation;
    ak_encoder *encoder; // of the generation's model: its batcher expects the pictures
    ak_parts parts;      // of a multipart body; names are borrowed from it
    json_t *items;       // of a multipart body; texts are borrowed from it
    bool many;           // answered 207
    char if_match[24];
    atomic_size_t holds;
    pthread_mutex_t lock;
    size_t n, next;
    part *pictures;
};

static void ingest_free(ingest *g)
{
    for (size_t i = 0; i < g->n; i++) {
        part *p = &g->pictures[i];
        if (p->pinned)
            ak_store_unpin(g->request->server->store, &p->write.sha256);
        ak_image_record_clear(&p->write.record);
        ak_said_clear(&p->said);
        ak_picture_clear(&p->picture);
    }
    free(g->pictures);
    json_decref(g->items);
    ak_parts_clear(&g->parts);
    ak_encoder_release(g->encoder);
    ak_generation_release(g->generation);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static void drop_hold(ingest *g)
{
    if (atomic_fetch_sub(&g->holds, 1) == 1)
        ak_work_finish(g->request->server->work, &g->end);
}

// --- answering ---------------------------------------------------------------------------------

static const ak_error *error_of(const part *p)
{
    if (!p->submitted)
        return &p->error;
    return p->write.status == AK_OK ? NULL : &p->write.error;
}

static void answer_one(ingest *g)
{
    ak_request *r = g->request;
    const part *p = &g->pictures[0];
    const ak_error *error = error_of(p);
    if (error) {
        ak_respond_error(r, error);
        return;
    }
    const ak_image_record *record = &p->write.record;
    ak_respond_header(r, "ETag", "\"%" PRId64 "\"", record->version);
    if (p->write.created)
        ak_respond_header(r, "Location", "/v1/collections/%s/images/%s", r->params[0], record->id);
    ak_respond_json(r, p->write.created ? 201 : 200, ak_image_json(r->params[0], record));
}

static void answer_many(ingest *g)
{
    ak_request *r = g->request;
    int created = 0, existing = 0, failed = 0;
    json_t *items = json_array();
    for (size_t i = 0; i < g->n; i++) {
        const part *p = &g->pictures[i];
        const ak_error *error = error_of(p);
        int http = error ? ak_status_http(error->status) : p->write.created ? 201 : 200;
        *(error ? &failed : p->write.created ? &created : &existing) += 1;
        json_array_append_new(items,
                              json_pack("{s:i, s:o}", "status", http, error ? "problem" : "image",
                                        error ? ak_problem(r, error)
                                              : ak_image_json(r->params[0], &p->write.record)));
    }
    ak_respond_json(r, 207,
                    json_pack("{s:o, s:i, s:i, s:i}", "items", items, "created", created,
                              "existing", existing, "failed", failed));
}

static void ingest_end(ak_task *task)
{
    ingest *g = (ingest *)task;
    ak_request *r = g->request;
    if (g->many)
        answer_many(g);
    else
        answer_one(g);
    ingest_free(g); // before the body, which its parts borrow from, goes
    ak_request_finish(r);
}

// --- a part's way ------------------------------------------------------------------------------

static void part_over(part *p)
{
    ingest *g = p->owner;
    ak_picture_clear(&p->picture);
    ak_work_picture_done(g->request->server->work);
    drop_hold(g);
}

// The collection's models changed between its being prepared and its being written: once more.
static bool goes_again(part *p)
{
    if (!p->write.stale || ++p->tries >= PART_TRIES)
        return false;
    p->submitted = false;
    ak_work_finish(p->owner->request->server->work, &p->task);
    return true;
}

static void part_written(ak_write *write)
{
    part *p = write->arg;
    if (write->lagging)
        ak_filler_wake(p->owner->request->server->filler);
    if (!goes_again(p))
        part_over(p);
}

static void submit(part *p)
{
    if (p->error.status == AK_OK) {
        p->submitted = true;
        if (ak_store_submit(p->owner->request->server->store, &p->write, &p->error) == AK_OK)
            return;
        p->submitted = false;
    }
    part_over(p);
}

// Marks p as ready and hands in whatever may go now, in order.
static void submit_ready(part *p)
{
    ingest *g = p->owner;
    atomic_fetch_add(&g->holds, 1); // parts may be over, and their holds gone, before the unlock
    pthread_mutex_lock(&g->lock);
    p->ready = true;
    while (g->next < g->n && g->pictures[g->next].ready)
        submit(&g->pictures[g->next++]);
    pthread_mutex_unlock(&g->lock);
    drop_hold(g);
}

// One that goes again has had its turn.
static void hand_in(part *p)
{
    if (p->tries)
        submit(p);
    else
        submit_ready(p);
}

static void part_embedded(ak_picture *picture)
{
    part *p = (part *)((char *)picture - offsetof(part, picture));
    ak_picture_embedded(picture, &p->error);
    p->write.proxy = ak_buf_bytes(&picture->proxy);
    p->write.vector_count = picture->n;
    for (size_t i = 0; i < picture->n; i++) {
        const ak_model *model = ak_encoder_model(picture->by[i].encoder);
        p->write.vectors[i] =
            (ak_vector){ak_model_id(model), picture->by[i].vector, ak_model_dims(model)};
    }
    hand_in(p);
}

static ak_status part_read(part *p, ak_error *err)
{
    ak_server *server = p->owner->request->server;
    if (p->error.status != AK_OK) // its name was bad
        return p->error.status;
    if (ak_picture_peek(&p->picture, server, err) != AK_OK)
        return err->status;
    p->write.info = p->picture.info;
    p->write.original = p->picture.bytes;
    p->write.sha256 = ak_sha256_of(p->picture.bytes);
    if (ak_store_pin(server->store, &p->write.sha256, err) != AK_OK)
        return err->status;
    p->pinned = true;
    return AK_OK;
}

// Everything before the networks; picture.n says how many it has to go through.
static ak_status part_prepare(part *p, ak_error *err)
{
    ingest *g = p->owner;
    ak_server *server = g->request->server;
    ak_wanted wanted;
    ak_picture_clear(&p->picture); // of the try before
    p->write.vector_count = 0;
    p->write.proxy = (ak_bytes){0};
    if (!p->pinned && part_read(p, err) != AK_OK)
        return err->status;
    if (ak_store_wanted(&wanted, server->store, g->generation, &p->write.sha256, err) != AK_OK)
        return err->status;
    return wanted.n ? ak_picture_prepare(&p->picture, server, &wanted, err) : AK_OK;
}

static void part_run(ak_task *task)
{
    part *p = (part *)task;
    bool first = p->tries == 0;
    ak_encoder *encoder = p->owner->encoder; // p may be over after the submit
    ak_encoder_keep(encoder);
    if (part_prepare(p, &p->error) == AK_OK && p->picture.n)
        ak_picture_embed(&p->picture, part_embedded);
    else
        hand_in(p);
    if (first)
        ak_batcher_prepared(ak_encoder_batcher(encoder));
    ak_encoder_release(encoder);
}

// --- from the request to its parts -------------------------------------------------------------

static ingest *ingest_new(ak_request *r)
{
    ingest *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->end.run = ingest_end;
    g->request = r;
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

static ak_status add_pictures(ingest *g, size_t n, ak_write_kind kind, ak_error *err)
{
    ak_request *r = g->request;
    g->pictures = calloc(n, sizeof *g->pictures);
    if (!g->pictures)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu pictures", n);
    g->n = n;
    atomic_init(&g->holds, n);
    for (size_t i = 0; i < n; i++) {
        part *p = &g->pictures[i];
        p->owner = g;
        p->task.run = part_run;
        p->said.fields.taken_at = AK_TIME_NONE;
        p->write = (ak_write){.kind = kind,
                              .collection = r->params[0],
                              .id = r->params[1],
                              .if_match = g->if_match[0] ? g->if_match : NULL,
                              .done = part_written,
                              .arg = p};
    }
    return AK_OK;
}

static ak_status take_raw(ingest *g, ak_write_kind kind, ak_error *err)
{
    ak_request *r = g->request;
    const char *id = ak_request_query(r, "id"), *name = ak_request_query(r, "name");
    if ((id && ak_image_id_check(id, err) != AK_OK) ||
        (name && ak_image_name_check(name, strlen(name), err) != AK_OK) ||
        add_pictures(g, 1, kind, err) != AK_OK)
        return err->status;
    part *p = &g->pictures[0];
    p->picture.bytes = r->body;
    p->said.fields.name = name;
    p->said.fields.set_name = name != NULL;
    if (id)
        p->write.id = id;
    p->write.fields = p->said.fields;
    return AK_OK;
}

// A first part "items" is JSON, whatever file name a client gave it.
static bool has_items(const ak_parts *parts)
{
    return parts->n && strcmp(parts->items[0].name, "items") == 0 &&
           (!parts->items[0].file || strcmp(parts->items[0].type, "application/json") == 0);
}

static ak_status read_items(ingest *g, size_t pictures, ak_error *err)
{
    g->items = ak_json_read(g->request, g->parts.items[0].bytes, err);
    if (!g->items)
        return ak_fail_within(err, "part \"items\"");
    if (!json_is_array(g->items) || json_array_size(g->items) != pictures)
        return ak_fail(err, AK_BAD_VALUE,
                       "\"items\" must be an array with one object a picture: it has %zu, and "
                       "there are %zu pictures",
                       json_array_size(g->items), pictures);
    return AK_OK;
}

static ak_status take_parts(ingest *g, ak_write_kind kind, ak_error *err)
{
    ak_request *r = g->request;
    const ak_server_options *o = r->server->options;
    // One more than pictures: "items".
    if (ak_multipart_read(&g->parts, r->headers.content_type, r->body, o->upload_part_bytes,
                          o->upload_parts + 1, err) != AK_OK)
        return err->status;
    size_t skip = has_items(&g->parts), n = g->parts.n - skip;
    for (size_t i = skip; i < g->parts.n; i++)
        if (!g->parts.items[i].file)
            return ak_fail(
                err, AK_BAD_REQUEST,
                "part %zu (\"%.64s\") has no file name; pictures have one, and \"items\" "
                "comes first",
                i + 1, g->parts.items[i].name);
    if (n == 0)
        return ak_fail(err, AK_BAD_REQUEST, "there is no part with a file name, so no picture");
    if (n > o->upload_parts)
        return ak_fail(err, AK_TOO_LARGE, "there are %zu pictures; at most %zu", n,
                       (size_t)o->upload_parts);
    if (kind == AK_WRITE_IMAGE_PUT && n != 1)
        return ak_fail(err, AK_BAD_REQUEST, "PUT takes one picture; there are %zu", n);
    if ((skip && read_items(g, n, err) != AK_OK) || add_pictures(g, n, kind, err) != AK_OK)
        return err->status;
    for (size_t i = 0; i < n; i++) {
        part *p = &g->pictures[i];
        const ak_part *from = &g->parts.items[skip + i];
        ak_image_fields *f = &p->said.fields;
        p->picture.bytes = from->bytes;
        if (skip) {
            char place[32];
            snprintf(place, sizeof place, "/%zu", i);
            ak_said_read(&p->said, r, place, json_array_get(g->items, i),
                         kind == AK_WRITE_IMAGE_ADD);
        }
        if (p->said.id)
            p->write.id = p->said.id;
        if (!skip && from->file_n) {
            f->name = from->file;
            f->set_name = true;
            ak_image_name_check(from->file, from->file_n, &p->error);
        }
        p->write.fields = *f;
    }
    return ak_json_sound(r, err);
}

static void run_ingest(ak_request *r, ak_write_kind kind)
{
    ak_error err = {0};
    bool multipart = ak_multipart_is(r->headers.content_type);
    ingest *g = ingest_new(r);
    if (!g) {
        ak_fail(&err, AK_OUT_OF_MEMORY, "no memory for an upload");
        goto failed;
    }
    if (ak_store_generation(&g->generation, r->server->store, r->params[0], &err) != AK_OK ||
        ak_encoders_ready(r->server->encoders, &err) != AK_OK ||
        ak_encoder_take(&g->encoder, r->server->encoders, ak_generation_model(g->generation),
                        &err) != AK_OK)
        goto failed;
    if (kind == AK_WRITE_IMAGE_PUT) {
        ak_image_record there = {0};
        int64_t version = -1;
        if (ak_image_id_check(r->params[1], &err) != AK_OK)
            goto failed;
        if (r->headers.if_match &&
            ak_store_image(&there, r->server->store, r->params[0], r->params[1], &err) == AK_OK)
            version = there.version;
        ak_image_record_clear(&there);
        if (ak_condition_match(g->if_match, r, version, &err) != AK_OK)
            goto failed;
    }
    ak_status taken = multipart ? take_parts(g, kind, &err) : take_raw(g, kind, &err);
    if (taken != AK_OK)
        goto failed;
    g->many = multipart && kind == AK_WRITE_IMAGE_ADD;
    size_t n = g->n; // the last push may be the end of g
    ak_batcher_expect(ak_encoder_batcher(g->encoder), n);
    for (size_t i = 0; i < n; i++)
        ak_work_picture(r->server->work, &g->pictures[i].task);
    return;
failed:
    if (g)
        ingest_free(g);
    ak_request_fail(r, &err);
}

void ak_handle_images_post(ak_request *r)
{
    run_ingest(r, AK_WRITE_IMAGE_ADD);
}

void ak_handle_image_put(ak_request *r)
{
    run_ingest(r, AK_WRITE_IMAGE_PUT);
}
