// How vectors scatter: all of them about their mean, and pairs of them that belong together about
// each other. What a whitening is fitted from.
#ifndef AK_DESCRIBE_SCATTER_H
#define AK_DESCRIBE_SCATTER_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t a, b;
} ak_pair;

// Zero-initialise, free with ak_scatter_clear. Of the matrices the lower triangles count.
typedef struct {
    size_t d;
    float *mean;   // (d)
    float *total;  // (d, d) covariance, of trace 1
    float *within; // (d, d) sum of weighted covariances of pairs, each of trace 1
} ak_scatter;

ak_status ak_scatter_init(ak_scatter *s, size_t d, ak_error *err);
void ak_scatter_clear(ak_scatter *s);

// Sets mean and total. x (n, d); AK_BAD_VALUE when n < 2.
ak_status ak_scatter_total(ak_scatter *s, const float *x, size_t n, ak_error *err);

// Adds the mean of (a - b)(a - b)' / 2 over pairs of rows of x to within. No pairs: nothing.
ak_status ak_scatter_pairs(ak_scatter *s, const float *x, const ak_pair *pairs, size_t n,
                           float weight, ak_error *err);

// Makes within of trace 1; the identity where nothing was added.
void ak_scatter_norm(ak_scatter *s);

#endif
