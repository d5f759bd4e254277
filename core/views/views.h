// Views: a random crop of a picture, resized, mirrored and recoloured, in one pass.
//
// Brightness, contrast, saturation and hue are affine in the colour, so their product, in random
// order, is one 3 x 4 matrix a view.
#ifndef AK_VIEWS_VIEWS_H
#define AK_VIEWS_VIEWS_H

#include "core/base/random.h"
#include "core/image/image.h"

typedef struct {
    float area_least, area_most; // of the crop, as shares of the picture
    float aspect_most;           // width : height between 1 / this and this
    float mirror;                // probabilities
    float jitter, grey;
    float brightness, contrast, saturation, hue; // strengths of the jitter; hue in turns
} ak_view_recipe;

#define AK_VIEW_RECIPE_DEFAULT                                                                     \
    ((ak_view_recipe){.area_least = 0.25f,                                                         \
                      .area_most = 1.0f,                                                           \
                      .aspect_most = 4.0f / 3.0f,                                                  \
                      .mirror = 0.5f,                                                              \
                      .jitter = 0.8f,                                                              \
                      .grey = 0.05f,                                                               \
                      .brightness = 0.3f,                                                          \
                      .contrast = 0.3f,                                                            \
                      .saturation = 0.3f,                                                          \
                      .hue = 0.02f})

// Floats of scratch that a view of a picture of this height needs.
size_t ak_view_work(int height, int side);

// out (side, side, 3). The same stream gives the same view, whatever the thread.
void ak_view_make(uint8_t *out, int side, const ak_image *picture, const ak_view_recipe *recipe,
                  ak_random stream, float *work);

#endif
