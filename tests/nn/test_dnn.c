// The fast executor against its definition in plain loops, and that against central differences.
#include "core/base/random.h"
#include "core/nn/dnn.h"
#include "core/nn/naive.h"
#include "tests/nn/outcome.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    ak_graph graph;
    int batch;
    uint64_t seed;
    float *params, *stats, *dfeatures;
    double *params64, *dfeatures64;
    uint8_t *pixels;
} setup;

// Cells of one colour each, and noise: to a batch's statistics, pictures of noise alone are alike.
static void paint(uint8_t *pixels, int side, ak_random *r)
{
    enum { CELLS = 4, NOISE = 40 };
    int colours[CELLS * CELLS * 3];
    for (int i = 0; i < CELLS * CELLS * 3; i++)
        colours[i] = (int)ak_random_below(r, 256);
    for (int i = 0; i < side * side * 3; i++) {
        int y = i / 3 / side * CELLS / side, x = i / 3 % side * CELLS / side;
        int v = colours[(y * CELLS + x) * 3 + i % 3] + (int)ak_random_below(r, 2 * NOISE) - NOISE;
        pixels[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

static setup make(ak_resnet net, int side, int batch, uint64_t seed)
{
    setup s = {.batch = batch, .seed = seed};
    ak_error err;
    if (ak_resnet_graph(&s.graph, &net, side, &err) != AK_OK)
        fail_msg("%s", err.text);
    size_t f = s.graph.features * (size_t)batch, picture = (size_t)(side * side * 3);
    s.params = calloc(s.graph.params, sizeof(float));
    s.stats = calloc(s.graph.stats, sizeof(float));
    s.dfeatures = calloc(f, sizeof(float));
    s.params64 = calloc(s.graph.params, sizeof(double));
    s.dfeatures64 = calloc(f, sizeof(double));
    s.pixels = malloc(picture * (size_t)batch);
    ak_graph_init(s.params, s.stats, &s.graph, seed);
    ak_random r = ak_random_stream(seed, 1, 2, 3);
    for (int i = 0; i < batch; i++)
        paint(s.pixels + (size_t)i * picture, side, &r);
    for (size_t i = 0; i < s.graph.params; i++) {
        s.params[i] += 0.02f * (float)ak_random_normal(&r);
        s.params64[i] = (double)s.params[i];
    }
    for (size_t i = 0; i < s.graph.stats; i++)
        s.stats[i] += 0.1f * (float)ak_random_uniform(&r);
    for (size_t i = 0; i < f; i++) {
        s.dfeatures[i] = (float)ak_random_normal(&r);
        s.dfeatures64[i] = (double)s.dfeatures[i];
    }
    return s;
}

static void drop(setup *s)
{
    void *all[] = {s->params, s->stats, s->dfeatures, s->params64, s->dfeatures64, s->pixels};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

// The first stage that uses the batch's statistics.
static int batch_from(ak_dnn_options o)
{
    bool running = o.mode == AK_DNN_SERVE || o.mode == AK_DNN_TUNE;
    return running ? AK_NAIVE_RUNNING : o.frozen_stages ? o.frozen_stages + 1 : 0;
}

// The first parameter that gets a gradient.
static size_t trained_from(const ak_graph *g, ak_dnn_options o)
{
    if (o.mode != AK_DNN_TRAIN && o.mode != AK_DNN_TUNE)
        return g->params;
    for (int i = 0; i < g->n; i++)
        if (g->nodes[i].op == AK_OP_CONV &&
            (!o.frozen_stages || g->nodes[i].stage > o.frozen_stages))
            return g->nodes[i].param;
    return g->params;
}

static outcome define(const setup *s, const double *params, bool bf16, int from)
{
    outcome o = outcome_new(&s->graph, s->batch);
    ak_naive *naive = ak_naive_new(&s->graph, s->batch, bf16);
    ak_naive_forward(naive, o.features, o.stats, s->pixels, params, s->stats, from);
    ak_naive_backward(naive, o.gradient, s->dfeatures64, params);
    ak_naive_free(naive);
    for (int i = 0; i < s->graph.n; i++) {
        const ak_node *n = &s->graph.nodes[i];
        double rows = (double)(s->batch * n->h * n->w);
        for (int c = 0; n->op == AK_OP_BN && c < n->c; c++)
            o.stats[n->stat + (size_t)(n->c + c)] *= rows / (rows - 1);
    }
    return o;
}

static void widen(double *to, const float *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (double)from[i];
}

static outcome execute(const setup *s, ak_dnn_options options)
{
    const ak_graph *g = &s->graph;
    outcome o = outcome_new(g, s->batch);
    size_t f = g->features * (size_t)s->batch, trained = trained_from(g, options);
    float *features = calloc(f, sizeof *features), *gradient = calloc(g->params, sizeof *gradient);
    float *stats = calloc(g->stats, sizeof *stats);
    ak_dnn *dnn;
    ak_error err = {0};
    for (size_t i = 0; i < g->stats; i++)
        stats[i] = 7;
    if (ak_dnn_new(&dnn, g, s->batch, options, &err) != AK_OK ||
        ak_dnn_load(dnn, s->params, s->stats, &err) != AK_OK ||
        ak_dnn_forward(dnn, features, s->pixels, &err) != AK_OK)
        fail_msg("%s", err.text);
    if (trained < g->params && ak_dnn_backward(dnn, gradient, s->dfeatures, &err) != AK_OK)
        fail_msg("%s", err.text);
    if (options.mode != AK_DNN_SERVE)
        ak_dnn_stats(stats, dnn, 1.0f);
    ak_dnn_free(dnn);
    for (size_t i = 0; i < trained; i++)
        assert_true(gradient[i] == 0);
    for (int i = 0; i < g->n; i++) // what the mode does not measure is left alone
        for (int c = 0; g->nodes[i].op == AK_OP_BN && g->nodes[i].stage < batch_from(options) &&
                        c < 2 * g->nodes[i].c;
             c++)
            assert_true(stats[g->nodes[i].stat + (size_t)c] == 7);
    widen(o.features, features, f);
    widen(o.gradient, gradient, g->params);
    widen(o.stats, stats, g->stats);
    free(features);
    free(gradient);
    free(stats);
    return o;
}

// Whether the definition itself goes half as far, in each part that is beyond its bound, when its
// parameters change in the last digits of the type. Within those of the kink of a ReLU or a maximum
// it is rounding that decides which side a network is on.
static bool jumps(const setup *s, const scope *sc, const outcome *exact, const parts *apart,
                  const parts *bound, ak_dnn_type type)
{
    double *params = calloc(s->graph.params, sizeof *params);
    parts most = {.n = apart->n};
    bool far = false;
    for (uint32_t t = 0; t < 12 && !far; t++) {
        ak_random r = ak_random_stream(s->seed, 4, t, 0);
        for (size_t i = 0; i < s->graph.params; i++)
            params[i] =
                s->params64[i] * (1 + (type == AK_DNN_F32 ? 1e-5 : 2e-3) * ak_random_normal(&r));
        outcome near = define(s, params, false, sc->batch_from);
        parts jump = parts_apart(sc, &near, exact);
        far = true;
        for (int i = 0; i < apart->n; i++) {
            bool beyond = !(apart->of[i] <= bound->of[i]);
            most.of[i] = fmax(most.of[i], jump.of[i]);
            far = far && (!beyond || most.of[i] >= 0.5 * apart->of[i]);
        }
        outcome_free(&near);
    }
    free(params);
    return far;
}

// Whether the modes, which all use the same statistics, give what the definition does; false where
// the seed is no good, the definition being at a kink.
static bool agree(const setup *s, const ak_dnn_options *modes, int n)
{
    bool bf16 = modes[0].type == AK_DNN_BF16, good = true;
    scope sc = {&s->graph, s->batch, 0, batch_from(modes[0])};
    outcome exact = define(s, s->params64, false, sc.batch_from), rounded = {0};
    if (bf16)
        rounded = define(s, s->params64, true, sc.batch_from);
    for (int i = 0; i < n && good; i++) {
        sc.trained = trained_from(&s->graph, modes[i]);
        outcome got = execute(s, modes[i]);
        parts apart = parts_apart(&sc, &got, &exact);
        parts bound = bf16 ? bounds_bf16(&sc, &exact, &rounded) : bounds_f32(&sc, &exact);
        int worst = worst_part(&apart, &bound);
        good = worst < 0;
        if (!good && !jumps(s, &sc, &exact, &apart, &bound, modes[i].type)) {
            char name[40];
            part_name(name, worst);
            fail_msg("mode %d, type %d, %d stages frozen, seed %d: %s: apart by %g, at most %g",
                     (int)modes[i].mode, (int)modes[i].type, modes[i].frozen_stages, (int)s->seed,
                     name, apart.of[worst], bound.of[worst]);
        }
        outcome_free(&got);
    }
    outcome_free(&exact);
    outcome_free(&rounded);
    return good;
}

static void compare(ak_resnet net, int side, int batch, const ak_dnn_options *modes, int n)
{
    enum { SEED = 7, SEEDS = 4 };
    bool good = false;
    for (uint64_t seed = SEED; seed < SEED + SEEDS && !good; seed++) {
        setup s = make(net, side, batch, seed);
        good = agree(&s, modes, n);
        if (!good)
            print_message("seed %d is at a kink\n", (int)seed);
        drop(&s);
    }
    if (!good)
        fail_msg("mode %d, type %d: no seed of %d is good", (int)modes[0].mode, (int)modes[0].type,
                 SEEDS);
}

// The full set of modes, by the statistics that they use; the definition takes its time.
static void compare_modes(ak_resnet net, int side, int frozen)
{
    bool whole = getenv("AKIN_TEST_LONG");
    for (ak_dnn_type type = AK_DNN_F32; type <= AK_DNN_BF16; type++) {
        if (type == AK_DNN_BF16 && !ak_dnn_has_bf16())
            return;
        // In bf16 more pictures are needed for statistics that its rounding does not upset.
        int batch = type == AK_DNN_F32 ? 3 : whole ? 12 : 6;
        const ak_dnn_options running[] = {{.mode = AK_DNN_SERVE, .type = type},
                                          {.mode = AK_DNN_TUNE, .type = type},
                                          {AK_DNN_TUNE, type, frozen, false, NULL}};
        const ak_dnn_options of_batch[] = {{.mode = AK_DNN_FORWARD, .type = type},
                                           {.mode = AK_DNN_TRAIN, .type = type},
                                           {AK_DNN_TRAIN, type, 0, true, NULL}};
        const ak_dnn_options both = {AK_DNN_TRAIN, type, frozen, false, NULL};
        compare(net, side, batch, running, 3);
        compare(net, side, batch, of_batch, type == AK_DNN_BF16 ? 3 : 2);
        if (type == AK_DNN_F32 || whole)
            compare(net, side, batch, &both, 1);
    }
}

static void alone(double *values, size_t n)
{
    (void)values;
    (void)n;
}

// Two processes with the same rows: the batch twice.
static void twice(double *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        values[i] *= 2;
}

static const ak_resnet small = {{1, 1, 1, 1}, 0.25f, 2, 2, 0, false};

static void one_block_a_stage_in_every_mode_equals_the_definition(void **state)
{
    (void)state;
    compare_modes(small, 32, 1);
}

static void two_blocks_a_stage_fine_grid_all_stages_pooled_in_every_mode(void **state)
{
    (void)state;
    compare_modes((ak_resnet){{2, 2, 2, 2}, 0.25f, 1, 4, 0, false}, 32, 2);
}

static void attention_in_every_mode_equals_the_definition(void **state)
{
    (void)state;
    compare_modes((ak_resnet){{1, 2, 1, 1}, 0.25f, 1, 3, 4, false}, 32, 3);
    compare_modes((ak_resnet){{1, 1, 1, 1}, 0.25f, 2, 1, 16, true}, 32, 4);
}

static void odd_sizes_and_the_least_width_equal_the_definition(void **state)
{
    (void)state;
    compare_modes((ak_resnet){{1, 1, 1, 1}, 0.125f, 2, 2, 8, false}, 45, 2);
}

// All of it, some minutes: only when AKIN_TEST_LONG is set (make test-long).
static void every_network_in_every_mode_equals_the_definition(void **state)
{
    (void)state;
    if (!getenv("AKIN_TEST_LONG"))
        skip();
    int n = 0;
    for (int blocks = 1; blocks <= 2; blocks++)
        for (float width = 0.125f; width <= 0.5f; width *= 2)
            for (int stride = 1; stride <= 2; stride++)
                for (int pool = 1; pool <= 4; pool++)
                    for (int attention = 0; attention <= 16; attention += 8, n++)
                        compare_modes((ak_resnet){{blocks, blocks, blocks, blocks},
                                                  width,
                                                  stride,
                                                  pool,
                                                  attention,
                                                  n % 2 == 0},
                                      32, 1 + n % 4);
}

// loss = sum of features * dfeatures
static double loss_of(const setup *s, ak_naive *naive, double *features, int from)
{
    ak_naive_forward(naive, features, NULL, s->pixels, s->params64, s->stats, from);
    double loss = 0;
    for (size_t i = 0; i < s->graph.features * (size_t)s->batch; i++)
        loss += features[i] * s->dfeatures64[i];
    return loss;
}

static void differences(ak_resnet net, int from)
{
    setup s = make(net, 12, 3, 3);
    outcome o = outcome_new(&s.graph, s.batch);
    ak_naive *naive = ak_naive_new(&s.graph, s.batch, false);
    loss_of(&s, naive, o.features, from);
    ak_naive_backward(naive, o.gradient, s.dfeatures64, s.params64);
    ak_random r = ak_random_stream(5, 0, 0, 0);
    double worst = 0;
    int kinks = 0, tried = 0;
    ak_range ranges[AK_RANGES_MAX];
    size_t n = ak_graph_ranges(ranges, &s.graph);
    for (size_t i = 0; i < n; i++) {
        for (int t = 0; t < 2; t++) {
            size_t at = ranges[i].start + ak_random_below(&r, (uint32_t)ranges[i].count);
            double keep = s.params64[at], h = 1e-5;
            s.params64[at] = keep + h;
            double up = loss_of(&s, naive, o.features, from);
            s.params64[at] = keep - h;
            double down = loss_of(&s, naive, o.features, from);
            s.params64[at] = keep;
            double slope = (up - down) / (2 * h), g = o.gradient[at];
            double off = fabs(slope - g) / (1e-3 + fabs(g) + fabs(slope));
            tried++;
            if (off > 1e-4) // a ReLU or a maximum switched within h
                kinks++;
            else if (off > worst)
                worst = off;
        }
    }
    print_message("%d differences, worst relative error %.2g, %d across a kink\n", tried, worst,
                  kinks);
    assert_true(kinks * 10 <= tried);
    ak_naive_free(naive);
    outcome_free(&o);
    drop(&s);
}

static void definition_agrees_with_central_differences(void **state)
{
    (void)state;
    differences(small, 0);
    differences((ak_resnet){{1, 1, 1, 1}, 0.25f, 1, 4, 4, false}, 0);
    differences((ak_resnet){{1, 1, 1, 1}, 0.25f, 2, 2, 4, false}, AK_NAIVE_RUNNING);
    differences(small, 3);
}

static void bad_networks_are_refused(void **state)
{
    (void)state;
    ak_graph g;
    ak_error err;
    ak_resnet net = small;
    assert_int_equal(ak_resnet_graph(&g, &net, 4, &err), AK_BAD_VALUE);
    net.width = 9;
    assert_int_equal(ak_resnet_graph(&g, &net, 64, &err), AK_BAD_VALUE);
    net = small;
    net.pool_stages = 5;
    assert_int_equal(ak_resnet_graph(&g, &net, 64, &err), AK_BAD_VALUE);
    net = AK_RN10;
    assert_int_equal(ak_resnet_graph(&g, &net, 64, &err), AK_OK);
    assert_int_equal(g.features, 768);
    assert_true(g.params > 4800000 && g.params < 5000000);
}

static int force(void **state)
{
    (void)state;
#ifdef FORCED_ISA
    ak_error err;
    if (ak_dnn_limit_isa(FORCED_ISA, &err) != AK_OK || ak_dnn_has_bf16())
        return -1;
#endif
    return 0;
}

static void unknown_instruction_sets_are_refused(void **state)
{
    (void)state;
    ak_error err;
    assert_int_equal(ak_dnn_limit_isa("sse9", &err), AK_BAD_VALUE);
}

static void statistics_over_processes_equal_the_definition(void **state)
{
    (void)state;
    const ak_bn_parts one = {alone, 1}, two = {twice, 2};
    const ak_resnet attentive = {{1, 1, 1, 1}, 0.25f, 2, 2, 4, false};
    ak_dnn_options train = {.mode = AK_DNN_TRAIN, .parts = &one};
    compare(small, 32, 8, &train, 1);
    compare(attentive, 32, 8, &train, 1);
    // A batch twice has the statistics and the gradients of the batch.
    setup s = make(small, 32, 8, 5);
    outcome once = execute(&s, train), again;
    train.parts = &two;
    again = execute(&s, train);
    for (size_t i = 0; i < s.graph.params; i++)
        assert_true(fabs(again.gradient[i] - once.gradient[i]) <
                    1e-5 * (1 + fabs(once.gradient[i])));
    for (size_t i = 0; i < 8 * s.graph.features; i++)
        assert_true(fabs(again.features[i] - once.features[i]) <
                    1e-6 * (1 + fabs(once.features[i])));
    outcome_free(&once);
    outcome_free(&again);
    drop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_over_processes_equal_the_definition),
        cmocka_unit_test(one_block_a_stage_in_every_mode_equals_the_definition),
        cmocka_unit_test(two_blocks_a_stage_fine_grid_all_stages_pooled_in_every_mode),
        cmocka_unit_test(attention_in_every_mode_equals_the_definition),
        cmocka_unit_test(odd_sizes_and_the_least_width_equal_the_definition),
        cmocka_unit_test(every_network_in_every_mode_equals_the_definition),
        cmocka_unit_test(definition_agrees_with_central_differences),
        cmocka_unit_test(bad_networks_are_refused),
        cmocka_unit_test(unknown_instruction_sets_are_refused),
    };
    return cmocka_run_group_tests(tests, force, NULL);
}
