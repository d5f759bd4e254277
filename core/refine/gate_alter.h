// What the gate does to yardsticks: crops that hardly overlap, and copies of families that no
// recipe trains on.
//
// Each depends on the picture's pixels, the run's seed and the picture's sum alone, so a gate can
// be repeated, and each run draws crops of its own. Thread-safe.
#ifndef AK_REFINE_GATE_ALTER_H
#define AK_REFINE_GATE_ALTER_H

#include "core/base/hash.h"
#include "core/image/image.h"

#define AK_PART_AREA 0.3 // of the picture, each of the two crops
#define AK_PART_IOU  0.1 // they overlap less than this

// Two crops of a picture, a for queries and b to be found.
ak_status ak_gate_parts(ak_image *a, ak_image *b, const ak_image *picture, uint64_t seed,
                        const ak_sha256 *sum, ak_error *err);

typedef enum {
    AK_COPY_OVERLAY,       // an opaque rectangle on a fifth of the picture
    AK_COPY_BORDER,        // framed in one colour, a tenth of the shorter side wide
    AK_COPY_MOSAIC,        // cells of a thirtieth of the shorter side
    AK_COPY_ROTATION,      // by 15 degrees, the corners black
    AK_COPY_RECOMPRESSION, // half the size, JPEG of quality 15
    AK_COPIES
} ak_copy;

ak_status ak_gate_copy(ak_image *out, const ak_image *picture, ak_copy family, uint64_t seed,
                       const ak_sha256 *sum, ak_error *err);

#endif
