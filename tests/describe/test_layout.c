// The layout part beside its definition, and what it is there for.
#include "core/describe/layout.h"

#include "core/base/random.h"
#include "core/image/image.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 112, BYTES = 3 * SIDE * SIDE };

// Large soft shapes, as photographs have.
static void soft(uint8_t *pixels, int side, uint32_t seed, double gain, double shift)
{
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            for (int c = 0; c < 3; c++) {
                ak_random r = ak_random_stream(seed, 0, 0, 0);
                double v = 0;
                for (int k = 1; k <= 5; k++)
                    v +=
                        cos(ak_random_range(&r, -4, 4) * x / side * k +
                            ak_random_range(&r, -4, 4) * y / side * k + ak_random_range(&r, 0, 6)) /
                        k;
                pixels[3 * (y * side + x) + c] = (uint8_t)(120 + shift + gain * (30 * v + 5 * c));
            }
}

static double cosine(const float *a, const float *b)
{
    double dot = 0;
    for (int i = 0; i < AK_LAYOUT_DIMS; i++)
        dot += (double)a[i] * (double)b[i];
    return dot;
}

// Every coefficient by its own sum over all pixels. side: a multiple of the cells.
static void by_definition(double *out, const uint8_t *pixels, int side)
{
    const int cell = side / AK_LAYOUT_CELLS, n = AK_LAYOUT_CELLS;
    double norm = 0;
    for (int v = 0, i = 0; v < n; v++)
        for (int u = 0; u < n; u++) {
            if (u + v == 0 || u * u + v * v > 72)
                continue;
            double sum = 0;
            for (int y = 0; y < side; y++)
                for (int x = 0; x < side; x++) {
                    const uint8_t *p = pixels + 3 * (y * side + x);
                    sum += (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]) *
                           cos(M_PI * (2 * (x / cell) + 1) * u / (2.0 * n)) *
                           cos(M_PI * (2 * (y / cell) + 1) * v / (2.0 * n));
                }
            out[i] = sum * sqrt(u * u + v * v) * (u ? 1 : M_SQRT1_2) * (v ? 1 : M_SQRT1_2);
            norm += out[i] * out[i];
            i++;
        }
    for (int i = 0; i < AK_LAYOUT_DIMS; i++)
        out[i] /= sqrt(norm);
}

static void a_layout_is_what_its_definition_says(void **state)
{
    (void)state;
    static uint8_t pixels[BYTES];
    for (uint32_t i = 0; i < 5; i++) {
        float got[AK_LAYOUT_DIMS];
        double want[AK_LAYOUT_DIMS];
        soft(pixels, SIDE, i, 1, 0);
        ak_layout(got, pixels, SIDE);
        by_definition(want, pixels, SIDE);
        for (int j = 0; j < AK_LAYOUT_DIMS; j++)
            assert_float_equal((double)got[j], want[j], 1e-4);
    }
}

static void even_pictures_have_none_and_any_side_will_do(void **state)
{
    (void)state;
    static uint8_t pixels[BYTES];
    float out[AK_LAYOUT_DIMS];
    memset(pixels, 90, sizeof pixels);
    for (int side = 1; side <= SIDE; side++) {
        ak_layout(out, pixels, side);
        for (int i = 0; i < AK_LAYOUT_DIMS; i++)
            assert_true(fabsf(out[i]) <= 1);
    }
    for (int side = 2; side <= 40; side++) {
        soft(pixels, side, 3, 1, 0);
        ak_layout(out, pixels, side);
        assert_float_equal(cosine(out, out), 1, 1e-5);
    }
}

static void light_changes_little_and_other_pictures_are_far(void **state)
{
    (void)state;
    static uint8_t pixels[BYTES];
    for (uint32_t i = 0; i < 10; i++) {
        float a[AK_LAYOUT_DIMS], darker[AK_LAYOUT_DIMS], other[AK_LAYOUT_DIMS];
        soft(pixels, SIDE, i, 1, 0);
        ak_layout(a, pixels, SIDE);
        soft(pixels, SIDE, i, 0.7, -15);
        ak_layout(darker, pixels, SIDE);
        soft(pixels, SIDE, i + 100, 1, 0);
        ak_layout(other, pixels, SIDE);
        assert_true(cosine(a, darker) > 0.99);
        assert_true(cosine(a, other) < 0.8);
    }
}

static void a_small_coarse_copy_keeps_it(void **state)
{
    (void)state;
    static uint8_t pixels[BYTES], copy[BYTES];
    for (uint32_t i = 0; i < 10; i++) {
        ak_image whole = {SIDE, SIDE, pixels}, third = {0}, decoded = {0};
        ak_buf file = {0};
        float a[AK_LAYOUT_DIMS], b[AK_LAYOUT_DIMS];
        soft(pixels, SIDE, i, 1, 0);
        assert_int_equal(ak_image_resize(&third, &whole, SIDE / 3, SIDE / 3, NULL), AK_OK);
        assert_int_equal(ak_image_encode_jpeg(&file, &third, 15, NULL), AK_OK);
        assert_int_equal(
            ak_image_decode(&decoded, ak_buf_bytes(&file), 0, &AK_IMAGE_LIMITS_DEFAULT, NULL),
            AK_OK);
        assert_int_equal(ak_image_square(copy, SIDE, &decoded, NULL), AK_OK);
        ak_layout(a, pixels, SIDE);
        ak_layout(b, copy, SIDE);
        assert_true(cosine(a, b) > 0.9);
        ak_image_clear(&third);
        ak_image_clear(&decoded);
        ak_buf_clear(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layout_is_what_its_definition_says),
        cmocka_unit_test(even_pictures_have_none_and_any_side_will_do),
        cmocka_unit_test(light_changes_little_and_other_pictures_are_far),
        cmocka_unit_test(a_small_coarse_copy_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
