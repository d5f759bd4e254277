// Resizing: area averaging where a side shrinks, bilinear where it grows, one axis after the other.
//
// A target row is first summed from its source rows (contiguous, so that the compiler vectorises
// it) into one row of floats, which is then summed along x, a pixel's three channels in one vector.
// The order is fixed and nothing depends on threads: the same input gives the same bytes.
#include "core/image/image.h"

#include <stdlib.h>
#include <string.h>

// Row i of the target is the sum over k < count[i] of weight[i * most + k] * row first[i] + k.
typedef struct {
    int *first, *count;
    float *weight; // (out, most), a row's weights sum to 1
    size_t most;
} taps;

static void taps_clear(taps *t)
{
    free(t->first);
    free(t->count);
    free(t->weight);
}

// Source pixel j covers [j * out, (j + 1) * out) and target pixel i [i * in, (i + 1) * in) in units
// of 1 / (in * out) of the side: whole numbers, so the shares are exact.
static void area(taps *t, int i, int in, int out)
{
    int64_t from = (int64_t)i * in, to = from + in;
    int first = (int)(from / out), last = (int)((to - 1) / out);
    t->first[i] = first;
    t->count[i] = last - first + 1;
    for (int j = first; j <= last; j++) {
        int64_t low = (int64_t)j * out, high = low + out;
        int64_t share = (high < to ? high : to) - (low > from ? low : from);
        t->weight[(size_t)i * t->most + (size_t)(j - first)] = (float)share / (float)in;
    }
}

// Pixel centres are at half-odd places; beyond the outermost centres the edge is held.
static void bilinear(taps *t, int i, int in, int out)
{
    double at = ((double)i + 0.5) * in / out - 0.5;
    at = at < 0 ? 0 : at > in - 1 ? in - 1 : at;
    int first = at < in - 1 ? (int)at : in > 1 ? in - 2 : 0;
    float share = (float)(at - first);
    t->first[i] = first;
    t->count[i] = in > 1 ? 2 : 1;
    t->weight[(size_t)i * t->most] = in > 1 ? 1 - share : 1;
    if (in > 1)
        t->weight[(size_t)i * t->most + 1] = share;
}

static bool taps_make(taps *t, int in, int out)
{
    size_t n;
    t->most = (size_t)(in / out) + 2;
    t->first = ak_alloc((size_t)out, sizeof *t->first);
    t->count = ak_alloc((size_t)out, sizeof *t->count);
    t->weight = ak_mul(&n, (size_t)out, t->most) ? ak_alloc(n, sizeof *t->weight) : NULL;
    if (!t->first || !t->count || !t->weight)
        return false;
    for (int i = 0; i < out; i++)
        (out > in ? bilinear : area)(t, i, in, out);
    return true;
}

// sum = the weighted sum of count rows of n bytes, one behind the other; four at a time, since
// loading and storing the sum costs as much as a multiplication.
static void sum_rows(float *restrict sum, const uint8_t *restrict row, size_t n,
                     const float *weight, int count)
{
    int k = 0;
    memset(sum, 0, n * sizeof *sum);
    for (; k + 4 <= count; k += 4, row += 4 * n) {
        const float a = weight[k], b = weight[k + 1], c = weight[k + 2], d = weight[k + 3];
        for (size_t i = 0; i < n; i++)
            sum[i] += (a * row[i] + b * row[i + n]) + (c * row[i + 2 * n] + d * row[i + 3 * n]);
    }
    for (; k + 2 <= count; k += 2, row += 2 * n) {
        const float a = weight[k], b = weight[k + 1];
        for (size_t i = 0; i < n; i++)
            sum[i] += a * row[i] + b * row[i + n];
    }
    if (k < count)
        for (size_t i = 0; i < n; i++)
            sum[i] += weight[k] * row[i];
}

typedef float pixel __attribute__((vector_size(16))); // red, green, blue and one that is ignored

static inline pixel load(const float *at)
{
    pixel p;
    memcpy(&p, at, sizeof p);
    return p;
}

static inline void store(float *at, pixel p)
{
    memcpy(at, &p, sizeof p);
}

// out: (width, 3) floats and one more; each pixel's fourth value is overwritten by the next.
static void sum_columns(float *restrict out, const float *restrict row, const taps *t, int width)
{
    for (int i = 0; i < width; i++, out += 3) {
        const float *at = row + (size_t)t->first[i] * 3, *weight = t->weight + (size_t)i * t->most;
        pixel even = {0}, odd = {0};
        int k = 0;
        for (; k + 2 <= t->count[i]; k += 2, at += 6) {
            even += weight[k] * load(at);
            odd += weight[k + 1] * load(at + 3);
        }
        if (k < t->count[i])
            even += weight[k] * load(at);
        store(out, even + odd);
    }
}

static void round_row(uint8_t *restrict bytes, const float *restrict row, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(int)(row[i] + 0.5f);
}

ak_status ak_image_resize(ak_image *dst, const ak_image *src, int width, int height, ak_error *err)
{
    taps across = {0}, down = {0};
    float *row = NULL, *shrunk = NULL;
    ak_status status = ak_image_init(dst, width, height, err);
    if (status != AK_OK)
        return status;
    size_t n = (size_t)src->width * 3, out = (size_t)width * 3;
    if (width == src->width && height == src->height) {
        memcpy(dst->rgb, src->rgb, n * (size_t)height);
        return AK_OK;
    }
    row = ak_alloc(n + 1, sizeof *row); // one more each, for the vector of the last pixel
    shrunk = ak_alloc(out + 1, sizeof *shrunk);
    if (!row || !shrunk || !taps_make(&across, src->width, width) ||
        !taps_make(&down, src->height, height)) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to resize a picture to %d x %d", width,
                         height);
        ak_image_clear(dst);
        goto done;
    }
    for (int y = 0; y < height; y++) {
        sum_rows(row, src->rgb + (size_t)down.first[y] * n, n, down.weight + (size_t)y * down.most,
                 down.count[y]);
        sum_columns(shrunk, row, &across, width);
        round_row(dst->rgb + (size_t)y * out, shrunk, out);
    }
done:
    free(row);
    free(shrunk);
    taps_clear(&across);
    taps_clear(&down);
    return status;
}

ak_status ak_image_square(uint8_t *out, int side, const ak_image *src, ak_error *err)
{
    ak_image small = {0};
    ak_status status = ak_image_resize(&small, src, side, side, err);
    if (status == AK_OK)
        memcpy(out, small.rgb, 3 * (size_t)side * (size_t)side);
    ak_image_clear(&small);
    return status;
}
