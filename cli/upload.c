// Threads: the caller's, which fills the queue, and `parallel` workers, which empty it. lock
// guards the queue and the counts; `stop` is set once, by the first worker whose server failed.
#include "cli/upload.h"

#include "cli/remote.h"
#include "core/image/image.h"

#include <stdio.h>
#include <stdlib.h>

#define QUEUE       64
#define QUEUE_BYTES ((size_t)64 << 20) // one picture more may be waiting

struct ak_uploader {
    const char *server, *collection;
    ak_report *report;
    pthread_t threads[AK_UPLOAD_PARALLEL_MAX];
    int started;

    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    ak_upload *queue[QUEUE]; // a ring
    size_t first, n, bytes;
    bool ended; // nothing more will come
    ak_upload_counts counts;
    size_t done;
    ak_error error; // why the workers stopped
    ak_client_stop stop;
};

void ak_upload_free(ak_upload *upload)
{
    if (!upload)
        return;
    free(upload->path);
    ak_buf_clear(&upload->bytes);
    free(upload);
}

static ak_upload *pop(ak_uploader *u)
{
    ak_upload *upload = NULL;
    pthread_mutex_lock(&u->lock);
    while (!u->n && !u->ended && !atomic_load(&u->stop))
        pthread_cond_wait(&u->filled, &u->lock);
    if (u->n && !atomic_load(&u->stop)) {
        upload = u->queue[u->first];
        u->first = (u->first + 1) % QUEUE;
        u->n--;
        u->bytes -= upload->bytes.n;
        pthread_cond_signal(&u->emptied);
    }
    pthread_mutex_unlock(&u->lock);
    return upload;
}

bool ak_uploader_push(ak_uploader *u, ak_upload *upload)
{
    pthread_mutex_lock(&u->lock);
    while ((u->n == QUEUE || u->bytes >= QUEUE_BYTES) && !atomic_load(&u->stop))
        pthread_cond_wait(&u->emptied, &u->lock);
    bool taken = !atomic_load(&u->stop);
    if (taken) {
        u->queue[(u->first + u->n++) % QUEUE] = upload;
        u->bytes += upload->bytes.n;
        pthread_cond_signal(&u->filled);
    }
    pthread_mutex_unlock(&u->lock);
    if (!taken)
        ak_upload_free(upload);
    return taken;
}

// One more file is done; count: which of the counts it belongs to, NULL for a refused one.
static void count_one(ak_uploader *u, size_t *count)
{
    char extra[96];
    pthread_mutex_lock(&u->lock);
    if (count)
        ++*count;
    size_t done = ++u->done;
    size_t sent = u->counts.created + u->counts.replaced;
    snprintf(extra, sizeof extra, "%zu sent, %zu there, %zu refused", sent, u->counts.existing,
             done - sent - u->counts.existing);
    pthread_mutex_unlock(&u->lock);
    ak_progress_update(&u->report->progress, done, extra);
}

void ak_uploader_existing(ak_uploader *u)
{
    count_one(u, &u->counts.existing);
}

void ak_uploader_refused(ak_uploader *u, const char *path, ak_status status, const char *reason)
{
    ak_report_refused(u->report, path, status, reason);
    count_one(u, NULL);
}

// Whether an error is about this one picture, so that the others can go on.
static bool is_refusal(ak_status status)
{
    return ak_status_exit(status) < 3 || status == AK_UNSUPPORTED_MEDIA || status == AK_INTERNAL;
}

static void stop_all(ak_uploader *u, const ak_error *err)
{
    pthread_mutex_lock(&u->lock);
    if (!atomic_load(&u->stop))
        u->error = *err;
    atomic_store(&u->stop, true);
    pthread_cond_broadcast(&u->filled);
    pthread_cond_broadcast(&u->emptied);
    pthread_mutex_unlock(&u->lock);
}

