// Small files broken in ways that a seed decides, for drivers of the fuzz targets.
#ifndef AK_TESTS_MUTATE_H
#define AK_TESTS_MUTATE_H

#include "core/base/mem.h"
#include "core/base/random.h"

#include <stdlib.h>
#include <string.h>

// Bits flipped, bytes set to values that sit at limits, stretches copied over others, cuts.
static inline void mutate(ak_buf *file, ak_random *r)
{
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    for (uint32_t k = 1 + ak_random_below(r, 6); k > 0; k--) {
        // Half of them near the head, where the structure is.
        uint32_t n = (uint32_t)file->n, reach = ak_random_below(r, 2) ? n : n < 64 ? n : 64;
        uint32_t at = ak_random_below(r, reach), from = ak_random_below(r, n), length;
        switch (ak_random_below(r, 8)) {
        case 0:
            file->n = n > 1 ? n - ak_random_below(r, n / 4 + 1) : n;
            break;
        case 1:
            length = 1 + ak_random_below(r, 16);
            if (at + length <= n && from + length <= n)
                memmove(file->at + at, file->at + from, length);
            break;
        case 2:
        case 3:
            file->at[at] = edges[ak_random_below(r, sizeof edges)];
            break;
        default:
            file->at[at] ^= (uint8_t)(1u << ak_random_below(r, 8));
        }
    }
}

// A copy of its own length, so that a sanitizer sees a read behind the end; the caller frees.
static inline uint8_t *exact_copy(const ak_buf *file)
{
    uint8_t *copy = malloc(file->n ? file->n : 1);
    if (!copy)
        abort();
    memcpy(copy, file->at, file->n);
    return copy;
}

#endif
