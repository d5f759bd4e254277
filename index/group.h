// A group: the writes of one commit, and what that commit needs and brings about besides the rows
// of the catalog. The writer thread's alone.
#ifndef AK_INDEX_GROUP_H
#define AK_INDEX_GROUP_H

#include "index/inside.h"

// What must be on disk before the catalog names it. The bytes are the write's.
typedef struct {
    const ak_sha256 *sum;
    ak_bytes proxy, original; // n = 0: not brought
} ak_arrival;

typedef struct {
    ak_generation *generation; // borrowed: from the table, or from `serving`
    ak_row row;
    float *vector; // owned; NULL: the image's row is removed
} ak_vector_change;

typedef struct {
    ak_generation *generation; // with a reference
    bool added;                // in the place of the one that serves; else dropped
} ak_serving_change;

typedef struct {
    ak_generation *generation; // borrowed
    int64_t sequence;
} ak_touched;

typedef struct {
    size_t arrivals, vectors, serving;
} ak_group_mark;

typedef struct {
    ak_store *store;
    ak_arrival *arrivals;
    ak_vector_change *vectors;
    ak_serving_change *serving;
    ak_group_mark n, capacity;
    ak_touched *touched; // whose vectors are within a batch
    size_t touched_n;
    bool deleted; // something may be left to clean
    bool changed; // the catalog
} ak_group;

ak_status ak_group_arrive(ak_group *group, const ak_arrival *arrival, ak_error *err);
ak_status ak_group_vector(ak_group *group, const ak_vector_change *change, ak_error *err);
ak_status ak_group_serving(ak_group *group, const ak_serving_change *change, ak_error *err);
void ak_group_back(ak_group *group, ak_group_mark mark); // forgets what came after the mark
void ak_group_clear(ak_group *group);

// The generation with that key, also one that this group makes. Borrowed.
ak_generation *ak_group_generation(ak_group *group, int64_t key);

// Keeps a picture's vector, a valid one of the model's dims, unless there is one of the model.
// Searches of the collections that the model serves see it of the images that show the picture.
ak_status ak_group_keep_vector(ak_group *group, const ak_model_row *model, int64_t picture,
                               const ak_sha256 *sum, const float *vector, ak_error *err);

// apply.c: one write, in the writer's transaction. On failure the caller takes it back.
ak_status ak_apply(ak_group *group, ak_write *write, ak_error *err);

// change.c: the writes of a change from one model to another.
ak_status ak_change_apply(ak_group *group, ak_write *write, ak_error *err);

#endif
