#include "core/eval/histogram.h"

#include <math.h>

void ak_histogram_make(float *out, const ak_image *pixels)
{
    size_t counts[AK_HISTOGRAM_BINS] = {0};
    size_t n = (size_t)pixels->width * (size_t)pixels->height;
    const uint8_t *p = pixels->rgb;
    for (size_t i = 0; i < n; i++, p += 3)
        counts[ak_hsv_bin(p[0], p[1], p[2])]++;
    for (int i = 0; i < AK_HISTOGRAM_BINS; i++)
        out[i] = (float)sqrt((double)counts[i] / (double)n);
}
