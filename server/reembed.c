// A pass: pages of what is missing, in batches; each is read here, decoded and embedded on a thread
// of low priority (with a team of such), and written here. So nothing that holds a lock or a
// reader of the store can be kept waiting by busier threads, and a request finds the cores free.
#include "server/reembed.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "server/daemon.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PAGE      256 // pictures of one look at what is missing
#define BATCH     8   // pictures between two looks at who else wants the cores
#define POLITE_MS 250 // how long a batch waits for requests at most
#define NICE      10 // a tenth of a core against a busy one; at 19 or idle a pass may starve for hours
#define TRIES     100 // promotions that uploads may get in the way of

typedef struct {
    ak_server *server;
    const ak_reembed *what;
    ak_encoder *encoder; // of a change: loaded all the time, since uploads are embedded by it too
    ak_model *own;       // else
    const ak_model *model;
    ak_precision precision;
    ak_embedder *embedder; // made when there is something to embed
    size_t input_bytes, dims;
    uint8_t *inputs; // (BATCH, input_bytes)
    float *vectors;  // (BATCH, dims)
    ak_sha256 sums[BATCH];
    ak_buf proxies[BATCH];
    size_t n;
    int64_t done, total;
    int64_t broken; // pictures of this round that could not be embedded
    ak_error fault;
} pass;

static bool stopped(const pass *p)
{
    return p->what->stop && atomic_load(p->what->stop);
}

static void tell(const pass *p)
{
    if (p->what->progress)
        p->what->progress(p->what->arg, p->done, p->total);
}

// --- one batch, at low priority ----------------------------------------------------------------

static void *compute(void *arg)
{
    pass *p = arg;
    pthread_setname_np(pthread_self(), "akin-reembed");
    // A refusal would cost requests some latency, nothing else.
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
    if (p->server->options->embed_threads)
        omp_set_num_threads((int)p->server->options->embed_threads);
    ak_error err = {0};
    size_t kept = 0;
    for (size_t i = 0; i < p->n; i++) {
        ak_image pixels = {0};
        ak_status status = ak_proxy_read(&pixels, ak_buf_bytes(&p->proxies[i]), &err);
        if (status == AK_OK)
            status = ak_model_prepare(p->inputs + kept * p->input_bytes, p->model, &pixels, &err);
        ak_image_clear(&pixels);
        p->sums[kept] = p->sums[i];
        kept += status == AK_OK;
        if (status == AK_OK)
            continue;
        char sum[AK_SHA256_HEX + 1];
        ak_sha256_hex(sum, &p->sums[i]);
        ak_log(AK_LOG_WARN, "picture %s is not embedded: %s", sum, err.text);
        p->broken++;
    }
    p->n = kept;
    ak_embedder_run(p->vectors, p->embedder, p->inputs, kept, &p->fault);
    return NULL;
}

// Requests first; but a server that is never idle does not stop the pass either.
static void give_way(const pass *p)
{
    double until = ak_clock_s() + POLITE_MS / 1e3;
    while (ak_work_busy(p->server->work) && ak_clock_s() < until && !stopped(p))
        usleep(2000);
}

static ak_status run_batch(pass *p, const ak_sha256 *sums, size_t n, ak_error *err)
{
    pthread_t thread;
    p->n = 0;
    for (size_t i = 0; i < n; i++) {
        p->proxies[p->n].n = 0;
        p->sums[p->n] = sums[i];
        ak_status status =
            ak_store_picture_proxy(&p->proxies[p->n], p->server->store, &sums[i], err);
        if (status != AK_OK && status != AK_NOT_FOUND) // it has been deleted
            return status;
        p->n += status == AK_OK;
    }
    if (!p->n)
        return AK_OK;
    if (!p->embedder) {
        ak_status status = ak_embedder_new(&p->embedder, p->model, p->precision, err);
        if (status != AK_OK)
            return status;
    }
    give_way(p);
    p->fault = (ak_error){0};
    int failed = pthread_create(&thread, NULL, compute, p);
    if (failed)
        return ak_fail_errno(err, failed, "cannot start a thread for embedding");
    pthread_join(thread, NULL);
    if (p->fault.status != AK_OK) {
        *err = p->fault;
        return err->status;
    }
    return p->n ? ak_store_put_vectors(p->server->store, p->what->model, (int)p->dims, p->sums,
                                       p->vectors, p->n, err)
                : AK_OK;
}

// --- the pass ----------------------------------------------------------------------------------

static ak_status stop_here(const pass *p, ak_error *err)
{
    return ak_fail(err, AK_SHUTTING_DOWN, "embedding by model %.64s was stopped after %lld of %lld",
                   p->what->model, (long long)p->done, (long long)p->total);
}

