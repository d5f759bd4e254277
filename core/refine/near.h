// Near-duplicates: pictures that show the same thing so nearly that they must stay together.
//
// A pair is one when its descriptors are near and its perceptual hashes agree; what is joined by
// pairs is a cluster.
#ifndef AK_REFINE_NEAR_H
#define AK_REFINE_NEAR_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define AK_NEAR_HASH_BITS 12 // of 64 that may differ

// cluster (n): the smallest index of the cluster that a picture is in. descriptors (n, dims), unit
// length; a row of zeros is alone. score: least dot product of a pair.
ak_status ak_near_clusters(uint32_t *cluster, const float *descriptors, const uint64_t *hashes,
                           size_t n, size_t dims, float score, ak_error *err);

#define AK_NEIGHBOURS_MAX 256

// out (n, k): the k nearest rows of each, best first, itself left out; UINT32_MAX where there are
// fewer. k: 1 .. AK_NEIGHBOURS_MAX.
ak_status ak_near_neighbours(uint32_t *out, const float *descriptors, size_t n, size_t dims,
                             size_t k, ak_error *err);

// The score that `share` of random pairs stay under: 200,000 pairs, by seed. 1 for fewer than two.
double ak_near_quantile(const float *descriptors, size_t n, size_t dims, double share,
                        uint64_t seed);

#endif
