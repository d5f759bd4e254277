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

static void fast(setup *s, ak_dnn_mode mode, ak_dnn_type type, float *stats)
{
    ak_dnn *dnn;
    ak_error err = {0};
    if (ak_dnn_new(&dnn, &s->graph, s->batch, (ak_dnn_options){.mode = mode, .type = type}, &err) !=
            AK_OK ||
        ak_dnn_load(dnn, s->params, s->stats, &err) != AK_OK ||
        ak_dnn_forward(dnn, s->features, s->pixels, &err) != AK_OK)
        fail_msg("%s", err.text);
    if (mode == AK_DNN_TRAIN) {
        if (ak_dnn_backward(dnn, s->dparams, s->dfeatures, &err) != AK_OK)
            fail_msg("%s", err.text);
        if (stats)
            ak_dnn_stats(stats, dnn, 1.0f);
    }
    ak_dnn_free(dnn);
}

static void compare_training(ak_resnet net, int side, int batch, ak_dnn_type type, double forward,
                             double backward)
{
    setup s = make(net, side, batch, 7);
    ak_naive *naive = ak_naive_new(&s.graph, batch);
    float *stats = calloc(s.graph.stats, sizeof(float));
    ak_naive_forward(naive, s.features64, s.stats64, s.pixels, s.params64, s.stats, true);
    ak_naive_backward(naive, s.dparams64, s.dfeatures64, s.params64);
    fast(&s, AK_DNN_TRAIN, type, stats);
    double f = relative_error(s.features, s.features64, s.graph.features * (size_t)batch);
    assert_true(f < forward);
    if (backward > 0) {
        double b = relative_error(s.dparams, s.dparams64, s.graph.params);
        if (b >= backward)
            fail_msg("gradient differs by %g", b);
        for (int i = 0; i < s.graph.n; i++) { // every layer by itself, not just the large ones
            const ak_node *n = &s.graph.nodes[i];
            if (n->op != AK_OP_CONV)
                continue;
            size_t count = (size_t)(n->c * s.graph.nodes[n->a].c * n->k * n->k);
            b = relative_error(s.dparams + n->param, s.dparams64 + n->param, count);
            if (b >= backward)
                fail_msg("gradient of convolution %d differs by %g", i, b);
        }
        for (int i = 0; i < s.graph.n; i++) {
            const ak_node *n = &s.graph.nodes[i];
            double m = (double)(batch * n->h * n->w), near = type == AK_DNN_F32 ? 1e-3 : 2e-2;
            for (int c = 0; n->op == AK_OP_BN && c < n->c; c++) {
                size_t mean = n->stat + (size_t)c, variance = mean + (size_t)n->c;
                double unbiased = s.stats64[variance] * m / (m - 1);
                assert_float_equal(stats[mean], s.stats64[mean], (float)near);
                assert_float_equal(stats[variance], unbiased, (float)(near * (1 + unbiased)));
            }
        }
    }
    free(stats);
    ak_naive_free(naive);
    drop(&s);
}

static const ak_resnet small = {{1, 1, 1, 1}, 0.25f, 2, 2, 0, false};

static void training_in_f32_equals_the_definition(void **state)
{
    (void)state;
    compare_training(small, 32, 3, AK_DNN_F32, 1e-4, 1e-3);
}

static void two_blocks_a_stage_fine_grid_all_stages_pooled(void **state)
{
    (void)state;
    compare_training((ak_resnet){{2, 2, 2, 2}, 0.25f, 1, 4, 0, false}, 32, 2, AK_DNN_F32, 1e-4,
                     1e-3);
}

static void odd_sizes_equal_the_definition(void **state)
{
    (void)state;
    compare_training(small, 45, 2, AK_DNN_F32, 1e-4, 1e-3);
}

static void training_in_bf16_is_near_the_definition(void **state)
{
    (void)state;
    if (!ak_dnn_has_bf16())
        skip();
    compare_training(small, 64, 4, AK_DNN_BF16, 0.03, 0.3);
}

static void serving_folds_batch_norm_without_changing_the_features(void **state)
{
    (void)state;
    for (int stride = 1; stride <= 2; stride++) {
        setup s = make((ak_resnet){{2, 1, 1, 1}, 0.25f, stride, 4, 0, false}, 40, 3, 11);
        ak_naive *naive = ak_naive_new(&s.graph, s.batch);
        ak_naive_forward(naive, s.features64, NULL, s.pixels, s.params64, s.stats, false);
        fast(&s, AK_DNN_SERVE, AK_DNN_F32, NULL);
        double f = relative_error(s.features, s.features64, s.graph.features * 3);
        assert_true(f < 1e-4);
        if (ak_dnn_has_bf16()) {
            fast(&s, AK_DNN_SERVE, AK_DNN_BF16, NULL);
            f = relative_error(s.features, s.features64, s.graph.features * 3);
            assert_true(f < 0.03);
        }
        ak_naive_free(naive);
        drop(&s);
    }
}

// loss = sum of features * dfeatures
static double loss_of(setup *s, ak_naive *naive)
{
    ak_naive_forward(naive, s->features64, NULL, s->pixels, s->params64, s->stats, true);
    double loss = 0;
    for (size_t i = 0; i < s->graph.features * (size_t)s->batch; i++)
        loss += s->features64[i] * s->dfeatures64[i];
    return loss;
}

static void definition_agrees_with_central_differences(void **state)
{
    (void)state;
    setup s = make((ak_resnet){{1, 1, 1, 1}, 0.25f, 2, 2, 0, false}, 16, 3, 3);
    ak_naive *naive = ak_naive_new(&s.graph, s.batch);
    loss_of(&s, naive);
    ak_naive_backward(naive, s.dparams64, s.dfeatures64, s.params64);
    ak_random r = ak_random_stream(5, 0, 0, 0);
    double worst = 0;
    int kinks = 0, tried = 0;
    for (int i = 0; i < s.graph.n; i++) {
        const ak_node *n = &s.graph.nodes[i];
        size_t count = n->op == AK_OP_CONV ? (size_t)(n->c * s.graph.nodes[n->a].c * n->k * n->k)
                       : n->op == AK_OP_BN ? 2 * (size_t)n->c
                                           : 0;
        for (int t = 0; count && t < 6; t++) {
            size_t at = n->param + ak_random_below(&r, (uint32_t)count);
            double keep = s.params64[at], h = 1e-5;
            s.params64[at] = keep + h;
            double up = loss_of(&s, naive);
            s.params64[at] = keep - h;
            double down = loss_of(&s, naive);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_in_f32_equals_the_definition),
        cmocka_unit_test(two_blocks_a_stage_fine_grid_all_stages_pooled),
        cmocka_unit_test(odd_sizes_equal_the_definition),
        cmocka_unit_test(training_in_bf16_is_near_the_definition),
        cmocka_unit_test(serving_folds_batch_norm_without_changing_the_features),
        cmocka_unit_test(definition_agrees_with_central_differences),
        cmocka_unit_test(bad_networks_are_refused),
        cmocka_unit_test(unknown_instruction_sets_are_refused),
    };
    return cmocka_run_group_tests(tests, force, NULL);
}
