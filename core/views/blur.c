#include "core/views/stages.h"

#include <math.h>

#define RADIUS_MAX 255 // three sigma at the largest sigma and side that a recipe may ask for

// Scratch: the view between the passes, a line with a radius on each side.
size_t ak_blur_work(int side)
{
    return 3 * (size_t)side * (size_t)side + 3 * ((size_t)side + 2 * RADIUS_MAX);
}

static int kernel_of(float weight[RADIUS_MAX + 1], float sigma)
{
    int radius = (int)ceilf(3 * sigma);
    radius = radius > RADIUS_MAX ? RADIUS_MAX : radius;
    float sum = 0;
    for (int k = 0; k <= radius; k++) {
        weight[k] = expf(-0.5f * (float)(k * k) / (sigma * sigma));
        sum += k ? 2 * weight[k] : weight[k];
    }
    for (int k = 0; k <= radius; k++)
        weight[k] /= sum;
    return radius;
}

static void along_row(float *restrict to, const float *restrict line, size_t n, const float *weight,
                      int radius)
{
    const float *middle = line + 3 * radius;
    for (size_t j = 0; j < n; j++)
        to[j] = weight[0] * middle[j];
    for (int k = 1; k <= radius; k++) {
        const float *restrict left = middle - 3 * k, *restrict right = middle + 3 * k;
        float w = weight[k];
        for (size_t j = 0; j < n; j++)
            to[j] += w * (left[j] + right[j]);
    }
}

void ak_blur(uint8_t *view, int side, float sigma, float *work)
{
    float weight[RADIUS_MAX + 1];
    int radius = kernel_of(weight, sigma);
    size_t line = 3 * (size_t)side;
    float *rows = work, *padded = work + line * (size_t)side;
    for (int y = 0; y < side; y++) {
        const uint8_t *from = view + (size_t)y * line;
        float *middle = padded + 3 * radius;
        for (size_t j = 0; j < line; j++)
            middle[j] = (float)from[j];
        for (int j = 0; j < 3 * radius; j++) {
            padded[j] = middle[j % 3];
            middle[line + (size_t)j] = middle[line - 3 + (size_t)(j % 3)];
        }
        along_row(rows + (size_t)y * line, padded, line, weight, radius);
    }
    for (int y = 0; y < side; y++) {
        float *restrict sum = padded;
        for (size_t j = 0; j < line; j++)
            sum[j] = weight[0] * rows[(size_t)y * line + j] + 0.5f;
        for (int k = 1; k <= radius; k++) {
            const float *above = rows + (size_t)(y < k ? 0 : y - k) * line;
            const float *below = rows + (size_t)(y + k < side ? y + k : side - 1) * line;
            float w = weight[k];
            for (size_t j = 0; j < line; j++)
                sum[j] += w * (above[j] + below[j]);
        }
        uint8_t *to = view + (size_t)y * line;
        for (size_t j = 0; j < line; j++)
            to[j] = (uint8_t)(sum[j] > 255 ? 255 : sum[j]);
    }
}
