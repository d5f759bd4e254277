// Inside core/views: the stages of a view. A view is (side, side, 3), in floats 0..255 until its
// colours are final, in bytes from there on. Scratch is the caller's.
#ifndef AK_VIEWS_STAGES_H
#define AK_VIEWS_STAGES_H

#include "core/base/random.h"
#include "core/image/image.h"
#include "core/views/recipe.h"

// Three colours and what lies behind them: views are read and written four floats at a time, so a
// view of floats has one float more.
typedef float ak_pixel __attribute__((vector_size(16), aligned(4), may_alias));

typedef struct {
    int x, y, w, h;
} ak_box;

// Where a view is cut out of a picture of width x height.
ak_box ak_crop_choose(int width, int height, const ak_view_recipe *recipe, ak_random *r);

// Area averaging where the box shrinks, bilinear where it grows. It shrinks by 62 at most: what a
// larger box has beyond 62 times the side, to the right and below, is left out. work:
// ak_crop_work(width, height, side) floats of a picture at most so large.
size_t ak_crop_work(int width, int height, int side);
void ak_crop_resize(float *view, int side, const ak_image *picture, ak_box box, float *work);

// Colours as one matrix: colour' = m (colour, 1).
typedef struct {
    float m[3][4];
} ak_colour_map;

ak_colour_map ak_jitter_choose(const ak_view_recipe *recipe, const float mean[3], ak_random *r);
void ak_jitter_cast(ak_colour_map *map, const ak_view_recipe *recipe, ak_random *r);
void ak_view_mean(float mean[3], const float *view, int side);
void ak_jitter_apply(uint8_t *out, const float *view, int side, const ak_colour_map *map,
                     bool mirror);

// Gaussian, cut off at three sigma, the edge's pixels going on for ever. work:
// ak_blur_work(side) floats.
size_t ak_blur_work(int side);
void ak_blur(uint8_t *view, int side, float sigma, float *work);

void ak_solarise(uint8_t *view, int side, float from);

// A JPEG of this quality, decoded. Without memory for it the view stays as it is.
void ak_recompress(uint8_t *view, int side, int quality);

// A rectangle of a share of the view is filled with its mean colour, or with noise.
void ak_erase(uint8_t *view, int side, float share, bool noise, ak_random *r);

#endif
