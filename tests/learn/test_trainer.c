#include "core/learn/trainer.h"
#include "tests/learn/made_pictures.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ak_pictures pictures;

static int setup(void **state)
{
    (void)state;
    made_pictures(&pictures, 64, 4, 40);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ak_pictures_clear(&pictures);
    return 0;
}

// A built-in recipe, made small.
static ak_recipe small_recipe(const char *name)
{
    ak_recipe r;
    ak_error err = {0};
    if (ak_recipe_load(&r, name, &err) != AK_OK)
        fail_msg("%s", err.text);
    r.views = (ak_view_plan)AK_VIEW_PLAN_DEFAULT; // colours, which a cast changes, tell these apart
    r.net.width = 0.25f;
    r.head.hidden = r.predictor.hidden = 32;
    r.head.out = 16;
    r.batch = 16;
    r.side = 32;
    r.late_side = 40;
    r.late_from = 0.75;
    r.momentum.queue = r.momentum.queue ? 64 : 0;
    r.momentum.start = 0.5; // these runs are short
    r.momentum.end = 0.9;
    r.pictures_per_class = r.pictures_per_class ? 4 : 0; // there are 4 classes
    return r;
}

static ak_trainer *trainer_of(const ak_recipe *r, uint64_t steps)
{
    ak_trainer *t;
    ak_error err = {0};
    const ak_train_length length = {
        .views = 2 * r->batch * steps, .threads = 2, .measure_every = 10};
    if (ak_trainer_new(&t, &pictures, r, &length, NULL, &err) != AK_OK)
        fail_msg("%s", err.text);
    return t;
}

static void run(ak_trainer *t, uint64_t steps)
{
    bool more = true;
    ak_error err = {0};
    for (uint64_t i = 0; i < steps && more; i++)
        if (ak_trainer_step(t, &more, &err) != AK_OK)
            fail_msg("%s", err.text);
}

static ak_status run_to_the_end(ak_trainer *t, ak_error *err)
{
    bool more = true;
    ak_status status = AK_OK;
    while (status == AK_OK && more)
        status = ak_trainer_step(t, &more, err);
    return status;
}

static void loss_falls_and_a_small_set_is_memorised(void **state)
{
    (void)state;
    ak_recipe r = small_recipe("default");
    ak_trainer *t = trainer_of(&r, 120);
    ak_train_progress start, end;
    run(t, 2);
    ak_trainer_progress(&start, t);
    run(t, 1000);
    ak_trainer_progress(&end, t);
    print_message("proxies %.3f -> %.3f, pairs %.3f -> %.3f\n", start.terms[0], end.terms[0],
                  start.terms[1], end.terms[1]);
    assert_int_equal(end.views, 32 * 120);
    assert_int_equal(end.side, 40);
    assert_true(end.terms[0] < 0.65 * start.terms[0]); // label smoothing leaves about 0.5
    assert_true(end.terms[1] < 0.8 * start.terms[1]);
    ak_trainer_free(t);
}

static void every_objective_lowers_its_loss(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); // no thread that the other tests lack, and two minutes of it
#endif
    for (const ak_objective *o = ak_objectives; o->name; o++) {
        ak_recipe r = small_recipe(o->name);
        // A queue is learned against more slowly.
        ak_trainer *t = trainer_of(&r, o->queue ? 300 : 100);
        ak_train_progress start, end;
        run(t, 5);
        ak_trainer_progress(&start, t);
        run(t, 1000);
        ak_trainer_progress(&end, t);
        print_message("%-14s %.4f -> %.4f\n", o->name, start.loss, end.loss);
        assert_true(end.loss < start.loss - 0.02 * fabs(start.loss));
        ak_trainer_free(t);
    }
}

// What a trainer holds at the end.
static void result_of(ak_buf *out, ak_trainer *t)
{
    ak_error err;
    assert_int_equal(ak_trainer_save(out, t, &err), AK_OK);
}

static void resumed_is_whole(const ak_recipe *r)
{
    ak_error err = {0};
    ak_buf middle = {0}, whole = {0}, resumed = {0};
    ak_trainer *t = trainer_of(r, 16);
    run(t, 7);
    result_of(&middle, t);
    run(t, 1000);
    ak_trained a = ak_trainer_result(t);
    size_t head = ak_head_params(&a.head);
    ak_buf_append(&whole, a.head_params, head * sizeof(float));
    ak_buf_append(&whole, a.params, 1000 * sizeof(float));
    ak_trainer_free(t);

    t = trainer_of(r, 16);
    if (ak_trainer_restore(t, ak_buf_bytes(&middle), &err) != AK_OK)
        fail_msg("%s", err.text);
    run(t, 1000);
    a = ak_trainer_result(t);
    ak_buf_append(&resumed, a.head_params, head * sizeof(float));
    ak_buf_append(&resumed, a.params, 1000 * sizeof(float));
    assert_int_equal(whole.n, resumed.n);
    assert_memory_equal(whole.at, resumed.at, whole.n);
    ak_trainer_free(t);
    ak_buf_clear(&middle);
    ak_buf_clear(&whole);
    ak_buf_clear(&resumed);
}

