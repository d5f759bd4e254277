// A ring of AK_LOADER_AHEAD batches. Workers claim single pictures, in order of batch and place,
// under `lock`; the reader waits for `ready` until the oldest batch is whole, and gives it back at
// its next call. A change of size empties the ring and starts again at the batch that comes next.
#include "core/views/loader.h"

#include "core/views/views.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RING        AK_LOADER_AHEAD
#define THREADS_MAX 64
#define BATCH_MAX   (UINT32_MAX >> 8) // a place in it is part of the name of a stream

typedef struct {
    ak_loader *loader;
    pthread_t thread;
    float *scratch;
} worker;

struct ak_loader {
    ak_loader_options o;
    ak_view_recipe recipes[3]; // of first, second and small views
    ak_sampler sampler, own;   // own: what was made here, to be freed
    size_t n, from;            // pictures a batch of this rank, and its place among all
    int width, height;         // of the largest pictures

    worker workers[THREADS_MAX];
    int workers_n; // running
    pthread_mutex_t lock;
    pthread_cond_t ready, wanted;
    bool stop, held;
    uint64_t read;   // number of the batch that the reader takes next
    uint64_t claim;  // number of the batch that workers fill
    size_t claimed;  // pictures of it that are claimed
    uint64_t chosen; // number of the batch whose pictures are chosen next
    uint32_t *whole; // (batch) of all ranks
    ak_batch ring[RING];
    size_t done[RING];
};

// Under lock: what batch number k is made of.
static void lay_out(ak_loader *l, uint64_t k)
{
    size_t slot = (size_t)(k % RING);
    l->done[slot] = 0;
    if (k < l->chosen) // before a change of size
        return;
    l->sampler.choose(l->sampler.arg, l->whole, l->o.batch, k);
    memcpy(l->ring[slot].chosen, l->whole + l->from, l->n * sizeof *l->whole);
    l->chosen = k + 1;
}

// The stream of view v of the picture at a place of batch k.
static ak_random stream_of(const ak_loader *l, uint64_t k, uint32_t picture, size_t place,
                           uint32_t v)
{
    if (l->sampler.epoch_batches)
        return ak_random_stream(l->o.seed, (uint32_t)(k / l->sampler.epoch_batches), picture,
                                v + 1);
    return ak_random_stream(l->o.seed, (uint32_t)k, picture, (uint32_t)(place << 8) | (v + 1));
}

static void make(const ak_loader *l, const ak_batch *b, uint64_t k, size_t i, float *scratch)
{
    uint32_t p = b->chosen[i];
    const ak_picture *picture = &l->o.pictures->items[p];
    uint32_t views = 2 + (uint32_t)l->o.plan.small.count;
    for (uint32_t v = 0; v < views; v++) {
        int side = v < 2 ? l->o.side : l->o.plan.small.side;
        size_t bytes = 3 * (size_t)side * (size_t)side;
        uint8_t *to =
            v < 2 ? b->views + (v * l->n + i) * bytes : b->small + ((v - 2) * l->n + i) * bytes;
        ak_view_make(to, side, &picture->image, &l->recipes[v < 2 ? v : 2],
                     stream_of(l, k, p, l->from + i, v), scratch);
    }
    b->labels[i] = b->labels[l->n + i] = picture->label;
}

