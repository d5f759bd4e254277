// Leave-one-out retrieval: how well the pictures of a query's class come before all others.
//
// A query is itself left out, by its index (an exact copy of it stays in), and all the others are
// ranked by the dot product, ties by index. Relevant are those of the same label. Same input, same
// number of threads: the same numbers.
#ifndef AK_EVAL_RETRIEVAL_H
#define AK_EVAL_RETRIEVAL_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    double map;          // mean over queries of the average precision over all relevant
    double p1, p10, p20; // share of relevant among the first 1, 10, 20 (always divided by those)
    double r5, r10, r20; // share of queries with a relevant one among the first; R@1 is P@1
    size_t queries;      // that have something relevant; the others count nowhere
} ak_retrieval;

// descriptors (n, dims), rows of unit length; labels (n). The first `queries` of them are queries,
// each once; the rest are only found. AK_BAD_VALUE when no query has anything relevant, or a
// descriptor is not finite.
ak_status ak_retrieval_measure(ak_retrieval *out, const float *descriptors, const int32_t *labels,
                               size_t n, size_t queries, size_t dims, ak_error *err);

#endif
