// The losses of a refinement step, from both networks' features to the gradient of the student's.
#ifndef AK_REFINE_TUNE_LOSS_H
#define AK_REFINE_TUNE_LOSS_H

#include "core/describe/model_build.h"
#include "core/refine/sampling.h"

typedef struct {
    double contrast, features, relations, feedback, noisy, neighbourhoods;
} ak_tune_terms;

typedef struct ak_tune_loss ak_tune_loss;

// All borrowed. parts: the incumbent's; features: columns of a network's output.
ak_status ak_tune_loss_new(ak_tune_loss **out, const ak_model_parts *parts, size_t features,
                           const ak_run_set *set, const ak_plan *plan,
                           const ak_refine_recipe *recipe, const ak_mixture *mixture,
                           ak_error *err);
void ak_tune_loss_free(ak_tune_loss *loss);

// What is around each picture, as the incumbent sees it (core/refine/smoothing.h). x
// (pictures, features) by the incumbent, overwritten. To be called once where the recipe gives them
// a weight.
ak_status ak_tune_loss_look_around(ak_tune_loss *loss, float *x, ak_error *err);

// chosen (n): places in the set; x, teacher (2n, features): first views, then second views. dx (2n,
// features) and dhead (the head's parameters) are overwritten. Returns the weighted sum.
double ak_tune_loss_run(ak_tune_loss *loss, ak_tune_terms *terms, float *dx, float *dhead,
                        const float *head, const float *x, const float *teacher,
                        const uint32_t *chosen);

size_t ak_tune_loss_masked(const ak_tune_loss *loss); // pairs of pictures, in the last batch

#endif