// "/v1/collections/C/images?id=ID&name=NAME" (POST) or ".../images/ID?name=NAME" (PUT).
static char *target(const ak_uploader *u, const ak_upload *upload, bool put)
{
    char *rest = NULL, *path = NULL, *id = ak_url_escape(upload->id);
    char *name = ak_import_name(upload->path), *escaped = name ? ak_url_escape(name) : NULL;
    if (id && escaped &&
        asprintf(&rest, put ? "/images/%s?name=%s" : "/images?id=%s&name=%s", id, escaped) < 0)
        rest = NULL;
    if (rest)
        path = ak_remote_path(AK_REMOTE_COLLECTIONS, u->collection, rest);
    free(rest);
    free(escaped);
    free(name);
    free(id);
    return path;
}

static ak_status send_one(size_t **count, ak_uploader *u, ak_client *client, ak_reply *reply,
                          const ak_upload *upload, ak_error *err)
{
    ak_format format = ak_format_sniff(ak_buf_bytes(&upload->bytes));
    ak_call call = {
        .method = "POST",
        .path = target(u, upload, false),
        .content_type = format ? ak_format_media(format) : "application/octet-stream",
        .body = ak_buf_bytes(&upload->bytes),
    };
    ak_status status = ak_client_call_patiently(reply, client, &call, &u->stop, err);
    // 200 on a later try: the first one was committed, and its answer was lost.
    *count = reply->http == 201 || reply->tries > 1 ? &u->counts.created : &u->counts.existing;
    if (status == AK_ID_TAKEN) {
        free((char *)call.path);
        call.method = "PUT";
        call.path = target(u, upload, true);
        status = ak_client_call_patiently(reply, client, &call, &u->stop, err);
        *count = &u->counts.replaced;
    }
    free((char *)call.path);
    return status;
}

static void *work(void *arg)
{
    ak_uploader *u = arg;
    ak_client *client = NULL;
    ak_reply reply = {0};
    ak_error err;
    ak_upload *upload;
    if (ak_client_new(&client, u->server, &err) != AK_OK) {
        stop_all(u, &err);
        return NULL;
    }
    while ((upload = pop(u))) {
        size_t *count = NULL;
        ak_status status = send_one(&count, u, client, &reply, upload, &err);
        if (status == AK_OK)
            count_one(u, count);
        else if (is_refusal(status))
            ak_uploader_refused(u, upload->path, status, err.text);
        else
            stop_all(u, &err);
        ak_upload_free(upload);
    }
    ak_reply_clear(&reply);
    ak_client_free(client);
    return NULL;
}

ak_status ak_uploader_new(ak_uploader **out, const char *server, const char *collection,
                          int parallel, ak_report *report, ak_error *err)
{
    *out = NULL;
    ak_uploader *u = calloc(1, sizeof *u);
    if (!u)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the uploads");
    u->server = server;
    u->collection = collection;
    u->report = report;
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->filled, NULL);
    pthread_cond_init(&u->emptied, NULL);
    for (; u->started < parallel; u->started++) {
        int errnum = pthread_create(&u->threads[u->started], NULL, work, u);
        if (errnum) {
            ak_uploader_free(u);
            return ak_fail_errno(err, errnum, "cannot start a thread");
        }
    }
    *out = u;
    return AK_OK;
}

static void join(ak_uploader *u)
{
    pthread_mutex_lock(&u->lock);
    u->ended = true;
    pthread_cond_broadcast(&u->filled);
    pthread_mutex_unlock(&u->lock);
    while (u->started)
        pthread_join(u->threads[--u->started], NULL);
}

ak_status ak_uploader_finish(ak_upload_counts *counts, ak_uploader *u, ak_error *err)
{
    join(u);
    *counts = u->counts;
    if (!atomic_load(&u->stop))
        return AK_OK;
    return ak_fail(err, u->error.status, "%s", u->error.text);
}

void ak_uploader_free(ak_uploader *u)
{
    if (!u)
        return;
    if (u->started)
        stop_all(u, &(ak_error){.status = AK_SHUTTING_DOWN, .text = "stopped"});
    join(u);
    for (; u->n; u->n--, u->first = (u->first + 1) % QUEUE)
        ak_upload_free(u->queue[u->first]);
    pthread_cond_destroy(&u->emptied);
    pthread_cond_destroy(&u->filled);
    pthread_mutex_destroy(&u->lock);
    free(u);
}
