// Smoothing: what a collection's neighbourhoods say of its kinds, as a linear map of descriptors.
//
//   s(x)_i = normed(x_i + normed(sum of max(0, x_i . x_j)^3 x_j over i and its nearest j))
//   z = s(s(x)), x for every picture of the collection
//   B = the strengthening part of argmin of sum |B x_i - (z_i - x_i)|^2 + ridge n / d |B|^2
//   x becomes normed(x + B x)
//
// s is what a database that is augmented by its own neighbours stores (Turcot & Lowe 2009, with the
// weights of Radenovic et al. 2018). Stored as a table it would serve its own pictures alone;
// fitted as a map it holds for new ones too, is one with the whitening, and explanations stay
// exact. Of the map the symmetric part is taken, and of that the eigenvectors with positive values:
// directions in which neighbours agree are strengthened, none fades. It is always fitted on
// descriptors that are not smoothed, so that run after run does not wash them out.
#ifndef AK_REFINE_SMOOTHING_H
#define AK_REFINE_SMOOTHING_H

#include "core/base/error.h"

#include <stddef.h>

typedef struct {
    size_t neighbours; // at most; and at most 1 / AK_SMOOTHING_SHARE of the pictures
    double ridge;      // what keeps the map small, in mean eigenvalues of the descriptors' squares
} ak_smoothing;

#define AK_SMOOTHING_SHARE 20
#define AK_SMOOTHING_LEAST 100 // pictures

// z (n, d) of x (n, d), rows of unit length. Uses the OpenMP threads that the caller may, as what
// is below. AK_BAD_VALUE for fewer than AK_SMOOTHING_LEAST rows.
ak_status ak_smoothing_targets(float *z, const float *x, size_t n, size_t d, size_t neighbours,
                               ak_error *err);

// map (d, d), B.
ak_status ak_smoothing_fit(float *map, const float *x, size_t n, size_t d, const ak_smoothing *how,
                           ak_error *err);

#endif
