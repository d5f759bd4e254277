// What the files vectors*.c share: the view that a search holds, and the tail's chunks.
//
// `change` is held by the writer from begin to publish or retract, and by the folder while it takes
// its snapshot and while it swaps; it guards everything but `view`. `view_lock` is a leaf and
// guards the pointer `view` alone. A view holds a reference on its main and on its first chunk, a
// chunk one on the next.
#ifndef AK_INDEX_VECTORS_INSIDE_H
#define AK_INDEX_VECTORS_INSIDE_H

#include "index/main.h"

#include <pthread.h>

typedef struct ak_chunk ak_chunk;
struct ak_chunk {
    atomic_size_t references;
    _Atomic(ak_chunk *) next;
    atomic_size_t n; // rows written whole
    size_t capacity;
    ak_row *rows;
    uint64_t *born;
    _Atomic uint64_t *died;
    float *vectors; // (capacity, dims)
};

typedef struct {
    ak_chunk *chunk;
    size_t at;
} ak_place; // in the tail

typedef struct {
    atomic_size_t references;
    ak_main *main;  // NULL: none yet
    ak_place first; // of the tail
    uint64_t base;  // rows that died by then are not here any more
} ak_view;

struct ak_vectors {
    int dims;
    pthread_mutex_t change, view_lock;
    ak_view *view;
    ak_place end;               // of the tail
    ak_place mark;              // where the batch began
    uint64_t next;              // the sequence of the batch
    _Atomic uint64_t **removed; // by the batch: what to bring back when it is retracted
    size_t removed_count, removed_capacity;
    _Atomic uint64_t published; // changed under `change`
    size_t tail, dead;
    double first_death_s; // of the tombstones that are not folded yet
};

static inline bool ak_visible(uint64_t born, uint64_t died, uint64_t sequence)
{
    return born <= sequence && (died == 0 || died > sequence);
}

ak_view *ak_view_take(ak_vectors *vectors);
void ak_view_release(ak_view *view);

// A row that is live at a sequence. vector and died are borrowed from the view.
typedef struct {
    ak_row row;
    const float *vector;
    _Atomic uint64_t *died;
} ak_live;

// The rows of the view up to `end`, by ascending image. The caller frees *out.
ak_status ak_view_live(ak_live **out, size_t *n, const ak_view *view, ak_place end, int dims,
                       uint64_t sequence, ak_error *err);

#endif
