// Fuzz target: any bytes through the decoder, small limits, every path after it.
#include "core/image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n)
{
    ak_error err;
    ak_image image = {0}, reduced = {0};
    ak_image_limits limits = {.pixels = 1 << 18, .side = 4096};
    bool whole = ak_image_decode(&image, (ak_bytes){at, n}, 0, &limits, &err) == AK_OK;
    ak_status status = ak_image_decode(&reduced, (ak_bytes){at, n}, 9, &limits, &err);
    int accepted = whole && status == AK_OK && reduced.width <= image.width;
    ak_image_clear(&image);
    ak_image_clear(&reduced);
    return accepted ? 0 : -1; // -1: libFuzzer does not keep it
}
