#include "core/describe/palette.h"

#include "core/describe/cells.h"
#include "core/describe/whitening.h"

#include <string.h>

#define BINS AK_PALETTE_BINS

void ak_palette_histogram(float *out, const uint8_t *pixels, int side)
{
    ak_cells_histogram(out, pixels, side, AK_PALETTE_CELLS, BINS, ak_hsv_bin);
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
