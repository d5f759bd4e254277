// PCA whitening: centre, turn to the principal axes, scale them, cut to the strongest.
//
// y = D (x - mean) with D = diag((eigenvalue + shrink)^(-power / 2)) V', the rows of V' being the
// first `dims` eigenvectors of the covariance (Jegou & Chum 2012; power < 1 as in ML.md).
#ifndef AK_DESCRIBE_WHITENING_H
#define AK_DESCRIBE_WHITENING_H

#include "core/base/error.h"

#include <stddef.h>

// mean (d), matrix (dims, d) from x (n, d). shrink: share of the mean eigenvalue that is added to
// each, so that a tail fitted on few pictures does not explode. AK_BAD_VALUE when n < 2 or
// dims > d.
ak_status ak_whitening_fit(float *mean, float *matrix, const float *x, size_t n, size_t d,
                           size_t dims, float power, float shrink, ak_error *err);

// The same from few pictures: mean and matrix hold a whitening made with this power, whose
// covariance counts as much as that of `trust` pictures. As n falls to nothing, so does the change.
// x (n, d).
ak_status ak_whitening_refit(float *mean, float *matrix, const float *x, size_t n, size_t d,
                             size_t dims, float power, float shrink, double trust, ak_error *err);

// y (n, dims), unit length; x (n, d) is overwritten.
void ak_whitening_apply(float *y, float *x, const float *mean, const float *matrix, size_t n,
                        size_t d, size_t dims);

#endif
