// Resizing against a slow reference that is the definition.
#include "core/base/random.h"
#include "tests/image/made.h"

#include <math.h>
#include <time.h>

// What source pixel j of in counts for in target pixel i of out.
static double share(int i, int j, int in, int out)
{
    if (out <= in) { // the part of the target pixel that the source pixel covers
        double scale = (double)in / out, from = i * scale, to = (i + 1) * scale;
        return fmax(0, fmin(to, j + 1) - fmax(from, j)) / scale;
    }
    double at = fmin(fmax((i + 0.5) * in / out - 0.5, 0), in - 1); // a tent around the centre
    return fmax(0, 1 - fabs(at - j));
}

static double slow_sample(const ak_image *src, int x, int y, int c, int width, int height)
{
    double sum = 0;
    for (int sy = 0; sy < src->height; sy++) {
        double down = share(y, sy, src->height, height);
        for (int sx = 0; down > 0 && sx < src->width; sx++)
            sum +=
                down * share(x, sx, src->width, width) * src->rgb[(sy * src->width + sx) * 3 + c];
    }
    return sum;
}

static void fill(ak_image *image, int width, int height, ak_random *r)
{
    ak_error err;
    assert_int_equal(ak_image_init(image, width, height, &err), AK_OK);
    for (size_t i = 0; i < (size_t)width * (size_t)height * 3; i++)
        image->rgb[i] = (uint8_t)ak_random_u32(r);
}

// Each sample is the exact one rounded; on a half either neighbour will do.
static void compare(const ak_image *src, int width, int height)
{
    ak_error err;
    ak_image fast = {0};
    assert_int_equal(ak_image_resize(&fast, src, width, height, &err), AK_OK);
    assert_int_equal(fast.width, width);
    assert_int_equal(fast.height, height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < 3; c++) {
                double exact = slow_sample(src, x, y, c, width, height);
                int sample = fast.rgb[(y * width + x) * 3 + c];
                if (fabs(sample - exact) > 0.5 + 1e-3)
                    fail_msg("%d x %d to %d x %d: channel %d of %d,%d is %d instead of %.4f",
                             src->width, src->height, width, height, c, x, y, sample, exact);
            }
    ak_image_clear(&fast);
}

static void resize_equals_the_slow_reference_on_random_odd_sizes(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    ak_random r = ak_random_stream(seed, 0, 0, 0);
    ak_image src = {0};
    for (int i = 0; i < 120; i++) {
        fill(&src, 1 + (int)ak_random_below(&r, 61), 1 + (int)ak_random_below(&r, 61), &r);
        compare(&src, 1 + (int)ak_random_below(&r, 47), 1 + (int)ak_random_below(&r, 47));
    }
    ak_image_clear(&src);
}

static void edges_of_the_size_range_equal_the_reference(void **state)
{
    (void)state;
    static const int sizes[][4] = {{1, 1, 1, 1},     {1, 1, 7, 5},     {500, 3, 1, 1},
                                   {3, 500, 3, 1},   {2, 2, 3, 1},     {128, 128, 64, 64},
                                   {64, 64, 63, 65}, {301, 2, 300, 3}, {1, 90, 2, 89}};
    ak_random r = ak_random_stream(1, 0, 0, 0);
    ak_image src = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        fill(&src, sizes[i][0], sizes[i][1], &r);
        compare(&src, sizes[i][2], sizes[i][3]);
    }
    ak_image_clear(&src);
}

static void a_flat_picture_stays_as_it_is(void **state)
{
    (void)state;
    ak_error err;
    ak_image src = {0}, dst = {0};
    for (int v = 0; v < 256; v += 15)
        for (int side = 1; side < 140; side += 23) {
            assert_int_equal(ak_image_init(&src, 97, 89, &err), AK_OK);
            memset(src.rgb, v, 97 * 89 * 3);
            assert_int_equal(ak_image_resize(&dst, &src, side, side + 3, &err), AK_OK);
            for (int i = 0; i < side * (side + 3) * 3; i++)
                assert_int_equal(dst.rgb[i], v);
        }
    ak_image_clear(&src);
    ak_image_clear(&dst);
}

static void the_same_size_is_a_copy_and_the_same_input_the_same_bytes(void **state)
{
    (void)state;
    ak_error err;
    ak_image src = {0}, a = {0}, b = {0};
    ak_random r = ak_random_stream(2, 0, 0, 0);
    fill(&src, 51, 37, &r);
    assert_int_equal(ak_image_resize(&a, &src, 51, 37, &err), AK_OK);
    assert_true(difference(&a, &src) == 0);
    assert_int_equal(ak_image_resize(&a, &src, 20, 20, &err), AK_OK);
    assert_int_equal(ak_image_resize(&b, &src, 20, 20, &err), AK_OK);
    assert_true(difference(&a, &b) == 0);
    ak_image_clear(&src);
    ak_image_clear(&a);
    ak_image_clear(&b);
}

static void a_size_without_pixels_is_refused(void **state)
{
    (void)state;
    ak_error err;
    ak_image src = {0}, dst = {0};
    made_scene(&src, 8, 8);
    assert_int_equal(ak_image_resize(&dst, &src, 0, 8, &err), AK_BAD_VALUE);
    assert_int_equal(ak_image_resize(&dst, &src, 8, -1, &err), AK_BAD_VALUE);
    ak_image_clear(&src);
    ak_image_clear(&dst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resize_equals_the_slow_reference_on_random_odd_sizes),
        cmocka_unit_test(edges_of_the_size_range_equal_the_reference),
        cmocka_unit_test(a_flat_picture_stays_as_it_is),
        cmocka_unit_test(the_same_size_is_a_copy_and_the_same_input_the_same_bytes),
        cmocka_unit_test(a_size_without_pixels_is_refused),
    };
    return cmocka_run_group_tests_name("resize", tests, NULL, NULL);
}
