#include "core/views/loader.h"
#include "core/views/views.h"
#include "tests/learn/made_pictures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 24 };

static void whole_view_without_change_is_the_resized_picture(void **state)
{
    (void)state;
    ak_pictures set;
    made_pictures(&set, 4, 2, 48);
    ak_view_recipe plain = {.area_least = 1, .area_most = 1, .aspect_most = 1};
    for (size_t i = 0; i < set.n; i++) {
        ak_image square = {0}, small = {0};
        const ak_image *p = &set.items[i].image;
        int s = p->width < p->height ? p->width : p->height;
        assert_int_equal(
            ak_image_crop(&square, p, (p->width - s) / 2, (p->height - s) / 2, s, s, NULL), AK_OK);
        assert_int_equal(ak_image_resize(&small, &square, SIDE, SIDE, NULL), AK_OK);
        uint8_t view[3 * SIDE * SIDE];
        float *work = calloc(ak_view_work(64, 64, SIDE), sizeof *work);
        ak_view_make(view, SIDE, &square, &plain, ak_random_stream(1, 2, 3, 4), work);
        for (int j = 0; j < 3 * SIDE * SIDE; j++)
            assert_in_range(view[j] - small.rgb[j] + 1, 0, 2);
        free(work);
        ak_image_clear(&square);
        ak_image_clear(&small);
    }
    ak_pictures_clear(&set);
}

static void grey_views_are_grey_and_mirrors_are_mirrors(void **state)
{
    (void)state;
    ak_pictures set;
    made_pictures(&set, 1, 1, 40);
    ak_view_recipe recipe = {.area_least = 0.5f, .area_most = 0.6f, .aspect_most = 1.2f, .grey = 1};
    uint8_t view[3 * SIDE * SIDE], other[3 * SIDE * SIDE];
    float *work = calloc(ak_view_work(64, 64, SIDE), sizeof *work);
    ak_view_make(view, SIDE, &set.items[0].image, &recipe, ak_random_stream(1, 2, 3, 4), work);
    for (int i = 0; i < SIDE * SIDE; i++) {
        assert_in_range(view[3 * i] - view[3 * i + 1] + 1, 0, 2);
        assert_in_range(view[3 * i] - view[3 * i + 2] + 1, 0, 2);
    }
    recipe.mirror = 1;
    ak_view_make(other, SIDE, &set.items[0].image, &recipe, ak_random_stream(1, 2, 3, 4), work);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            assert_int_equal(view[3 * (y * SIDE + x)], other[3 * (y * SIDE + SIDE - 1 - x)]);
    free(work);
    ak_pictures_clear(&set);
}

// Any number of workers gives the same batches; a loader that starts later goes on with them.
static void batches_do_not_depend_on_threads_or_start(void **state)
{
    (void)state;
    enum { BATCH = 8, BATCHES = 9 };
    ak_pictures set;
    made_pictures(&set, 30, 3, 40);
    size_t bytes = 2 * BATCH * 3 * SIDE * SIDE;
    uint8_t *first = malloc(bytes * BATCHES);
    uint32_t labels[BATCHES][2 * BATCH];
    for (int run = 0; run < 3; run++) {
        ak_loader *loader;
        int start = run == 2 ? 4 : 0;
        ak_loader_options o = {.pictures = &set,
                               .plan = AK_VIEW_PLAN_DEFAULT,
                               .side = SIDE,
                               .batch = BATCH,
                               .seed = 5,
                               .first = (uint64_t)start,
                               .threads = run == 0 ? 1 : 4};
        assert_int_equal(ak_loader_new(&loader, &o, NULL), AK_OK);
        for (int k = start; k < BATCHES; k++) {
            const ak_batch *b = ak_loader_next(loader);
            if (run == 0) {
                memcpy(first + (size_t)k * bytes, b->views, bytes);
                memcpy(labels[k], b->labels, sizeof labels[k]);
            }
            assert_memory_equal(b->views, first + (size_t)k * bytes, bytes);
            assert_memory_equal(b->labels, labels[k], sizeof labels[k]);
        }
        ak_loader_free(loader);
    }
    assert_memory_not_equal(first, first + 3 * bytes, bytes); // the next epoch has other views
    free(first);
    ak_pictures_clear(&set);
}

static void a_batch_larger_than_the_set_is_refused(void **state)
{
    (void)state;
    ak_pictures set;
    made_pictures(&set, 4, 2, 40);
    ak_loader *loader;
    ak_error err;
    ak_loader_options o = {
        .pictures = &set, .plan = AK_VIEW_PLAN_DEFAULT, .side = SIDE, .batch = 5, .threads = 1};
    assert_int_equal(ak_loader_new(&loader, &o, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "5 pictures from a set of 4"));
    ak_pictures_clear(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_view_without_change_is_the_resized_picture),
        cmocka_unit_test(grey_views_are_grey_and_mirrors_are_mirrors),
        cmocka_unit_test(batches_do_not_depend_on_threads_or_start),
        cmocka_unit_test(a_batch_larger_than_the_set_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
