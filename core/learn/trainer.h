// The training loop: views -> encoder -> objectives -> gradients -> optimiser -> moving average.
//
// A run is a function of its recipe, its pictures and the number of threads; stopped and resumed
// it gives the same weights, bit for bit.
//
// Where there are several ranks (core/learn/ranks.h) each holds all of the state and makes its part
// of the pictures of every step; the loss is that of the whole batch, the steps are those of one
// process. Each call but the last four is then made by all of them.
#ifndef AK_LEARN_TRAINER_H
#define AK_LEARN_TRAINER_H

#include "core/learn/measures.h"
#include "core/learn/recipe.h"
#include "core/views/pictures.h"

typedef struct {
    uint64_t views;         // length of the run in views of the two large kinds; 0: no limit
    double minutes;         // of training; 0: no limit. One of the two is needed.
    int threads;            // that make views
    uint64_t measure_every; // steps between measures (and tests for a collapse); 0: never
} ak_train_length;

typedef struct ak_trainer ak_trainer;

typedef struct {
    uint64_t step, views;
    double seconds;  // of training, over all resumptions
    double progress; // 0..1
    double seconds_left;
    double views_per_s;         // since the last progress
    double loss;                // smoothed, as the next
    double terms[AK_TERMS_MAX]; // of each objective, unweighted
    double rate;                // of learning, at the last step
    double gradient;            // norm at the last step, before clipping
    int side;
    bool measured;        // whether `measures` are new since the last progress
    ak_measures measures; // of the last measured batch's projections
} ak_train_progress;

// Weights and statistics of an encoder and its head, borrowed.
typedef struct {
    const ak_resnet *net;
    const float *params, *stats;
    ak_head head;
    const float *head_params, *head_stats;
} ak_trained;

// pictures are borrowed, recipe is copied. from: what a run begins with, read before this returns;
// NULL: random weights. AK_BAD_VALUE when it is not of the recipe's network and head.
ak_status ak_trainer_new(ak_trainer **out, const ak_pictures *pictures, const ak_recipe *recipe,
                         const ak_train_length *length, const ak_trained *from, ak_error *err);
void ak_trainer_free(ak_trainer *trainer);

// One step. *more is false when the run is complete. AK_BAD_VALUE when the loss is not finite or
// the embedding has collapsed: the message says what happened and what to change.
ak_status ak_trainer_step(ak_trainer *trainer, bool *more, ak_error *err);
void ak_trainer_progress(ak_train_progress *out, ak_trainer *trainer);

// The whole state (weights, the optimiser's, averages, statistics, keys, place in the run), and
// back. A state of another recipe or other pictures is AK_BAD_VALUE.
ak_status ak_trainer_save(ak_buf *out, const ak_trainer *trainer, ak_error *err);
ak_status ak_trainer_restore(ak_trainer *trainer, ak_bytes file, ak_error *err);

// The averaged weights.
ak_trained ak_trainer_result(const ak_trainer *trainer);

#endif
