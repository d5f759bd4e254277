#include "core/describe/palette.h"

#include "core/describe/whitening.h"

#include <math.h>
#include <string.h>

#define CELLS AK_PALETTE_CELLS
#define BINS  AK_PALETTE_BINS

void ak_palette_histogram(float *out, const uint8_t *pixels, int side)
{
    memset(out, 0, BINS * sizeof *out);
    for (int cy = 0; cy < CELLS; cy++)
        for (int cx = 0; cx < CELLS; cx++) {
            const int left = cx * side / CELLS, right = (cx + 1) * side / CELLS;
            const int top = cy * side / CELLS, low = (cy + 1) * side / CELLS;
            const float n = (float)((right - left) * (low - top));
            int counts[BINS] = {0};
            for (int y = top; y < low; y++)
                for (int x = left; x < right; x++) {
                    const uint8_t *p = pixels + 3 * (y * side + x);
                    counts[ak_hsv_bin(p[0], p[1], p[2])]++;
                }
            for (int i = 0; i < BINS; i++)
                out[i] += sqrtf((float)counts[i] / n) / (CELLS * CELLS);
        }
}

ak_status ak_palette_fit(float *mean, float *axes, const ak_fit_set *set, const float *histograms,
                         float power, float shrink, ak_error *err)
{
    ak_scatter s = {0};
    float ratios[AK_PALETTE_DIMS];
    ak_status status = ak_scatter_init(&s, BINS, err);
    if (status == AK_OK)
        status = ak_fit_scatter(&s, set, histograms, err);
    if (status == AK_OK) {
        memcpy(mean, s.mean, BINS * sizeof *mean);
        status = ak_whitening_fit(axes, ratios, &s, AK_PALETTE_DIMS, power, shrink, err);
    }
    ak_scatter_clear(&s);
    return status;
}

void ak_palette(float *out, const uint8_t *pixels, int side, const float *mean, const float *axes)
{
    float histogram[BINS];
    ak_palette_histogram(histogram, pixels, side);
    ak_whitening_apply(out, histogram, mean, axes, 1, BINS, AK_PALETTE_DIMS);
}
