// The colour histogram: bins of known colours, against HSV computed in floating point.
#include "core/eval/histogram.h"

#include "core/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void known_colours_fall_into_their_bins(void **state)
{
    (void)state;
    assert_int_equal(ak_hsv_bin(0, 0, 0), 0);
    assert_int_equal(ak_hsv_bin(255, 255, 255), 3);
    assert_int_equal(ak_hsv_bin(128, 128, 128), 2);
    assert_int_equal(ak_hsv_bin(255, 0, 0), 0 * 16 + 3 * 4 + 3);
    assert_int_equal(ak_hsv_bin(0, 255, 0), 5 * 16 + 3 * 4 + 3);     // 120 degrees: 5.33
    assert_int_equal(ak_hsv_bin(0, 0, 255), 10 * 16 + 3 * 4 + 3);    // 240 degrees: 10.67
    assert_int_equal(ak_hsv_bin(255, 0, 1), 15 * 16 + 3 * 4 + 3);    // just below a whole turn
    assert_int_equal(ak_hsv_bin(200, 150, 150), 0 * 16 + 1 * 4 + 3); // saturation 1/4
}

// The textbook's HSV, in doubles; NAN-free because chroma 0 is taken out.
static int bin_by_textbook(int r, int g, int b, double *margin)
{
    double max = fmax(r, fmax(g, b)), min = fmin(r, fmin(g, b)), c = max - min;
    double h = 0, s = max > 0 ? c / max : 0, v = max / 256;
    if (c > 0) {
        if (max == r)
            h = fmod((g - b) / c + 6, 6);
        else if (max == g)
            h = (b - r) / c + 2;
        else
            h = (r - g) / c + 4;
    }
    double parts[2] = {h / 6 * 16, s * 4};
    *margin = 1;
    for (int i = 0; i < 2; i++)
        *margin = fmin(*margin, fabs(parts[i] - round(parts[i])));
    return (int)parts[0] * 16 + (int)fmin(parts[1], 3) * 4 + (int)(v * 4);
}

static void every_colour_agrees_with_the_textbook(void **state)
{
    (void)state;
    size_t compared = 0;
    for (int r = 0; r < 256; r += 5)
        for (int g = 0; g < 256; g += 3)
            for (int b = 0; b < 256; b += 5) {
                double margin;
                int bin = bin_by_textbook(r, g, b, &margin);
                if (margin < 1e-9) // on an edge a double may fall on either side
                    continue;
                assert_int_equal(ak_hsv_bin((uint8_t)r, (uint8_t)g, (uint8_t)b), bin);
                compared++;
            }
    assert_true(compared > 100000);
}

static void histogram_holds_roots_of_shares_and_has_length_one(void **state)
{
    (void)state;
    float h[AK_HISTOGRAM_BINS];
    uint8_t rgb[4 * 3] = {255, 0, 0, 255, 0, 0, 255, 0, 0, 0, 0, 0};
    ak_image image = {.width = 2, .height = 2, .rgb = rgb};
    ak_histogram_make(h, &image);
    assert_float_equal(h[15], sqrtf(0.75f), 1e-6f);
    assert_float_equal(h[0], 0.5f, 1e-6f);

    uint8_t *noise = malloc(33 * 17 * 3);
    ak_random r = ak_random_stream(1, 2, 3, 4);
    for (int i = 0; i < 33 * 17 * 3; i++)
        noise[i] = (uint8_t)ak_random_below(&r, 256);
    ak_histogram_make(h, &(ak_image){.width = 33, .height = 17, .rgb = noise});
    double length = 0;
    for (int i = 0; i < AK_HISTOGRAM_BINS; i++)
        length += (double)h[i] * h[i];
    assert_float_equal((float)length, 1.0f, 1e-5f);
    free(noise);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_colours_fall_into_their_bins),
        cmocka_unit_test(every_colour_agrees_with_the_textbook),
        cmocka_unit_test(histogram_holds_roots_of_shares_and_has_length_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
