// Pictures and files that the tests of core/image make for themselves.
#ifndef AK_TESTS_IMAGE_MADE_H
#define AK_TESTS_IMAGE_MADE_H

#include "core/image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jpeglib.h>
#include <png.h>
#include <webp/encode.h>

// Four flat quarters: red, green / blue, white; every turn and flip is told apart by them.
static inline void made_quarters(ak_image *image, int width, int height)
{
    static const uint8_t colours[4][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};
    ak_error err;
    assert_int_equal(ak_image_init(image, width, height, &err), AK_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(image->rgb + ((size_t)y * (size_t)width + (size_t)x) * 3,
                   colours[2 * (2 * y >= height) + (2 * x >= width)], 3);
}

// Smooth, without symmetry, with some texture.
static inline void made_scene(ak_image *image, int width, int height)
{
    ak_error err;
    assert_int_equal(ak_image_init(image, width, height, &err), AK_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            uint8_t *at = image->rgb + ((size_t)y * (size_t)width + (size_t)x) * 3;
            at[0] = (uint8_t)(255 * x / width);
            at[1] = (uint8_t)(255 * y / height);
            at[2] = (uint8_t)(128 + ((x / 8 + y / 8) % 2 ? 40 : -40));
        }
}

static inline void check_pixel(const ak_image *image, int x, int y, int r, int g, int b,
                               int tolerance)
{
    const uint8_t *at = image->rgb + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    if (abs(at[0] - r) > tolerance || abs(at[1] - g) > tolerance || abs(at[2] - b) > tolerance)
        fail_msg("pixel %d,%d is %d %d %d instead of %d %d %d +- %d", x, y, at[0], at[1], at[2], r,
                 g, b, tolerance);
}

// The mean absolute difference of two pictures of one size.
static inline double difference(const ak_image *a, const ak_image *b)
{
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    size_t n = (size_t)a->width * (size_t)a->height * 3;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += abs(a->rgb[i] - b->rgb[i]);
    return sum / (double)n;
}

static inline ak_status decode(ak_image *image, ak_bytes bytes, int least_side, ak_error *err)
{
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    return ak_image_decode(image, bytes, least_side, &limits, err);
}

static inline void decode_ok(ak_image *image, const ak_buf *file)
{
    ak_error err = {0};
    if (decode(image, ak_buf_bytes(file), 0, &err) != AK_OK)
        fail_msg("%s", err.text);
}

typedef struct {
    int components;       // of the samples
    J_COLOR_SPACE space;  // theirs
    J_COLOR_SPACE stored; // in the file
    bool progressive;
    const jpeg_scan_info *scans; // or NULL
    int scan_count;
} made_jpeg_kind;

static inline void made_jpeg(ak_buf *out, const uint8_t *samples, int width, int height,
                             made_jpeg_kind kind)
{
    struct jpeg_compress_struct jpeg = {0};
    struct jpeg_error_mgr manager;
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    jpeg.err = jpeg_std_error(&manager);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &n);
    jpeg.image_width = (JDIMENSION)width;
    jpeg.image_height = (JDIMENSION)height;
    jpeg.input_components = kind.components;
    jpeg.in_color_space = kind.space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_colorspace(&jpeg, kind.stored);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (kind.progressive)
        jpeg_simple_progression(&jpeg);
    if (kind.scans) {
        jpeg.scan_info = kind.scans;
        jpeg.num_scans = kind.scan_count;
    }
    jpeg_start_compress(&jpeg, TRUE);
    while (jpeg.next_scanline < jpeg.image_height) {
        JSAMPROW row = (JSAMPROW)samples +
                       (size_t)jpeg.next_scanline * (size_t)width * (size_t)kind.components;
        jpeg_write_scanlines(&jpeg, &row, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    out->n = 0;
    assert_true(ak_buf_append(out, bytes, n));
    free(bytes);
}

// A TIFF block with one entry, the orientation, in either byte order.
static inline size_t made_tiff(uint8_t at[26], int orientation, bool big)
{
    static const uint8_t little_endian[26] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3,
                                              0,   1,   0,  0, 0, 1, 0, 0, 0, 0, 0,    0,    0};
    static const uint8_t big_endian[26] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0,
                                           3,   0,   0, 0,  1, 0, 1, 0, 0, 0, 0,    0,    0};
    memcpy(at, big ? big_endian : little_endian, 26);
    at[18 + big] = (uint8_t)orientation;
    return 26;
}

