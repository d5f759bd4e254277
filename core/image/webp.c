// WebP by libwebp; of an animation the first frame, by libwebpdemux, on a white canvas.
#include "core/image/codec.h"

#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

// Scaling costs libwebp more than it saves below this (1000 x 1000 at 1/1, 1/2, 1/4: 7.7, 9.7 and
// 7.6 ms; 4000 x 3000: 75, 78, 57).
#define SCALE_FROM 3

static ak_status fail(VP8StatusCode code, ak_error *err)
{
    switch (code) {
    case VP8_STATUS_OK:
        return AK_OK;
    case VP8_STATUS_OUT_OF_MEMORY:
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to decode a WebP");
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
        return ak_fail(err, AK_BROKEN_IMAGE, "WebP: the file ends early");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return ak_fail(err, AK_BROKEN_IMAGE, "WebP: a feature that libwebp does not read");
    default:
        return ak_fail(err, AK_BROKEN_IMAGE, "WebP: the bit stream is damaged");
    }
}

ak_status ak_webp_header(ak_image_info *info, ak_bytes bytes, ak_error *err)
{
    WebPBitstreamFeatures features;
    ak_status status = fail(WebPGetFeatures(bytes.at, bytes.n, &features), err);
    if (status != AK_OK)
        return status;
    if (features.width < 1 || features.height < 1)
        return ak_fail(err, AK_BROKEN_IMAGE, "WebP: a picture of %d x %d", features.width,
                       features.height);
    info->width = features.width;
    info->height = features.height;
    return AK_OK;
}

// Decodes into (height, width, channels), scaled where that is not the stored size.
static ak_status decode_into(uint8_t *out, int width, int height, int channels, bool scaled,
                             ak_bytes bytes, ak_error *err)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return ak_fail(err, AK_INTERNAL, "libwebp is of another version than its headers");
    config.options.use_scaling = scaled;
    config.options.scaled_width = width;
    config.options.scaled_height = height;
    config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = (WebPRGBABuffer){
        .rgba = out,
        .stride = width * channels,
        .size = (size_t)width * (size_t)height * (size_t)channels,
    };
    ak_status status = fail(WebPDecode(bytes.at, bytes.n, &config), err);
    WebPFreeDecBuffer(&config.output);
    return status;
}

// The same into (height, width, 4) of its own; the caller frees.
static ak_status decode_rgba(uint8_t **out, int width, int height, bool scaled, ak_bytes bytes,
                             ak_error *err)
{
    size_t pixels;
    if (!ak_mul(&pixels, (size_t)width, (size_t)height) || !(*out = ak_alloc(pixels, 4)))
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a WebP of %d x %d", width, height);
    return decode_into(*out, width, height, 4, scaled, bytes, err);
}

static ak_status decode_still(ak_image *image, ak_bytes bytes, int width, int height, bool scaled,
                              bool alpha, ak_error *err)
{
    uint8_t *rgba = NULL;
    ak_status status = ak_image_init(image, width, height, err);
    if (status == AK_OK && !alpha)
        status = decode_into(image->rgb, width, height, 3, scaled, bytes, err);
    if (status == AK_OK && alpha)
        status = decode_rgba(&rgba, width, height, scaled, bytes, err);
    if (status == AK_OK && alpha)
        ak_on_white(image->rgb, rgba, (size_t)width * (size_t)height);
    free(rgba);
    return status;
}

// The demuxer answers for frames lying within the canvas; checked again, for memory's sake.
static bool frame_fits(const WebPIterator *frame, const ak_image *canvas)
{
    WebPBitstreamFeatures features;
    return frame->complete && frame->width > 0 && frame->height > 0 && frame->x_offset >= 0 &&
           frame->y_offset >= 0 && frame->width <= canvas->width - frame->x_offset &&
           frame->height <= canvas->height - frame->y_offset &&
           WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &features) ==
               VP8_STATUS_OK &&
           features.width == frame->width && features.height == frame->height;
}

static ak_status decode_first_frame(ak_image *image, ak_bytes bytes, int width, int height,
                                    ak_error *err)
{
    WebPIterator frame = {0};
    uint8_t *rgba = NULL;
    ak_status status = AK_OK;
    WebPData data = {bytes.at, bytes.n};
    WebPDemuxer *demuxer = WebPDemux(&data);
    if (!demuxer || !WebPDemuxGetFrame(demuxer, 1, &frame)) {
        status = ak_fail(err, AK_BROKEN_IMAGE, "WebP: the animation is damaged or ends early");
        goto done;
    }
    status = ak_image_init(image, width, height, err);
    if (status != AK_OK)
        goto done;
    if (!frame_fits(&frame, image)) {
        status = ak_fail(err, AK_BROKEN_IMAGE, "WebP: the first frame is damaged");
        goto done;
    }
    status = decode_rgba(&rgba, frame.width, frame.height, false,
                         (ak_bytes){frame.fragment.bytes, frame.fragment.size}, err);
    if (status != AK_OK)
        goto done;
    memset(image->rgb, 255, (size_t)width * (size_t)height * 3);
    for (int y = 0; y < frame.height; y++) {
        size_t to = (size_t)(frame.y_offset + y) * (size_t)width + (size_t)frame.x_offset;
        ak_on_white(image->rgb + to * 3, rgba + (size_t)y * (size_t)frame.width * 4,
                    (size_t)frame.width);
    }
done:
    free(rgba);
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demuxer);
    return status;
}

ak_status ak_webp_decode(ak_image *image, ak_bytes bytes, const ak_image_info *stored,
                         int least_side, ak_error *err)
{
    WebPBitstreamFeatures features;
    ak_status status = fail(WebPGetFeatures(bytes.at, bytes.n, &features), err);
    if (status != AK_OK)
        return status;
    int width = stored->width, height = stored->height;
    if (features.has_animation)
        return decode_first_frame(image, bytes, width, height, err);
    int shorter = width < height ? width : height;
    bool scaled = least_side > 0 && shorter / SCALE_FROM >= least_side;
    if (scaled) {
        width = (int)(((int64_t)width * least_side + shorter - 1) / shorter);
        height = (int)(((int64_t)height * least_side + shorter - 1) / shorter);
    }
    return decode_still(image, bytes, width, height, scaled, features.has_alpha, err);
}
