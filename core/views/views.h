// Views: a random part of a picture, resized, mirrored, recoloured, and spoilt as copies are.
//
// In this order: crop, mirror, jitter, grey, cast, blur, solarise, jpeg, erase. `shrink` makes a
// view at a smaller side up to jpeg and scales it up then, as a picture that was saved small is
// shown: the squares of a JPEG grow with it. Crop, mirror, jitter and grey draw from the view's
// stream one after the other; each of the others has a part of the stream to itself, so that none
// shifts the numbers of another.
#ifndef AK_VIEWS_VIEWS_H
#define AK_VIEWS_VIEWS_H

#include "core/base/random.h"
#include "core/image/image.h"
#include "core/views/recipe.h"

// Floats of scratch that a view of a picture of at most this size needs.
size_t ak_view_work(int width, int height, int side);

// out (side, side, 3). The same stream gives the same view, whatever the thread.
void ak_view_make(uint8_t *out, int side, const ak_image *picture, const ak_view_recipe *recipe,
                  ak_random stream, float *work);

// The recipe of a plan's small views.
ak_view_recipe ak_view_small_recipe(const ak_view_plan *plan);

#endif
