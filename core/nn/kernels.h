// What lies between the convolutions: element-wise work and global averages over activations.
//
// Activations are f32 or bf16 (the upper half of an f32, rounded to nearest even); sums are f32.
// Each call splits its work over the OpenMP threads of the caller.
#ifndef AK_NN_KERNELS_H
#define AK_NN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// y (n, h * w, 3) = (x / 255 - mean) / deviation.
void ak_normalise(float *y, const uint8_t *x, size_t pixels, const float mean[3],
                  const float deviation[3]);

// y = max(0, a + b); y may be a or b.
void ak_add_relu(void *y, const void *a, const void *b, size_t n, bool bf16);

// dx = dy where y > 0, else 0.
void ak_relu_backward(void *dx, const void *dy, const void *y, size_t n, bool bf16);

// y += x.
void ak_add(void *y, const void *x, size_t n, bool bf16);

// Averages of x in blocks of channels, (batch, c / block, plane, block), into
// y[i * stride + channel], i < batch.
void ak_avgpool(float *y, size_t stride, const void *x, size_t batch, size_t c, size_t plane,
                size_t block, bool bf16);

// dx = dy / plane for every place of the map; or dx += that.
void ak_avgpool_backward(void *dx, const float *dy, size_t stride, size_t batch, size_t c,
                         size_t plane, size_t block, bool add, bool bf16);

// Maps in blocks of channels, (maps / block, plane, block), each with its own factor:
// y = scale[map] * x + shift[map]; shift may be NULL, y may be x.
void ak_scale_maps(void *y, const void *x, const float *scale, const float *shift, size_t maps,
                   size_t plane, size_t block, bool bf16);

// dots[map] = sum over the map of a * b.
void ak_dot_maps(float *dots, const void *a, const void *b, size_t maps, size_t plane, size_t block,
                 bool bf16);

#endif