static void *work(void *arg)
{
    const worker *w = arg;
    ak_loader *l = w->loader;
    pthread_mutex_lock(&l->lock);
    while (!l->stop) {
        if (l->claim >= l->read + RING - (l->held ? 1 : 0)) { // the held one is read - 1
            pthread_cond_wait(&l->wanted, &l->lock);
            continue;
        }
        uint64_t k = l->claim;
        size_t slot = (size_t)(k % RING), i = l->claimed++;
        if (i == 0)
            lay_out(l, k);
        if (l->claimed == l->n) {
            l->claim++;
            l->claimed = 0;
        }
        pthread_mutex_unlock(&l->lock);
        make(l, &l->ring[slot], k, i, w->scratch);
        pthread_mutex_lock(&l->lock);
        if (++l->done[slot] == l->n)
            pthread_cond_signal(&l->ready);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static void stop(ak_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->wanted);
    pthread_mutex_unlock(&l->lock);
    for (; l->workers_n > 0; l->workers_n--)
        pthread_join(l->workers[l->workers_n - 1].thread, NULL);
}

static size_t view_bytes(int side)
{
    return 3 * (size_t)side * (size_t)side;
}

// Room for views of this side, and the threads.
static ak_status start(ak_loader *l, int side, ak_error *err)
{
    int small = l->o.plan.small.side;
    size_t views, floats = ak_view_work(l->width, l->height, side > small ? side : small);
    if (!ak_mul(&views, 2 * l->n, view_bytes(side)))
        return ak_fail(err, AK_BAD_VALUE, "views of %d px are too large", side);
    l->o.side = side;
    for (int i = 0; i < RING; i++) {
        free(l->ring[i].views);
        if (!(l->ring[i].views = ak_alloc(views, 1)))
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for batches of %zu views", 2 * l->n);
    }
    l->stop = l->held = false;
    l->claim = l->read;
    l->claimed = 0;
    for (int i = 0; i < l->o.threads; i++) {
        worker *w = &l->workers[i];
        free(w->scratch);
        w->loader = l;
        if (!(w->scratch = ak_alloc(floats, sizeof *w->scratch)) ||
            pthread_create(&w->thread, NULL, work, w) != 0)
            return ak_fail(err, AK_OUT_OF_MEMORY, "cannot start a thread for views");
        l->workers_n++;
    }
    return AK_OK;
}

static ak_status check(const ak_loader_options *o, ak_error *err)
{
    if (o->batch % (size_t)o->ranks != 0 || o->rank < 0 || o->rank >= o->ranks)
        return ak_fail(err, AK_BAD_VALUE,
                       "part %d of %d of a batch of %zu; the batch must be a multiple", o->rank,
                       o->ranks, o->batch);
    if (o->batch < 2 || o->batch > BATCH_MAX)
        return ak_fail(err, AK_BAD_VALUE, "a batch of %zu pictures; 2 to %u are possible", o->batch,
                       BATCH_MAX);
    return ak_view_plan_check(&o->plan, err);
}

ak_status ak_loader_new(ak_loader **out, const ak_loader_options *options, ak_error *err)
{
    *out = NULL;
    ak_loader *l = calloc(1, sizeof *l);
    if (!l)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the loader");
    ak_loader_options *o = &l->o;
    *o = *options;
    o->threads = o->threads < 1 ? 1 : o->threads > THREADS_MAX ? THREADS_MAX : o->threads;
    o->ranks = o->ranks < 1 ? 1 : o->ranks;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->ready, NULL);
    pthread_cond_init(&l->wanted, NULL);
    ak_status status = check(o, err);
    if (status == AK_OK && !o->sampler)
        status = ak_sampler_epochs(&l->own, o->pictures->n, o->batch, o->seed, err);
    l->sampler = o->sampler ? *o->sampler : l->own;
    l->recipes[0] = o->plan.first;
    l->recipes[1] = o->plan.second;
    l->recipes[2] = ak_view_small_recipe(&o->plan);
    l->n = o->batch / (size_t)o->ranks;
    l->from = (size_t)o->rank * l->n;
    l->read = l->chosen = o->first;
    for (size_t i = 0; i < o->pictures->n; i++) {
        const ak_image *image = &o->pictures->items[i].image;
        l->width = image->width > l->width ? image->width : l->width;
        l->height = image->height > l->height ? image->height : l->height;
    }
    if (status == AK_OK && !(l->whole = ak_alloc(o->batch, sizeof *l->whole)))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the loader");
    for (int i = 0; i < RING && status == AK_OK; i++) {
        size_t small = (size_t)o->plan.small.count * l->n;
        ak_batch *b = &l->ring[i];
        b->n = l->n;
        b->labels = ak_alloc(2 * l->n, sizeof *b->labels);
        b->chosen = ak_alloc(l->n, sizeof *b->chosen);
        b->small = small ? ak_alloc(small, view_bytes(o->plan.small.side)) : NULL;
        if (!b->labels || !b->chosen || (small && !b->small))
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the loader");
    }
    if (status == AK_OK)
        status = start(l, o->side, err);
    if (status != AK_OK) {
        ak_loader_free(l);
        return status;
    }
    *out = l;
    return AK_OK;
}

const ak_batch *ak_loader_next(ak_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->held = false;
    pthread_cond_broadcast(&l->wanted);
    size_t slot = (size_t)(l->read % RING);
    while (l->claim <= l->read || l->done[slot] < l->n)
        pthread_cond_wait(&l->ready, &l->lock);
    l->read++;
    l->held = true;
    pthread_mutex_unlock(&l->lock);
    return &l->ring[slot];
}

ak_status ak_loader_side(ak_loader *l, int side, ak_error *err)
{
    stop(l);
    return start(l, side, err);
}

void ak_loader_free(ak_loader *l)
{
    if (!l)
        return;
    stop(l);
    for (int i = 0; i < RING; i++) {
        free(l->ring[i].views);
        free(l->ring[i].small);
        free(l->ring[i].labels);
        free(l->ring[i].chosen);
    }
    for (int i = 0; i < THREADS_MAX; i++)
        free(l->workers[i].scratch);
    pthread_cond_destroy(&l->wanted);
    pthread_cond_destroy(&l->ready);
    pthread_mutex_destroy(&l->lock);
    ak_sampler_clear(&l->own);
    free(l->whole);
    free(l);
}
