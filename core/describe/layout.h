// The layout part of a descriptor: where a picture is light and where it is dark.
//
// A small, coarsely compressed copy keeps little of what a network looks at and nearly all of this.
// The luminance of a grid of cells, brought to one mean and one spread, is turned into its lowest
// frequencies, each scaled by its frequency, since those of photographs fall off as 1 / f (Field,
// JOSA A 4, 1987). But for the spread it is linear in the cells, so explanations stay exact.
#ifndef AK_DESCRIBE_LAYOUT_H
#define AK_DESCRIBE_LAYOUT_H

#include <stdint.h>

#define AK_LAYOUT_CELLS 16 // a side of the grid
#define AK_LAYOUT_DIMS  64

// out (AK_LAYOUT_DIMS), of unit length, or zero where the picture is even; pixels (side, side, 3).
void ak_layout(float *out, const uint8_t *pixels, int side);

#endif
