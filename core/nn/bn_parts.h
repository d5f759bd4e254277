// Batch norm with the statistics of a batch that is spread over several processes.
//
// Slower than the batch norms of one process (oneDNN's, head.c's): it is used where there are
// several alone.
#ifndef AK_NN_BN_PARTS_H
#define AK_NN_BN_PARTS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    // Adds up over the processes, in place. All make the same calls in the same order.
    void (*sum)(double *values, size_t n);
    int parts; // processes, each with as many rows
} ak_bn_parts;

// Activations in blocks of channels, (batch, c / block, plane, block), f32 or bf16. Rows of a
// matrix are one block and a plane of one.
typedef struct {
    size_t batch, c, plane, block;
    bool bf16, relu; // relu: y is cut off at 0
} ak_bn_maps;

// y = scale * (x - mean) / sqrt(variance + eps) + shift; mean and variance (c each) are set.
void ak_bn_parts_forward(void *y, float *mean, float *variance, const void *x, const float *scale,
                         const float *shift, const ak_bn_maps *maps, const ak_bn_parts *parts);

// dx, which may be dy, over the whole batch; dscale and dshift from this process's rows alone, so
// that they add up over the processes as all gradients of parameters do. x, y, mean and variance
// are those of forward; y is read for the ReLU alone.
void ak_bn_parts_backward(void *dx, float *dscale, float *dshift, const void *dy, const void *x,
                          const void *y, const float *mean, const float *variance,
                          const float *scale, const ak_bn_maps *maps, const ak_bn_parts *parts);

#endif
