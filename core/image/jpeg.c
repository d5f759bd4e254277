// JPEG by libjpeg-turbo.
//
// The library reports errors by longjmp out of error_exit: each entry below has one setjmp, and all
// that must outlive the jump is in the reader. A warning that data ends early is made an error,
// other warnings are let pass as viewers do.
#include "core/image/codec.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

// A progressive file of a few kilobytes can ask for thousands of passes over all coefficients.
#define MAX_SCANS 100

typedef struct {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr manager;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    uint8_t *cmyk; // (width, 4), one row
    ak_status status;
    ak_error *err;
} reader;

static void on_error(j_common_ptr common)
{
    reader *r = common->client_data;
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    ak_status status = AK_BROKEN_IMAGE;
    if (common->err->msg_code == JERR_OUT_OF_MEMORY)
        status = AK_OUT_OF_MEMORY;
    else if (common->err->msg_code == JERR_IMAGE_TOO_BIG)
        status = AK_IMAGE_TOO_LARGE;
    r->status = ak_fail(r->err, status, "JPEG: %s", text);
    longjmp(r->jump, 1);
}

static void on_message(j_common_ptr common, int level)
{
    int code = common->err->msg_code;
    if (level < 0 && (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER))
        on_error(common);
}

static void on_progress(j_common_ptr common)
{
    reader *r = common->client_data;
    if (r->jpeg.input_scan_number <= MAX_SCANS)
        return;
    r->status = ak_fail(r->err, AK_BROKEN_IMAGE, "JPEG: more than %d scans", MAX_SCANS);
    longjmp(r->jump, 1);
}

static void read_header(reader *r, ak_bytes bytes)
{
    r->jpeg.err = jpeg_std_error(&r->manager);
    r->manager.error_exit = on_error;
    r->manager.emit_message = on_message;
    r->jpeg.client_data = r;
    jpeg_create_decompress(&r->jpeg);
    r->progress.progress_monitor = on_progress;
    r->jpeg.progress = &r->progress;
    jpeg_mem_src(&r->jpeg, bytes.at, bytes.n);
    jpeg_read_header(&r->jpeg, TRUE);
}

static void finish(reader *r)
{
    jpeg_destroy_decompress(&r->jpeg);
    free(r->cmyk);
}

ak_status ak_jpeg_header(ak_image_info *info, ak_bytes bytes, ak_error *err)
{
    reader r = {.err = err};
    if (setjmp(r.jump) == 0) {
        read_header(&r, bytes);
        info->width = (int)r.jpeg.image_width;
        info->height = (int)r.jpeg.image_height;
    }
    finish(&r);
    return r.status;
}

// The smallest scale in eighths, of those that libjpeg-turbo has vector code for, that leaves
// the shorter side at least least_side.
static unsigned scale_for(int width, int height, int least_side)
{
    int shorter = width < height ? width : height;
    if (least_side <= 0 || least_side >= shorter)
        return 8;
    for (int eighths = 1; eighths < 8; eighths *= 2)
        if ((shorter * eighths + 7) / 8 >= least_side)
            return (unsigned)eighths;
    return 8;
}

// Adobe's files store ink as 255 - ink.
static void rgb_of_cmyk(uint8_t *rgb, const uint8_t *cmyk, size_t n, bool inverted)
{
    unsigned flip = inverted ? 0 : 255;
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] =
                (uint8_t)(((cmyk[4 * i + c] ^ flip) * (cmyk[4 * i + 3] ^ flip) + 127) / 255);
}

static void read_pixels(reader *r, ak_image *image, int least_side)
{
    struct jpeg_decompress_struct *jpeg = &r->jpeg;
    bool ink = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = ink ? JCS_CMYK : JCS_RGB;
    jpeg->scale_num = scale_for((int)jpeg->image_width, (int)jpeg->image_height, least_side);
    jpeg->scale_denom = 8;
    jpeg_start_decompress(jpeg);
    r->status = ak_image_init(image, (int)jpeg->output_width, (int)jpeg->output_height, r->err);
    if (r->status != AK_OK)
        return;
    if (ink && !(r->cmyk = ak_alloc(jpeg->output_width, 4))) {
        r->status = ak_fail(r->err, AK_OUT_OF_MEMORY, "no memory for a row of a JPEG");
        return;
    }
    while (jpeg->output_scanline < jpeg->output_height) {
        uint8_t *rgb = image->rgb + (size_t)jpeg->output_scanline * jpeg->output_width * 3;
        JSAMPROW row = ink ? r->cmyk : rgb;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (ink)
            rgb_of_cmyk(rgb, r->cmyk, jpeg->output_width, jpeg->saw_Adobe_marker);
    }
    jpeg_finish_decompress(jpeg); // reads to the end: a cut behind the last row is found here
}

ak_status ak_jpeg_decode(ak_image *image, ak_bytes bytes, const ak_image_info *stored,
                         int least_side, ak_error *err)
{
    (void)stored; // the same bytes through the same reader as in ak_jpeg_header
    reader r = {.err = err};
    if (setjmp(r.jump) == 0) {
        read_header(&r, bytes);
        read_pixels(&r, image, least_side);
    }
    finish(&r);
    return r.status;
}
