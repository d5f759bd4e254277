// Histograms of a picture cell by cell, the one way for all parts that are made of them.
#ifndef AK_DESCRIBE_CELLS_H
#define AK_DESCRIBE_CELLS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#define AK_CELL_BINS_MAX 256

// out (bins): each cell's shares of the bins square-rooted (Hellinger's distance), averaged over a
// grid of cells by cells; pixels (side, side, 3), side >= cells. Inline, so that `bin` can be.
static inline void ak_cells_histogram(float *out, const uint8_t *pixels, int side, int cells,
                                      int bins, int (*bin)(uint8_t r, uint8_t g, uint8_t b))
{
    memset(out, 0, (size_t)bins * sizeof *out);
    for (int cy = 0; cy < cells; cy++)
        for (int cx = 0; cx < cells; cx++) {
            const int left = cx * side / cells, right = (cx + 1) * side / cells;
            const int top = cy * side / cells, low = (cy + 1) * side / cells;
            const float n = (float)((right - left) * (low - top));
            int counts[AK_CELL_BINS_MAX] = {0};
            for (int y = top; y < low; y++)
                for (int x = left; x < right; x++) {
                    const uint8_t *p = pixels + 3 * (y * side + x);
                    counts[bin(p[0], p[1], p[2])]++;
                }
            for (int i = 0; i < bins; i++)
                out[i] += sqrtf((float)counts[i] / n) / (float)(cells * cells);
        }
}

#endif
