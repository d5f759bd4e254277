// What a batch of refinement is made of.
//
//   [ fresh units | replay units | feedback couples | noisy couples ]
//
// Of a unit (a cluster of near-duplicates) one picture is drawn; no unit comes twice among the
// first two parts. Couples lie side by side at the end: feedback ones, similar and different in
// turn, then noisy ones. Batch number k depends on the seed and k alone.
#ifndef AK_REFINE_SAMPLING_H
#define AK_REFINE_SAMPLING_H

#include "core/refine/run_set.h"
#include "core/views/sampler.h"

typedef struct {
    size_t fresh, replay;   // pictures
    size_t feedback, noisy; // couples, two pictures each
} ak_mixture;

// The parts of a batch of that many pictures: an eighth of it goes to feedback and `couples` of it
// to noisy couples where there are any; `replay` of the units are replay as far as there are some.
ak_mixture ak_mixture_of(const ak_run_set *set, size_t batch, double couples, double replay);

size_t ak_mixture_pictures(const ak_mixture *mixture);

// set is borrowed. Freed by ak_sampler_clear.
ak_status ak_sampling_new(ak_sampler *out, const ak_run_set *set, const ak_mixture *mixture,
                          uint64_t seed, ak_error *err);

#endif
