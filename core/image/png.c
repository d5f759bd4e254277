// PNG by libpng, its samples taken as they are: gamma, profiles and text are skipped unread.
//
// libpng reports errors by longjmp: each entry has one setjmp, and all that must outlive the jump
// is in the reader.
#include "core/image/codec.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#define CHUNK_BYTES (1 << 20) // of a chunk other than pixels; PLTE and tRNS need under 1 KiB
#define CHUNK_COUNT 1000

typedef struct {
    png_struct *png;
    png_info *info;
    ak_bytes rest;
    uint8_t *rgba; // one row, or the whole picture when it is interlaced
    uint8_t **rows;
    ak_status status;
    ak_error *err;
} reader;

static void on_error(png_struct *png, const char *text)
{
    reader *r = png_get_error_ptr(png);
    if (r->status == AK_OK)
        r->status = ak_fail(r->err, AK_BROKEN_IMAGE, "PNG: %s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_struct *png, const char *text)
{
    (void)png;
    (void)text;
}

static void on_read(png_struct *png, uint8_t *out, size_t n)
{
    reader *r = png_get_io_ptr(png);
    if (n > r->rest.n)
        png_error(png, "the file ends early");
    memcpy(out, r->rest.at, n);
    r->rest.at += n;
    r->rest.n -= n;
}

static uint32_t big32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

// Signature, then IHDR as the first chunk: length 13, name, width, height.
ak_status ak_png_header(ak_image_info *info, ak_bytes bytes, ak_error *err)
{
    if (bytes.n < 33)
        return ak_fail(err, AK_BROKEN_IMAGE, "PNG: the file ends within its header");
    if (memcmp(bytes.at + 8, "\0\0\0\rIHDR", 8) != 0)
        return ak_fail(err, AK_BROKEN_IMAGE, "PNG: does not begin with its header");
    uint32_t width = big32(bytes.at + 16), height = big32(bytes.at + 20);
    if (width < 1 || height < 1 || width > INT32_MAX || height > INT32_MAX)
        return ak_fail(err, AK_BROKEN_IMAGE, "PNG: a picture of %u x %u", width, height);
    info->width = (int)width;
    info->height = (int)height;
    return AK_OK;
}

static void set_caps(reader *r, const ak_image_info *stored)
{
    png_set_user_limits(r->png, (png_uint_32)stored->width, (png_uint_32)stored->height);
    png_set_chunk_malloc_max(r->png, CHUNK_BYTES);
    png_set_chunk_cache_max(r->png, CHUNK_COUNT);
    // A negative count names every chunk but IHDR, PLTE, tRNS, IDAT and IEND.
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
}

// Asks for 8-bit RGB, or RGBA when anything may be transparent; true when it is RGBA.
static bool set_transformations(reader *r)
{
    png_set_scale_16(r->png);
    png_set_expand(r->png); // palette to RGB, few bits to 8, tRNS to alpha
    png_set_gray_to_rgb(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    return png_get_channels(r->png, r->info) == 4;
}

static bool make_rows(reader *r, const ak_image *image, bool alpha, bool interlaced)
{
    size_t width = (size_t)image->width, height = (size_t)image->height, n;
    if (alpha) {
        if (!ak_mul(&n, width, interlaced ? height : 1) || !(r->rgba = ak_alloc(n, 4)))
            return false;
    }
    if (!(r->rows = ak_alloc(height, sizeof *r->rows)))
        return false;
    for (size_t y = 0; y < height; y++)
        r->rows[y] = !alpha       ? image->rgb + y * width * 3
                     : interlaced ? r->rgba + y * width * 4
                                  : r->rgba;
    return true;
}

static void read_pixels(reader *r, ak_image *image, const ak_image_info *stored)
{
    set_caps(r, stored);
    png_set_read_fn(r->png, r, on_read);
    png_read_info(r->png, r->info);
    bool interlaced = png_get_interlace_type(r->png, r->info) != PNG_INTERLACE_NONE;
    bool alpha = set_transformations(r);
    size_t width = (size_t)stored->width, height = (size_t)stored->height;
    if (png_get_rowbytes(r->png, r->info) != width * (alpha ? 4 : 3))
        png_error(r->png, "a pixel layout that is not read");
    r->status = ak_image_init(image, stored->width, stored->height, r->err);
    if (r->status != AK_OK)
        return;
    if (!make_rows(r, image, alpha, interlaced)) {
        r->status = ak_fail(r->err, AK_OUT_OF_MEMORY, "no memory for a PNG of %d x %d",
                            stored->width, stored->height);
        return;
    }
    if (interlaced)
        png_read_image(r->png, r->rows);
    for (size_t y = 0; y < height; y++) {
        if (!interlaced)
            png_read_row(r->png, r->rows[y], NULL);
        if (alpha)
            ak_on_white(image->rgb + y * width * 3, r->rows[y], width);
    }
    png_read_end(r->png, NULL);
}

ak_status ak_png_decode(ak_image *image, ak_bytes bytes, const ak_image_info *stored,
                        int least_side, ak_error *err)
{
    (void)least_side; // PNG has no cheaper smaller picture
    reader r = {.rest = bytes, .err = err};
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    if (!r.info)
        r.status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to decode a PNG");
    else if (setjmp(png_jmpbuf(r.png)) == 0)
        read_pixels(&r, image, stored);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    free(r.rgba);
    return r.status;
}
