// Small multilayer perceptrons on the features, in f32 on OpenBLAS: projection heads and
// predictors.
//
// `depth` linear layers; between them, and after the last one where `last_bn` says so, batch norm;
// between them ReLU. Parameters lie in one array, layer after layer: W (rows, columns), then scale
// and shift (rows each) where a batch norm follows, else bias (rows). Statistics likewise: mean and
// variance (rows each) of every batch norm.
#ifndef AK_NN_HEAD_H
#define AK_NN_HEAD_H

#include "core/nn/bn_parts.h"
#include "core/nn/graph.h"

#define AK_HEAD_DEPTH_MAX 4

typedef struct {
    size_t in, hidden, out;   // hidden: of all layers but the last
    int depth;                // linear layers, 1..4
    bool last_bn;             // batch norm after the last one, too
    const ak_bn_parts *parts; // borrowed; statistics over several processes. NULL: over the rows
} ak_head;

// The projection head of a recipe, and BYOL's predictor behind it; `in` is to be set.
#define AK_HEAD_PROJECTION ((ak_head){.hidden = 512, .out = 128, .depth = 2})
#define AK_HEAD_PREDICTOR  ((ak_head){.in = 128, .hidden = 512, .out = 128, .depth = 2})

// Reads and writes an ak_head, but for `in`, which is what comes before it, and `parts`.
extern const ak_field ak_head_fields[];

size_t ak_head_params(const ak_head *head);
size_t ak_head_stats(const ak_head *head);
size_t ak_head_work(const ak_head *head, size_t n); // floats, kept from forward to backward

// All tensors of the parameters, in order, without gaps; returns how many.
size_t ak_head_ranges(ak_range out[3 * AK_HEAD_DEPTH_MAX], const ak_head *head);

// Linear layers uniform within 1 / sqrt(fan-in).
void ak_head_init(float *params, float *stats, const ak_head *head, uint64_t seed);

// z (n, out) from x (n, in), with the batch's statistics.
void ak_head_forward(float *z, const ak_head *head, const float *params, const float *x, size_t n,
                     float *work);

// After forward: stats = (1 - share) * stats + share * batch's.
void ak_head_stats_update(float *stats, const ak_head *head, const float *work, size_t n,
                          float share);

// dx (n, in) and dparams are overwritten; work and x are those of forward. dx may be NULL.
void ak_head_backward(float *dx, float *dparams, const ak_head *head, const float *params,
                      const float *dz, const float *x, size_t n, float *work);

#endif
