// Gradient of a convolution's weights in bf16, for maps of few cells and many pictures.
//
// oneDNN goes picture by picture and touches all weights for each: on the last maps of a network
// (2 x 2 cells, 2.4 M weights) memory is what it waits for. Here a tile of 16 x 16 weights stays in
// registers while all pictures go by, cells outside the map are never multiplied, and the result is
// written once, in plain order.
#ifndef AK_NN_SMALL_MAPS_H
#define AK_NN_SMALL_MAPS_H

#include <stddef.h>
#include <stdint.h>

#define AK_SMALL_MAPS_K     3   // kernels up to 3 x 3
#define AK_SMALL_MAPS_CELLS 256 // beyond, the pictures of a channel leave the cache between taps

typedef struct {
    size_t batch, ic, oc; // channels are multiples of 16
    int h, w, oh, ow;     // of the input's and the output's map
    int k, stride, pad;
} ak_small_maps;

size_t ak_small_maps_work(const ak_small_maps *shape); // bytes

// dw (oc, ic, k, k) from x (batch, ic / 16, h, w, 16) and dy (batch, oc / 16, oh, ow, 16), bf16.
// For processors with AVX-512 BF16 alone. work is aligned to 64 bytes.
void ak_small_maps_weights(float *dw, const uint16_t *x, const uint16_t *dy,
                           const ak_small_maps *shape, void *work);

#endif
