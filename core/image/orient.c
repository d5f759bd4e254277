// The eight EXIF orientations: which stored pixel an upright pixel is.
#include "core/image/codec.h"

#include <stdlib.h>

// Rows are copied in bands, so that the columns that a band of turned rows comes from stay in
// cache.
#define BAND 32

static void copy_turned(uint8_t *to, const uint8_t *from, int width, int height, ptrdiff_t right,
                        ptrdiff_t down)
{
    for (int top = 0; top < height; top += BAND)
        for (int x = 0; x < width; x++)
            for (int y = top; y < top + BAND && y < height; y++) {
                const uint8_t *source = from + x * right + y * down;
                uint8_t *target = to + ((size_t)y * (size_t)width + (size_t)x) * 3;
                target[0] = source[0];
                target[1] = source[1];
                target[2] = source[2];
            }
}

ak_status ak_image_orient(ak_image *image, int orientation, ak_error *err)
{
    // Whether the first upright pixel lies at the right, at the bottom; whether axes are swapped.
    static const struct {
        bool right, bottom, swap;
    } turns[9] = {[2] = {1, 0, 0}, [3] = {1, 1, 0}, [4] = {0, 1, 0}, [5] = {0, 0, 1},
                  [6] = {0, 1, 1}, [7] = {1, 1, 1}, [8] = {1, 0, 1}};
    if (orientation <= 1 || orientation > 8)
        return AK_OK;
    bool right = turns[orientation].right, bottom = turns[orientation].bottom;
    bool swap = turns[orientation].swap;
    ptrdiff_t width = image->width, height = image->height, pitch = width * 3;
    ptrdiff_t along = right ? -3 : 3, across = bottom ? -pitch : pitch;
    const uint8_t *first =
        image->rgb + (right ? (width - 1) * 3 : 0) + (bottom ? (height - 1) * pitch : 0);
    ak_image upright = {0};
    ak_status status = ak_image_init(&upright, swap ? image->height : image->width,
                                     swap ? image->width : image->height, err);
    if (status != AK_OK)
        return status;
    copy_turned(upright.rgb, first, upright.width, upright.height, swap ? across : along,
                swap ? along : across);
    ak_image_clear(image);
    *image = upright;
    return AK_OK;
}
