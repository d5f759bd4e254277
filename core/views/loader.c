// A ring of RING batches. Workers claim single pictures, in order of batch and place, under
// `lock`; the reader waits for `ready` until the oldest batch is whole, and gives it back at its
// next call. A change of size empties the ring and starts again at the batch that comes next.
#include "core/views/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RING        3
#define THREADS_MAX 64

struct ak_loader {
    const ak_pictures *pictures;
    const ak_view_recipe *recipe;
    int side, threads_n, height;
    size_t batch;
    uint64_t seed;

    pthread_t threads[THREADS_MAX];
    pthread_mutex_t lock;
    pthread_cond_t ready, wanted;
    bool stop, held;
    uint64_t read;        // number of the batch that the reader takes next
    uint64_t claim;       // number of the batch that workers fill
    size_t claimed;       // pictures of it that are claimed
    uint64_t order_epoch; // of `order`
    uint32_t *order;      // the shuffle of an epoch
    ak_batch ring[RING];
    uint32_t *chosen[RING];
    uint64_t epoch[RING];
    size_t done[RING];
};

static void shuffle(ak_loader *l, uint64_t epoch)
{
    for (size_t i = 0; i < l->pictures->n; i++)
        l->order[i] = (uint32_t)i;
    ak_random r = ak_random_stream(l->seed, 0x0bde, (uint32_t)epoch, 0);
    ak_random_shuffle(&r, l->order, (uint32_t)l->pictures->n);
    l->order_epoch = epoch;
}

// Under lock: what batch number k is made of.
static void lay_out(ak_loader *l, uint64_t k)
{
    uint64_t each = l->pictures->n / l->batch, epoch = k / each;
    size_t slot = (size_t)(k % RING);
    if (l->order_epoch != epoch)
        shuffle(l, epoch);
    memcpy(l->chosen[slot], l->order + k % each * l->batch, l->batch * sizeof *l->order);
    l->epoch[slot] = epoch;
    l->done[slot] = 0;
}

static void *work(void *arg)
{
    ak_loader *l = arg;
    float *scratch = ak_alloc(ak_view_work(l->height, 1024), sizeof *scratch);
    pthread_mutex_lock(&l->lock);
    while (!l->stop && scratch) {
        if (l->claim >= l->read + RING - (l->held ? 1 : 0)) { // the held one is read - 1
            pthread_cond_wait(&l->wanted, &l->lock);
            continue;
        }
        uint64_t k = l->claim;
        size_t slot = (size_t)(k % RING), i = l->claimed++;
        if (i == 0)
            lay_out(l, k);
        if (l->claimed == l->batch) {
            l->claim++;
            l->claimed = 0;
        }
        uint32_t p = l->chosen[slot][i];
        uint64_t epoch = l->epoch[slot];
        int side = l->side;
        ak_batch *b = &l->ring[slot];
        size_t view = 3 * (size_t)side * (size_t)side;
        pthread_mutex_unlock(&l->lock);

        const ak_picture *picture = &l->pictures->items[p];
        for (uint32_t v = 0; v < 2; v++)
            ak_view_make(b->views + (v * l->batch + i) * view, side, &picture->image, l->recipe,
                         ak_random_stream(l->seed, (uint32_t)epoch, p, v + 1), scratch);
        b->labels[i] = b->labels[l->batch + i] = picture->label;

        pthread_mutex_lock(&l->lock);
        if (++l->done[slot] == l->batch)
            pthread_cond_signal(&l->ready);
    }
    pthread_mutex_unlock(&l->lock);
    free(scratch);
    return NULL;
}

static void stop_threads(ak_loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->wanted);
    pthread_mutex_unlock(&l->lock);
    for (int i = 0; i < l->threads_n; i++)
        pthread_join(l->threads[i], NULL);
}

static ak_status start_threads(ak_loader *l, int threads, ak_error *err)
{
    l->stop = false;
    l->held = false;
    l->claim = l->read;
    l->claimed = 0;
    for (l->threads_n = 0; l->threads_n < threads; l->threads_n++)
        if (pthread_create(&l->threads[l->threads_n], NULL, work, l) != 0)
            return ak_fail(err, AK_OUT_OF_MEMORY, "cannot start a thread for views");
    return AK_OK;
}

static ak_status make_room(ak_loader *l, int side, ak_error *err)
{
    size_t bytes;
    for (int i = 0; i < RING; i++) {
        free(l->ring[i].views);
        l->ring[i].views = NULL;
        if (!ak_mul(&bytes, 6 * l->batch, (size_t)side * (size_t)side) ||
            !(l->ring[i].views = ak_alloc(bytes, 1)))
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for batches of %zu views",
                           2 * l->batch);
    }
    l->side = side;
    return AK_OK;
}

ak_status ak_loader_new(ak_loader **out, const ak_pictures *pictures, const ak_view_recipe *recipe,
                        int side, size_t batch, uint64_t seed, uint64_t first, int threads,
                        ak_error *err)
{
    *out = NULL;
    if (batch < 2 || pictures->n < batch)
        return ak_fail(err, AK_BAD_VALUE,
                       "a batch of %zu pictures from a set of %zu; at least 2 and no more than the "
                       "set has",
                       batch, pictures->n);
    ak_loader *l = calloc(1, sizeof *l);
    if (!l)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the loader");
    l->pictures = pictures;
    l->recipe = recipe;
    l->batch = batch;
    l->seed = seed;
    l->read = first;
    l->order_epoch = UINT64_MAX;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->ready, NULL);
    pthread_cond_init(&l->wanted, NULL);
    for (size_t i = 0; i < pictures->n; i++)
        if (pictures->items[i].image.height > l->height)
            l->height = pictures->items[i].image.height;
    ak_status status = make_room(l, side, err);
    l->order = ak_alloc(pictures->n, sizeof *l->order);
    for (int i = 0; i < RING && status == AK_OK; i++) {
        l->ring[i].labels = ak_alloc(2 * batch, sizeof *l->ring[i].labels);
        l->chosen[i] = ak_alloc(batch, sizeof *l->chosen[i]);
        if (!l->ring[i].labels || !l->chosen[i] || !l->order)
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the loader");
    }
    if (status == AK_OK)
        status = start_threads(l,
                               threads < 1             ? 1
                               : threads > THREADS_MAX ? THREADS_MAX
                                                       : threads,
                               err);
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
    while (l->claim <= l->read || l->done[slot] < l->batch)
        pthread_cond_wait(&l->ready, &l->lock);
    l->read++;
    l->held = true;
    pthread_mutex_unlock(&l->lock);
    return &l->ring[slot];
}

ak_status ak_loader_side(ak_loader *l, int side, ak_error *err)
{
    int threads = l->threads_n;
    stop_threads(l);
    l->threads_n = 0;
    ak_status status = make_room(l, side, err);
    return status == AK_OK ? start_threads(l, threads, err) : status;
}

void ak_loader_free(ak_loader *l)
{
    if (!l)
        return;
    stop_threads(l);
    for (int i = 0; i < RING; i++) {
        free(l->ring[i].views);
        free(l->ring[i].labels);
        free(l->chosen[i]);
    }
    pthread_cond_destroy(&l->wanted);
    pthread_cond_destroy(&l->ready);
    pthread_mutex_destroy(&l->lock);
    free(l->order);
    free(l);
}
