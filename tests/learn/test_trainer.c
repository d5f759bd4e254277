#include "core/learn/trainer.h"
#include "tests/learn/made_pictures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

static ak_recipe small_recipe(uint64_t views)
{
    ak_recipe r = ak_recipe_default;
    r.net.width = 0.25f;
    r.head_hidden = 32;
    r.head_out = 16;
    r.batch = 16;
    r.side = 32;
    r.late_side = 40;
    r.late_from = 0.75;
    r.rate = 0.1f;
    r.views_total = views;
    return r;
}

static ak_trainer *trainer_of(const ak_recipe *r)
{
    ak_trainer *t;
    ak_error err = {0};
    if (ak_trainer_new(&t, &pictures, r, &err) != AK_OK)
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

static void loss_falls_and_a_small_set_is_memorised(void **state)
{
    (void)state;
    ak_recipe r = small_recipe(32 * 120);
    ak_trainer *t = trainer_of(&r);
    ak_train_progress start, end;
    run(t, 2);
    ak_trainer_progress(&start, t);
    run(t, 1000);
    ak_trainer_progress(&end, t);
    print_message("proxies %.3f -> %.3f, pairs %.3f -> %.3f\n", start.proxy_loss, end.proxy_loss,
                  start.contrast_loss, end.contrast_loss);
    assert_int_equal(end.views, 32 * 120);
    assert_int_equal(end.side, 40);
    assert_true(end.proxy_loss < 0.65 * start.proxy_loss); // label smoothing leaves about 0.5
    assert_true(end.contrast_loss < 0.8 * start.contrast_loss);
    ak_trainer_free(t);
}

static void a_resumed_run_gives_the_same_weights_bit_for_bit(void **state)
{
    (void)state;
    ak_recipe r = small_recipe(32 * 16);
    ak_error err = {0};
    ak_buf middle = {0}, whole = {0}, resumed = {0};
    ak_trainer *t = trainer_of(&r);
    run(t, 7);
    assert_int_equal(ak_trainer_save(&middle, t, &err), AK_OK);
    run(t, 1000);
    ak_trained a = ak_trainer_result(t);
    size_t head = ak_head_params(&a.head);
    ak_buf_append(&whole, a.head_params, head * sizeof(float));
    ak_buf_append(&whole, a.params, 1000 * sizeof(float));
    ak_trainer_free(t);

    t = trainer_of(&r);
    if (ak_trainer_restore(t, ak_buf_bytes(&middle), &err) != AK_OK)
        fail_msg("%s", err.text);
    run(t, 1000);
    a = ak_trainer_result(t);
    ak_buf_append(&resumed, a.head_params, head * sizeof(float));
    ak_buf_append(&resumed, a.params, 1000 * sizeof(float));
    assert_memory_equal(whole.at, resumed.at, whole.n);
    ak_trainer_free(t);

    r.seed = 2; // another run's state
    t = trainer_of(&r);
    assert_int_equal(ak_trainer_restore(t, ak_buf_bytes(&middle), &err), AK_BAD_VALUE);
    middle.at[middle.n / 2] ^= 1;
    assert_int_equal(ak_trainer_restore(t, ak_buf_bytes(&middle), &err), AK_CORRUPT);
    ak_trainer_free(t);
    ak_buf_clear(&middle);
    ak_buf_clear(&whole);
    ak_buf_clear(&resumed);
}

static void an_exploding_run_stops_with_advice(void **state)
{
    (void)state;
    ak_recipe r = small_recipe(32 * 400);
    r.rate = 99;
    r.warm_up = 1e-9;
    r.decay = 0.5f;
    ak_trainer *t = trainer_of(&r);
    ak_error err = {0};
    bool more = true;
    ak_status status = AK_OK;
    while (status == AK_OK && more)
        status = ak_trainer_step(t, &more, &err);
    assert_int_equal(status, AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "lower --rate"));
    ak_trainer_free(t);
}

static void bad_recipes_are_refused(void **state)
{
    (void)state;
    ak_trainer *t;
    ak_error err;
    ak_recipe r = small_recipe(0);
    assert_int_equal(ak_trainer_new(&t, &pictures, &r, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "--views or --minutes"));
    r = small_recipe(100);
    r.batch = 65;
    assert_int_equal(ak_trainer_new(&t, &pictures, &r, &err), AK_BAD_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_falls_and_a_small_set_is_memorised),
        cmocka_unit_test(a_resumed_run_gives_the_same_weights_bit_for_bit),
        cmocka_unit_test(an_exploding_run_stops_with_advice),
        cmocka_unit_test(bad_recipes_are_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
