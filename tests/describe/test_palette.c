// The palette part beside its definition, and what it is there for.
#include "core/describe/palette.h"

#include "core/base/mem.h"
#include "core/base/random.h"
#include "tests/learn/made_pictures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PICTURES = 150, SIDE = 40 };

static ak_pictures set;
static ak_fit_set fit;
static float *histograms; // (rows, AK_PALETTE_BINS)
static float mean[AK_PALETTE_BINS], axes[AK_PALETTE_DIMS * AK_PALETTE_BINS];

static const ak_image *picture(void *arg, size_t i)
{
    (void)arg;
    return &set.items[i].image;
}

static int setup(void **state)
{
    (void)state;
    ak_error err = {0};
    uint8_t input[3 * SIDE * SIDE];
    made_pictures(&set, PICTURES, 5, 64);
    fit = (ak_fit_set){
        .picture = picture, .n = PICTURES, .weights = AK_FIT_WEIGHTS_DEFAULT, .seed = 4};
    histograms = ak_alloc(ak_fit_rows(&fit), AK_PALETTE_BINS * sizeof *histograms);
    for (size_t i = 0; i < ak_fit_rows(&fit); i++) {
        if (ak_fit_input(input, SIDE, &fit, i, &err) != AK_OK)
            return -1;
        ak_palette_histogram(histograms + i * AK_PALETTE_BINS, input, SIDE);
    }
    return ak_palette_fit(mean, axes, &fit, histograms, 0.75f, 0.1f, &err) == AK_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(histograms);
    ak_pictures_clear(&set);
    return 0;
}

static double cosine(const float *a, const float *b)
{
    double dot = 0;
    for (int i = 0; i < AK_PALETTE_DIMS; i++)
        dot += (double)a[i] * (double)b[i];
    return dot;
}

// Noise about one colour: which, and how much of it.
static void paint(uint8_t *pixels, int side, const int colour[3], int spread, uint32_t seed)
{
    ak_random r = ak_random_stream(seed, 0, 0, 0);
    for (int i = 0; i < 3 * side * side; i++) {
        int v = colour[i % 3] - spread + (int)ak_random_below(&r, 2 * (uint32_t)spread + 1);
        pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

// Each bin by itself, in doubles; side is no multiple of the cells.
static void a_histogram_is_what_its_definition_says(void **state)
{
    (void)state;
    enum { ODD = 37 };
    uint8_t pixels[3 * ODD * ODD];
    float got[AK_PALETTE_BINS];
    double squares = 0;
    paint(pixels, ODD, (int[]){140, 90, 60}, 70, 3);
    ak_palette_histogram(got, pixels, ODD);
    for (int bin = 0; bin < AK_PALETTE_BINS; bin++) {
        double sum = 0;
        for (int cell = 0; cell < AK_PALETTE_CELLS * AK_PALETTE_CELLS; cell++) {
            double in = 0, all = 0;
            for (int i = 0; i < ODD * ODD; i++) {
                const int x = i % ODD, y = i / ODD;
                int column = AK_PALETTE_CELLS - 1, row = AK_PALETTE_CELLS - 1;
                while (x < column * ODD / AK_PALETTE_CELLS)
                    column--;
                while (y < row * ODD / AK_PALETTE_CELLS)
                    row--;
                if (row * AK_PALETTE_CELLS + column != cell)
                    continue;
                all++;
                in += ak_hsv_bin(pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]) == bin;
            }
            sum += sqrt(in / all);
        }
        sum /= AK_PALETTE_CELLS * AK_PALETTE_CELLS;
        assert_float_equal(got[bin], (float)sum, 1e-6);
        squares += sum * sum;
    }
    assert_true(squares > 0.2 && squares <= 1 + 1e-6);
}

// axes (histogram - mean), of unit length.
static void a_palette_is_linear_in_the_histogram(void **state)
{
    (void)state;
    uint8_t pixels[3 * SIDE * SIDE];
    float histogram[AK_PALETTE_BINS], got[AK_PALETTE_DIMS];
    double y[AK_PALETTE_DIMS], square = 0;
    paint(pixels, SIDE, (int[]){30, 160, 90}, 60, 5);
    ak_palette_histogram(histogram, pixels, SIDE);
    ak_palette(got, pixels, SIDE, mean, axes);
    for (int k = 0; k < AK_PALETTE_DIMS; k++) {
        y[k] = 0;
        for (int i = 0; i < AK_PALETTE_BINS; i++)
            y[k] += (double)axes[k * AK_PALETTE_BINS + i] * (double)(histogram[i] - mean[i]);
        square += y[k] * y[k];
    }
    for (int k = 0; k < AK_PALETTE_DIMS; k++)
        assert_float_equal(got[k], (float)(y[k] / sqrt(square)), 1e-4);
}

static void the_mean_is_that_of_whole_pictures(void **state)
{
    (void)state;
    for (int bin = 0; bin < AK_PALETTE_BINS; bin++) {
        double sum = 0;
        for (size_t i = 0; i < PICTURES; i++)
            sum += (double)histograms[i * AK_PALETTE_BINS + (size_t)bin];
        assert_float_equal(mean[bin], (float)(sum / PICTURES), 1e-5);
    }
}

// Pictures of one colour are alike whatever their pixels, those of others are not.
static void colours_tell_pictures_apart(void **state)
{
    (void)state;
    static const int colours[4][3] = {{200, 40, 40}, {60, 170, 60}, {50, 60, 190}, {220, 200, 60}};
    uint8_t pixels[3 * SIDE * SIDE];
    float of[8][AK_PALETTE_DIMS];
    for (uint32_t i = 0; i < 8; i++) {
        paint(pixels, SIDE, colours[i / 2], 25, i);
        ak_palette(of[i], pixels, SIDE, mean, axes);
        assert_float_equal(cosine(of[i], of[i]), 1, 1e-4);
    }
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < i; j++)
            if (i / 2 == j / 2)
                assert_true(cosine(of[i], of[j]) > 0.98);
            else
                assert_true(cosine(of[i], of[j]) < 0.93);
}

static void what_cannot_be_fitted_is_refused(void **state)
{
    (void)state;
    ak_error err;
    float m[AK_PALETTE_BINS];
    float *a = ak_alloc(AK_PALETTE_DIMS * AK_PALETTE_BINS, sizeof *a);
    ak_fit_set one = fit;
    one.n = 1;
    assert_int_equal(ak_palette_fit(m, a, &one, histograms, 0.75f, 0.1f, &err), AK_BAD_VALUE);
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_histogram_is_what_its_definition_says),
        cmocka_unit_test(a_palette_is_linear_in_the_histogram),
        cmocka_unit_test(the_mean_is_that_of_whole_pictures),
        cmocka_unit_test(colours_tell_pictures_apart),
        cmocka_unit_test(what_cannot_be_fitted_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