// Once through all that is missing. *found: how many there were.
static ak_status round_of(pass *p, size_t *found, ak_error *err)
{
    ak_sha256 sums[PAGE];
    int64_t after = 0;
    size_t n = 0;
    ak_status status = AK_OK;
    *found = 0;
    p->broken = 0;
    do {
        status = ak_store_missing(sums, &n, &after, p->server->store, p->what->model, PAGE, err);
        for (size_t i = 0; status == AK_OK && i < n; i += BATCH) {
            if (stopped(p))
                return stop_here(p, err);
            status = run_batch(p, sums + i, n - i < BATCH ? n - i : BATCH, err);
            p->done += (int64_t)p->n;
            p->total = p->done > p->total ? p->done : p->total;
            tell(p);
        }
        *found += n;
    } while (status == AK_OK && n == PAGE);
    return status;
}

static ak_status fill(pass *p, ak_error *err)
{
    size_t found = 1;
    ak_status status = AK_OK;
    while (status == AK_OK && found) {
        status = round_of(p, &found, err);
        if (status == AK_OK && found && (int64_t)found == p->broken)
            status = ak_fail(err, AK_BROKEN_IMAGE,
                             "%lld pictures cannot be embedded by model %.64s: their small copies "
                             "are damaged; delete them, or upload them again",
                             (long long)found, p->what->model);
    }
    return status;
}

// The encoder is warm before it serves, so that no search waits for it.
static ak_status promote(pass *p, ak_error *err)
{
    int64_t promoted = 0;
    ak_status status = AK_OK;
    while (status == AK_OK &&
           (status = ak_batcher_ready(ak_encoder_batcher(p->encoder), err)) == AK_OVERLOADED) {
        status = stopped(p) ? stop_here(p, err) : AK_OK;
        usleep(10000);
    }
    for (int i = 0; status == AK_OK && i < TRIES; i++) {
        if (stopped(p)) // the last moment
            return stop_here(p, err);
        status = ak_store_promote(&promoted, p->server->store, p->what->model, err);
        if (status != AK_CONFLICT || i == TRIES - 1)
            break;
        status = stopped(p) ? stop_here(p, err) : fill(p, err); // an upload came in between
    }
    if (status == AK_OK)
        ak_log(AK_LOG_INFO, "model %s serves %lld more collections", p->what->model,
               (long long)promoted);
    return status;
}

static ak_status load_model(pass *p, ak_error *err)
{
    ak_buf file = {0};
    ak_status status;
    if (p->what->n) {
        status = ak_encoder_take(&p->encoder, p->server->encoders, p->what->model, err);
        p->model = status == AK_OK ? ak_encoder_model(p->encoder) : NULL;
        return status;
    }
    status = ak_store_model_read(&file, p->server->store, p->what->model, err);
    if (status == AK_OK)
        status = ak_model_read(&p->own, ak_buf_bytes(&file), err);
    p->model = p->own;
    ak_buf_clear(&file);
    return status;
}

static ak_status open_pass(pass *p, ak_error *err)
{
    ak_server *server = p->server;
    int64_t missing = 0;
    ak_status status = load_model(p, err);
    if (status == AK_OK && p->what->n)
        status = ak_store_change_begin(server->store, p->what->model, p->what->collections,
                                       p->what->n, err);
    if (status == AK_OK)
        status = ak_store_coverage(&p->total, &missing, server->store, p->what->model, err);
    if (status == AK_OK)
        status = ak_server_precision(&p->precision, server->options, err);
    if (status != AK_OK)
        return status;
    p->done = p->total - missing;
    p->input_bytes = ak_model_input_bytes(p->model);
    p->dims = (size_t)ak_model_dims(p->model);
    p->inputs = ak_alloc(BATCH, p->input_bytes);
    p->vectors = ak_alloc(BATCH, p->dims * sizeof *p->vectors);
    return p->inputs && p->vectors
               ? AK_OK
               : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a batch of pictures");
}

ak_status ak_reembed_run(ak_server *server, const ak_reembed *what, ak_error *err)
{
    pass *p = ak_alloc(1, sizeof *p);
    if (!p)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to embed pictures again");
    p->server = server;
    p->what = what;
    ak_status status = open_pass(p, err);
    if (status == AK_OK)
        tell(p);
    if (status == AK_OK)
        status = fill(p, err);
    if (status == AK_OK && what->n && what->promote)
        status = promote(p, err);
    ak_embedder_free(p->embedder);
    ak_encoder_release(p->encoder);
    ak_model_free(p->own);
    for (size_t i = 0; i < BATCH; i++)
        ak_buf_clear(&p->proxies[i]);
    free(p->inputs);
    free(p->vectors);
    free(p);
    ak_encoders_trim(server->encoders);
    return status;
}
