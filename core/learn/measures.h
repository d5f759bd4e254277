// What embeddings look like while they are learned, apart from the loss: whether views of one
// picture are close, whether pictures are spread, and whether the space has collapsed.
#ifndef AK_LEARN_MEASURES_H
#define AK_LEARN_MEASURES_H

#include "core/base/fields.h"

typedef struct {
    double positive;   // mean cosine of the two views of a picture
    double negative;   // mean cosine of views of different pictures; 0 when there is one picture
    double alignment;  // mean squared distance of the two views (Wang & Isola 2020)
    double uniformity; // log mean over all pairs of exp(-2 squared distance), the same
    double rank;       // effective rank of the raw vectors (RankMe, Garrido et al. 2023)
    double deviation;  // mean over dimensions of the deviation of unit vectors, times sqrt(d): 1
                       // when they are spread evenly
    double least;      // the least dimension's deviation over that mean
} ak_measures;

extern const ak_field ak_measure_fields[]; // for JSON

// a, b (n, d) raw: two views of n pictures, n at least 1. Thread-safe.
ak_status ak_measure(ak_measures *out, const float *a, const float *b, size_t n, size_t d,
                     ak_error *err);

// AK_BAD_VALUE when the embeddings have collapsed, deviation under 1% or rank under 2, with what to
// change.
ak_status ak_measures_check(const ak_measures *measures, ak_error *err);

#endif
