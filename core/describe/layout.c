#include "core/describe/layout.h"

#include <math.h>

#define CELLS AK_LAYOUT_CELLS
#define WAVES 9    // along a side: 0 .. 8 half periods
#define REACH 72   // u^2 + v^2 at most: AK_LAYOUT_DIMS pairs of waves but (0, 0)
#define FAINT 8.0f // levels of 255 by which a spread is raised, so that noise is no layout

static float luminance_of(const uint8_t *pixels, int side, int cx, int cy)
{
    const int left = cx * side / CELLS, top = cy * side / CELLS; // of fewer pixels than cells some
    int right = (cx + 1) * side / CELLS, low = (cy + 1) * side / CELLS; // cells share one
    right += right == left;
    low += low == top;
    uint32_t sum = 0;
    for (int y = top; y < low; y++)
        for (const uint8_t *p = pixels + 3 * (y * side + left), *end = p + 3 * (right - left);
             p < end; p += 3)
            sum += 299u * p[0] + 587u * p[1] + 114u * p[2];
    return (float)sum / (1000.0f * (float)((right - left) * (low - top)));
}

// Grid of luminance with mean 0 and a spread of about 1.
static void grid_of(float grid[CELLS][CELLS], const uint8_t *pixels, int side)
{
    float mean = 0, square = 0;
    for (int y = 0; y < CELLS; y++)
        for (int x = 0; x < CELLS; x++)
            mean += (grid[y][x] = luminance_of(pixels, side, x, y)) / (CELLS * CELLS);
    for (int y = 0; y < CELLS; y++)
        for (int x = 0; x < CELLS; x++) {
            grid[y][x] -= mean;
            square += grid[y][x] * grid[y][x] / (CELLS * CELLS);
        }
    for (int y = 0; y < CELLS; y++)
        for (int x = 0; x < CELLS; x++)
            grid[y][x] /= sqrtf(square) + FAINT;
}

void ak_layout(float *out, const uint8_t *pixels, int side)
{
    float grid[CELLS][CELLS], wave[WAVES][CELLS], rows[CELLS][WAVES] = {0}, square = 0;
    grid_of(grid, pixels, side);
    for (int u = 0; u < WAVES; u++)
        for (int x = 0; x < CELLS; x++)
            wave[u][x] = (u ? 1 : (float)M_SQRT1_2) *
                         cosf((float)M_PI * (float)((2 * x + 1) * u) / (2 * CELLS));
    for (int y = 0; y < CELLS; y++)
        for (int u = 0; u < WAVES; u++)
            for (int x = 0; x < CELLS; x++)
                rows[y][u] += grid[y][x] * wave[u][x];
    for (int v = 0, i = 0; v < WAVES; v++)
        for (int u = 0; u < WAVES; u++) {
            const int f = u * u + v * v;
            if (f == 0 || f > REACH)
                continue;
            float sum = 0;
            for (int y = 0; y < CELLS; y++)
                sum += rows[y][u] * wave[v][y];
            out[i] = sqrtf((float)f) * sum;
            square += out[i] * out[i];
            i++;
        }
    for (int i = 0; i < AK_LAYOUT_DIMS && square > 0; i++)
        out[i] /= sqrtf(square);
}
