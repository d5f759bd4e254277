#include "core/eval/histogram.h"

#include <math.h>

// In integers, so that a colour on the edge of a bin falls the same way everywhere.
int ak_histogram_bin(uint8_t r, uint8_t g, uint8_t b)
{
    int max = r > g ? r : g, min = r < g ? r : g;
    max = max > b ? max : b;
    min = min < b ? min : b;
    int chroma = max - min;
    int hue = 0, saturation = 0;
    if (chroma) {
        int sixths; // of a turn, in units of chroma
        if (max == r)
            sixths = g - b;
        else if (max == g)
            sixths = 2 * chroma + b - r;
        else
            sixths = 4 * chroma + r - g;
        if (sixths < 0)
            sixths += 6 * chroma;
        hue = sixths * 16 / (6 * chroma); // under 16: the hue is below a whole turn
        saturation = chroma * 4 / max;
        if (saturation > 3)
            saturation = 3;
    }
    return hue * 16 + saturation * 4 + max / 64;
}

void ak_histogram_make(float *out, const ak_image *pixels)
{
    size_t counts[AK_HISTOGRAM_BINS] = {0};
    size_t n = (size_t)pixels->width * (size_t)pixels->height;
    const uint8_t *p = pixels->rgb;
    for (size_t i = 0; i < n; i++, p += 3)
        counts[ak_histogram_bin(p[0], p[1], p[2])]++;
    for (int i = 0; i < AK_HISTOGRAM_BINS; i++)
        out[i] = (float)sqrt((double)counts[i] / (double)n);
}
