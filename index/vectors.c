// The writer's side of a generation's vectors, and the references that searches take.
// vectors_inside.h says which lock guards what.
#include "index/vectors_inside.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_LEAST 64 // rows; doubled up to CHUNK_MOST, so that a small collection stays small
#define CHUNK_MOST  4096

static ak_chunk *chunk_new(size_t capacity, int dims)
{
    size_t head = sizeof(ak_chunk) + capacity * (sizeof(ak_row) + 2 * sizeof(uint64_t));
    head = (head + 63) / 64 * 64;
    char *at = ak_alloc(1, head + capacity * (size_t)dims * sizeof(float));
    ak_chunk *chunk = (ak_chunk *)(void *)at;
    if (!chunk)
        return NULL;
    chunk->capacity = capacity;
    atomic_init(&chunk->references, 1);
    chunk->vectors = (float *)(void *)(at + head);
    at += sizeof *chunk;
    chunk->rows = (ak_row *)(void *)at;
    at += capacity * sizeof *chunk->rows;
    chunk->born = (uint64_t *)(void *)at;
    at += capacity * sizeof *chunk->born;
    chunk->died = (_Atomic uint64_t *)(void *)at;
    return chunk;
}

static void chunk_release(ak_chunk *chunk)
{
    while (chunk && atomic_fetch_sub_explicit(&chunk->references, 1, memory_order_acq_rel) == 1) {
        ak_chunk *next = atomic_load(&chunk->next);
        free(chunk);
        chunk = next;
    }
}

ak_view *ak_view_take(ak_vectors *vectors)
{
    pthread_mutex_lock(&vectors->view_lock);
    ak_view *view = vectors->view;
    atomic_fetch_add_explicit(&view->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&vectors->view_lock);
    return view;
}

void ak_view_release(ak_view *view)
{
    if (!view || atomic_fetch_sub_explicit(&view->references, 1, memory_order_acq_rel) != 1)
        return;
    ak_main_release(view->main);
    chunk_release(view->first.chunk);
    free(view);
}

ak_status ak_vectors_new(ak_vectors **out, int dims, uint64_t sequence, ak_error *err)
{
    *out = NULL;
    ak_vectors *vectors = ak_alloc(1, sizeof *vectors);
    ak_view *view = ak_alloc(1, sizeof *view);
    ak_chunk *chunk = chunk_new(CHUNK_LEAST, dims);
    if (!vectors || !view || !chunk) {
        free(vectors);
        free(view);
        free(chunk);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a generation's vectors");
    }
    *view = (ak_view){.references = 1, .first = {chunk, 0}, .base = sequence};
    vectors->dims = dims;
    vectors->view = view;
    vectors->end = view->first;
    atomic_init(&vectors->published, sequence);
    pthread_mutex_init(&vectors->change, NULL);
    pthread_mutex_init(&vectors->view_lock, NULL);
    *out = vectors;
    return AK_OK;
}

void ak_vectors_free(ak_vectors *vectors)
{
    if (!vectors)
        return;
    ak_view_release(vectors->view);
    pthread_mutex_destroy(&vectors->change);
    pthread_mutex_destroy(&vectors->view_lock);
    free(vectors->removed);
    free(vectors);
}

ak_status ak_vectors_adopt(ak_vectors *vectors, ak_main *main, ak_error *err)
{
    if (main->n && ak_faiss_dims(main->index) != vectors->dims)
        return ak_fail(err, AK_CORRUPT, "the index has %d dimensions, not %d",
                       ak_faiss_dims(main->index), vectors->dims);
    vectors->view->main = main;
    for (size_t i = 0; i < main->n; i++)
        vectors->dead += atomic_load(&main->died[i]) != 0;
    if (vectors->dead)
        vectors->first_death_s = ak_clock_s();
    return AK_OK;
}

// --- a batch -----------------------------------------------------------------------------------

void ak_vectors_begin(ak_vectors *vectors, uint64_t sequence)
{
    pthread_mutex_lock(&vectors->change);
    vectors->next = sequence;
    vectors->mark = vectors->end;
    vectors->removed_count = 0;
}

