// Optimisers: SGD with Nesterov momentum, AdamW and LARS, each in one pass over memory together
// with weight decay, the clipping of gradients and the moving average of the weights.
//
// The same bits come out whatever the number of threads. One thread at a time enters.
#ifndef AK_LEARN_OPTIMISER_H
#define AK_LEARN_OPTIMISER_H

#include "core/base/fields.h"
#include "core/nn/graph.h"

typedef enum { AK_SGD, AK_ADAMW, AK_LARS, AK_OPTIMISERS } ak_optimiser_kind;
typedef enum { AK_COSINE, AK_CONSTANT } ak_schedule;

typedef struct {
    int kind;        // ak_optimiser_kind
    double rate;     // at its highest
    double momentum; // beta1 of AdamW
    double beta2;    // AdamW
    double decay;    // of weights; AdamW's is decoupled
    double trust;    // LARS: eta
    double clip;     // greatest norm of the whole gradient; 0: any
    double warm_up;  // share of the run in which the rate rises from 0
    int schedule;    // ak_schedule, after that
} ak_optimiser_settings;

extern const ak_optimiser_settings ak_optimiser_default; // SGD
extern const ak_field ak_optimiser_fields[];

// The rate at a place in the run, progress in 0..1.
double ak_optimiser_rate(const ak_optimiser_settings *settings, double progress);

typedef struct ak_optimiser ak_optimiser;

// For params numbers, of which those in the tensors are trained and the others left alone; what is
// no matrix has neither decay nor, by LARS, a step of its own. Settings and tensors are copied. The
// state is zeros.
ak_status ak_optimiser_new(ak_optimiser **out, const ak_optimiser_settings *settings,
                           const ak_range *tensors, size_t count, size_t params, ak_error *err);
void ak_optimiser_free(ak_optimiser *optimiser);

// What a run that is resumed needs beside its weights: the i-th array of the state, (params), and
// its name for a checkpoint; NULL behind the last. Borrowed; may be written.
float *ak_optimiser_state(ak_optimiser *optimiser, size_t i, const char **name);

// Changes p by g, (params) each, and average = keep average + (1 - keep) p. step counts from 0
// since the state was zeros. Returns the norm of g where it is needed (clip, LARS), else 0; when
// that is not finite nothing is changed.
double ak_optimiser_step(ak_optimiser *optimiser, float *p, float *average, const float *g,
                         uint64_t step, double rate, double keep);

#endif
