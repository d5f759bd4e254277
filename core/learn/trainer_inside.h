// The inside of a trainer, for the files trainer*.c alone.
//
// All trained numbers lie in one array, encoder | head | predictor | class proxies, and so do
// gradients and averages; all statistics in another, encoder | head | predictor.
#ifndef AK_LEARN_TRAINER_INSIDE_H
#define AK_LEARN_TRAINER_INSIDE_H

#include "core/learn/ranks.h"
#include "core/learn/target.h"
#include "core/learn/trainer.h"
#include "core/nn/dnn.h"
#include "core/views/loader.h"

#define AK_BN_SHARE 0.1f // of a batch in the running statistics

// What a level of the network gives for the rows of a step, and its gradient.
typedef struct {
    float *x, *dx;         // (rows, d); NULL: no term needs the level
    float *all_x, *all_dx; // of all ranks, in the order of one process; x and dx where there is one
    size_t d;
} ak_level_rows;

struct ak_trainer {
    ak_recipe recipe;
    ak_train_length length;
    const ak_pictures *pictures;
    ak_graph graph, small_graph;
    ak_dnn *dnn, *small_dnn; // of the two large views together; of the small ones
    ak_sampler sampler;      // its choose is NULL where the loader's own is used
    ak_loader *loader;
    ak_target *target; // NULL: no term needs one
    int side;

    size_t head_at, predictor_at, proxies_at, params;
    size_t head_stat, predictor_stat, stats;
    float *p, *average, *g;           // (params)
    float *small_g;                   // the small views' part of the encoder's gradient
    float *running, *running_average; // (stats)
    ak_optimiser *optimiser;

    size_t batch; // pictures of a step, of all ranks together
    size_t own,
        rows; // pictures of this rank; their views, the two large ones of each picture first
    ak_bn_parts parts;
    uint32_t *labels; // (2 batch) of all ranks; NULL where there is one
    ak_level_rows level[AK_LEVELS];
    float *head_work, *predictor_work, *work; // the last for objectives
    float *da, *db, *dproxies;                // of one term: (batch, widest level), (classes, d)
    float *dother;                            // (rows, features)
    uint8_t *masked;                          // (2 batch, 2 batch), NULL: nothing is masked

    uint64_t step;
    double seconds;
    double loss, term_loss[AK_TERMS_MAX]; // smoothed
    double rate, gradient;                // of the last step
    ak_measures measures;
    bool measured;
    uint64_t last_views;
    double last_seconds;
};

double ak_trainer_place(const ak_trainer *trainer); // 0..1

// The loader and the networks for the place in the run.
ak_status ak_trainer_begin(ak_trainer *trainer, ak_error *err);

// Room for what ak_trainer_losses needs.
ak_status ak_trainer_losses_alloc(ak_trainer *trainer, ak_error *err);
void ak_trainer_losses_free(ak_trainer *trainer);

// --- where there are several ranks; else nothing happens ----------------------------------------

// What can be trained on several, and whether all of them read the same pictures.
ak_status ak_trainer_ranks_check(const ak_trainer *trainer, ak_error *err);

// The levels' rows and the labels of all ranks. Returns the labels.
const uint32_t *ak_trainer_gather(ak_trainer *trainer, const uint32_t *labels);

// This rank's rows of the levels' gradients.
void ak_trainer_keep_own(ak_trainer *trainer);

// The whole batch's gradient.
void ak_trainer_sum_gradients(ak_trainer *trainer);

// --------------------------------------------------------------------------------------------------

// From features (level[AK_LEVEL_FEATURES].x) to the terms' values, the gradient of the features,
// and those of head, predictor and proxies in g.
void ak_trainer_losses(ak_trainer *trainer, double values[AK_TERMS_MAX], const uint32_t *labels);

#endif
