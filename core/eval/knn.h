// Nearest-neighbour classification: is a picture's class what its 20 nearest neighbours say?
//
// Each of the nearest (by the dot product, ties by index) votes for its class with the weight
// exp(dot / AK_KNN_TEMPERATURE), as in Wu et al. 2018; of equal classes that of the nearer
// neighbour wins. A row never votes on itself.
#ifndef AK_EVAL_KNN_H
#define AK_EVAL_KNN_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

#define AK_KNN_NEIGHBOURS  20
#define AK_KNN_TEMPERATURE 0.07

typedef struct {
    double accuracy; // share of queries whose class wins
    size_t
        queries; // with a voter of their class; the others count nowhere, since none can be right
} ak_knn;

// rows (n, dims) of unit length, labels (n). The first `queries` rows are asked about, those from
// `voters` on vote: (n, 0) leaves one out, (m, m) asks the first m against the rest.
// AK_BAD_VALUE when there is no query, or a value is not finite.
ak_status ak_knn_measure(ak_knn *out, const float *rows, const int32_t *labels, size_t n,
                         size_t queries, size_t voters, size_t dims, ak_error *err);

#endif
