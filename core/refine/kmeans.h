// Spherical k-means (Dhillon & Modha, 2001): which pictures a model sees as of one kind.
#ifndef AK_REFINE_KMEANS_H
#define AK_REFINE_KMEANS_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

// centres (k, d), unit length, and labels (n), the centre nearest to each row of x (n, d), unit
// length. The same seed gives the same clusters. AK_BAD_VALUE when k is 0 or more than n.
ak_status ak_kmeans(float *centres, uint32_t *labels, const float *x, size_t n, size_t d, size_t k,
                    uint64_t seed, ak_error *err);

#endif
