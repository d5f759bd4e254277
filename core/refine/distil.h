// Distillation: what keeps a refined network near the one that it goes on from.
//
// y (n, d) is the student's rows, t (n, d) the teacher's, both raw; cosines are taken inside. The
// gradient with respect to y, times `weight`, is added to dy (n, d). work: ak_distil_work floats.
// Each returns its loss, without the weight.
#ifndef AK_REFINE_DISTIL_H
#define AK_REFINE_DISTIL_H

#include <stddef.h>

size_t ak_distil_work(size_t n, size_t d);

// Mean over rows of 1 - cos(y, t).
double ak_distil_features(float *dy, const float *y, const float *t, size_t n, size_t d,
                          float weight, float *work);

// Mean over pairs of different rows of (cos(y_i, y_j) - cos(t_i, t_j))^2.
double ak_distil_relations(float *dy, const float *y, const float *t, size_t n, size_t d,
                           float weight, float *work);

#endif
