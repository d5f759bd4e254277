// How much of a training is kept: weights between the incumbent's and the trained ones, and whether
// descriptors are smoothed. Decided by pictures that were kept from training: that choice whose two
// halves of a picture agree most on what is around it, of those that find the other half, and every
// family of copies, about as well as the incumbent.
#ifndef AK_REFINE_INTERPOLATE_H
#define AK_REFINE_INTERPOLATE_H

#include "core/describe/model_build.h"
#include "core/refine/run_set.h"

#define AK_FACTORS      5     // 0, 1/4 .. 1
#define AK_SMOOTHINGS   3     // none by this run, half, all of it
#define AK_NETWORK_GAIN 0.005 // of neighbourhoods, that another network must bring over a smoothing
#define AK_PARTS_LOSS   0.02  // of the halves found that a choice may cost
#define AK_COPIES_LOSS  0.03  // of a family of copies

// A choice, and what it is worth on the kept pictures.
typedef struct {
    double factor;         // 0: nothing learned, 1: the whole step
    double smoothing;      // how much of this run's; 0: the incumbent's stays
    double neighbourhoods; // mean overlap of what is around both halves (core/refine/measure.h)
    double parts;          // mean of 1 / rank of the other half
    double copies; // the same of copies, against the incumbent's; of the family that lost most
} ak_choice;

typedef struct {
    double factor, smoothing;                    // taken
    ak_choice tried[AK_SMOOTHINGS * AK_FACTORS]; // the first: the incumbent
    size_t tried_n;
    size_t pictures; // that decided
} ak_interpolation;

// Appends the chosen model to out. params, head: trained. training: JSON for the model's lineage,
// to which factor and smoothing are added.
ak_status ak_interpolate(ak_buf *out, ak_interpolation *told, const ak_rundir *rundir,
                         const ak_run_set *set, const ak_model *incumbent, const float *params,
                         const float *head, json_t *training, const ak_watch *watch, ak_error *err);

#endif
