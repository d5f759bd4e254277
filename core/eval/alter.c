#include "core/eval/alter.h"

#include "core/base/hash.h"
#include "core/base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

static ak_random stream_of(uint64_t seed, uint32_t what, const char *name)
{
    ak_sha256 sum = ak_sha256_of((ak_bytes){(const uint8_t *)name, strlen(name)});
    uint32_t key[2] = {0};
    for (int i = 0; i < 8; i++)
        key[i / 4] = key[i / 4] << 8 | sum.at[i];
    return ak_random_stream(seed, what, key[0], key[1]);
}

uint64_t ak_alter_rank(uint64_t seed, const char *name)
{
    ak_random r = stream_of(seed, AK_ALTER_COUNT, name);
    return ak_random_u64(&r);
}

static int share(double of, int side)
{
    int n = (int)lround(of * side);
    return n > 1 ? n : 1;
}

static int offset(ak_random *r, int side, int within)
{
    return (int)ak_random_below(r, (uint32_t)(within - side + 1));
}

static uint8_t to_byte(double value)
{
    return (uint8_t)(value <= 0 ? 0 : value >= 255 ? 255 : lround(value));
}

static ak_status crop(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    int w = share(sqrt(0.7), p->width), h = share(sqrt(0.7), p->height);
    int x = offset(r, w, p->width), y = offset(r, h, p->height);
    return ak_image_crop(out, p, x, y, w, h, err);
}

static ak_status shrink(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    (void)r;
    return ak_image_resize(out, p, share(1 / 3.0, p->width), share(1 / 3.0, p->height), err);
}

static ak_status recolour(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    uint8_t map[3][256];
    ak_status status = ak_image_init(out, p->width, p->height, err);
    for (int c = 0; c < 3; c++) {
        double gain = ak_random_range(r, 0.75, 1.25), shift = ak_random_range(r, -16, 16);
        for (int v = 0; v < 256; v++)
            map[c][v] = to_byte(gain * v + shift);
    }
    for (size_t i = 0; status == AK_OK && i < 3 * (size_t)p->width * (size_t)p->height; i++)
        out->rgb[i] = map[i % 3][p->rgb[i]];
    return status;
}

// out[i] = the weighted mean of n items of width 3 about the i-th, `step` floats apart.
static void blur_line(float *out, const float *in, int n, size_t step, const float *weight,
                      int radius)
{
    for (int i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++) {
            float sum = 0;
            for (int k = -radius; k <= radius; k++) {
                int at = i + k < 0 ? 0 : i + k >= n ? n - 1 : i + k;
                sum += weight[k + radius] * in[(size_t)at * step + c];
            }
            out[(size_t)i * step + c] = sum;
        }
}

static ak_status blur(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    (void)r;
    int shorter = p->width < p->height ? p->width : p->height;
    double sigma = 0.01 * shorter, total = 0;
    int radius = (int)ceil(3 * sigma);
    size_t w = (size_t)p->width, h = (size_t)p->height, n = 3 * w * h;
    ak_status status = ak_image_init(out, p->width, p->height, err);
    if (status != AK_OK)
        return status;
    float *weight = ak_alloc(2 * (size_t)radius + 1, sizeof *weight);
    float *a = ak_alloc(n, sizeof *a), *b = ak_alloc(n, sizeof *b);
    if (!weight || !a || !b) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to blur a picture");
        goto done;
    }
    for (int k = -radius; k <= radius; k++)
        total += exp(-k * k / (2 * sigma * sigma));
    for (int k = -radius; k <= radius; k++)
        weight[k + radius] = (float)(exp(-k * k / (2 * sigma * sigma)) / total);
    for (size_t i = 0; i < n; i++)
        a[i] = p->rgb[i];
    for (size_t y = 0; y < h; y++)
        blur_line(b + 3 * w * y, a + 3 * w * y, p->width, 3, weight, radius);
    for (size_t x = 0; x < w; x++)
        blur_line(a + 3 * x, b + 3 * x, p->height, 3 * w, weight, radius);
    for (size_t i = 0; i < n; i++)
        out->rgb[i] = to_byte((double)a[i]);
done:
    free(b);
    free(a);
    free(weight);
    return status;
}

static ak_status mirror(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    (void)r;
    ak_status status = ak_image_init(out, p->width, p->height, err);
    size_t w = (size_t)p->width;
    for (size_t y = 0; status == AK_OK && y < (size_t)p->height; y++)
        for (size_t x = 0; x < w; x++)
            memcpy(out->rgb + 3 * (y * w + x), p->rgb + 3 * (y * w + w - 1 - x), 3);
    return status;
}

