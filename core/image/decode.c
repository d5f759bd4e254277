// Bytes to upright pixels: header, caps, the format's decoder, orientation.
#include "core/image/codec.h"

static ak_decode_fn *const decode[] = {
    [AK_FORMAT_JPEG] = ak_jpeg_decode,
    [AK_FORMAT_PNG] = ak_png_decode,
    [AK_FORMAT_WEBP] = ak_webp_decode,
};

ak_status ak_image_decode(ak_image *image, ak_bytes bytes, int least_side,
                          const ak_image_limits *limits, ak_error *err)
{
    ak_image_info stored;
    ak_status status = ak_image_stored(&stored, bytes, limits, err);
    if (status == AK_OK)
        status = decode[stored.format](image, bytes, &stored, least_side, err);
    if (status == AK_OK)
        status = ak_image_orient(image, stored.orientation, err);
    if (status != AK_OK)
        ak_image_clear(image);
    return status;
}
