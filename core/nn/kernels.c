#include "core/nn/kernels.h"

#include "core/nn/activation.h"

#include <string.h>

void ak_normalise(float *y, const uint8_t *x, size_t pixels, const float mean[3],
                  const float deviation[3])
{
    float scale[3], shift[3];
    for (int c = 0; c < 3; c++) {
        scale[c] = 1.0f / (255.0f * deviation[c]);
        shift[c] = -mean[c] / deviation[c];
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++)
            y[3 * i + c] = (float)x[3 * i + c] * scale[c] + shift[c];
}

static inline __attribute__((always_inline)) void add_relu(void *y, const void *a, const void *b,
                                                           size_t n, bool bf16)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++) {
        float sum = get(a, i, bf16) + get(b, i, bf16);
        put(y, i, sum > 0 ? sum : 0, bf16);
    }
}

void ak_add_relu(void *y, const void *a, const void *b, size_t n, bool bf16)
{
    BY_TYPE(bf16, add_relu(y, a, b, n, BF16));
}

static inline __attribute__((always_inline)) void relu_backward(void *dx, const void *dy,
                                                                const void *y, size_t n, bool bf16)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++) {
        float gradient = get(dy, i, bf16); // a load under the condition would not be vectorised
        put(dx, i, get(y, i, bf16) > 0 ? gradient : 0, bf16);
    }
}

void ak_relu_backward(void *dx, const void *dy, const void *y, size_t n, bool bf16)
{
    BY_TYPE(bf16, relu_backward(dx, dy, y, n, BF16));
}

static inline __attribute__((always_inline)) void add(void *y, const void *x, size_t n, bool bf16)
{
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++)
        put(y, i, get(y, i, bf16) + get(x, i, bf16), bf16);
}

void ak_add(void *y, const void *x, size_t n, bool bf16)
{
    BY_TYPE(bf16, add(y, x, n, BF16));
}

static inline __attribute__((always_inline)) void avgpool(float *y, size_t stride, const void *x,
                                                          size_t batch, size_t c, size_t plane,
                                                          size_t block, bool bf16)
{
    size_t blocks = c / block;
#pragma omp parallel for schedule(static)
    for (size_t m = 0; m < batch * blocks; m++) {
        float sum[16] = {0}; // block is 8 or 16
        for (size_t p = 0; p < plane; p++)
            for (size_t i = 0; i < block; i++)
                sum[i] += get(x, (m * plane + p) * block + i, bf16);
        float *at = y + m / blocks * stride + m % blocks * block;
        for (size_t i = 0; i < block; i++)
            at[i] = sum[i] / (float)plane;
    }
}

void ak_avgpool(float *y, size_t stride, const void *x, size_t batch, size_t c, size_t plane,
                size_t block, bool bf16)
{
    BY_TYPE(bf16, avgpool(y, stride, x, batch, c, plane, block, BF16));
}

static inline __attribute__((always_inline)) void
avgpool_backward(void *dx, const float *dy, size_t stride, size_t batch, size_t c, size_t plane,
                 size_t block, bool accumulate, bool bf16)
{
    size_t blocks = c / block;
#pragma omp parallel for schedule(static)
    for (size_t m = 0; m < batch * blocks; m++) {
        const float *from = dy + m / blocks * stride + m % blocks * block;
        for (size_t p = 0; p < plane; p++)
            for (size_t i = 0; i < block; i++) {
                size_t at = (m * plane + p) * block + i;
                put(dx, at, (accumulate ? get(dx, at, bf16) : 0) + from[i] / (float)plane, bf16);
            }
    }
}

void ak_avgpool_backward(void *dx, const float *dy, size_t stride, size_t batch, size_t c,
                         size_t plane, size_t block, bool accumulate, bool bf16)
{
    BY_TYPE(bf16, avgpool_backward(dx, dy, stride, batch, c, plane, block, accumulate, BF16));
}

static inline __attribute__((always_inline)) void scale_maps(void *y, const void *x,
                                                             const float *scale, const float *shift,
                                                             size_t maps, size_t plane,
                                                             size_t block, bool bf16)
{
#pragma omp parallel for schedule(static)
    for (size_t m = 0; m < maps; m += block)
        for (size_t p = 0; p < plane; p++)
            for (size_t i = 0; i < block; i++) {
                size_t at = m * plane + p * block + i;
                put(y, at, get(x, at, bf16) * scale[m + i] + (shift ? shift[m + i] : 0), bf16);
            }
}

void ak_scale_maps(void *y, const void *x, const float *scale, const float *shift, size_t maps,
                   size_t plane, size_t block, bool bf16)
{
    BY_TYPE(bf16, scale_maps(y, x, scale, shift, maps, plane, block, BF16));
}

static inline __attribute__((always_inline)) void dot_maps(float *dots, const void *a,
                                                           const void *b, size_t maps, size_t plane,
                                                           size_t block, bool bf16)
{
#pragma omp parallel for schedule(static)
    for (size_t m = 0; m < maps; m += block) {
        float sum[16] = {0}; // block is 8 or 16
        for (size_t p = 0; p < plane; p++)
            for (size_t i = 0; i < block; i++) {
                size_t at = m * plane + p * block + i;
                sum[i] += get(a, at, bf16) * get(b, at, bf16);
            }
        memcpy(dots + m, sum, block * sizeof *sum);
    }
}

void ak_dot_maps(float *dots, const void *a, const void *b, size_t maps, size_t plane, size_t block,
                 bool bf16)
{
    BY_TYPE(bf16, dot_maps(dots, a, b, maps, plane, block, BF16));
}
