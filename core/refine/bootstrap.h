// Paired bootstrap over pictures: how far a difference of two means may be chance.
#ifndef AK_REFINE_BOOTSTRAP_H
#define AK_REFINE_BOOTSTRAP_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define AK_BOOTSTRAP_LEVEL 0.99 // of the one-sided bounds

typedef struct {
    double incumbent, candidate; // means
    double low, high;            // one-sided bounds of candidate - incumbent
} ak_paired;

// incumbent, candidate (n): what each measured on the same picture. Resample r draws n pictures
// with replacement from the random stream (seed, r): same input, same output.
ak_status ak_bootstrap(ak_paired *out, const double *incumbent, const double *candidate, size_t n,
                       uint64_t resamples, uint64_t seed, ak_error *err);

#endif
