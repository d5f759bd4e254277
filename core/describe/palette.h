// The palette part of a descriptor: which colours a picture has, and how much of each.
//
// One package among others, or one sort of fruit, is told by colours more than by shapes, which is
// what an encoder is trained for. The shares of the bins of core/image/hsv.h in each cell of a grid
// are square-rooted, so that one even area does not drown the rest (Hellinger's distance), and
// averaged over the cells, and a whitening is learned for them from the pairs that the whitening of
// the features is learned from. It is linear in a sum over cells, so explanations stay exact.
// Thread-safe.
#ifndef AK_DESCRIBE_PALETTE_H
#define AK_DESCRIBE_PALETTE_H

#include "core/describe/fit_set.h"
#include "core/image/hsv.h"

#define AK_PALETTE_CELLS 2 // a side of the grid
#define AK_PALETTE_BINS  AK_HSV_BINS
#define AK_PALETTE_DIMS  64

// out (AK_PALETTE_BINS) from pixels (side, side, 3), side >= AK_PALETTE_CELLS.
void ak_palette_histogram(float *out, const uint8_t *pixels, int side);

// mean (AK_PALETTE_BINS) and axes (AK_PALETTE_DIMS, AK_PALETTE_BINS) from the histograms of all
// rows of the set (ak_fit_rows, AK_PALETTE_BINS); power and shrink: core/describe/whitening.h.
ak_status ak_palette_fit(float *mean, float *axes, const ak_fit_set *set, const float *histograms,
                         float power, float shrink, ak_error *err);

// out (AK_PALETTE_DIMS), of unit length, or zero where the histogram is the mean.
void ak_palette(float *out, const uint8_t *pixels, int side, const float *mean, const float *axes);

#endif
