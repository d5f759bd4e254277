// The ranks' calls, and a run's losses: by itself as one rank, and by mpirun as several, which
// tests/live/test_mpi.py starts and compares. Rank 0 prints a line "loss STEP VALUE" a step.
#include "core/learn/ranks.h"
#include "core/learn/trainer.h"
#include "tests/learn/made_pictures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// A number of a rank, any but with bits in its last places.
static double number(int rank, size_t i)
{
    ak_random r = ak_random_stream(7, (uint32_t)rank, (uint32_t)i, 0);
    return ak_random_normal(&r);
}

static void sums_are_added_in_the_order_of_ranks(void **state)
{
    (void)state;
    const size_t lengths[] = {0, 1, 7, 4096, 4097, 700001}; // gathered; shared out, with a rest
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        size_t n = lengths[l];
        float *x = ak_alloc(n + 1, sizeof *x);
        double *y = ak_alloc(n + 1, sizeof *y);
        for (size_t i = 0; i < n; i++)
            x[i] = (float)(y[i] = number(ak_rank(), i % 997));
        ak_ranks_sum(x, n);
        ak_ranks_sum_doubles(y, n);
        for (size_t i = 0; i < n; i += n / 3000 + 1) {
            float f = (float)number(0, i % 997);
            double d = number(0, i % 997);
            for (int r = 1; r < ak_ranks(); r++) {
                f += (float)number(r, i % 997);
                d += number(r, i % 997);
            }
            assert_true(x[i] == f && y[i] == d);
        }
        free(x);
        free(y);
    }
}

static void rows_are_gathered_by_rank_and_the_first_rank_s_are_shared(void **state)
{
    (void)state;
    const size_t lengths[] = {1, 12, 3000000};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        size_t n = lengths[l], ranks = (size_t)ak_ranks();
        uint8_t *own = ak_alloc(n, 1), *all = ak_alloc(ranks * n, 1);
        for (size_t i = 0; i < n; i++)
            own[i] = (uint8_t)(i * 31 + (size_t)ak_rank());
        ak_ranks_gather(all, own, n);
        for (size_t i = 0; i < ranks * n; i++)
            assert_int_equal(all[i], ranks > 1 ? (uint8_t)(i % n * 31 + i / n) : 0);
        ak_ranks_share(own, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(own[i], (uint8_t)(i * 31));
        free(own);
        free(all);
    }
    assert_true(ak_ranks_any(ak_rank() == ak_ranks() - 1));
    assert_false(ak_ranks_any(false));
}

// Class proxies, pairs among the whole batch with masked labels, a predictor, small views.
static ak_recipe recipe_of_everything(void)
{
    ak_recipe r;
    ak_error err = {0};
    if (ak_recipe_load(&r, "default", &err) != AK_OK)
        fail_msg("%s", err.text);
    r.net.width = 0.25f;
    r.head.hidden = 32;
    r.head.out = 16;
    r.head.last_bn = true;
    r.batch = 24;
    r.side = 32;
    r.late_side = 40;
    r.late_from = 0.75;
    r.mask_labels = true;
    // The loss has kinks, where a ReLU opens by a rounding: beyond one, even one process with
    // another number of threads goes another way. So: small steps, which still change the loss by a
    // tenth.
    r.seed = 2;
    r.optimiser.rate = 0.0002;
    r.optimiser.warm_up = 0;
    r.bf16 = false;
    r.views.small = (ak_small_views){.count = 1, .side = 32, .area_least = 0.1f, .area_most = 0.3f};
    return r;
}

static void losses_of_every_step_are_finite_and_printed(void **state)
{
    (void)state;
    enum { STEPS = 20 };
    ak_pictures pictures;
    ak_recipe r = recipe_of_everything();
    ak_error err = {0};
    ak_trainer *t;
    made_pictures(&pictures, 64, 4, 40);
    const ak_train_length length = {.views = 2 * r.batch * STEPS, .threads = 1, .measure_every = 5};
    if (ak_trainer_new(&t, &pictures, &r, &length, NULL, &err) != AK_OK)
        fail_msg("%s", err.text);
    double sum = 0; // the smoothed loss is the mean of all steps' while they are few
    for (int step = 0; step < STEPS; step++) {
        bool more;
        ak_train_progress p;
        if (ak_trainer_step(t, &more, &err) != AK_OK)
            fail_msg("%s", err.text);
        ak_trainer_progress(&p, t);
        double loss = p.loss * (step + 1) - sum;
        assert_true(isfinite(loss));
        sum += loss;
        if (ak_rank() == 0)
            print_message("loss %d %.12g\n", step, loss);
    }
    ak_buf bytes = {0};
    assert_int_equal(ak_trainer_save(&bytes, t, &err), AK_OK);
    uint64_t sums[2] = {0};
    for (size_t i = 0; i < bytes.n; i++)
        sums[0] += bytes.at[i] * (uint64_t)(i + 1);
    sums[1] = sums[0];
    ak_ranks_share(&sums[1], sizeof sums[1]);
    assert_true(sums[0] == sums[1]); // all ranks have the same state, bit for bit
    ak_buf_clear(&bytes);
    ak_trainer_free(t);
    ak_pictures_clear(&pictures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_added_in_the_order_of_ranks),
        cmocka_unit_test(rows_are_gathered_by_rank_and_the_first_rank_s_are_shared),
        cmocka_unit_test(losses_of_every_step_are_finite_and_printed),
    };
    if (!ak_ranks_join())
        return 2;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ak_ranks_leave(failed);
    return failed;
}
