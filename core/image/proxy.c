// The proxy: the small JPEG whose pixels are embedded, now and again later.
#include "core/image/image.h"

#include <math.h>

#define LONGER_SIDE (8 * AK_PROXY_SIDE)

static int scaled(int side, double scale)
{
    int pixels = (int)lround(side * scale);
    return pixels > 0 ? pixels : 1;
}

ak_status ak_proxy_read(ak_image *pixels, ak_bytes jpeg, ak_error *err)
{
    const ak_image_limits limits = {.pixels = AK_PROXY_SIDE * LONGER_SIDE, .side = LONGER_SIDE};
    return ak_image_decode(pixels, jpeg, 0, &limits, err);
}

ak_status ak_proxy_make(ak_image *pixels, ak_buf *jpeg, ak_bytes original,
                        const ak_image_limits *limits, ak_error *err)
{
    ak_image_info info;
    ak_image whole = {0}, small = {0};
    size_t before = jpeg->n;
    ak_status status = ak_image_peek(&info, original, limits, err);
    if (status != AK_OK)
        return status;
    int shorter = info.width < info.height ? info.width : info.height;
    int longer = info.width < info.height ? info.height : info.width;
    double scale = fmin(1, fmin((double)AK_PROXY_SIDE / shorter, (double)LONGER_SIDE / longer));
    // Decoded at twice the size at least, so that the averaging and not the DCT decides.
    status = ak_image_decode(&whole, original, 2 * scaled(shorter, scale), limits, err);
    if (status == AK_OK)
        status = ak_image_resize(&small, &whole, scaled(info.width, scale),
                                 scaled(info.height, scale), err);
    ak_image_clear(&whole);
    if (status == AK_OK)
        status = ak_image_encode_jpeg(jpeg, &small, AK_PROXY_QUALITY, err);
    ak_image_clear(&small);
    if (status == AK_OK)
        status = ak_proxy_read(pixels, (ak_bytes){jpeg->at + before, jpeg->n - before}, err);
    if (status != AK_OK)
        jpeg->n = before;
    return status;
}
