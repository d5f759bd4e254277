#include "core/views/stages.h"
#include "core/views/views.h"
#include "tests/learn/made_pictures.h"
#include "tests/views/slow.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 24, BYTES = 3 * SIDE * SIDE };

static ak_pictures set;
static float *work;

static int make_set(void **state)
{
    (void)state;
    made_pictures(&set, 40, 5, 48);
    work = calloc(ak_view_work(160, 160, 96), sizeof *work);
    return work ? 0 : -1;
}

static int clear_set(void **state)
{
    (void)state;
    ak_pictures_clear(&set);
    free(work);
    return 0;
}

static void view_of(uint8_t *out, uint32_t i, const ak_view_recipe *recipe)
{
    ak_view_make(out, SIDE, &set.items[i % set.n].image, recipe, ak_random_stream(7, 0, i, 1),
                 work);
}

static size_t differences(const uint8_t *a, const uint8_t *b, size_t n)
{
    size_t different = 0;
    for (size_t i = 0; i < n; i++)
        different += a[i] != b[i];
    return different;
}

static void whole_view_without_change_is_the_resized_picture(void **state)
{
    (void)state;
    ak_view_recipe plain = {.area_least = 1, .area_most = 1, .aspect_most = 1};
    for (size_t i = 0; i < 4; i++) {
        ak_image square = {0}, small = {0};
        const ak_image *p = &set.items[i].image;
        int s = p->width < p->height ? p->width : p->height;
        assert_int_equal(
            ak_image_crop(&square, p, (p->width - s) / 2, (p->height - s) / 2, s, s, NULL), AK_OK);
        assert_int_equal(ak_image_resize(&small, &square, SIDE, SIDE, NULL), AK_OK);
        uint8_t view[BYTES];
        ak_view_make(view, SIDE, &square, &plain, ak_random_stream(1, 2, 3, 4), work);
        for (int j = 0; j < BYTES; j++)
            assert_in_range(view[j] - small.rgb[j] + 1, 0, 2);
        ak_image_clear(&square);
        ak_image_clear(&small);
    }
}

static void grey_views_are_grey_and_mirrors_are_mirrors(void **state)
{
    (void)state;
    ak_view_recipe recipe = {.area_least = 0.5f, .area_most = 0.6f, .aspect_most = 1.2f, .grey = 1};
    uint8_t view[BYTES], other[BYTES];
    view_of(view, 1, &recipe);
    for (int i = 0; i < SIDE * SIDE; i++) {
        assert_in_range(view[3 * i] - view[3 * i + 1] + 1, 0, 2);
        assert_in_range(view[3 * i] - view[3 * i + 2] + 1, 0, 2);
    }
    recipe.mirror = 1;
    view_of(other, 1, &recipe);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            assert_int_equal(view[3 * (y * SIDE + x)], other[3 * (y * SIDE + SIDE - 1 - x)]);
}

// At ties the two round apart: a step of one in one sample of five thousand.
static void assert_views_are_slow_views(const ak_pictures *pictures, const int *sides, size_t n)
{
    static uint8_t fast[3 * 96 * 96], slow[3 * 96 * 96];
    ak_view_recipe recipe = AK_VIEW_RECIPE_DEFAULT;
    size_t all = 0, different = 0;
    for (size_t s = 0; s < n; s++)
        for (uint32_t i = 0; i < pictures->n; i++) {
            ak_random stream = ak_random_stream(3, 1, i, 2);
            const ak_image *picture = &pictures->items[i].image;
            size_t samples = 3 * (size_t)sides[s] * (size_t)sides[s];
            ak_view_make(fast, sides[s], picture, &recipe, stream, work);
            slow_view(slow, sides[s], picture, &recipe, stream);
            for (size_t j = 0; j < samples; j++)
                assert_in_range(fast[j] - slow[j] + 1, 0, 2);
            all += samples;
            different += differences(fast, slow, samples);
        }
    printf("%zu of %zu samples differ\n", different, all);
    assert_true(different * 5000 <= all);
}

static void views_of_the_default_recipe_equal_the_slow_definition(void **state)
{
    (void)state;
    assert_views_are_slow_views(&set, (const int[]){8, 24, 33, 64, 96}, 5);
}

static void crops_of_more_than_62_times_the_side_are_cut(void **state)
{
    (void)state;
    ak_pictures large;
    made_pictures(&large, 20, 5, 140);
    assert_views_are_slow_views(&large, (const int[]){1, 2}, 2);
    ak_pictures_clear(&large);
}

