// The momentum encoder (He et al. 2020; Grill et al. 2020): a slow copy of the online weights that
// gives keys and targets, and a queue of past keys.
//
// It sees the batch in a random order, in groups that have batch statistics of their own, so that
// a key cannot be told from its batch's statistics (shuffled batch norm, on one machine).
#ifndef AK_LEARN_TARGET_H
#define AK_LEARN_TARGET_H

#include "core/learn/recipe.h"

typedef struct ak_target ak_target;

// rows: views a step. params (encoder and head, one after the other) are where it starts.
ak_status ak_target_new(ak_target **out, const ak_recipe *recipe, const ak_graph *graph,
                        const ak_head *head, size_t rows, const float *params, ak_error *err);
void ak_target_free(ak_target *target);

// Another input size from now on.
ak_status ak_target_graph(ak_target *target, const ak_graph *graph, ak_error *err);

// Features and projections of the rows (views of graph's size), in their order; step makes the
// shuffle.
ak_status ak_target_forward(ak_target *target, const uint8_t *views, uint64_t step, ak_error *err);
const float *ak_target_features(const ak_target *target);    // (rows, features)
const float *ak_target_projections(const ak_target *target); // (rows, head.out)

// target = keep * target + (1 - keep) * params, keep by the recipe at this place (0..1) of the run.
void ak_target_follow(ak_target *target, const float *params, double progress);

// Keys of past steps, (recipe.momentum.queue, head.out); random unit vectors at the start. The last
// projections replace the oldest.
const float *ak_target_queue(const ak_target *target);
void ak_target_enqueue(ak_target *target);

// What a state must hold: n arrays with their lengths, and the place in the queue.
typedef struct {
    float *params, *queue;
    size_t params_n, queue_n;
    uint64_t *place;
} ak_target_state;

ak_target_state ak_target_state_of(ak_target *target);

#endif
