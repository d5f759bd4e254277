// How much of a training is kept: weights between the incumbent's and the trained ones, and the
// whitening as it was or refitted. Decided by pictures that were kept from training: what finds
// their own other part best, of those that find every family of copies about as well as the
// incumbent.
#ifndef AK_REFINE_INTERPOLATE_H
#define AK_REFINE_INTERPOLATE_H

#include "core/describe/model_build.h"
#include "core/refine/run_set.h"

#define AK_FACTORS     5     // 0, 1/4 .. 1
#define AK_COPIES_LOSS 0.015 // of a family of copies that a factor may cost

typedef struct {
    double factor;  // 0: nothing learned, 1: the whole step
    bool whitening; // refitted
    // On the kept pictures, by factor; the last: with the refitted whitening. Mean of 1 / rank of
    // the other part, -1: not tried; and the same of copies, against the incumbent's, of the family
    // that lost most.
    double parts[AK_FACTORS + 1], copies[AK_FACTORS + 1];
    size_t pictures; // that decided
} ak_interpolation;

// Appends the chosen model to out. params, head: trained. training: JSON for the model's lineage,
// to which factor and whitening are added.
ak_status ak_interpolate(ak_buf *out, ak_interpolation *told, const ak_rundir *rundir,
                         const ak_run_set *set, const ak_model *incumbent, const float *params,
                         const float *head, json_t *training, const ak_watch *watch, ak_error *err);

#endif