static void crops_keep_to_their_ranges(void **state)
{
    (void)state;
    enum { CROPS = 4000, W = 300, H = 200 };
    ak_view_recipe recipe = AK_VIEW_RECIPE_DEFAULT;
    double sum = 0;
    for (uint32_t i = 0; i < CROPS; i++) {
        ak_random r = ak_random_stream(1, i, 0, 0);
        ak_box b = ak_crop_choose(W, H, &recipe, &r);
        assert_true(b.x >= 0 && b.y >= 0 && b.x + b.w <= W && b.y + b.h <= H);
        double share = (double)b.w * b.h / (W * H), aspect = (double)b.w / b.h;
        assert_true(share > 0.24 && share <= 1);
        assert_true(aspect < 1.36 && aspect > 1 / 1.36);
        sum += share;
    }
    // Even between 0.25 and 1, less those that are too high for a picture of 3 : 2: of the shares a
    // above 1/2 those with an aspect under 1.5 a. The integral is 0.478.
    assert_true(fabs(sum / CROPS - 0.478) < 0.01);
}

static void each_augmentation_happens_as_often_as_its_probability(void **state)
{
    (void)state;
    enum { VIEWS = 3000 };
    static const char *const keys[] = {"mirror", "jitter",   "grey", "shrink",
                                       "blur",   "solarise", "jpeg", "erase"};
    ak_view_recipe off = AK_VIEW_RECIPE_DEFAULT;
    off.mirror = off.jitter = off.grey = 0;
    off.blur_least = 6; // so that each is seen
    off.blur_most = 12;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
        ak_view_recipe on = off;
        ak_error err;
        assert_int_equal(ak_fields_set(&on, ak_view_fields, keys[k], "0.3", &err), AK_OK);
        int happened = 0;
        for (uint32_t i = 0; i < VIEWS; i++) {
            uint8_t with[BYTES], without[BYTES];
            view_of(with, i, &on);
            view_of(without, i, &off);
            happened += memcmp(with, without, BYTES) != 0;
        }
        double deviations = (happened - 0.3 * VIEWS) / sqrt(0.3 * 0.7 * VIEWS);
        printf("%s: %d of %d, %.1f deviations off\n", keys[k], happened, VIEWS, deviations);
        assert_true(fabs(deviations) < 4);
    }
}

// Each is switched on with ranges that leave the picture as it is, while the others come and go.
static void an_augmentation_leaves_the_numbers_of_the_others_alone(void **state)
{
    (void)state;
    ak_view_recipe base = AK_VIEW_RECIPE_DEFAULT;
    base.jitter = 0; // no sample becomes 255
    base.grey = base.shrink = base.blur = base.solarise = base.erase = base.erase_noise = 0.5f;
    base.blur_least = 4;
    base.blur_most = 8;
    ak_view_recipe on[4] = {base, base, base, base}, off[4] = {base, base, base, base};
    on[0].shrink = on[1].blur = on[2].solarise = on[3].erase = 1;
    off[0].shrink = off[1].blur = off[2].solarise = off[3].erase = 0;
    on[0].shrink_least = on[0].shrink_most = 1;
    on[1].blur_least = on[1].blur_most = 0.01f;
    on[2].solarise_from = 255;
    on[3].erase_least = on[3].erase_most = 0.001f; // a pixel
    for (int k = 0; k < 4; k++) {
        size_t changed = 0;
        for (uint32_t i = 0; i < 200; i++) {
            uint8_t with[BYTES], without[BYTES];
            view_of(with, i, &on[k]);
            view_of(without, i, &off[k]);
            changed += differences(with, without, BYTES);
            assert_in_range(differences(with, without, BYTES), 0, k == 3 ? 3 : 0);
        }
        assert_true((k == 3) == (changed > 0));
    }
}

static void blur_is_the_slow_gaussian(void **state)
{
    (void)state;
    static const int sides[] = {8, 17, 40};
    static const double sigmas[] = {0.02, 0.3, 0.57, 1, 2.4, 9};
    static uint8_t view[3 * 40 * 40];
    static double slow[3 * 40 * 40];
    for (size_t s = 0; s < 3; s++)
        for (size_t k = 0; k < 6; k++) {
            int side = sides[s], n = 3 * side * side;
            ak_random r = ak_random_stream(1, (uint32_t)s, (uint32_t)k, 0);
            for (int i = 0; i < n; i++)
                view[i] = (uint8_t)ak_random_below(&r, 256);
            slow_blur(slow, view, side, sigmas[k]);
            ak_blur(view, side, (float)sigmas[k], work);
            for (int i = 0; i < n; i++)
                assert_true(fabs(view[i] - slow[i]) < 0.502);
        }
}

static void a_wide_blur_of_a_large_view_stays_within_its_scratch(void **state)
{
    (void)state;
    enum { LARGE = 1024 };
    uint8_t *view = malloc(3 * LARGE * LARGE);
    float *room = malloc(ak_blur_work(LARGE) * sizeof *room);
    memset(view, 77, 3 * LARGE * LARGE);
    ak_blur(view, LARGE, 20.0f * LARGE / 224, room);
    for (int i = 0; i < 3 * LARGE * LARGE; i++)
        assert_int_equal(view[i], 77);
    free(view);
    free(room);
}

