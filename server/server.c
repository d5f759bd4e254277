// Start, stop, and what the parts are given. The order of starting is the order of need; stopping
// is the reverse, and the network goes first so that nothing new comes in.
#include "server/server.h"

#include "core/base/file.h"
#include "core/base/log.h"
#include "server/daemon.h"
#include "server/routes.h"
#include "server/training.h"

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define CURSOR_KEY_FILE "cursor.key"

static size_t cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
}

// The first model of a folder becomes its base model. Another one, of a newer release, is a
// candidate: what collections are served by changes only when somebody promotes it.
static ak_status keep_model(ak_server *s, ak_bytes file, bool first, ak_error *err)
{
    ak_model *model = NULL;
    ak_model_record there;
    char id[AK_MODEL_ID_HEX + 1];
    ak_sha256 sum = ak_sha256_of(file);
    ak_hex(id, sum.at, AK_MODEL_ID_HEX / 2);
    if (ak_store_model(&there, s->store, id, NULL) == AK_OK) {
        ak_model_record_clear(&there);
        return AK_OK;
    }
    ak_status status = ak_model_read(&model, file, err);
    if (status == AK_OK) {
        ak_model_facts facts = {.id = ak_model_id(model),
                                .dims = ak_model_dims(model),
                                .state = first ? AK_MODEL_IMPORTED : AK_MODEL_CANDIDATE,
                                .lineage = "{\"source\": \"release\"}"};
        status = ak_store_model_add(s->store, &facts, file, err);
    }
    ak_model_free(model);
    return status;
}

static ak_status open_models(ak_server *s, const ak_batcher_options *batcher, ak_error *err)
{
    const ak_server_options *o = s->options;
    ak_buf file = {0};
    ak_bytes bytes = o->model_bytes;
    char base[AK_NAME_MAX + 1];
    ak_status status = ak_store_base_model(base, s->store, err);
    if (status == AK_OK && o->model_path) {
        status = ak_file_read(&file, o->model_path, AK_MODEL_FILE_LIMIT, err);
        bytes = ak_buf_bytes(&file);
    }
    if (status == AK_OK && !bytes.n && !base[0])
        status = ak_fail(err, AK_NOT_FOUND,
                         "the data folder has no model yet, and none was given to start with");
    if (status == AK_OK && bytes.n)
        status = keep_model(s, bytes, !base[0], err);
    if (status != AK_OK && base[0]) {
        ak_log(AK_LOG_WARN, "the model of this release is not kept: %s", err->text);
        status = AK_OK;
    }
    ak_buf_clear(&file);
    return status == AK_OK
               ? ak_encoders_open(&s->encoders, s->store, batcher, (size_t)o->loaded_models, err)
               : status;
}

// A folder that cannot be written serves on; its cursors then end with the process.
static void open_cursor_key(ak_server *s)
{
    ak_error err = {0};
    ak_cursor_key *key = &s->cursor_key;
    if (ak_secret_file(key->at, sizeof key->at, s->options->data, CURSOR_KEY_FILE, &err) == AK_OK)
        return;
    ak_log(AK_LOG_WARN, "cursors will not outlive this process: %s", err.text);
    if (getrandom(key->at, sizeof key->at, 0) != (ssize_t)sizeof key->at)
        ak_log(AK_LOG_WARN, "no random bytes for the cursors' key");
}

ak_status ak_server_start(ak_server **out, const ak_server_options *options, ak_error *err)
{
    *out = NULL;
    json_object_seed(0); // before there are threads
    ak_server *s = calloc(1, sizeof *s);
    if (!s)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the server");
    s->options = options;
    ak_budget_init(&s->decoded, (size_t)options->decoded_bytes);
    pthread_mutex_init(&s->promoting, NULL);
    ak_store_options store = AK_STORE_OPTIONS_DEFAULT;
    store.disk_floor = options->disk_floor;
    store.spare_models = (size_t)options->spare_models;
    // Every write in flight has a place: the slots of pictures, and one a request for the rest.
    store.write_queue = (size_t)(options->ingest_pictures + options->work_queue);
    ak_batcher_options batcher = {.threads = (int)options->embed_threads,
                                  .wait_us = (unsigned)options->batch_wait_us};
    ak_http_handler handler = {.head = ak_routes_head, .complete = ak_routes_complete, .server = s};
    if (ak_server_precision(&batcher.precision, options, err) != AK_OK ||
        ak_store_open(&s->store, options->data, &store, err) != AK_OK ||
        open_models(s, &batcher, err) != AK_OK || ak_keys_open(&s->keys, options, err) != AK_OK ||
        ak_work_start(&s->work, options->workers ? (size_t)options->workers : cores(),
                      (size_t)options->work_queue, (size_t)options->ingest_pictures,
                      err) != AK_OK ||
        ak_filler_start(&s->filler, s, err) != AK_OK)
        goto failed;
    open_cursor_key(s);
    if (ak_jobs_open(&s->jobs, s, err) != AK_OK)
        goto failed;
    ak_training_sweep(s);
    if (ak_http_start(&s->http, options, &handler, err) != AK_OK ||
        ak_jobs_start(s->jobs, err) != AK_OK ||
        ak_refine_trigger_start(&s->trigger, s, err) != AK_OK)
        goto failed;
    *out = s;
    return AK_OK;
failed:
    ak_server_stop(s);
    return err->status;
}

int ak_server_port(const ak_server *server)
{
    return ak_http_port(server->http);
}

void ak_server_stop(ak_server *s)
{
    if (!s)
        return;
    ak_refine_trigger_stop(s->trigger);
    ak_jobs_stop(s->jobs);
    ak_http_stop(s->http);
    ak_filler_stop(s->filler);
    ak_work_stop(s->work);
    ak_encoders_close(s->encoders);
    ak_jobs_free(s->jobs);
    ak_keys_close(s->keys);
    if (s->store)
        ak_store_close(s->store);
    ak_budget_clear(&s->decoded);
    pthread_mutex_destroy(&s->promoting);
    free(s);
}

ak_status ak_server_run(const ak_server_options *options, ak_error *err)
{
    ak_server *server = NULL;
    sigset_t stop, before;
    int got = 0;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &stop, &before); // all threads to come inherit it
    ak_status status = ak_server_start(&server, options, err);
    if (status != AK_OK)
        goto done;
    const char *colon = strrchr(options->listen, ':');
    ak_log(AK_LOG_INFO, "listening on http://%.*s:%d", (int)(colon - options->listen),
           options->listen, ak_server_port(server));
    sigwait(&stop, &got);
    ak_log(AK_LOG_INFO, "stopping: %s", got == SIGINT ? "interrupted" : "asked to end");
    pthread_sigmask(SIG_SETMASK, &before, NULL); // a second signal ends the process
    ak_server_stop(server);
done:
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}
