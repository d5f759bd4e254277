// Squeeze-and-excitation (Hu et al. 2018) on activations in blocks of channels,
// (batch, c / block, plane, block): every channel of a picture times a gate in 0..1 that the means
// of all its channels decide.
//
//   gates = sigmoid(W2 max(0, W1 means + b1) + b2)      W1 (k, c), b1 (k), W2 (c, k), b2 (c)
//
// A gate is a factor of the whole map, so a pooled feature stays a sum over its cells. Activations
// are f32 or bf16, all else f32; the small products go to OpenBLAS.
#ifndef AK_NN_GATE_H
#define AK_NN_GATE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    size_t batch, c, k, plane, block;
    bool bf16;
} ak_gate_shape;

size_t ak_gate_work(const ak_gate_shape *shape); // floats, kept from forward to backward

// y may be x. params: the four arrays one after the other, as AK_OP_GATE has them.
void ak_gate_forward(void *y, const void *x, const float *params, const ak_gate_shape *shape,
                     float *work);

// dx and dparams are overwritten; x and work are those of forward.
void ak_gate_backward(void *dx, float *dparams, const void *dy, const void *x, const float *params,
                      const ak_gate_shape *shape, float *work);

#endif
