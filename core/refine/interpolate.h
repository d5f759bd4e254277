// How much of a training is kept: weights between the incumbent's and the trained ones, and the
// whitening as it was or refitted, by what finds its own other part best among pictures that were
// kept from training.
#ifndef AK_REFINE_INTERPOLATE_H
#define AK_REFINE_INTERPOLATE_H

#include "core/describe/model_build.h"
#include "core/refine/run_set.h"

#define AK_FACTORS 5 // 0, 1/4 .. 1

typedef struct {
    double factor;            // 0: nothing learned, 1: the whole step
    bool whitening;           // refitted
    double score[AK_FACTORS]; // mean of 1 / rank on the kept pictures, by factor; -1: not tried
    double score_whitening;   // with the refitted whitening; -1: not tried
    size_t pictures;          // that decided
} ak_interpolation;

// Appends the chosen model to out. params, head: trained. training: JSON for the model's lineage,
// to which factor and whitening are added.
ak_status ak_interpolate(ak_buf *out, ak_interpolation *told, const ak_rundir *rundir,
                         const ak_run_set *set, const ak_model *incumbent, const float *params,
                         const float *head, json_t *training, const ak_watch *watch, ak_error *err);

#endif
