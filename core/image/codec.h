// Inside core/image: what each format's file offers to peek.c and decode.c.
//
// A header function fills width and height as stored and leaves the rest of the info alone; it
// allocates nothing in proportion to them. A decode function is called after the caps were checked
// on that header, and initialises the image itself; on an error the caller clears it.
#ifndef AK_IMAGE_CODEC_H
#define AK_IMAGE_CODEC_H

#include "core/image/image.h"

typedef ak_status ak_header_fn(ak_image_info *info, ak_bytes bytes, ak_error *err);
typedef ak_status ak_decode_fn(ak_image *image, ak_bytes bytes, const ak_image_info *stored,
                               int least_side, ak_error *err);

ak_header_fn ak_jpeg_header, ak_png_header, ak_webp_header;
ak_decode_fn ak_jpeg_decode, ak_png_decode, ak_webp_decode;

// ak_image_peek before the orientation is applied to width and height.
ak_status ak_image_stored(ak_image_info *info, ak_bytes bytes, const ak_image_limits *limits,
                          ak_error *err);

// The orientation that the file's EXIF states, 1 where it states none.
int ak_exif_orientation(ak_bytes file, ak_format format);

// Turns the stored picture so that it is upright.
ak_status ak_image_orient(ak_image *image, int orientation, ak_error *err);

// (n, 3) on white from (n, 4) with straight alpha, rounded.
void ak_on_white(uint8_t *rgb, const uint8_t *rgba, size_t n);

#endif
