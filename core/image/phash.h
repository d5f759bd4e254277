// Perceptual hash: 64 bits of what a picture looks like when it is very small (pHash's DCT hash,
// Zauner 2010). Copies that were scaled, recompressed or recoloured a little differ in a few bits,
// unrelated pictures in about 32. Thread-safe.
#ifndef AK_IMAGE_PHASH_H
#define AK_IMAGE_PHASH_H

#include "core/image/image.h"

// The grey picture (BT.601) of 32 x 32 by ak_image_resize, its DCT-II, of that the 8 x 8
// coefficients of frequencies 1 to 8 both ways, row by row, rounded to quarters: bit i is set when
// the i-th is above the median of them all. A picture of one colour has none set.
ak_status ak_phash(uint64_t *hash, const ak_image *image, ak_error *err);

static inline int ak_phash_distance(uint64_t a, uint64_t b)
{
    return __builtin_popcountll(a ^ b);
}

// out (AK_PHASH_SIDE / 4, AK_PHASH_SIDE / 4): those coefficients, unscaled: the sums over y and x
// of grey * cos(pi (2 y + 1) v / 64) * cos(pi (2 x + 1) u / 64), row v - 1, column u - 1.
#define AK_PHASH_SIDE 32
void ak_phash_dct(float out[64], const float grey[AK_PHASH_SIDE * AK_PHASH_SIDE]);

#endif
