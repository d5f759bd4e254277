#include "core/describe/colour.h"

#include "core/describe/cells.h"

int ak_colour_bin(uint8_t r, uint8_t g, uint8_t b)
{
    int most = r > g ? (r > b ? r : b) : (g > b ? g : b);
    int least = r < g ? (r < b ? r : b) : (g < b ? g : b);
    int range = most - least;
    // Saturation under 1/8, or too dark for a hue to be seen.
    if (most < 32 || 8 * range < most)
        return AK_COLOUR_HUES * 6 + most * AK_COLOUR_GREYS / 256;
    float hue; // in sixths of a turn
    if (most == r)
        hue = (float)(g - b) / (float)range;
    else if (most == g)
        hue = (float)(b - r) / (float)range + 2;
    else
        hue = (float)(r - g) / (float)range + 4;
    if (hue < 0)
        hue += 6;
    int h = (int)(hue * AK_COLOUR_HUES / 6.0f) % AK_COLOUR_HUES;
    int s = 2 * range >= most, v = most * 3 / 256;
    return (h * 2 + s) * 3 + v;
}

void ak_colour_histogram(float *out, const uint8_t *pixels, int side)
{
    ak_cells_histogram(out, pixels, side, AK_COLOUR_CELLS, AK_COLOUR_BINS, ak_colour_bin);
}
