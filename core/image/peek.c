// What a picture is, from its header alone: nothing is allocated before the caps were checked.
#include "core/image/codec.h"

static ak_header_fn *const header[] = {
    [AK_FORMAT_JPEG] = ak_jpeg_header,
    [AK_FORMAT_PNG] = ak_png_header,
    [AK_FORMAT_WEBP] = ak_webp_header,
};

static ak_status check_caps(const ak_image_info *info, const ak_image_limits *limits, ak_error *err)
{
    int longer = info->width > info->height ? info->width : info->height;
    size_t pixels;
    if (longer > limits->side)
        return ak_fail(err, AK_IMAGE_TOO_LARGE, "picture is %d x %d; a side has at most %d pixels",
                       info->width, info->height, limits->side);
    if (!ak_mul(&pixels, (size_t)info->width, (size_t)info->height) || pixels > limits->pixels)
        return ak_fail(err, AK_IMAGE_TOO_LARGE, "picture is %d x %d; at most %.4g megapixels",
                       info->width, info->height, (double)limits->pixels / 1e6);
    return AK_OK;
}

ak_status ak_image_stored(ak_image_info *info, ak_bytes bytes, const ak_image_limits *limits,
                          ak_error *err)
{
    *info = (ak_image_info){.format = ak_format_sniff(bytes), .orientation = 1};
    if (bytes.n == 0)
        return ak_fail(err, AK_NOT_AN_IMAGE, "the file is empty");
    if (info->format == AK_FORMAT_NONE)
        return ak_fail(err, AK_NOT_AN_IMAGE, "the %zu bytes are no JPEG, PNG or WebP", bytes.n);
    ak_status status = header[info->format](info, bytes, err);
    if (status == AK_OK)
        status = check_caps(info, limits, err);
    if (status == AK_OK)
        info->orientation = ak_exif_orientation(bytes, info->format);
    return status;
}

ak_status ak_image_peek(ak_image_info *info, ak_bytes bytes, const ak_image_limits *limits,
                        ak_error *err)
{
    ak_status status = ak_image_stored(info, bytes, limits, err);
    if (status == AK_OK && info->orientation > 4) { // 5 to 8 swap the axes
        int width = info->width;
        info->width = info->height;
        info->height = width;
    }
    return status;
}