static void a_resumed_run_gives_the_same_weights_bit_for_bit(void **state)
{
    (void)state;
    static const char *const names[] = {"default", "info_nce", "byol", "sup_con"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ak_recipe r = small_recipe(names[i]);
        resumed_is_whole(&r);
    }
    ak_recipe r = small_recipe("default");
    r.views.small = (ak_small_views){.count = 2, .side = 16, .area_least = 0.1f, .area_most = 0.3f};
    r.mask_labels = true;
    resumed_is_whole(&r);
}

static void a_state_of_another_run_is_refused(void **state)
{
    (void)state;
    ak_recipe r = small_recipe("default");
    ak_error err = {0};
    ak_buf middle = {0};
    ak_trainer *t = trainer_of(&r, 16);
    run(t, 3);
    result_of(&middle, t);
    ak_trainer_free(t);
    r.views.first.hue = 0.04f;
    t = trainer_of(&r, 16);
    assert_int_equal(ak_trainer_restore(t, ak_buf_bytes(&middle), &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "another recipe.views.hue"));
    middle.at[middle.n / 2] ^= 1;
    assert_int_equal(ak_trainer_restore(t, ak_buf_bytes(&middle), &err), AK_CORRUPT);
    ak_trainer_free(t);
    ak_buf_clear(&middle);
}

static void small_views_are_trained_on(void **state)
{
    (void)state;
    ak_recipe r = small_recipe("default");
    r.views.small = (ak_small_views){.count = 2, .side = 24, .area_least = 0.2f, .area_most = 0.5f};
    ak_trainer *t = trainer_of(&r, 80);
    ak_train_progress start, end;
    run(t, 2);
    ak_trainer_progress(&start, t);
    run(t, 1000);
    ak_trainer_progress(&end, t);
    assert_true(end.loss < 0.8 * start.loss);
    ak_trainer_free(t);
}

static void an_exploding_run_stops_with_advice(void **state)
{
    (void)state;
    ak_recipe r = small_recipe("default");
    r.optimiser.rate = 99;
    r.optimiser.warm_up = 0;
    r.optimiser.decay = 0.5f;
    ak_trainer *t = trainer_of(&r, 400);
    ak_error err = {0};
    assert_int_equal(run_to_the_end(t, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "rate"));
    ak_trainer_free(t);
}

// Pulling the views of a picture together with nothing that pushes others away.
static void a_collapsing_run_stops_with_advice(void **state)
{
    (void)state;
    ak_recipe r = small_recipe("siamese");
    r.terms[0].params.margin = 0;
    r.optimiser.rate = 1;
    r.head.last_bn = false;
    ak_trainer *t = trainer_of(&r, 600);
    ak_error err = {0};
    assert_int_equal(run_to_the_end(t, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "collapsed"));
    ak_trainer_free(t);
}

static void bad_lengths_and_batches_are_refused(void **state)
{
    (void)state;
    ak_trainer *t;
    ak_error err;
    ak_recipe r = small_recipe("default");
    ak_train_length length = {.threads = 1};
    assert_int_equal(ak_trainer_new(&t, &pictures, &r, &length, NULL, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "--views or --minutes"));
    length.views = 100;
    r.batch = 65;
    r.momentum.queue = 0;
    r.momentum.groups = 1;
    assert_int_equal(ak_trainer_new(&t, &pictures, &r, &length, NULL, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "65"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_falls_and_a_small_set_is_memorised),
        cmocka_unit_test(every_objective_lowers_its_loss),
        cmocka_unit_test(a_resumed_run_gives_the_same_weights_bit_for_bit),
        cmocka_unit_test(a_state_of_another_run_is_refused),
        cmocka_unit_test(small_views_are_trained_on),
        cmocka_unit_test(an_exploding_run_stops_with_advice),
        cmocka_unit_test(a_collapsing_run_stops_with_advice),
        cmocka_unit_test(bad_lengths_and_batches_are_refused),
    };
    omp_set_num_threads(1); // networks as small as these wait for each other more than they compute
    return cmocka_run_group_tests(tests, setup, teardown);
}