static double roughness(const uint8_t *view) // mean square of steps to the right
{
    double sum = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < 3 * (SIDE - 1); x++) {
            double step = view[3 * y * SIDE + x + 3] - view[3 * y * SIDE + x];
            sum += step * step;
        }
    return sum / (3 * SIDE * (SIDE - 1));
}

static void shrunk_views_lose_their_detail(void **state)
{
    (void)state;
    ak_view_recipe plain = {.area_least = 1, .area_most = 1, .aspect_most = 1}, shrunk = plain;
    shrunk.shrink = 1;
    for (uint32_t i = 0; i < 20; i++) {
        uint8_t view[BYTES], less[BYTES], least[BYTES];
        view_of(view, i, &plain);
        shrunk.shrink_least = shrunk.shrink_most = 0.5f;
        view_of(less, i, &shrunk);
        shrunk.shrink_least = shrunk.shrink_most = 0.25f;
        view_of(least, i, &shrunk);
        assert_true(roughness(less) < 0.7 * roughness(view));
        assert_true(roughness(least) < roughness(less));
    }
}

// What is done before the scaling up, recompression above all, is done to the small view.
static void shrunk_views_are_small_views_scaled_up(void **state)
{
    (void)state;
    ak_view_recipe small = AK_VIEW_RECIPE_DEFAULT, shrunk;
    small.jpeg = small.blur = 1;
    small.jpeg_most = small.jpeg_least;
    shrunk = small;
    shrunk.shrink = 1;
    shrunk.shrink_least = shrunk.shrink_most = 0.5f;
    for (uint32_t i = 0; i < 20; i++) {
        uint8_t view[BYTES], less[BYTES];
        ak_image want = {0}, at_half = {SIDE / 2, SIDE / 2, less};
        view_of(view, i, &shrunk);
        ak_view_make(less, SIDE / 2, &set.items[i % set.n].image, &small,
                     ak_random_stream(7, 0, i, 1), work);
        assert_int_equal(ak_image_resize(&want, &at_half, SIDE, SIDE, NULL), AK_OK);
        for (int j = 0; j < BYTES; j++)
            assert_in_range(view[j] - want.rgb[j] + 1, 0, 2);
        ak_image_clear(&want);
    }
}

static void solarised_samples_are_inverted_from_the_threshold_on(void **state)
{
    (void)state;
    uint8_t view[3 * 16 * 16];
    for (int i = 0; i < 3 * 16 * 16; i++)
        view[i] = (uint8_t)i;
    ak_solarise(view, 16, 128);
    for (int i = 0; i < 3 * 16 * 16; i++)
        assert_int_equal(view[i], i % 256 < 128 ? i % 256 : 255 - i % 256);
}

static double distance(const uint8_t *a, const uint8_t *b)
{
    double sum = 0;
    for (int i = 0; i < BYTES; i++)
        sum += abs(a[i] - b[i]);
    return sum / BYTES;
}

static void a_low_quality_changes_more_than_a_high_one(void **state)
{
    (void)state;
    ak_view_recipe plain = {.area_least = 1, .area_most = 1, .aspect_most = 1};
    for (uint32_t i = 0; i < 20; i++) {
        uint8_t view[BYTES], high[BYTES], low[BYTES];
        view_of(view, i, &plain);
        memcpy(high, view, BYTES);
        memcpy(low, view, BYTES);
        ak_recompress(high, SIDE, 95);
        ak_recompress(low, SIDE, 10);
        assert_true(distance(high, view) > 0 && distance(high, view) < 12);
        assert_true(distance(low, view) > distance(high, view));
        assert_true(distance(low, view) < 60);
    }
}

// The rectangle is found by what changed: its sides tell the share, its pixels the filling.
static void an_erased_rectangle_has_its_share_and_its_filling(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        bool noise = i % 2;
        uint8_t view[BYTES], before[BYTES];
        for (int j = 0; j < BYTES; j++)
            before[j] = (uint8_t)(j % 3 == 0 ? 10 : j % 3 == 1 ? 250 : j / 3 % 2 ? 0 : 60);
        memcpy(view, before, BYTES);
        ak_random r = ak_random_stream(1, i, 0, 0);
        ak_erase(view, SIDE, 0.2f, noise, &r);
        int x0 = SIDE, x1 = -1, y0 = SIDE, y1 = -1;
        for (int y = 0; y < SIDE; y++)
            for (int x = 0; x < SIDE; x++)
                if (memcmp(view + 3 * (y * SIDE + x), before + 3 * (y * SIDE + x), 3) != 0) {
                    x0 = x < x0 ? x : x0;
                    x1 = x > x1 ? x : x1;
                    y0 = y < y0 ? y : y0;
                    y1 = y > y1 ? y : y1;
                }
        int area = (x1 - x0 + 1) * (y1 - y0 + 1);
        assert_in_range(area, (int)(0.17 * SIDE * SIDE), (int)(0.23 * SIDE * SIDE));
        int others = 0;
        for (int y = y0; y <= y1; y++)
            for (int x = x0; x <= x1; x++) {
                const uint8_t *p = view + 3 * (y * SIDE + x);
                others += p[0] != 10 || p[1] != 250 || p[2] != 30; // the mean
            }
        if (noise)
            assert_true(others > area * 9 / 10);
        else
            assert_int_equal(others, 0);
    }
}

