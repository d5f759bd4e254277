// The colour part of a descriptor: what the encoder's training washes out.
//
// The prepared picture is cut into a grid of cells; each cell's histogram over hue, saturation and
// value is square-rooted, so that one large even area does not drown the rest, and the cells'
// histograms are averaged. It is a sum over cells, so explanations stay exact.
#ifndef AK_DESCRIBE_COLOUR_H
#define AK_DESCRIBE_COLOUR_H

#include <stddef.h>
#include <stdint.h>

#define AK_COLOUR_CELLS 4 // a side of the grid
#define AK_COLOUR_HUES  10
#define AK_COLOUR_GREYS 6
#define AK_COLOUR_BINS  (AK_COLOUR_HUES * 2 * 3 + AK_COLOUR_GREYS)

// The bin of one colour: hues by 2 saturations by 3 values, then greys.
int ak_colour_bin(uint8_t r, uint8_t g, uint8_t b);

// out (AK_COLOUR_BINS) from pixels (side, side, 3), side >= AK_COLOUR_CELLS.
void ak_colour_histogram(float *out, const uint8_t *pixels, int side);

#endif
