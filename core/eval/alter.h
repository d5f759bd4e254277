// Altered pictures: what people do to a picture before they post it again, by fixed seeds.
//
// An altered picture is a file, so that it goes the whole way of an upload. It depends on nothing
// but the picture's pixels (w x h), the alteration, the seed and the picture's name: let the key
// of a name be the first 8 bytes of its SHA-256, big-endian. All random numbers come from
// ak_random_stream(seed, alteration, high half of the key, low half), in the order written here.
// round() is to the nearest, halves away from zero; no side is less than 1. All but JPEG are saved
// at quality 95, 4:2:0.
//
//   CROP      w' = round(sqrt(0.7) w), h' likewise; its corner x = below(w - w' + 1), then y.
//   JPEG      resized to round(w / 3) x round(h / 3) (ak_image_resize), saved at quality 15.
//   COLOUR    for red, green, blue in turn: gain = range(0.75, 1.25), shift = range(-16, 16);
//             round(gain * value + shift), clamped to 0..255.
//   BLUR      Gaussian, sigma = 0.01 min(w, h), cut at r = ceil(3 sigma), the edge pixels repeated
//             outwards; rows first, then columns, in float32, rounded once.
//   MIRROR    left and right exchanged.
//   ROTATION  about the middle by 8 degrees (to the left when below(2) is 0, else to the right),
//   the
//             same size, bilinear between pixel centres; what comes from outside is black. Then an
//             opaque rectangle of round(0.4 w) x round(0.15 h), its colour below(256) three times,
//             its corner x = below(w - its width + 1), then y.
//   PART_A,   two crops that hardly overlap: of sides round(sqrt(0.3) w) and round(sqrt(0.3) h);
//   PART_B    drawn together from the stream of PART_A: xa, ya, xb, yb, again until the IoU is
//             under 0.1; after 1000 attempts the top left and the bottom right.
#ifndef AK_EVAL_ALTER_H
#define AK_EVAL_ALTER_H

#include "core/image/image.h"

typedef enum {
    AK_ALTER_CROP,
    AK_ALTER_JPEG,
    AK_ALTER_COLOUR,
    AK_ALTER_BLUR,
    AK_ALTER_MIRROR,
    AK_ALTER_ROTATION,
    AK_ALTER_PART_A,
    AK_ALTER_PART_B,
    AK_ALTER_COUNT
} ak_alteration;

#define AK_ALTER_COPIES  AK_ALTER_PART_A // the first ones, which leave the picture itself
#define AK_ALTER_QUALITY 95

// Appends the altered picture to file. Thread-safe.
ak_status ak_alter(ak_buf *file, const ak_image *picture, ak_alteration how, uint64_t seed,
                   const char *name, ak_error *err);

// A number to choose pictures by: those with the lowest ranks. The first 64 bits of the stream
// (seed, AK_ALTER_COUNT, key).
uint64_t ak_alter_rank(uint64_t seed, const char *name);

#endif
