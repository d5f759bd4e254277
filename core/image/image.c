// The picture itself: room, cropping, the names of formats and how they are told apart.
#include "core/image/codec.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *media;
} formats[] = {
    [AK_FORMAT_NONE] = {"none", "application/octet-stream"},
    [AK_FORMAT_JPEG] = {"jpeg", "image/jpeg"},
    [AK_FORMAT_PNG] = {"png", "image/png"},
    [AK_FORMAT_WEBP] = {"webp", "image/webp"},
};

const char *ak_format_name(ak_format format)
{
    return formats[format].name;
}

const char *ak_format_media(ak_format format)
{
    return formats[format].media;
}

ak_format ak_format_sniff(ak_bytes bytes)
{
    if (bytes.n >= 3 && memcmp(bytes.at, "\xff\xd8\xff", 3) == 0)
        return AK_FORMAT_JPEG;
    if (bytes.n >= 8 && memcmp(bytes.at, "\x89PNG\r\n\x1a\n", 8) == 0)
        return AK_FORMAT_PNG;
    if (bytes.n >= 12 && memcmp(bytes.at, "RIFF", 4) == 0 && memcmp(bytes.at + 8, "WEBP", 4) == 0)
        return AK_FORMAT_WEBP;
    return AK_FORMAT_NONE;
}

ak_status ak_image_init(ak_image *image, int width, int height, ak_error *err)
{
    ak_image_clear(image);
    size_t bytes;
    if (width < 1 || height < 1)
        return ak_fail(err, AK_BAD_VALUE, "a picture of %d x %d has no pixels", width, height);
    if (!ak_mul(&bytes, (size_t)width, (size_t)height) || !ak_mul(&bytes, bytes, 3) ||
        !(image->rgb = malloc(bytes))) // not zeroed: every caller writes each pixel or clears
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a picture of %d x %d", width, height);
    image->width = width;
    image->height = height;
    return AK_OK;
}

void ak_image_clear(ak_image *image)
{
    free(image->rgb);
    *image = (ak_image){0};
}

ak_status ak_image_crop(ak_image *dst, const ak_image *src, int x, int y, int width, int height,
                        ak_error *err)
{
    if (x < 0 || y < 0 || width < 1 || height < 1 || width > src->width - x ||
        height > src->height - y)
        return ak_fail(err, AK_BAD_VALUE,
                       "the region %d,%d of %d x %d does not lie in the picture of %d x %d", x, y,
                       width, height, src->width, src->height);
    ak_status status = ak_image_init(dst, width, height, err);
    if (status != AK_OK)
        return status;
    size_t row = (size_t)width * 3, pitch = (size_t)src->width * 3;
    const uint8_t *from = src->rgb + (size_t)y * pitch + (size_t)x * 3;
    for (int i = 0; i < height; i++)
        memcpy(dst->rgb + (size_t)i * row, from + (size_t)i * pitch, row);
    return AK_OK;
}

void ak_on_white(uint8_t *rgb, const uint8_t *rgba, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned alpha = rgba[4 * i + 3], white = 255 * (255 - alpha) + 127;
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)((rgba[4 * i + c] * alpha + white) / 255);
    }
}