// The colour at (x, y), pixel centres at whole numbers, in 0..255; black outside.
static void sample(uint8_t *out, const ak_image *p, double x, double y)
{
    double left = floor(x), top = floor(y), sum[3] = {0};
    for (int i = 0; i < 4; i++) {
        double at_x = left + i % 2, at_y = top + i / 2;
        double weight = (1 - fabs(x - at_x)) * (1 - fabs(y - at_y));
        if (at_x < 0 || at_y < 0 || at_x >= p->width || at_y >= p->height)
            continue;
        const uint8_t *from = p->rgb + 3 * ((size_t)at_y * (size_t)p->width + (size_t)at_x);
        for (int c = 0; c < 3; c++)
            sum[c] += weight * from[c];
    }
    for (int c = 0; c < 3; c++)
        out[c] = to_byte(sum[c]);
}

static ak_status rotate(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    ak_status status = ak_image_init(out, p->width, p->height, err);
    if (status != AK_OK)
        return status;
    double angle = (ak_random_below(r, 2) ? -8 : 8) * PI / 180, c = cos(angle), s = sin(angle);
    double middle_x = (p->width - 1) / 2.0, middle_y = (p->height - 1) / 2.0;
    uint8_t *to = out->rgb;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++, to += 3) {
            double dx = x - middle_x, dy = y - middle_y; // turned back, to where it came from
            sample(to, p, middle_x + c * dx - s * dy, middle_y + s * dx + c * dy);
        }
    int w = share(0.4, p->width), h = share(0.15, p->height);
    uint8_t colour[3];
    for (int i = 0; i < 3; i++)
        colour[i] = (uint8_t)ak_random_below(r, 256);
    int left = offset(r, w, p->width), top = offset(r, h, p->height);
    for (int y = top; y < top + h; y++)
        for (int x = left; x < left + w; x++)
            memcpy(out->rgb + 3 * ((size_t)y * (size_t)p->width + (size_t)x), colour, 3);
    return AK_OK;
}

typedef struct {
    int x, y;
} corner;

static void choose_parts(corner at[2], const ak_image *p, int w, int h, ak_random *r)
{
    for (int attempt = 0; attempt < 1000; attempt++) {
        for (int i = 0; i < 2; i++) {
            at[i].x = offset(r, w, p->width);
            at[i].y = offset(r, h, p->height);
        }
        int across = w - abs(at[0].x - at[1].x), down = h - abs(at[0].y - at[1].y);
        double both = across > 0 && down > 0 ? (double)across * down : 0;
        if (both < 0.1 * (2.0 * w * h - both))
            return;
    }
    at[0] = (corner){0, 0};
    at[1] = (corner){p->width - w, p->height - h};
}

static ak_status part(ak_image *out, const ak_image *p, ak_random *r, int which, ak_error *err)
{
    corner at[2];
    int w = share(sqrt(0.3), p->width), h = share(sqrt(0.3), p->height);
    choose_parts(at, p, w, h, r);
    return ak_image_crop(out, p, at[which].x, at[which].y, w, h, err);
}

static ak_status part_a(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    return part(out, p, r, 0, err);
}

static ak_status part_b(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    return part(out, p, r, 1, err);
}

static const struct {
    ak_status (*make)(ak_image *out, const ak_image *picture, ak_random *r, ak_error *err);
    ak_alteration stream;
    int quality;
} alterations[AK_ALTER_COUNT] = {
    [AK_ALTER_CROP] = {crop, AK_ALTER_CROP, AK_ALTER_QUALITY},
    [AK_ALTER_JPEG] = {shrink, AK_ALTER_JPEG, 15},
    [AK_ALTER_COLOUR] = {recolour, AK_ALTER_COLOUR, AK_ALTER_QUALITY},
    [AK_ALTER_BLUR] = {blur, AK_ALTER_BLUR, AK_ALTER_QUALITY},
    [AK_ALTER_MIRROR] = {mirror, AK_ALTER_MIRROR, AK_ALTER_QUALITY},
    [AK_ALTER_ROTATION] = {rotate, AK_ALTER_ROTATION, AK_ALTER_QUALITY},
    [AK_ALTER_PART_A] = {part_a, AK_ALTER_PART_A, AK_ALTER_QUALITY},
    [AK_ALTER_PART_B] = {part_b, AK_ALTER_PART_A, AK_ALTER_QUALITY}, // drawn together with A
};

ak_status ak_alter(ak_buf *file, const ak_image *picture, ak_alteration how, uint64_t seed,
                   const char *name, ak_error *err)
{
    ak_image altered = {0};
    ak_random r = stream_of(seed, alterations[how].stream, name);
    ak_status status = alterations[how].make(&altered, picture, &r, err);
    if (status == AK_OK)
        status = ak_image_encode_jpeg(file, &altered, alterations[how].quality, err);
    ak_image_clear(&altered);
    return status;
}
