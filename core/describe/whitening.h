// Learned whitening: the linear map between pooled features and descriptors.
//
//   y = R W (x - mean), then unit length
//   W = (within + shrink)^(-1/2): what belongs together scatters equally in all directions
//   R = diag(ratio^(power / 2)) V': the strongest `dims` axes of W total W', each by its ratio of
//       all scatter to the scatter within pairs
//
// Directions in which parts, copies and pictures of one kind differ from each other are scaled
// down, those that tell pictures apart are kept. The ratios do not change when the vectors are
// mapped linearly, so fitting again on what comes out changes nothing. Power 0 is Mikolajczyk &
// Matas, ICCV 2007 (and Radenovic et al., PAMI 2018).
#ifndef AK_DESCRIBE_WHITENING_H
#define AK_DESCRIBE_WHITENING_H

#include "core/describe/scatter.h"

// What a learned whitening starts from: the strongest `dims` axes of the total scatter of a normed
// s, scaled by their eigenvalues, `shrink` mean ones added, to the power -power / 2 (Jegou & Chum,
// ECCV 2012). Overwrites the total scatter. AK_BAD_VALUE when dims > d.
ak_status ak_whitening_pca(float *matrix, ak_scatter *s, size_t dims, float power, float shrink,
                           ak_error *err);

// matrix (dims, d) and ratios (dims), falling, of a normed scatter, which is overwritten. shrink:
// what is added to each eigenvalue of `within`, in mean ones, so that a tail fitted on few pairs
// does not explode. AK_BAD_VALUE when dims > d.
ak_status ak_whitening_fit(float *matrix, float *ratios, ak_scatter *s, size_t dims, float power,
                           float shrink, ak_error *err);

// y (n, dims), unit length; x (n, d) is overwritten.
void ak_whitening_apply(float *y, float *x, const float *mean, const float *matrix, size_t n,
                        size_t d, size_t dims);

#endif
