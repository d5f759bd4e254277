// A run's folder for tests: made pictures, kept in a temporary folder that is removed at the end.
#ifndef TESTS_REFINE_RUN_RIG_H
#define TESTS_REFINE_RUN_RIG_H

#include "core/base/random.h"
#include "core/image/image.h"
#include "core/refine/rundir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A picture of soft blobs in two colours; `kind` sets the colours, so that kinds can be learned.
static inline void rig_picture(ak_image *image, uint32_t number, uint32_t kind, int side)
{
    ak_error err;
    ak_random r = ak_random_stream(77, number, 0, 0), k = ak_random_stream(78, kind, 0, 0);
    int colour[2][3], x[4], y[4];
    for (int i = 0; i < 6; i++)
        colour[i / 3][i % 3] = (int)ak_random_below(&k, 200) + (int)ak_random_below(&r, 40);
    for (int i = 0; i < 4; i++) {
        x[i] = (int)ak_random_below(&r, (uint32_t)side);
        y[i] = (int)ak_random_below(&r, (uint32_t)side);
    }
    ak_image_init(image, side, side, &err);
    for (int v = 0; v < side; v++)
        for (int u = 0; u < side; u++) {
            int inside = 0;
            for (int i = 0; i < 4; i++)
                inside |= (u - x[i]) * (u - x[i]) + (v - y[i]) * (v - y[i]) < side * side / 36;
            for (int c = 0; c < 3; c++)
                image->rgb[3 * (v * side + u) + c] =
                    (uint8_t)(colour[inside][c] + (int)ak_random_below(&r, 12));
        }
}

static inline void rig_folder(char out[64])
{
    snprintf(out, 64, "/tmp/akin-run-XXXXXX");
    if (!mkdtemp(out))
        abort();
    rmdir(out);
}

#endif
