// The fast executor against its definition in plain loops, and that against central differences.
#include "core/base/random.h"
#include "core/nn/dnn.h"
#include "core/nn/naive.h"

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
    float *params, *stats, *features, *dfeatures, *dparams;
    double *params64, *features64, *dfeatures64, *dparams64, *stats64;
    uint8_t *pixels;
} setup;

static setup make(ak_resnet net, int side, int batch, uint64_t seed)
{
    setup s = {.batch = batch};
    ak_error err;
    if (ak_resnet_graph(&s.graph, &net, side, &err) != AK_OK)
        fail_msg("%s", err.text);
    size_t f = s.graph.features * (size_t)batch, pixels = (size_t)(batch * side * side * 3);
    s.params = calloc(s.graph.params, sizeof(float));
    s.dparams = calloc(s.graph.params, sizeof(float));
    s.stats = calloc(s.graph.stats, sizeof(float));
    s.features = calloc(f, sizeof(float));
    s.dfeatures = calloc(f, sizeof(float));
    s.params64 = calloc(s.graph.params, sizeof(double));
    s.dparams64 = calloc(s.graph.params, sizeof(double));
    s.stats64 = calloc(s.graph.stats, sizeof(double));
    s.features64 = calloc(f, sizeof(double));
    s.dfeatures64 = calloc(f, sizeof(double));
    s.pixels = malloc(pixels);
    ak_graph_init(s.params, s.stats, &s.graph, seed);
    ak_random r = ak_random_stream(seed, 1, 2, 3);
    for (size_t i = 0; i < pixels; i++)
        s.pixels[i] = (uint8_t)ak_random_below(&r, 256);
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
    void *all[] = {s->params,     s->dparams,     s->stats,     s->features,
                   s->dfeatures,  s->params64,    s->dparams64, s->stats64,
                   s->features64, s->dfeatures64, s->pixels};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static double relative_error(const float *x, const double *y, size_t n)
{
    double d = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
        all += y[i] * y[i];
    }
    return sqrt(d / all);
}

static void fast(setup *s, ak_dnn_options options, float *stats)
{
    ak_dnn *dnn;
    ak_error err = {0};
    if (ak_dnn_new(&dnn, &s->graph, s->batch, options, &err) != AK_OK ||
        ak_dnn_load(dnn, s->params, s->stats, &err) != AK_OK ||
        ak_dnn_forward(dnn, s->features, s->pixels, &err) != AK_OK)
        fail_msg("%s", err.text);
    bool back = options.mode == AK_DNN_TRAIN || options.mode == AK_DNN_TUNE;
    if (back && ak_dnn_backward(dnn, s->dparams, s->dfeatures, &err) != AK_OK)
        fail_msg("%s", err.text);
    if (stats)
        ak_dnn_stats(stats, dnn, 1.0f);
    ak_dnn_free(dnn);
}

// The first stage that uses the batch's statistics, and the first that has gradients.
static int batch_from(ak_dnn_options o)
{
    bool running = o.mode == AK_DNN_SERVE || o.mode == AK_DNN_TUNE;
    return running ? AK_NAIVE_RUNNING : o.frozen_stages ? o.frozen_stages + 1 : 0;
}

static int trained_from(ak_dnn_options o)
{
    return o.frozen_stages ? o.frozen_stages + 1 : 0;
}

// The part of the definition's gradient that is asked for; the rest is 0.
static void drop_frozen(setup *s, int from)
{
    ak_range ranges[AK_RANGES_MAX];
    size_t n = 0, end = 0;
    for (int i = 0; i < s->graph.n; i++) {
        ak_graph until = s->graph;
        until.n = i + 1;
        size_t now = ak_graph_ranges(ranges, &until);
        if (now > n && s->graph.nodes[i].stage < from)
            end = ranges[now - 1].start + ranges[now - 1].count;
        n = now;
    }
    memset(s->dparams64, 0, end * sizeof *s->dparams64);
    for (size_t i = 0; i < end; i++)
        assert_true(s->dparams[i] == 0);
}

// Every tensor by itself, not just the large ones; those that hardly matter (below the share
// `floor` of the tensors' mean norm), by that share.
static void compare_gradients(const setup *s, double bound, double floor)
{
    ak_range ranges[AK_RANGES_MAX];
    size_t n = ak_graph_ranges(ranges, &s->graph), end = 0;
    double all = 0, different = 0;
    for (size_t i = 0; i < s->graph.params; i++)
        all += s->dparams64[i] * s->dparams64[i];
    for (size_t i = 0; i < n; i++) {
        double d = 0, whole = 0;
        assert_int_equal(ranges[i].start, end);
        end += ranges[i].count;
        for (size_t j = ranges[i].start; j < end; j++) {
            d += pow((double)s->dparams[j] - s->dparams64[j], 2);
            whole += s->dparams64[j] * s->dparams64[j];
        }
        different += d;
        if (sqrt(d) > bound * (sqrt(whole) + floor * sqrt(all / (double)n)))
            fail_msg("gradient of tensor %zu (%zu numbers) differs by %g of %g", i, ranges[i].count,
                     sqrt(d), sqrt(whole));
    }
    assert_int_equal(end, s->graph.params);
    if (sqrt(different) > 0.7 * bound * sqrt(all))
        fail_msg("the gradient differs by %g of %g", sqrt(different), sqrt(all));
}

