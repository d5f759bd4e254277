// The parts of a refinement's training beside slow, obvious ones.
#include "core/base/random.h"
#include "core/nn/head.h"
#include "core/refine/distil.h"
#include "core/refine/sampling.h"
#include "core/refine/tune_loss.h"
#include "tests/refine/run_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void fill(float *x, size_t n, uint32_t seed)
{
    ak_random r = ak_random_stream(seed, 21, 0, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)ak_random_normal(&r);
}

static double cosine(const float *a, const float *b, size_t d)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t k = 0; k < d; k++) {
        ab += (double)a[k] * (double)b[k];
        aa += (double)a[k] * (double)a[k];
        bb += (double)b[k] * (double)b[k];
    }
    return ab / sqrt(aa * bb);
}

enum { N = 7, D = 5 };

static double slow_features(const float *y, const float *t)
{
    double sum = 0;
    for (size_t i = 0; i < N; i++)
        sum += 1 - cosine(y + i * D, t + i * D, D);
    return sum / N;
}

static double slow_relations(const float *y, const float *t)
{
    double sum = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            double off = cosine(y + i * D, y + j * D, D) - cosine(t + i * D, t + j * D, D);
            sum += i == j ? 0 : off * off;
        }
    return sum / (N * (N - 1));
}

static void distillation_and_its_gradient_are_those_of_the_formulas(void **state)
{
    (void)state;
    float y[N * D], t[N * D], dy[N * D], *work = calloc(ak_distil_work(N, D), sizeof *work);
    fill(y, N * D, 1);
    fill(t, N * D, 2);
    for (int which = 0; which < 2; which++) {
        double (*fast)(float *, const float *, const float *, size_t, size_t, float, float *) =
            which ? ak_distil_relations : ak_distil_features;
        double (*slow)(const float *, const float *) = which ? slow_relations : slow_features;
        for (int i = 0; i < N * D; i++)
            dy[i] = 1; // the gradient is added
        assert_true(fabs(fast(dy, y, t, N, D, 0.5f, work) - slow(y, t)) < 1e-6);
        for (size_t i = 0; i < N * D; i++) {
            float was = y[i];
            y[i] = was + 1e-3f;
            double high = slow(y, t);
            y[i] = was - 1e-3f;
            double low = slow(y, t);
            y[i] = was;
            assert_true(fabs((double)(dy[i] - 1) - 0.5 * (high - low) / 2e-3) < 1e-4);
        }
        memset(dy, 0, sizeof dy);
        assert_true(fabs(fast(dy, t, t, N, D, 1, work)) < 1e-6); // nothing learned, nothing lost
        for (size_t i = 0; i < N * D; i++)
            assert_true(fabsf(dy[i]) < 1e-6f);
    }
    free(work);
}

// --- sampling
// ---------------------------------------------------------------------------------------

#define FRESH  40
#define OLD    25
#define COUPLE 9

// Units of one to three pictures, fresh ones first.
static void made_set(ak_run_set *set)
{
    *set = (ak_run_set){.units = calloc(FRESH + OLD, sizeof *set->units),
                        .members = calloc(3 * (FRESH + OLD), sizeof *set->members),
                        .rows = calloc(3 * (FRESH + OLD), sizeof *set->rows),
                        .similar = calloc(COUPLE, sizeof *set->similar),
                        .different = calloc(COUPLE, sizeof *set->different),
                        .noisy = calloc(COUPLE, sizeof *set->noisy),
                        .units_n = FRESH + OLD,
                        .fresh_n = FRESH,
                        .similar_n = COUPLE,
                        .different_n = COUPLE,
                        .noisy_n = COUPLE};
    set->pictures.items = calloc(3 * (FRESH + OLD), sizeof *set->pictures.items);
    for (uint32_t u = 0; u < FRESH + OLD; u++) {
        set->units[u] = (ak_run_unit){(uint32_t)set->pictures.n, 1 + u % 3, u < FRESH};
        for (uint32_t k = 0; k <= u % 3; k++) {
            uint32_t place = (uint32_t)set->pictures.n++;
            set->pictures.items[place].label = u;
            set->members[place] = set->rows[place] = place;
        }
    }
    for (uint32_t i = 0; i < COUPLE; i++) {
        set->similar[i] = (ak_run_couple){i, i + 20};
        set->different[i] = (ak_run_couple){i + 40, i + 60};
        set->noisy[i] = (ak_run_couple){i + 80, i + 90};
    }
}