ak_status ak_vectors_append(ak_vectors *vectors, const ak_row *row, const float *vector,
                            ak_error *err)
{
    ak_place *end = &vectors->end;
    if (end->at == end->chunk->capacity) {
        size_t capacity = end->chunk->capacity * 2;
        ak_chunk *chunk = chunk_new(capacity < CHUNK_MOST ? capacity : CHUNK_MOST, vectors->dims);
        if (!chunk)
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for another vector");
        atomic_store_explicit(&end->chunk->next, chunk, memory_order_release);
        *end = (ak_place){chunk, 0};
    }
    ak_chunk *chunk = end->chunk;
    size_t dims = (size_t)vectors->dims;
    chunk->rows[end->at] = *row;
    chunk->born[end->at] = vectors->next;
    memcpy(chunk->vectors + end->at * dims, vector, dims * sizeof *vector);
    atomic_store_explicit(&chunk->n, ++end->at, memory_order_release);
    vectors->tail++;
    return AK_OK;
}

static _Atomic uint64_t *find_in_main(const ak_main *main, int64_t image)
{
    size_t low = 0, high = main ? main->n : 0;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (main->rows[middle].image < image)
            low = middle + 1;
        else
            high = middle;
    }
    bool here = main && low < main->n && main->rows[low].image == image;
    return here && atomic_load(&main->died[low]) == 0 ? &main->died[low] : NULL;
}

// The tail is bounded by folding: looking through its keys takes some ten microseconds.
static _Atomic uint64_t *find_in_tail(const ak_view *view, int64_t image)
{
    size_t at = view->first.at;
    for (ak_chunk *chunk = view->first.chunk; chunk; chunk = atomic_load(&chunk->next), at = 0) {
        size_t n = atomic_load(&chunk->n);
        for (; at < n; at++)
            if (chunk->rows[at].image == image && atomic_load(&chunk->died[at]) == 0)
                return &chunk->died[at];
    }
    return NULL;
}

ak_status ak_vectors_remove(ak_vectors *vectors, int64_t image, ak_error *err)
{
    // `view` is changed under `change` as well, which is held: no view_lock is needed to read it.
    _Atomic uint64_t *died = find_in_main(vectors->view->main, image);
    if (!died)
        died = find_in_tail(vectors->view, image);
    if (!died)
        return AK_OK;
    if (vectors->removed_count == vectors->removed_capacity) {
        size_t capacity = vectors->removed_capacity ? 2 * vectors->removed_capacity : 64;
        void *more = realloc(vectors->removed, capacity * sizeof(*vectors->removed));
        if (!more)
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for another deletion");
        vectors->removed = more;
        vectors->removed_capacity = capacity;
    }
    vectors->removed[vectors->removed_count++] = died;
    atomic_store_explicit(died, vectors->next, memory_order_release);
    return AK_OK;
}

static void tombstones(ak_vectors *vectors, size_t n)
{
    if (n && vectors->dead == 0)
        vectors->first_death_s = ak_clock_s();
    vectors->dead += n;
}

void ak_vectors_publish(ak_vectors *vectors)
{
    tombstones(vectors, vectors->removed_count);
    atomic_store_explicit(&vectors->published, vectors->next, memory_order_release);
    pthread_mutex_unlock(&vectors->change);
}

void ak_vectors_retract(ak_vectors *vectors)
{
    for (size_t i = 0; i < vectors->removed_count; i++)
        atomic_store(vectors->removed[i], 0);
    // What was appended died as it was born: the sequence, used again, never shows it.
    size_t n = 0, at = vectors->mark.at;
    for (ak_chunk *chunk = vectors->mark.chunk; chunk; chunk = atomic_load(&chunk->next), at = 0)
        for (; at < atomic_load(&chunk->n); at++, n++)
            atomic_store(&chunk->died[at], vectors->next);
    tombstones(vectors, n);
    pthread_mutex_unlock(&vectors->change);
}

uint64_t ak_vectors_published(ak_vectors *vectors)
{
    return atomic_load(&vectors->published);
}
