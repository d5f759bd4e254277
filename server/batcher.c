// batcher->lock guards the list, the state and `stopping`; a leaf. The thread takes up to
// AK_EMBED_BATCH inputs, or what came within wait_us of the first, and runs them as one batch while
// workers go on decoding.
#include "server/batcher.h"

#include "core/base/clock.h"
#include "core/base/log.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct ak_batcher {
    pthread_t thread;
    const ak_model *model;
    ak_batcher_options options;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    ak_embed *first, **last;
    size_t count, expected; // inputs that wait; pictures that workers still prepare
    bool stopping;
    ak_status state; // AK_OVERLOADED until warm
    ak_error fault;
};

static void set_state(ak_batcher *b, ak_status state)
{
    pthread_mutex_lock(&b->lock);
    b->state = state;
    pthread_mutex_unlock(&b->lock);
}

// Waits for a first input, then a little for those that are on their way; takes at most
// AK_EMBED_BATCH. 0: the end.
static size_t take_batch(ak_batcher *b, ak_embed **batch)
{
    pthread_mutex_lock(&b->lock);
    while (!b->first && !b->stopping)
        pthread_cond_wait(&b->wake, &b->lock);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)b->options.wait_us * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (b->count < AK_EMBED_BATCH && b->expected && !b->stopping)
        if (pthread_cond_timedwait(&b->wake, &b->lock, &until) != 0)
            break;
    size_t n = 0;
    for (; b->first && n < AK_EMBED_BATCH; n++) {
        batch[n] = b->first;
        b->first = b->first->next;
        b->count--;
    }
    if (!b->first)
        b->last = &b->first;
    pthread_mutex_unlock(&b->lock);
    return n;
}

static void run_batch(ak_batcher *b, ak_embedder *embedder, ak_embed **batch, size_t n,
                      uint8_t *inputs, float *vectors)
{
    size_t input_bytes = ak_model_input_bytes(b->model);
    size_t dims = (size_t)ak_model_dims(b->model);
    ak_error err = {0};
    ak_status status = b->state;
    if (embedder) {
        for (size_t i = 0; i < n; i++)
            memcpy(inputs + i * input_bytes, batch[i]->input, input_bytes);
        status = ak_embedder_run(vectors, embedder, inputs, n, &err);
        if (status != AK_OK)
            ak_log(AK_LOG_ERROR, "a batch of %zu could not be embedded: %s", n, err.text);
    } else {
        err = b->fault;
    }
    for (size_t i = 0; i < n; i++) {
        batch[i]->status = status;
        batch[i]->error = err;
        if (status == AK_OK)
            memcpy(batch[i]->vector, vectors + i * dims, dims * sizeof *vectors);
        batch[i]->done(batch[i]); // batch[i] may be gone after this
    }
}

static void *batcher_main(void *arg)
{
    ak_batcher *b = arg;
    pthread_setname_np(pthread_self(), "akin-batcher");
    if (b->options.threads > 0)
        omp_set_num_threads(b->options.threads);
    ak_embedder *embedder = NULL;
    ak_embed *batch[AK_EMBED_BATCH];
    uint8_t *inputs = ak_alloc(AK_EMBED_BATCH, ak_model_input_bytes(b->model));
    float *vectors = ak_alloc((size_t)ak_model_dims(b->model) * AK_EMBED_BATCH, sizeof *vectors);
    double began = ak_clock_s();
    ak_status status = AK_OUT_OF_MEMORY;
    if (inputs && vectors)
        status = ak_embedder_new(&embedder, b->model, b->options.precision, &b->fault);
    else
        ak_fail(&b->fault, status, "no memory for a batch of pictures");
    if (status == AK_OK)
        status = ak_embedder_run(vectors, embedder, inputs, AK_EMBED_BATCH, &b->fault);
    if (status == AK_OK)
        status = ak_embedder_run(vectors, embedder, inputs, 1, &b->fault);
    set_state(b, status);
    if (status == AK_OK) {
        ak_log(AK_LOG_INFO, "model %s is warm after %.1f s", ak_model_id(b->model),
               ak_clock_s() - began);
    } else {
        ak_log(AK_LOG_ERROR, "the model cannot be run: %s", b->fault.text);
        ak_embedder_free(embedder);
        embedder = NULL;
    }
    for (size_t n; (n = take_batch(b, batch));)
        run_batch(b, embedder, batch, n, inputs, vectors);
    ak_embedder_free(embedder);
    free(inputs);
    free(vectors);
    return NULL;
}

ak_status ak_batcher_start(ak_batcher **out, const ak_model *model,
                           const ak_batcher_options *options, ak_error *err)
{
    *out = NULL;
    ak_batcher *b = calloc(1, sizeof *b);
    if (!b)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the batcher");
    b->model = model;
    b->options = *options;
    b->last = &b->first;
    b->state = AK_OVERLOADED;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&b->lock, NULL);
    int failed = pthread_create(&b->thread, NULL, batcher_main, b);
    if (failed) {
        free(b);
        return ak_fail_errno(err, failed, "cannot start the batcher's thread");
    }
    *out = b;
    return AK_OK;
}

ak_status ak_batcher_ready(ak_batcher *b, ak_error *err)
{
    pthread_mutex_lock(&b->lock);
    ak_status state = b->state;
    pthread_mutex_unlock(&b->lock);
    if (state == AK_OVERLOADED)
        return ak_fail(err, state, "the model is still warming up; try again in a moment");
    if (state != AK_OK && err)
        *err = b->fault; // written before the state
    return state;
}

void ak_batcher_submit(ak_batcher *b, ak_embed *embed)
{
    embed->next = NULL;
    pthread_mutex_lock(&b->lock);
    *b->last = embed;
    b->last = &embed->next;
    b->count++;
    if (b->count == 1 || b->count >= AK_EMBED_BATCH)
        pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
}

void ak_batcher_expect(ak_batcher *b, size_t pictures)
{
    pthread_mutex_lock(&b->lock);
    b->expected += pictures;
    pthread_mutex_unlock(&b->lock);
}

void ak_batcher_prepared(ak_batcher *b)
{
    pthread_mutex_lock(&b->lock);
    if (--b->expected == 0)
        pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
}

void ak_batcher_stop(ak_batcher *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->stopping = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    pthread_join(b->thread, NULL);
    pthread_cond_destroy(&b->wake);
    pthread_mutex_destroy(&b->lock);
    free(b);
}