static void a_batch_draws_units_once_and_half_of_it_is_replay(void **state)
{
    (void)state;
    ak_error err;
    ak_run_set set;
    ak_sampler sampler, other;
    enum { BATCH = 32 };
    uint32_t batch[BATCH], again[BATCH], drawn[FRESH + OLD] = {0};
    made_set(&set);
    ak_mixture m = ak_mixture_of(&set, BATCH, 0.125, 0.5);
    assert_int_equal(ak_mixture_pictures(&m), BATCH);
    assert_true(m.feedback == 2 && m.noisy == 2 && m.fresh == 12 && m.replay == 12);
    assert_int_equal(ak_sampling_new(&sampler, &set, &m, 5, &err), AK_OK);
    for (uint64_t k = 0; k < 300; k++) {
        bool seen[FRESH + OLD] = {0};
        sampler.choose(sampler.arg, batch, BATCH, k);
        for (size_t i = 0; i < m.fresh + m.replay; i++) {
            uint32_t unit = set.pictures.items[batch[i]].label;
            assert_true(set.units[unit].fresh == (i < m.fresh));
            assert_false(seen[unit]);
            seen[unit] = true;
            drawn[unit]++;
        }
        assert_int_equal(batch[25], batch[24] + 20); // similar, different, noisy twice
        assert_int_equal(batch[27], batch[26] + 20);
        assert_int_equal(batch[29], batch[28] + 10);
        assert_int_equal(batch[31], batch[30] + 10);
    }
    for (uint32_t u = 0; u < FRESH + OLD; u++) // all come, about equally often
        assert_in_range(drawn[u], u < FRESH ? 60 : 110, u < FRESH ? 120 : 180);
    // Batch k is the same however one comes to it.
    assert_int_equal(ak_sampling_new(&other, &set, &m, 5, &err), AK_OK);
    other.choose(other.arg, again, BATCH, 299);
    assert_memory_equal(batch, again, sizeof batch);
    ak_sampler_clear(&sampler);
    ak_sampler_clear(&other);
    // Without replay or fresh pictures the other kind fills the batch, as far as there is any.
    set.units_n = FRESH;
    m = ak_mixture_of(&set, BATCH, 0.125, 0.5);
    assert_true(m.fresh == 24 && m.replay == 0);
    set.units_n = FRESH + OLD;
    set.fresh_n = 3;
    m = ak_mixture_of(&set, BATCH, 0.125, 0.5);
    assert_true(m.fresh == 3 && m.replay == 21);
    ak_run_set_clear(&set);
}

// --- the whole loss
// ---------------------------------------------------------------------------------

enum { F = 6, DIMS = 5, RAW = 8, BATCH = 16 };

typedef struct {
    ak_run_set set;
    ak_plan plan;
    ak_refine_recipe recipe;
    ak_model_parts parts;
    ak_mixture mixture;
    float mean[RAW], matrix[DIMS * RAW], *head;
    uint32_t chosen[BATCH];
} scene;

static void scene_make(scene *s, ak_tune_level level)
{
    ak_error err;
    *s = (scene){.recipe = ak_refine_recipe_default};
    made_set(&s->set);
    s->plan.n = s->set.pictures.n;
    s->plan.dims = 4;
    s->plan.descriptors = calloc(s->plan.n * 4, sizeof(float));
    for (size_t i = 0; i < s->plan.n; i++) // pictures i and i + 4 look the same
        s->plan.descriptors[4 * i + i % 4] = 1;
    s->plan.same_score = 2; // nobody is
    fill(s->mean, RAW, 3);
    fill(s->matrix, DIMS * RAW, 4);
    s->parts = (ak_model_parts){.head = {.in = F, .hidden = 7, .out = 4, .depth = 2},
                                .dims = DIMS,
                                .raw = RAW,
                                .mean = s->mean,
                                .matrix = s->matrix};
    s->recipe.train.level = level;
    s->recipe.train.masked = 0; // same_score alone
    s->recipe.train.contrast = 1;
    s->recipe.train.tau = 0.2f;
    s->recipe.train.noisy_q = 0.5f;
    s->recipe.train.features = 0.7f;
    s->recipe.train.relations = 1.3f;
    s->recipe.train.noisy = 0.4f;
    s->recipe.train.neighbourhoods = 0.6f;
    s->head = calloc(ak_head_params(&s->parts.head), sizeof *s->head);
    fill(s->head, ak_head_params(&s->parts.head), 5);
    s->mixture = ak_mixture_of(&s->set, BATCH, 0.125, 0.5);
    ak_sampler sampler;
    assert_int_equal(ak_sampling_new(&sampler, &s->set, &s->mixture, 5, &err), AK_OK);
    sampler.choose(sampler.arg, s->chosen, BATCH, 3);
    ak_sampler_clear(&sampler);
}