static void pictures_of_a_pixel_and_of_one_colour_are_fine(void **state)
{
    (void)state;
    uint8_t dot[3] = {1, 2, 3}, line[3 * 40];
    memset(line, 9, sizeof line);
    const ak_image made[] = {{1, 1, dot}, {40, 1, line}, {1, 40, line}};
    ak_view_recipe all = AK_VIEW_RECIPE_DEFAULT;
    all.shrink = all.blur = all.solarise = all.jpeg = all.erase = 1;
    all.jitter = 0;
    for (int i = 0; i < 3; i++) {
        uint8_t view[BYTES];
        ak_view_make(view, SIDE, &made[i], &all, ak_random_stream(1, 2, 3, 4), work);
        all.shrink = all.blur = all.solarise = all.jpeg = all.erase = all.grey = 0;
        ak_view_make(view, SIDE, &made[i], &all, ak_random_stream(1, 2, 3, 4), work);
        for (int j = 0; j < BYTES; j++)
            assert_int_equal(view[j], made[i].rgb[j % 3]);
    }
}

// Middle greys stay off both ends, so each channel is an affine function of what it was.
static void a_cast_scales_and_shifts_each_channel(void **state)
{
    (void)state;
    uint8_t rgb[3 * SIDE * SIDE];
    const ak_image ramp = {.rgb = rgb, .width = SIDE, .height = SIDE};
    for (int i = 0; i < SIDE * SIDE; i++)
        for (int c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)(64 + 100 * i / (SIDE * SIDE));
    ak_view_recipe recipe = {.area_least = 1,
                             .area_most = 1,
                             .aspect_most = 1,
                             .cast = 1,
                             .cast_gain = 0.25f,
                             .cast_shift = 16};
    uint8_t view[3 * SIDE * SIDE];
    ak_view_make(view, SIDE, &ramp, &recipe, ak_random_stream(1, 2, 3, 4), work);
    int last = SIDE * SIDE - 1, different = 0;
    for (int c = 0; c < 3; c++) {
        double from = ramp.rgb[c], to = ramp.rgb[3 * last + c];
        double gain = (view[3 * last + c] - view[c]) / (to - from), shift = view[c] - gain * from;
        assert_true(fabs(gain - 1) < 0.27 && fabs(shift) < 20);
        different += fabs(gain - 1) > 0.03;
        for (int i = 0; i <= last; i++)
            assert_true(fabs(gain * ramp.rgb[3 * i + c] + shift - view[3 * i + c]) < 2);
    }
    assert_true(different > 0);
    assert_true(view[0] != view[1] || view[1] != view[2]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_view_without_change_is_the_resized_picture),
        cmocka_unit_test(grey_views_are_grey_and_mirrors_are_mirrors),
        cmocka_unit_test(a_cast_scales_and_shifts_each_channel),
        cmocka_unit_test(views_of_the_default_recipe_equal_the_slow_definition),
        cmocka_unit_test(crops_of_more_than_62_times_the_side_are_cut),
        cmocka_unit_test(crops_keep_to_their_ranges),
        cmocka_unit_test(each_augmentation_happens_as_often_as_its_probability),
        cmocka_unit_test(an_augmentation_leaves_the_numbers_of_the_others_alone),
        cmocka_unit_test(blur_is_the_slow_gaussian),
        cmocka_unit_test(a_wide_blur_of_a_large_view_stays_within_its_scratch),
        cmocka_unit_test(shrunk_views_lose_their_detail),
        cmocka_unit_test(shrunk_views_are_small_views_scaled_up),
        cmocka_unit_test(solarised_samples_are_inverted_from_the_threshold_on),
        cmocka_unit_test(a_low_quality_changes_more_than_a_high_one),
        cmocka_unit_test(an_erased_rectangle_has_its_share_and_its_filling),
        cmocka_unit_test(pictures_of_a_pixel_and_of_one_colour_are_fine),
    };
    return cmocka_run_group_tests(tests, make_set, clear_set);
}
