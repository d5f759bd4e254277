// The projection head: linear - batch norm - ReLU - linear, in f32 on OpenBLAS.
//
// Parameters lie in one array: W1 (hidden, in), scale (hidden), shift (hidden), W2 (out, hidden),
// b2 (out); statistics: mean (hidden), variance (hidden).
#ifndef AK_NN_HEAD_H
#define AK_NN_HEAD_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    size_t in, hidden, out;
} ak_head;

size_t ak_head_params(const ak_head *head);
size_t ak_head_stats(const ak_head *head);
size_t ak_head_work(const ak_head *head, size_t n); // floats, kept from forward to backward

void ak_head_init(float *params, float *stats, const ak_head *head, uint64_t seed);

// z (n, out) from x (n, in), with the batch's statistics.
void ak_head_forward(float *z, const ak_head *head, const float *params, const float *x, size_t n,
                     float *work);

// After forward: stats = (1 - share) * stats + share * batch's.
void ak_head_stats_update(float *stats, const ak_head *head, const float *work, size_t n,
                          float share);

// dx (n, in) and dparams are overwritten; work and x are those of forward.
void ak_head_backward(float *dx, float *dparams, const ak_head *head, const float *params,
                      const float *dz, const float *x, size_t n, float *work);

#endif
