// Only 8 of 32 frequencies are wanted each way, and cosines are even or odd about the middle: a
// row is folded to 16 sums and 16 differences, which serve the even and the odd frequencies. That
// is 5 thousand multiplications a picture where the definition has a million.
#include "core/image/phash.h"

#include <math.h>
#include <string.h>

#define SIDE AK_PHASH_SIDE
#define HALF (SIDE / 2)
#define KEPT 8

// cosine[u - 1][x]
static void make_cosines(float cosine[KEPT][HALF])
{
    for (int u = 1; u <= KEPT; u++)
        for (int x = 0; x < HALF; x++)
            cosine[u - 1][x] = (float)cos(3.14159265358979323846 * (2 * x + 1) * u / (2 * SIDE));
}

// out[u - 1] of the n rows that stand `step` apart, each of SIDE values.
static void transform(float *restrict out, const float *restrict in, int n,
                      float cosine[KEPT][HALF])
{
    for (int i = 0; i < n; i++, in += SIDE, out += KEPT) {
        float sum[HALF], difference[HALF];
        for (int x = 0; x < HALF; x++) {
            sum[x] = in[x] + in[SIDE - 1 - x];
            difference[x] = in[x] - in[SIDE - 1 - x];
        }
        for (int u = 1; u <= KEPT; u++) {
            const float *folded = u % 2 ? difference : sum;
            float total = 0;
            for (int x = 0; x < HALF; x++)
                total += folded[x] * cosine[u - 1][x];
            out[u - 1] = total;
        }
    }
}

void ak_phash_dct(float out[64], const float grey[AK_PHASH_SIDE * AK_PHASH_SIDE])
{
    float cosine[KEPT][HALF], rows[SIDE * KEPT], columns[KEPT * SIDE], turned[KEPT * KEPT];
    make_cosines(cosine);
    transform(rows, grey, SIDE, cosine);
    for (int y = 0; y < SIDE; y++)
        for (int u = 0; u < KEPT; u++)
            columns[u * SIDE + y] = rows[y * KEPT + u];
    transform(turned, columns, KEPT, cosine);
    for (int u = 0; u < KEPT; u++)
        for (int v = 0; v < KEPT; v++)
            out[v * KEPT + u] = turned[u * KEPT + v];
}

static float median(const float *values, int n)
{
    float sorted[KEPT * KEPT] = {0};
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && sorted[at - 1] > values[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = values[i];
    }
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

ak_status ak_phash(uint64_t *hash, const ak_image *image, ak_error *err)
{
    ak_image small = {0};
    float grey[SIDE * SIDE], dct[KEPT * KEPT];
    *hash = 0;
    ak_status status = ak_image_resize(&small, image, SIDE, SIDE, err);
    if (status != AK_OK)
        return status;
    for (int i = 0; i < SIDE * SIDE; i++) {
        const uint8_t *p = small.rgb + 3 * i;
        grey[i] = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
    }
    ak_image_clear(&small);
    ak_phash_dct(dct, grey);
    // To quarters, so that what is zero but for rounding is zero (one grey level over a quarter of
    // the picture is about 100).
    for (int i = 0; i < KEPT * KEPT; i++)
        dct[i] = rintf(4 * dct[i]);
    float middle = median(dct, KEPT * KEPT);
    for (int i = 0; i < KEPT * KEPT; i++)
        if (dct[i] > middle)
            *hash |= UINT64_C(1) << i;
    return AK_OK;
}
