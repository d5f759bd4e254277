// Pictures made for tests of training: stripes whose direction and colour are the class.
#ifndef AK_TESTS_MADE_PICTURES_H
#define AK_TESTS_MADE_PICTURES_H

#include "core/base/random.h"
#include "core/views/pictures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static inline void made_pictures(ak_pictures *set, size_t n, size_t classes, int side)
{
    *set = (ak_pictures){.items = calloc(n, sizeof *set->items), .n = n, .capacity = n};
    set->classes = calloc(classes, sizeof *set->classes);
    set->classes_n = classes;
    for (size_t c = 0; c < classes; c++)
        if (asprintf(&set->classes[c], "class%zu", c) < 0)
            abort();
    for (size_t i = 0; i < n; i++) {
        ak_random r = ak_random_stream(99, (uint32_t)i, 0, 0);
        uint32_t label = (uint32_t)(i % classes);
        ak_image *image = &set->items[i].image;
        set->items[i].label = label;
        if (ak_image_init(image, side + (int)(i % 7), side + (int)(i % 3), NULL) != AK_OK)
            abort();
        double angle = 3.14159 * label / (double)classes, phase = 6.28 * ak_random_uniform(&r);
        for (int y = 0; y < image->height; y++)
            for (int x = 0; x < image->width; x++) {
                double v = sin(0.7 * (x * cos(angle) + y * sin(angle)) + phase);
                uint8_t *p = image->rgb + 3 * (y * image->width + x);
                for (int c = 0; c < 3; c++)
                    p[c] = (uint8_t)(128 + 60 * v * ((label + (uint32_t)c) % 3) / 2 +
                                     ak_random_range(&r, -20, 20));
            }
    }
}

#endif
