// What copies of pictures suffer, and worse: inverted highlights, recompression, covered parts.
#include "core/views/stages.h"

#include <math.h>
#include <string.h>

void ak_solarise(uint8_t *view, int side, float from)
{
    int least = (int)ceilf(from);
    for (size_t i = 0; i < 3 * (size_t)side * (size_t)side; i++)
        view[i] = view[i] >= least ? (uint8_t)(255 - view[i]) : view[i];
}

void ak_recompress(uint8_t *view, int side, int quality)
{
    ak_image before = {side, side, view}, after = {0};
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    ak_buf file = {0};
    if (ak_image_encode_jpeg(&file, &before, quality, NULL) == AK_OK &&
        ak_image_decode(&after, ak_buf_bytes(&file), 0, &limits, NULL) == AK_OK)
        memcpy(view, after.rgb, 3 * (size_t)side * (size_t)side);
    ak_image_clear(&after);
    ak_buf_clear(&file);
}

#define ASPECT_MOST 3.3 // of an erased rectangle (Zhong et al., 2017)

static int side_of(double want, int side)
{
    return want < 1 ? 1 : want > side ? side : (int)lround(want);
}

void ak_erase(uint8_t *view, int side, float share, bool noise, ak_random *r)
{
    size_t n = (size_t)side * (size_t)side;
    uint32_t sum[3] = {0};
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            sum[c] += view[3 * i + c];
    double aspect = exp(ak_random_range(r, -log(ASPECT_MOST), log(ASPECT_MOST)));
    double area = (double)share * (double)n;
    int w = side_of(sqrt(area * aspect), side), h = side_of(area / w, side);
    int x = (int)ak_random_below(r, (uint32_t)(side - w + 1));
    int y = (int)ak_random_below(r, (uint32_t)(side - h + 1));
    for (int j = y; j < y + h; j++) {
        uint8_t *to = view + 3 * ((size_t)j * (size_t)side + (size_t)x);
        for (int i = 0; i < 3 * w; i++)
            to[i] = (uint8_t)(noise ? ak_random_u32(r) >> 24 : sum[i % 3] / n);
    }
}
