// Optimisers against their papers' formulas, one number after the other in float64.
#include "core/base/mem.h"
#include "core/base/random.h"
#include "core/learn/optimiser.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PARAMS = 30000, TENSORS = 5 };

// The last numbers are in none.
static const ak_range tensors[TENSORS] = {
    {0, 17, true}, {17, 3, false}, {20, 20011, true}, {20031, 9000, true}, {29031, 900, false}};
enum { TRAINED = 29931 };

typedef struct {
    double p[PARAMS], average[PARAMS], first[PARAMS], second[PARAMS];
} slow;

static double slow_norm(const double *x, const ak_range *r)
{
    double sum = 0;
    for (size_t i = r->start; i < r->start + r->count; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static void slow_step(slow *s, const double *g, const ak_optimiser_settings *o, int step,
                      double rate, double keep)
{
    double all = 0, clip = 1;
    for (int t = 0; t < TENSORS; t++)
        all += pow(slow_norm(g, &tensors[t]), 2);
    if (o->clip > 0 && sqrt(all) > o->clip)
        clip = o->clip / sqrt(all);
    for (int t = 0; t < TENSORS; t++) {
        double decay = tensors[t].matrix ? o->decay : 0, trust = 1;
        if (o->kind == AK_LARS && tensors[t].matrix) {
            double p = slow_norm(s->p, &tensors[t]);
            trust = o->trust * p / (clip * slow_norm(g, &tensors[t]) + o->decay * p);
        }
        for (size_t i = tensors[t].start; i < tensors[t].start + tensors[t].count; i++) {
            double *p = &s->p[i], *m = &s->first[i], *v = &s->second[i], d = clip * g[i];
            switch (o->kind) {
            case AK_SGD:
                d += decay * *p;
                *m = o->momentum * *m + d;
                *p -= rate * (d + o->momentum * *m);
                break;
            case AK_ADAMW:
                *m = o->momentum * *m + (1 - o->momentum) * d;
                *v = o->beta2 * *v + (1 - o->beta2) * d * d;
                *p -= rate * (*m / (1 - pow(o->momentum, step + 1)) /
                                  (sqrt(*v / (1 - pow(o->beta2, step + 1))) + 1e-8) +
                              decay * *p);
                break;
            default:
                *m = o->momentum * *m + trust * (d + decay * *p);
                *p -= rate * *m;
            }
            s->average[i] = keep * s->average[i] + (1 - keep) * *p;
        }
    }
}

typedef struct {
    ak_optimiser *optimiser;
    float p[PARAMS], average[PARAMS], g[PARAMS];
} fast;

static fast *fast_new(const ak_optimiser_settings *settings, uint64_t seed)
{
    fast *f = ak_alloc(1, sizeof *f);
    ak_error err;
    assert_non_null(f);
    assert_int_equal(ak_optimiser_new(&f->optimiser, settings, tensors, TENSORS, PARAMS, &err),
                     AK_OK);
    ak_random r = ak_random_stream(seed, 0, 0, 0);
    for (size_t i = 0; i < PARAMS; i++)
        f->p[i] = f->average[i] = (float)ak_random_normal(&r);
    return f;
}

static void fast_free(fast *f)
{
    ak_optimiser_free(f->optimiser);
    free(f);
}

static void draw(float *g, uint64_t seed, uint32_t step)
{
    ak_random r = ak_random_stream(seed, 1, step, 0);
    for (size_t i = 0; i < PARAMS; i++)
        g[i] = (float)ak_random_normal(&r);
}

static ak_optimiser_settings settings_of(int kind, double clip)
{
    ak_optimiser_settings s = ak_optimiser_default;
    s.kind = kind;
    s.clip = clip;
    s.decay = 0.01;
    s.trust = 0.02;
    return s;
}

static void all_rules_are_their_formulas_with_average_decay_and_clipping(void **state)
{
    (void)state;
    for (int kind = 0; kind < AK_OPTIMISERS; kind++)
        for (int clipped = 0; clipped < 2; clipped++) {
            ak_optimiser_settings settings = settings_of(kind, clipped ? 20 : 0);
            fast *f = fast_new(&settings, 1);
            slow *s = ak_alloc(1, sizeof *s);
            double *g = ak_alloc(PARAMS, sizeof *g);
            for (size_t i = 0; i < PARAMS; i++)
                s->p[i] = s->average[i] = (double)f->p[i];
            for (int step = 0; step < 12; step++) {
                double rate = 0.05 / (1 + step), keep = step < 3 ? 0.5 : 0.9;
                draw(f->g, 2, (uint32_t)step);
                for (size_t i = 0; i < PARAMS; i++)
                    g[i] = (double)f->g[i];
                slow_step(s, g, &settings, step, rate, keep);
                ak_optimiser_step(f->optimiser, f->p, f->average, f->g, (uint64_t)step, rate, keep);
            }
            for (size_t i = 0; i < PARAMS; i++) {
                assert_float_equal(f->p[i], s->p[i], 2e-5);
                assert_float_equal(f->average[i], s->average[i], 2e-5);
            }
            fast_free(f);
            free(s);
            free(g);
        }
}

static void what_is_in_no_tensor_is_left_alone(void **state)
{
    (void)state;
    for (int kind = 0; kind < AK_OPTIMISERS; kind++) {
        ak_optimiser_settings settings = settings_of(kind, 1);
        fast *f = fast_new(&settings, 3), *before = fast_new(&settings, 3);
        draw(f->g, 4, 0);
        ak_optimiser_step(f->optimiser, f->p, f->average, f->g, 0, 0.1, 0.9);
        assert_memory_equal(f->p + TRAINED, before->p + TRAINED, (PARAMS - TRAINED) * sizeof *f->p);
        assert_memory_equal(f->average + TRAINED, before->p + TRAINED,
                            (PARAMS - TRAINED) * sizeof *f->p);
        for (size_t i = 0; i < TRAINED; i++)
            assert_true(f->p[i] != before->p[i]);
        fast_free(f);
        fast_free(before);
    }
}

static void the_number_of_threads_does_not_change_a_bit(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); // it does not see what gcc's OpenMP synchronises
#endif
    int threads = omp_get_max_threads();
    for (int kind = 0; kind < AK_OPTIMISERS; kind++) {
        ak_optimiser_settings settings = settings_of(kind, 5);
        fast *f[3];
        for (int n = 0; n < 3; n++) {
            omp_set_num_threads(n + 1);
            f[n] = fast_new(&settings, 5);
            for (uint32_t step = 0; step < 3; step++) {
                draw(f[n]->g, 6, step);
                ak_optimiser_step(f[n]->optimiser, f[n]->p, f[n]->average, f[n]->g, step, 0.1, 0.9);
            }
            assert_memory_equal(f[n]->p, f[0]->p, sizeof f[0]->p);
            assert_memory_equal(f[n]->average, f[0]->average, sizeof f[0]->average);
        }
        for (int n = 0; n < 3; n++)
            fast_free(f[n]);
    }
    omp_set_num_threads(threads);
}

static void a_run_goes_on_from_its_state_bit_for_bit(void **state)
{
    (void)state;
    for (int kind = 0; kind < AK_OPTIMISERS; kind++) {
        ak_optimiser_settings settings = settings_of(kind, 0);
        fast *whole = fast_new(&settings, 7), *resumed = fast_new(&settings, 8);
        for (uint32_t step = 0; step < 6; step++) {
            if (step == 3) {
                const char *name;
                size_t states = 0;
                memcpy(resumed->p, whole->p, sizeof whole->p);
                memcpy(resumed->average, whole->average, sizeof whole->average);
                for (float *from; (from = ak_optimiser_state(whole->optimiser, states, &name));
                     states++)
                    memcpy(ak_optimiser_state(resumed->optimiser, states, &name), from,
                           sizeof whole->p);
                assert_int_equal(states, kind == AK_ADAMW ? 2 : 1);
            }
            draw(whole->g, 9, step);
            ak_optimiser_step(whole->optimiser, whole->p, whole->average, whole->g, step, 0.1, 0.9);
            if (step >= 3)
                ak_optimiser_step(resumed->optimiser, resumed->p, resumed->average, whole->g, step,
                                  0.1, 0.9);
        }
        assert_memory_equal(resumed->p, whole->p, sizeof whole->p);
        assert_memory_equal(resumed->average, whole->average, sizeof whole->average);
        fast_free(whole);
        fast_free(resumed);
    }
}

static void a_long_gradient_is_cut_to_the_greatest_norm_and_a_short_one_is_not(void **state)
{
    (void)state;
    ak_optimiser_settings settings = settings_of(AK_SGD, 2);
    settings.momentum = settings.decay = 0;
    for (int longer = 0; longer < 2; longer++) {
        fast *f = fast_new(&settings, 10);
        float was[3] = {f->p[0], f->p[18], f->p[25000]};
        f->g[0] = longer ? 30 : 0.3f;
        f->g[18] = longer ? -40 : -0.4f;
        f->g[PARAMS - 1] = 1e6f; // in no tensor
        double norm = ak_optimiser_step(f->optimiser, f->p, f->average, f->g, 0, 1, 0);
        assert_float_equal(norm, longer ? 50 : 0.5f, 1e-6f);
        assert_float_equal(was[0] - f->p[0], longer ? 1.2f : 0.3f, 1e-6f);
        assert_float_equal(was[1] - f->p[18], longer ? -1.6f : -0.4f, 1e-6f);
        assert_true(was[2] == f->p[25000]);
        fast_free(f);
    }
}

static void a_gradient_that_is_not_finite_changes_nothing_where_it_is_measured(void **state)
{
    (void)state;
    for (int kind = 0; kind < AK_OPTIMISERS; kind++) {
        ak_optimiser_settings settings = settings_of(kind, 1);
        fast *f = fast_new(&settings, 11), *before = fast_new(&settings, 11);
        f->g[12345] = kind ? NAN : INFINITY;
        assert_false(isfinite(ak_optimiser_step(f->optimiser, f->p, f->average, f->g, 0, 1, 0.5)));
        assert_memory_equal(f->p, before->p, sizeof f->p);
        assert_memory_equal(f->average, before->average, sizeof f->average);
        fast_free(f);
        fast_free(before);
    }
}

static void lars_takes_tensors_without_length_as_they_are(void **state)
{
    (void)state;
    ak_optimiser_settings settings = settings_of(AK_LARS, 0);
    fast *f = fast_new(&settings, 12);
    memset(f->p, 0, 17 * sizeof *f->p);
    f->g[3] = 2;
    ak_optimiser_step(f->optimiser, f->p, f->average, f->g, 0, 0.1, 0);
    assert_float_equal(f->p[3], -0.2, 1e-7);
    for (size_t i = 0; i < TRAINED; i++)
        assert_true(isfinite(f->p[i]));
    fast_free(f);
}

static void the_rate_rises_then_falls_by_a_cosine_or_stays(void **state)
{
    (void)state;
    ak_optimiser_settings s = ak_optimiser_default;
    s.rate = 2;
    s.warm_up = 0.1;
    assert_float_equal(ak_optimiser_rate(&s, 0), 0, 1e-12);
    assert_float_equal(ak_optimiser_rate(&s, 0.05), 1, 1e-12);
    assert_float_equal(ak_optimiser_rate(&s, 0.1), 2, 1e-12);
    assert_float_equal(ak_optimiser_rate(&s, 0.55), 1, 1e-12);
    assert_float_equal(ak_optimiser_rate(&s, 0.325), 1.7071068f, 1e-6f);
    assert_float_equal(ak_optimiser_rate(&s, 1), 0, 1e-12);
    s.schedule = AK_CONSTANT;
    assert_float_equal(ak_optimiser_rate(&s, 0.05), 1, 1e-12);
    assert_float_equal(ak_optimiser_rate(&s, 1), 2, 1e-12);
    s.warm_up = 0;
    assert_float_equal(ak_optimiser_rate(&s, 0), 2, 1e-12);
}

static void settings_are_read_by_name_and_checked(void **state)
{
    (void)state;
    ak_optimiser_settings s = ak_optimiser_default;
    ak_error err;
    assert_int_equal(ak_fields_set(&s, ak_optimiser_fields, "kind", "lars", &err), AK_OK);
    assert_int_equal(s.kind, AK_LARS);
    assert_int_equal(ak_fields_set(&s, ak_optimiser_fields, "schedule", "constant", &err), AK_OK);
    assert_int_equal(s.schedule, AK_CONSTANT);
    assert_int_equal(ak_fields_set(&s, ak_optimiser_fields, "kind", "adam", &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "adamw"));
    assert_int_equal(ak_fields_set(&s, ak_optimiser_fields, "momentum", "1", &err), AK_BAD_VALUE);
    json_t *written = ak_fields_write(&ak_optimiser_default, ak_optimiser_fields);
    assert_int_equal(ak_fields_read(&s, ak_optimiser_fields, written, "", &err), AK_OK);
    assert_int_equal(s.kind, AK_SGD);
    json_decref(written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_rules_are_their_formulas_with_average_decay_and_clipping),
        cmocka_unit_test(what_is_in_no_tensor_is_left_alone),
        cmocka_unit_test(the_number_of_threads_does_not_change_a_bit),
        cmocka_unit_test(a_run_goes_on_from_its_state_bit_for_bit),
        cmocka_unit_test(a_long_gradient_is_cut_to_the_greatest_norm_and_a_short_one_is_not),
        cmocka_unit_test(a_gradient_that_is_not_finite_changes_nothing_where_it_is_measured),
        cmocka_unit_test(lars_takes_tensors_without_length_as_they_are),
        cmocka_unit_test(the_rate_rises_then_falls_by_a_cosine_or_stays),
        cmocka_unit_test(settings_are_read_by_name_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
