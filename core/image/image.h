// Pictures in memory, and what is known of one before it is decoded.
//
// Everything in core/image is free of global state and thread-safe on distinct objects.
#ifndef AK_IMAGE_IMAGE_H
#define AK_IMAGE_IMAGE_H

#include "core/base/error.h"
#include "core/base/mem.h"

// Interleaved 8-bit RGB, rows without padding. Zero-initialise, free with ak_image_clear.
typedef struct {
    int width, height;
    uint8_t *rgb; // (height, width, 3)
} ak_image;

// Room for width x height; the old pixels are freed.
ak_status ak_image_init(ak_image *image, int width, int height, ak_error *err);
void ak_image_clear(ak_image *image);

typedef enum { AK_FORMAT_NONE, AK_FORMAT_JPEG, AK_FORMAT_PNG, AK_FORMAT_WEBP } ak_format;

const char *ak_format_name(ak_format format);  // "jpeg"
const char *ak_format_media(ak_format format); // "image/jpeg"
ak_format ak_format_sniff(ak_bytes bytes);     // by the first bytes, never by a name or a label

typedef struct {
    size_t pixels; // width x height at most (default 100 megapixels)
    int side;      // longer side at most (default 32,768)
} ak_image_limits;

#define AK_IMAGE_LIMITS_DEFAULT ((ak_image_limits){.pixels = 100000000, .side = 32768})

typedef struct {
    ak_format format;
    int width, height; // as a viewer shows it: EXIF orientation applied
    int orientation;   // EXIF 1..8; 1 when there is none
} ak_image_info;

// Reads the header alone. AK_NOT_AN_IMAGE, AK_BROKEN_IMAGE, or AK_IMAGE_TOO_LARGE over a limit.
ak_status ak_image_peek(ak_image_info *info, ak_bytes bytes, const ak_image_limits *limits,
                        ak_error *err);

// Decodes to upright RGB. Transparent pixels are laid on white, 16-bit samples are rounded, CMYK
// is converted, of an animation the first frame is taken. least_side > 0 allows a reduced picture
// (DCT scaling, WebP scaling) whose shorter side is still >= min(least_side, the original's); 0
// asks for all pixels. A file that ends early is AK_BROKEN_IMAGE.
// Memory beyond the result: about 4 bytes x pixels, and at most 8 (progressive JPEG's coefficients,
// transparent WebP), of the whole picture, reduced or not.
ak_status ak_image_decode(ak_image *image, ak_bytes bytes, int least_side,
                          const ak_image_limits *limits, ak_error *err);

// Area averaging when a side shrinks (every source pixel counts by the area it shares with the
// target's), bilinear when it grows. src and dst may not be the same.
ak_status ak_image_resize(ak_image *dst, const ak_image *src, int width, int height, ak_error *err);

// The picture stretched to a square, as networks take it. out (side, side, 3).
ak_status ak_image_square(uint8_t *out, int side, const ak_image *src, ak_error *err);

ak_status ak_image_crop(ak_image *dst, const ak_image *src, int x, int y, int width, int height,
                        ak_error *err);

// Appends the encoded picture to out. quality 1-100.
ak_status ak_image_encode_jpeg(ak_buf *out, const ak_image *image, int quality, ak_error *err);
ak_status ak_image_encode_webp(ak_buf *out, const ak_image *image, int quality, ak_error *err);
ak_status ak_image_encode_png(ak_buf *out, const ak_image *image, ak_error *err);

#define AK_PROXY_SIDE    256 // shorter side at most
#define AK_PROXY_QUALITY 85

// The proxy: the picture with its shorter side reduced to AK_PROXY_SIDE (never enlarged; the longer
// side at most 8 times that), as a JPEG. What Akin embeds, now and again later, are the pixels of
// the decoded proxy: they are left in `pixels`, the JPEG is appended to `jpeg`.
ak_status ak_proxy_make(ak_image *pixels, ak_buf *jpeg, ak_bytes original,
                        const ak_image_limits *limits, ak_error *err);
ak_status ak_proxy_read(ak_image *pixels, ak_bytes jpeg, ak_error *err);

#endif
