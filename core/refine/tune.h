// The training loop of refinement: two views of each picture through a network that starts as the
// incumbent and may not go far from it.
//
//   loss = contrast   NT-Xent of the two views; likely false negatives are masked out
//        + features   1 - cosine to the incumbent's descriptor of the same view
//        + relations  squared differences of the two networks' similarities within the batch
//        + feedback   supervised contrast on pairs that people called similar or different
//        + noisy      RINCE on pairs of one album, tag or neighbourhood
//        + neighbourhoods  1 - cosine to what is around the picture (core/refine/smoothing.h)
// Batch statistics are never used in the network, the first stages do not move, gradients are
// clipped, and the result is a moving average of the weights. A run is a function of its recipe,
// its pictures, its seed, the number of steps and of threads; stopped and resumed it gives the same
// weights, bit for bit. One thread at a time.
#ifndef AK_REFINE_TUNE_H
#define AK_REFINE_TUNE_H

#include "core/describe/model_build.h"
#include "core/refine/run_set.h"

typedef struct ak_tuner ak_tuner;

typedef struct {
    const ak_model *incumbent; // all borrowed
    const ak_run_set *set;
    const ak_plan *plan;
    const ak_refine_recipe *recipe;
    uint64_t seed;
    double budget_s; // of steps
    int threads;     // of OpenMP, and that make views
} ak_tune_options;

typedef struct {
    uint64_t step, views;
    double seconds, seconds_left, progress; // of steps alone; progress 0..1
    double loss, contrast, features, relations, feedback, noisy, neighbourhoods; // smoothed
    double gradient; // norm before clipping, of the last step
    size_t masked;   // pairs of pictures of the last batch that were no negatives of each other
} ak_tune_progress;

ak_status ak_tuner_new(ak_tuner **out, const ak_tune_options *options, ak_error *err);
void ak_tuner_free(ak_tuner *tuner);

// One step. *more is false when the run is complete. AK_BAD_VALUE when the loss is not finite, or
// has become four times what it was at first.
ak_status ak_tuner_step(ak_tuner *tuner, bool *more, ak_error *err);
void ak_tuner_progress(ak_tune_progress *out, const ak_tuner *tuner);

// Goes on with another number of threads.
ak_status ak_tuner_threads(ak_tuner *tuner, int threads, ak_error *err);

// The whole state, and back. AK_BAD_VALUE for a state of another run.
ak_status ak_tuner_save(ak_buf *out, const ak_tuner *tuner, ak_error *err);
ak_status ak_tuner_restore(ak_tuner *tuner, ak_bytes file, ak_error *err);

// The averaged weights, borrowed: of the encoder, and of the head behind them.
void ak_tuner_result(const float **params, const float **head, const ak_tuner *tuner);

#endif
