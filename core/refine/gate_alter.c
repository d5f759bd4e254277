#include "core/refine/gate_alter.h"

#include "core/base/random.h"

#include <math.h>
#include <string.h>

#define ATTEMPTS 1000
#define PARTS    100 // number of their stream, beside the families'

static ak_random stream_of(uint64_t seed, uint32_t what, const ak_sha256 *sum)
{
    uint32_t high, low;
    memcpy(&high, sum->at, sizeof high);
    memcpy(&low, sum->at + sizeof high, sizeof low);
    return ak_random_stream(seed, 0x9a7e0000u + what, high, low);
}

static int below(ak_random *r, int n)
{
    return n > 0 ? (int)ak_random_below(r, (uint32_t)n) : 0;
}

static int share(double of, int side)
{
    int n = (int)lround(of * side);
    return n < 1 ? 1 : n > side ? side : n;
}

ak_status ak_gate_parts(ak_image *a, ak_image *b, const ak_image *picture, uint64_t seed,
                        const ak_sha256 *sum, ak_error *err)
{
    ak_random r = stream_of(seed, PARTS, sum);
    int w = share(sqrt(AK_PART_AREA), picture->width),
        h = share(sqrt(AK_PART_AREA), picture->height);
    int right = picture->width - w, bottom = picture->height - h;
    int xa = 0, ya = 0, xb = right, yb = bottom;
    for (int i = 0; i < ATTEMPTS; i++) {
        int x1 = below(&r, right + 1), y1 = below(&r, bottom + 1);
        int x2 = below(&r, right + 1), y2 = below(&r, bottom + 1);
        int over_x = w - (x1 > x2 ? x1 - x2 : x2 - x1), over_y = h - (y1 > y2 ? y1 - y2 : y2 - y1);
        double shared = over_x > 0 && over_y > 0 ? (double)over_x * over_y : 0;
        if (shared < AK_PART_IOU * (2.0 * w * h - shared)) {
            xa = x1;
            ya = y1;
            xb = x2;
            yb = y2;
            break;
        }
    }
    ak_status status = ak_image_crop(a, picture, xa, ya, w, h, err);
    return status == AK_OK ? ak_image_crop(b, picture, xb, yb, w, h, err) : status;
}

static void fill(ak_image *out, int x, int y, int w, int h, const uint8_t colour[3])
{
    for (int v = y; v < y + h; v++)
        for (int u = x; u < x + w; u++)
            memcpy(out->rgb + 3 * ((size_t)v * (size_t)out->width + (size_t)u), colour, 3);
}

static ak_status copy_of(ak_image *out, const ak_image *p, ak_error *err)
{
    return ak_image_crop(out, p, 0, 0, p->width, p->height, err);
}

static ak_status overlay(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    ak_status status = copy_of(out, p, err);
    if (status != AK_OK)
        return status;
    uint8_t colour[3];
    for (int c = 0; c < 3; c++)
        colour[c] = (uint8_t)below(r, 256);
    int w = share(0.5, p->width), h = share(0.4, p->height);
    int x = below(r, p->width - w + 1), y = below(r, p->height - h + 1);
    fill(out, x, y, w, h, colour);
    return AK_OK;
}

static ak_status border(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    int wide = share(0.1, p->width < p->height ? p->width : p->height);
    ak_status status = ak_image_init(out, p->width + 2 * wide, p->height + 2 * wide, err);
    if (status != AK_OK)
        return status;
    uint8_t colour[3];
    for (int c = 0; c < 3; c++)
        colour[c] = (uint8_t)below(r, 256);
    fill(out, 0, 0, out->width, out->height, colour);
    for (int y = 0; y < p->height; y++)
        memcpy(out->rgb + 3 * ((size_t)(y + wide) * (size_t)out->width + (size_t)wide),
               p->rgb + 3 * (size_t)y * (size_t)p->width, 3 * (size_t)p->width);
    return AK_OK;
}

static ak_status mosaic(ak_image *out, const ak_image *p, ak_error *err)
{
    int cell = share(1.0 / 30, p->width < p->height ? p->width : p->height);
    int across = (p->width + cell - 1) / cell, down = (p->height + cell - 1) / cell;
    ak_image small = {0};
    ak_status status = ak_image_resize(&small, p, across, down, err);
    if (status == AK_OK)
        status = ak_image_init(out, p->width, p->height, err);
    for (int y = 0; y < p->height && status == AK_OK; y++)
        for (int x = 0; x < p->width; x++)
            memcpy(out->rgb + 3 * ((size_t)y * (size_t)p->width + (size_t)x),
                   small.rgb + 3 * (y / cell * across + x / cell), 3);
    ak_image_clear(&small);
    return status;
}

static ak_status rotation(ak_image *out, const ak_image *p, ak_random *r, ak_error *err)
{
    ak_status status = ak_image_init(out, p->width, p->height, err);
    if (status != AK_OK)
        return status;
    double angle = (below(r, 2) ? 15 : -15) * 3.14159265358979 / 180;
    double c = cos(angle), s = sin(angle), mx = (p->width - 1) / 2.0, my = (p->height - 1) / 2.0;
    for (int y = 0; y < p->height; y++)
        for (int x = 0; x < p->width; x++) {
            double u = mx + c * (x - mx) + s * (y - my), v = my - s * (x - mx) + c * (y - my);
            uint8_t *to = out->rgb + 3 * ((size_t)y * (size_t)p->width + (size_t)x);
            int x0 = (int)floor(u), y0 = (int)floor(v);
            if (x0 < 0 || y0 < 0 || x0 + 1 >= p->width || y0 + 1 >= p->height) {
                memset(to, 0, 3);
                continue;
            }
            double fx = u - x0, fy = v - y0;
            const uint8_t *from = p->rgb + 3 * ((size_t)y0 * (size_t)p->width + (size_t)x0);
            const uint8_t *next = from + 3 * (size_t)p->width;
            for (int k = 0; k < 3; k++)
                to[k] = (uint8_t)lround((1 - fy) * ((1 - fx) * from[k] + fx * from[k + 3]) +
                                        fy * ((1 - fx) * next[k] + fx * next[k + 3]));
        }
    return AK_OK;
}

static ak_status recompression(ak_image *out, const ak_image *p, ak_error *err)
{
    ak_image small = {0};
    ak_buf jpeg = {0};
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    ak_status status = ak_image_resize(&small, p, share(0.5, p->width), share(0.5, p->height), err);
    if (status == AK_OK)
        status = ak_image_encode_jpeg(&jpeg, &small, 15, err);
    if (status == AK_OK)
        status = ak_image_decode(out, ak_buf_bytes(&jpeg), 0, &limits, err);
    ak_image_clear(&small);
    ak_buf_clear(&jpeg);
    return status;
}

ak_status ak_gate_copy(ak_image *out, const ak_image *picture, ak_copy family, uint64_t seed,
                       const ak_sha256 *sum, ak_error *err)
{
    ak_random r = stream_of(seed, (uint32_t)family, sum);
    switch (family) {
    case AK_COPY_OVERLAY:
        return overlay(out, picture, &r, err);
    case AK_COPY_BORDER:
        return border(out, picture, &r, err);
    case AK_COPY_MOSAIC:
        return mosaic(out, picture, err);
    case AK_COPY_ROTATION:
        return rotation(out, picture, &r, err);
    default:
        return recompression(out, picture, err);
    }
}
