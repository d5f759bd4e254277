// Generations in memory: a model serving a collection, with its vectors and its calibration.
//
// The table holds one reference on the generation that serves each collection, and one on each that
// served and that requests still hold: these go on to see deletions. Requests take their own and
// keep the generation beyond its collection's end. The writer alone changes the table; `lock` is a
// leaf that guards it.
#ifndef AK_INDEX_GENERATION_H
#define AK_INDEX_GENERATION_H

#include "index/calibration.h"
#include "index/catalog.h"

#include <pthread.h>

typedef struct ak_generations ak_generations;

struct ak_generation {
    atomic_size_t references;
    ak_generations *table; // where it was added; NULL: nowhere
    int64_t key, collection, model_key;
    char name[AK_NAME_MAX + 1], model[AK_NAME_MAX + 1]; // of the collection, of the model
    int dims;
    ak_vectors *vectors;
    pthread_mutex_t calibration_lock; // a leaf; guards the pointer
    ak_calibration *calibration;      // NULL: none yet
    atomic_bool cache_due;            // main is newer than its file
    atomic_bool dropped;              // it does not serve any more: no file either
};

struct ak_generations {
    pthread_mutex_t lock;
    ak_generation **items, **past;
    size_t n, capacity; // capacity: of both
    atomic_size_t past_n;
    void (*idle)(void *arg); // a past one may be held by nobody else; any thread
    void *arg;
};

ak_status ak_generation_new(ak_generation **out, const ak_generation_row *row, ak_error *err);
void ak_generation_keep(ak_generation *generation);

// The calibration with a reference; made here and now when there is none. Fewer than
// AK_CALIBRATION_PICTURES pictures: NULL.
ak_calibration *ak_generation_calibration(ak_generation *generation, int64_t pictures);
void ak_generation_recalibrate(ak_generation *generation); // when it is old; the fold thread
// The calibration as bytes, none: nothing is appended; and taken from such, before the generation
// is shared.
ak_status ak_generation_calibration_write(ak_buf *out, ak_generation *generation, ak_error *err);
ak_status ak_generation_calibration_read(ak_generation *generation, ak_bytes bytes, ak_error *err);

void ak_generations_init(ak_generations *table, void (*idle)(void *arg), void *arg);
void ak_generations_clear(ak_generations *table);
bool ak_generations_reserve(ak_generations *table, size_t more);
// Keeps; room was reserved. One that served the same collection is past from now on and returned,
// borrowed; else NULL.
ak_generation *ak_generations_add(ak_generations *table, ak_generation *generation);
void ak_generations_drop(ak_generations *table, ak_generation *generation);
void ak_generations_reap(ak_generations *table); // past ones that nobody holds any more
bool ak_generations_held(ak_generations *table, int64_t key); // whether it is a past one
// The i-th past generation of the collection, borrowed: the writer's. NULL: no more.
ak_generation *ak_generations_past(ak_generations *table, int64_t collection, size_t i);
ak_generation *ak_generations_named(ak_generations *table, const char *collection); // kept, or NULL
ak_generation *ak_generations_keyed(ak_generations *table, int64_t key);            // kept, or NULL
ak_generation *ak_generations_at(ak_generations *table, size_t i);                  // kept, or NULL

#endif