static void scene_clear(scene *s)
{
    ak_run_set_clear(&s->set);
    free(s->plan.descriptors);
    free(s->head);
}

static void the_losses_gradient_is_that_of_central_differences(void **state)
{
    (void)state;
    for (int level = AK_TUNE_PROJECTION; level <= AK_TUNE_DESCRIPTOR; level++) {
        ak_error err;
        scene s;
        ak_tune_loss *loss;
        ak_tune_terms terms;
        scene_make(&s, (ak_tune_level)level);
        size_t head = ak_head_params(&s.parts.head);
        float x[2 * BATCH * F], t[2 * BATCH * F], dx[2 * BATCH * F], none[2 * BATCH * F];
        float *dhead = calloc(head, sizeof *dhead), *dnone = calloc(head, sizeof *dnone);
        fill(x, 2 * BATCH * F, 6);
        fill(t, 2 * BATCH * F, 7);
        assert_int_equal(
            ak_tune_loss_new(&loss, &s.parts, F, &s.set, &s.plan, &s.recipe, &s.mixture, &err),
            AK_OK);
        float *whole = calloc(s.set.pictures.n * F, sizeof *whole);
        fill(whole, s.set.pictures.n * F, 9);
        assert_int_equal(ak_tune_loss_look_around(loss, whole, &err), AK_OK);
        free(whole);
        ak_tune_loss_run(loss, &terms, dx, dhead, s.head, x, t, s.chosen);
        assert_true(terms.contrast > 0 && terms.feedback > 0 && terms.noisy != 0);
        assert_true(terms.neighbourhoods > 0);
        for (size_t i = 0; i < 2 * BATCH * F + head; i++) {
            float *at = i < 2 * BATCH * F ? &x[i] : &s.head[i - 2 * BATCH * F], was = *at;
            double got = (double)(i < 2 * BATCH * F ? dx[i] : dhead[i - 2 * BATCH * F]);
            *at = was + 5e-4f;
            double high = ak_tune_loss_run(loss, &terms, none, dnone, s.head, x, t, s.chosen);
            *at = was - 5e-4f;
            double low = ak_tune_loss_run(loss, &terms, none, dnone, s.head, x, t, s.chosen);
            *at = was;
            // ReLU has corners, floats have seven digits.
            assert_true(fabs(got - (high - low) / 1e-3) < 5e-3 + 0.03 * fabs(got));
        }
        ak_tune_loss_free(loss);
        free(dhead);
        free(dnone);
        scene_clear(&s);
    }
}

static void likely_false_negatives_are_masked_and_different_ones_are_not(void **state)
{
    (void)state;
    ak_error err;
    scene s;
    ak_tune_loss *loss;
    ak_tune_terms terms;
    scene_make(&s, AK_TUNE_DESCRIPTOR);
    float x[2 * BATCH * F], dx[2 * BATCH * F];
    float *dhead = calloc(ak_head_params(&s.parts.head), sizeof *dhead);
    fill(x, 2 * BATCH * F, 8);
    assert_int_equal(
        ak_tune_loss_new(&loss, &s.parts, F, &s.set, &s.plan, &s.recipe, &s.mixture, &err), AK_OK);
    ak_tune_loss_run(loss, &terms, dx, dhead, s.head, x, x, s.chosen);
    double all = terms.contrast;
    ak_tune_loss_free(loss);
    s.plan.same_score = 0.5;
    assert_int_equal(
        ak_tune_loss_new(&loss, &s.parts, F, &s.set, &s.plan, &s.recipe, &s.mixture, &err), AK_OK);
    ak_tune_loss_run(loss, &terms, dx, dhead, s.head, x, x, s.chosen);
    size_t same = 0;
    for (size_t i = 0; i < BATCH; i++)
        for (size_t j = 0; j < i; j++)
            same +=
                s.chosen[i] % 4 == s.chosen[j] % 4 ||
                s.set.pictures.items[s.chosen[i]].label == s.set.pictures.items[s.chosen[j]].label;
    assert_int_equal(ak_tune_loss_masked(loss), same);
    assert_true(same > 10 && terms.contrast < all - 0.05); // fewer negatives, less to lose
    ak_tune_loss_free(loss);
    free(dhead);
    scene_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distillation_and_its_gradient_are_those_of_the_formulas),
        cmocka_unit_test(a_batch_draws_units_once_and_half_of_it_is_replay),
        cmocka_unit_test(the_losses_gradient_is_that_of_central_differences),
        cmocka_unit_test(likely_false_negatives_are_masked_and_different_ones_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
