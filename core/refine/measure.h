// What the gate measures, picture by picture, on descriptors of unit length.
//
// Ranks are by the dot product, ties by index, so the same input gives the same numbers. A value
// that is not finite ranks last as a gallery's and finds nothing as a query's.
#ifndef AK_REFINE_MEASURE_H
#define AK_REFINE_MEASURE_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

// rank (n), from 1: the place of gallery row target[i] for query i. queries (n, dims), gallery
// (count, dims).
ak_status ak_measure_ranks(uint32_t *rank, const float *queries, const uint32_t *target, size_t n,
                           const float *gallery, size_t count, size_t dims, ak_error *err);

// ap (n): average precision of query i over relevant[start[i]] .. relevant[start[i + 1] - 1],
// gallery rows; query i is gallery row self[i] and is itself left out. NAN where nothing is
// relevant.
ak_status ak_measure_ap(double *ap, const uint32_t *self, const uint32_t *relevant,
                        const size_t *start, size_t n, const float *gallery, size_t count,
                        size_t dims, ak_error *err);

// share (n): of the gallery rows nearest to row i of a, how many are nearest to row i of b, too.
// Nearest: a hundredth of the gallery, 8 rows at least. a, b (n, dims); gallery row self[i] is left
// out. Two views of one picture that are seen for what they show have one neighbourhood, whatever
// tells them apart; what is seen at random, or by details that only one of them has, lowers it, and
// so does a space in which too much has become alike.
ak_status ak_measure_overlap(double *share, const float *a, const float *b, const uint32_t *self,
                             size_t n, const float *gallery, size_t count, size_t dims,
                             ak_error *err);

// Share of the ten nearest rows of each query that are others in b than in a, on average. a (count,
// dims_a), b (count, dims_b).
ak_status ak_measure_churn(double *churn, const uint32_t *self, size_t n, const float *a,
                           size_t dims_a, const float *b, size_t dims_b, size_t count,
                           ak_error *err);

// Effective rank of x (n, dims): exp of the entropy of its singular values' shares (Garrido et al.
// 2023, RankMe); from the eigenvalues of its Gram matrix, not centred. And how many dimensions vary
// less than 1% of 1 / sqrt(dims).
ak_status ak_measure_health(double *rank, size_t *dead, const float *x, size_t n, size_t dims,
                            ak_error *err);

#endif