// The JPEG with an APP1 segment of EXIF behind its first marker.
static inline void made_exif_jpeg(ak_buf *out, const ak_buf *jpeg, int orientation, bool big)
{
    uint8_t segment[36] = {0xff, 0xe1, 0, 34, 'E', 'x', 'i', 'f', 0, 0};
    made_tiff(segment + 10, orientation, big);
    out->n = 0;
    assert_true(ak_buf_append(out, jpeg->at, 2));
    assert_true(ak_buf_append(out, segment, sizeof segment));
    assert_true(ak_buf_append(out, jpeg->at + 2, jpeg->n - 2));
}

typedef struct {
    int depth, type; // PNG_COLOR_TYPE_...
    bool interlaced;
    const png_color *palette;
    int palette_count;
    const uint8_t *palette_alpha;
    int alpha_count;
    int orientation; // in an eXIf chunk, or 0
} made_png_kind;

static inline void made_png_write(png_struct *png, uint8_t *bytes, size_t n)
{
    assert_true(ak_buf_append(png_get_io_ptr(png), bytes, n));
}

// rows: height rows of pitch bytes as PNG stores them.
static inline void made_png(ak_buf *out, const uint8_t *rows, size_t pitch, int width, int height,
                            made_png_kind kind)
{
    uint8_t tiff[26];
    png_struct *png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_info *info = png_create_info_struct(png);
    uint8_t **list = calloc((size_t)height, sizeof *list);
    for (int y = 0; y < height; y++)
        list[y] = (uint8_t *)rows + (size_t)y * pitch;
    out->n = 0;
    png_set_write_fn(png, out, made_png_write, NULL);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, kind.depth, kind.type,
                 kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (kind.palette)
        png_set_PLTE(png, info, kind.palette, kind.palette_count);
    if (kind.palette_alpha)
        png_set_tRNS(png, info, kind.palette_alpha, kind.alpha_count, NULL);
    if (kind.orientation)
        png_set_eXIf_1(png, info, (png_uint_32)made_tiff(tiff, kind.orientation, true), tiff);
    png_set_rows(png, info, list);
    png_write_png(png, info, PNG_TRANSFORM_IDENTITY, NULL);
    png_destroy_write_struct(&png, &info);
    free(list);
}

static inline void made_webp_rgba(ak_buf *out, const uint8_t *rgba, int width, int height,
                                  bool lossless)
{
    uint8_t *bytes = NULL;
    size_t n = lossless ? WebPEncodeLosslessRGBA(rgba, width, height, width * 4, &bytes)
                        : WebPEncodeRGBA(rgba, width, height, width * 4, 90, &bytes);
    out->n = 0;
    assert_true(n > 0 && ak_buf_append(out, bytes, n));
    WebPFree(bytes);
}

static inline void put_little(ak_buf *out, uint32_t value, int bytes)
{
    uint8_t at[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                     (uint8_t)(value >> 24)};
    assert_true(ak_buf_append(out, at, (size_t)bytes));
}

static inline void put_chunk(ak_buf *out, const char *name, const void *at, size_t n)
{
    assert_true(ak_buf_append(out, name, 4));
    put_little(out, (uint32_t)n, 4);
    assert_true(ak_buf_append(out, at, n));
    if (n & 1)
        put_little(out, 0, 1);
}

// RIFF, WEBP and a VP8X chunk; the caller appends chunks and calls made_webp_end.
static inline void made_webp_begin(ak_buf *out, int flags, int width, int height)
{
    ak_buf body = {0};
    out->n = 0;
    assert_true(ak_buf_append(out, "RIFF\0\0\0\0WEBP", 12));
    put_little(&body, (uint32_t)flags, 4);
    put_little(&body, (uint32_t)width - 1, 3);
    put_little(&body, (uint32_t)height - 1, 3);
    put_chunk(out, "VP8X", body.at, body.n);
    ak_buf_clear(&body);
}

static inline void made_webp_end(ak_buf *out)
{
    uint32_t n = (uint32_t)out->n - 8;
    memcpy(out->at + 4, &n, 4);
}

// One frame of an animation at even x, y; webp: a still file whose bit stream is taken.
static inline void put_frame(ak_buf *out, int x, int y, int width, int height, const ak_buf *webp)
{
    ak_buf body = {0};
    put_little(&body, (uint32_t)x / 2, 3);
    put_little(&body, (uint32_t)y / 2, 3);
    put_little(&body, (uint32_t)width - 1, 3);
    put_little(&body, (uint32_t)height - 1, 3);
    put_little(&body, 100, 3); // ms
    put_little(&body, 0, 1);
    assert_true(ak_buf_append(&body, webp->at + 12, webp->n - 12));
    put_chunk(out, "ANMF", body.at, body.n);
    ak_buf_clear(&body);
}

