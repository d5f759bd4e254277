// The training loop: views -> encoder -> objectives -> gradients -> optimiser -> moving average.
//
// A run is a function of its recipe, its pictures and the number of threads; stopped and resumed
// it gives the same weights, bit for bit.
#ifndef AK_LEARN_TRAINER_H
#define AK_LEARN_TRAINER_H

#include "core/nn/graph.h"
#include "core/nn/head.h"
#include "core/views/pictures.h"
#include "core/views/views.h"

typedef struct {
    ak_resnet net;
    size_t head_hidden, head_out;
    ak_view_recipe views;
    size_t batch;     // pictures a step, two views each
    int side;         // px, for the first part of the run
    int late_side;    // px, from late_from on
    double late_from; // share of the run
    float proxy_tau, proxy_smoothing, proxy_weight;
    float contrast_tau, contrast_weight;
    float rate, momentum, decay;
    double warm_up; // share of the run
    float average;  // of the moving average: share kept a step
    uint64_t seed;
    uint64_t views_total; // 0: no limit
    double minutes;       // of training; 0: no limit. One of the two is needed.
    int threads;          // for views
    bool bf16;            // used where the processor has it
} ak_recipe;

extern const ak_recipe ak_recipe_default;

typedef struct ak_trainer ak_trainer;

typedef struct {
    uint64_t step, views;
    double seconds;  // of training, over all resumptions
    double progress; // 0..1
    double seconds_left;
    double views_per_s;                     // since the last progress
    double loss, proxy_loss, contrast_loss; // smoothed
    int side;
} ak_train_progress;

// pictures and recipe are borrowed / copied.
ak_status ak_trainer_new(ak_trainer **out, const ak_pictures *pictures, const ak_recipe *recipe,
                         ak_error *err);
void ak_trainer_free(ak_trainer *trainer);

// One step. *more is false when the run is complete. AK_BAD_VALUE when the loss is not finite.
ak_status ak_trainer_step(ak_trainer *trainer, bool *more, ak_error *err);
void ak_trainer_progress(ak_train_progress *out, ak_trainer *trainer);

// The whole state (weights, momenta, averages, statistics, place in the run), and back. A state of
// another recipe or other pictures is AK_BAD_VALUE.
ak_status ak_trainer_save(ak_buf *out, const ak_trainer *trainer, ak_error *err);
ak_status ak_trainer_restore(ak_trainer *trainer, ak_bytes file, ak_error *err);

// The averaged weights, borrowed: encoder parameters and statistics, head parameters and
// statistics.
typedef struct {
    const ak_resnet *net;
    const float *params, *stats;
    ak_head head;
    const float *head_params, *head_stats;
} ak_trained;

ak_trained ak_trainer_result(const ak_trainer *trainer);

#endif