static void compare_statistics(const setup *s, const float *stats, ak_dnn_options o)
{
    double near = o.type == AK_DNN_F32 ? 1e-3 : 2e-2;
    for (int i = 0; i < s->graph.n; i++) {
        const ak_node *n = &s->graph.nodes[i];
        double m = (double)(s->batch * n->h * n->w);
        for (int c = 0; n->op == AK_OP_BN && c < n->c; c++) {
            size_t mean = n->stat + (size_t)c, variance = mean + (size_t)n->c;
            double unbiased = s->stats64[variance] * m / (m - 1);
            if (n->stage < batch_from(o)) {
                assert_true(stats[mean] == 7 && stats[variance] == 7); // untouched
                continue;
            }
            assert_true(fabs((double)stats[mean] - s->stats64[mean]) < near);
            assert_true(fabs((double)stats[variance] - unbiased) < near * (1 + unbiased));
        }
    }
}

static void compare(ak_resnet net, int side, int batch, ak_dnn_options o)
{
    if (o.type == AK_DNN_BF16 && !ak_dnn_has_bf16())
        return;
    setup s = make(net, side, batch, 7);
    ak_naive *naive = ak_naive_new(&s.graph, batch);
    float *stats = calloc(s.graph.stats, sizeof(float));
    for (size_t i = 0; i < s.graph.stats; i++)
        stats[i] = 7;
    ak_naive_forward(naive, s.features64, s.stats64, s.pixels, s.params64, s.stats, batch_from(o));
    fast(&s, o, o.mode == AK_DNN_SERVE ? NULL : stats);
    double f = relative_error(s.features, s.features64, s.graph.features * (size_t)batch);
    if (f > (o.type == AK_DNN_F32 ? 1e-4 : 0.05))
        fail_msg("the features differ by %g", f);
    if (o.mode == AK_DNN_TRAIN || o.mode == AK_DNN_TUNE) {
        ak_naive_backward(naive, s.dparams64, s.dfeatures64, s.params64);
        drop_frozen(&s, trained_from(o));
        if (o.type == AK_DNN_F32)
            compare_gradients(&s, 1e-3, 0.01);
        else
            compare_gradients(&s, 0.6, 0.3);
    }
    if (o.mode != AK_DNN_SERVE)
        compare_statistics(&s, stats, o);
    free(stats);
    ak_naive_free(naive);
    drop(&s);
}

// The full set of modes. In bf16 more pictures are needed for statistics that its rounding does not
// upset, and scales near 0 make gradients that are all rounding.
static void compare_modes(ak_resnet net, int side, int frozen)
{
    for (ak_dnn_type type = AK_DNN_F32; type <= AK_DNN_BF16; type++) {
        int batch = type == AK_DNN_F32 ? 3 : 12;
        net.zero_last_bn &= type == AK_DNN_F32;
        compare(net, side, batch, (ak_dnn_options){AK_DNN_SERVE, type, 0, false, NULL});
        compare(net, side, batch, (ak_dnn_options){AK_DNN_TRAIN, type, 0, false, NULL});
        compare(net, side, batch, (ak_dnn_options){AK_DNN_TUNE, type, frozen, false, NULL});
        if (type == AK_DNN_BF16)
            compare(net, side, batch, (ak_dnn_options){AK_DNN_TRAIN, type, 0, true, NULL});
        if (type == AK_DNN_BF16 && !getenv("AKIN_TEST_LONG"))
            continue; // the definition takes its time over so many
        compare(net, side, batch, (ak_dnn_options){AK_DNN_FORWARD, type, 0, false, NULL});
        compare(net, side, batch, (ak_dnn_options){AK_DNN_TUNE, type, 0, false, NULL});
        compare(net, side, batch, (ak_dnn_options){AK_DNN_TRAIN, type, frozen, false, NULL});
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
static double loss_of(setup *s, ak_naive *naive, int from)
{
    ak_naive_forward(naive, s->features64, NULL, s->pixels, s->params64, s->stats, from);
    double loss = 0;
    for (size_t i = 0; i < s->graph.features * (size_t)s->batch; i++)
        loss += s->features64[i] * s->dfeatures64[i];
    return loss;
}

static void differences(ak_resnet net, int from)
{
    setup s = make(net, 12, 3, 3);
    ak_naive *naive = ak_naive_new(&s.graph, s.batch);
    loss_of(&s, naive, from);
    ak_naive_backward(naive, s.dparams64, s.dfeatures64, s.params64);
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
            double up = loss_of(&s, naive, from);
            s.params64[at] = keep - h;
            double down = loss_of(&s, naive, from);
            s.params64[at] = keep;
            double slope = (up - down) / (2 * h), g = s.dparams64[at];
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
    compare(small, 32, 8, (ak_dnn_options){.mode = AK_DNN_TRAIN, .parts = &one});
    compare(attentive, 32, 8, (ak_dnn_options){.mode = AK_DNN_TRAIN, .parts = &one});
    // A batch twice has the statistics and the gradients of the batch.
    setup s = make(small, 32, 8, 5);
    size_t n = s.graph.params, f = 8 * s.graph.features;
    float *gradient = calloc(n, sizeof *gradient), *features = calloc(f, sizeof *features);
    fast(&s, (ak_dnn_options){.mode = AK_DNN_TRAIN, .parts = &one}, NULL);
    memcpy(gradient, s.dparams, n * sizeof *gradient);
    memcpy(features, s.features, f * sizeof *features);
    fast(&s, (ak_dnn_options){.mode = AK_DNN_TRAIN, .parts = &two}, NULL);
    for (size_t i = 0; i < n; i++)
        assert_true(fabsf(s.dparams[i] - gradient[i]) < 1e-5f * (1 + fabsf(gradient[i])));
    for (size_t i = 0; i < f; i++)
        assert_true(fabsf(s.features[i] - features[i]) < 1e-6f * (1 + fabsf(features[i])));
    free(gradient);
    free(features);
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