// The first frame is the scene, 32 x 24 at 8, 4 on a canvas of 64 x 48; the second is black.
static inline void made_animation(ak_buf *out)
{
    ak_image scene = {0};
    ak_buf first = {0}, second = {0};
    uint8_t rgba[32 * 24 * 4], black[64 * 48 * 4] = {0}, loop[6] = {0, 0, 0, 255, 0, 0};
    made_scene(&scene, 32, 24);
    for (size_t i = 0; i < 32 * 24; i++) {
        memcpy(rgba + 4 * i, scene.rgb + 3 * i, 3);
        rgba[4 * i + 3] = 255;
    }
    for (size_t i = 0; i < 64 * 48; i++)
        black[4 * i + 3] = 255;
    made_webp_rgba(&first, rgba, 32, 24, true);
    made_webp_rgba(&second, black, 64, 48, true);
    made_webp_begin(out, 0x02, 64, 48);
    put_chunk(out, "ANIM", loop, sizeof loop);
    put_frame(out, 8, 4, 32, 24, &first);
    put_frame(out, 0, 0, 64, 48, &second);
    made_webp_end(out);
    ak_image_clear(&scene);
    ak_buf_clear(&first);
    ak_buf_clear(&second);
}

// One small file of each kind that there is a path for; for cutting and for mutating.
enum { MADE_KINDS = 10 };

static inline const char *made_any(ak_buf *out, int kind)
{
    static const png_color palette[4] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {9, 9, 9}};
    static const uint8_t alpha[2] = {0, 128};
    const int width = 45, height = 37;
    const size_t pixels = 45 * 37;
    ak_error err;
    ak_image scene = {0};
    ak_buf plain = {0};
    uint8_t *wide = calloc(pixels, 8);
    const char *name = "";
    made_scene(&scene, width, height);
    for (size_t i = 0; i < pixels; i++) {
        memcpy(wide + 4 * i, scene.rgb + 3 * i, 3);
        wide[4 * i + 3] = (uint8_t)(i % 256);
    }
    out->n = 0;
    switch (kind) {
    case 0:
        name = "jpeg";
        assert_int_equal(ak_image_encode_jpeg(out, &scene, 85, &err), AK_OK);
        break;
    case 1:
        name = "progressive jpeg with EXIF";
        made_jpeg(&plain, scene.rgb, width, height,
                  (made_jpeg_kind){3, JCS_RGB, JCS_YCbCr, true, NULL, 0});
        made_exif_jpeg(out, &plain, 6, false);
        break;
    case 2:
        name = "cmyk jpeg";
        made_jpeg(out, wide, width, height,
                  (made_jpeg_kind){4, JCS_CMYK, JCS_YCCK, false, NULL, 0});
        break;
    case 3:
        name = "png";
        assert_int_equal(ak_image_encode_png(out, &scene, &err), AK_OK);
        break;
    case 4:
        name = "interlaced rgba png with eXIf";
        made_png(
            out, wide, (size_t)width * 4, width, height,
            (made_png_kind){
                .depth = 8, .type = PNG_COLOR_TYPE_RGBA, .interlaced = true, .orientation = 5});
        break;
    case 5:
        name = "palette png";
        for (size_t i = 0; i < pixels; i++)
            wide[i] &= 3;
        made_png(out, wide, (size_t)width, width, height,
                 (made_png_kind){.depth = 8,
                                 .type = PNG_COLOR_TYPE_PALETTE,
                                 .palette = palette,
                                 .palette_count = 4,
                                 .palette_alpha = alpha,
                                 .alpha_count = 2});
        break;
    case 6:
        name = "webp";
        assert_int_equal(ak_image_encode_webp(out, &scene, 80, &err), AK_OK);
        break;
    case 7:
        name = "transparent webp";
        made_webp_rgba(out, wide, width, height, false);
        break;
    case 8:
        name = "lossless webp";
        made_webp_rgba(out, wide, width, height, true);
        break;
    default:
        name = "animated webp";
        made_animation(out);
    }
    free(wide);
    ak_buf_clear(&plain);
    ak_image_clear(&scene);
    return name;
}

#endif
