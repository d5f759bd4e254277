// Copy detection: altered pictures must find theirs among all pictures.
#ifndef AK_EVAL_COPIES_H
#define AK_EVAL_COPIES_H

#include "core/base/error.h"

#include <stddef.h>

#define AK_COPY_FAMILIES_MAX 16

typedef struct {
    double r1[AK_COPY_FAMILIES_MAX];  // share of a family's queries that find their picture first
    double map[AK_COPY_FAMILIES_MAX]; // mean average precision: of 1 / the rank of their picture
    double micro_ap; // average precision of one ranking of all (query, picture) pairs, all families
                     // together, as in SSCD (Pizzi et al. 2022): scores of queries must compare
} ak_copies;

// altered (n * families, dims): row i * families + f is the picture sources[i] altered by family f;
// pictures (count, dims). Rows of unit length, ranked by the dot product; ties by index, those of
// pairs by query, then picture. AK_BAD_VALUE when n is 0 or a value is not finite.
ak_status ak_copies_measure(ak_copies *out, const float *altered, const size_t *sources, size_t n,
                            size_t families, const float *pictures, size_t count, size_t dims,
                            ak_error *err);

#endif
