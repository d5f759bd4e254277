// Networks from the configuration learn: 64 pictures of noise, one class each, are told apart after
// a few dozen steps of encoder and head, whatever the two are made of.
#include "core/base/mem.h"
#include "core/base/random.h"
#include "core/nn/dnn.h"
#include "core/nn/head.h"

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

enum { PICTURES = 64, SIDE = 16, STEPS = 60 };

typedef struct {
    ak_resnet net;
    ak_head head;
    ak_dnn_options options;
} machine;

// Mean cross-entropy of the logits z (PICTURES, PICTURES), picture i being of class i; dz its
// gradient.
static double cross_entropy(float *dz, const float *z)
{
    double loss = 0;
    for (size_t i = 0; i < PICTURES; i++) {
        const float *row = z + i * PICTURES;
        double most = -INFINITY, sum = 0;
        for (size_t j = 0; j < PICTURES; j++)
            most = fmax(most, (double)row[j]);
        for (size_t j = 0; j < PICTURES; j++)
            sum += exp((double)row[j] - most);
        for (size_t j = 0; j < PICTURES; j++) {
            double share = exp((double)row[j] - most) / sum;
            dz[i * PICTURES + j] = (float)((share - (i == j)) / PICTURES);
        }
        loss -= ((double)row[i] - most - log(sum)) / PICTURES;
    }
    return loss;
}

static void memorises(machine m)
{
    if (m.options.type == AK_DNN_BF16 && !ak_dnn_has_bf16())
        return;
    ak_graph g;
    ak_dnn *dnn = NULL;
    ak_error err = {0};
    if (ak_resnet_graph(&g, &m.net, SIDE, &err) != AK_OK ||
        ak_dnn_new(&dnn, &g, PICTURES, m.options, &err) != AK_OK)
        fail_msg("%s", err.text);
    m.head.in = g.features;
    m.head.out = PICTURES;
    size_t n = g.params + ak_head_params(&m.head), f = PICTURES * g.features;
    float *p = ak_alloc(n, 4), *v = ak_alloc(n, 4), *d = ak_alloc(n, 4);
    float *stats = ak_alloc(g.stats + ak_head_stats(&m.head), 4);
    float *features = ak_alloc(f, 4), *dfeatures = ak_alloc(f, 4);
    float *z = ak_alloc(PICTURES * PICTURES, 4), *dz = ak_alloc(PICTURES * PICTURES, 4);
    float *work = ak_alloc(ak_head_work(&m.head, PICTURES), 4);
    uint8_t *pixels = ak_alloc(PICTURES * 3 * SIDE * SIDE, 1);
    ak_random r = ak_random_stream(8, 0, 0, 0);
    for (size_t i = 0; i < PICTURES * 3 * SIDE * SIDE; i++)
        pixels[i] = (uint8_t)ak_random_below(&r, 256);
    ak_graph_init(p, stats, &g, 5);
    ak_head_init(p + g.params, stats + g.stats, &m.head, 5);
    double first = 0, last = 0;
    for (int step = 0; step < STEPS; step++) {
        if (ak_dnn_load(dnn, p, stats, &err) != AK_OK ||
            ak_dnn_forward(dnn, features, pixels, &err) != AK_OK)
            fail_msg("%s", err.text);
        ak_head_forward(z, &m.head, p + g.params, features, PICTURES, work);
        last = cross_entropy(dz, z);
        first = step ? first : last;
        ak_head_backward(dfeatures, d + g.params, &m.head, p + g.params, dz, features, PICTURES,
                         work);
        if (ak_dnn_backward(dnn, d, dfeatures, &err) != AK_OK)
            fail_msg("%s", err.text);
        for (size_t i = 0; i < n; i++) { // Nesterov's momentum, no decay
            v[i] = 0.9f * v[i] + d[i];
            p[i] -= 0.1f * (d[i] + 0.9f * v[i]);
        }
    }
    if (!(first > 3 && last < 0.1))
        fail_msg("blocks %d, width %g, stride %d, %d stages, attention %d, head of %d%s, mode %d: "
                 "loss %g -> %g",
                 m.net.blocks[0], (double)m.net.width, m.net.last_stride, m.net.pool_stages,
                 m.net.attention, m.head.depth, m.head.last_bn ? " with last norm" : "",
                 (int)m.options.mode, first, last);
    ak_dnn_free(dnn);
    void *all[] = {p, v, d, stats, features, dfeatures, z, dz, work, pixels};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void a_few_networks_and_heads_memorise_64_pictures(void **state)
{
    (void)state;
    const ak_dnn_options f32 = {.mode = AK_DNN_TRAIN, .type = AK_DNN_F32},
                         bf16 = {.mode = AK_DNN_TRAIN, .type = AK_DNN_BF16};
    const machine some[] = {
        {{{1, 1, 1, 1}, 0.25f, 2, 1, 0, false}, {.hidden = 64, .depth = 1}, f32},
        {{{1, 1, 1, 1}, 0.25f, 1, 2, 16, true}, {.hidden = 64, .depth = 2}, bf16},
        {{{2, 2, 2, 2}, 0.25f, 2, 3, 0, true}, {.hidden = 96, .depth = 3}, bf16},
        {{{1, 1, 1, 1}, 0.25f, 2, 4, 4, false}, {.hidden = 64, .depth = 4, .last_bn = true}, f32},
        {{{1, 1, 1, 1}, 0.5f, 2, 2, 0, false}, {.hidden = 64, .depth = 1, .last_bn = true}, bf16},
        {{{1, 1, 1, 1}, 0.25f, 2, 2, 8, false},
         {.hidden = 64, .depth = 2},
         {.mode = AK_DNN_TUNE, .type = AK_DNN_F32}},
        {{{1, 1, 1, 1}, 0.25f, 2, 2, 0, false},
         {.hidden = 64, .depth = 2},
         {.mode = AK_DNN_TUNE, .type = AK_DNN_BF16, .frozen_stages = 2}},
        {{{1, 1, 1, 1}, 0.25f, 2, 1, 0, false},
         {.hidden = 64, .depth = 2},
         {.mode = AK_DNN_TRAIN, .type = AK_DNN_BF16, .frozen_stages = 3}},
    };
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        memorises(some[i]);
}

// Only when AKIN_TEST_LONG is set (make test-long).
static void every_network_and_head_memorises_64_pictures(void **state)
{
    (void)state;
    if (!getenv("AKIN_TEST_LONG"))
        skip();
    for (int n = 0; n < 2 * 2 * 2 * 4 * 2 * 2 * 2 * 4; n++) {
        int bits = n, blocks = 1 + bits % 2;
        machine m = {.head.hidden = 64, .options.mode = AK_DNN_TRAIN};
        m.net.width = (bits /= 2) % 2 ? 0.25f : 0.5f;
        m.net.last_stride = 1 + (bits /= 2) % 2;
        m.net.pool_stages = 1 + (bits /= 2) % 4;
        m.net.attention = 8 * ((bits /= 4) % 2);
        m.net.zero_last_bn = (bits /= 2) % 2;
        m.options.type = (bits /= 2) % 2 ? AK_DNN_BF16 : AK_DNN_F32;
        m.head.depth = 1 + (bits /= 2) % 4;
        m.head.last_bn = m.head.depth % 2 == blocks % 2;
        for (int s = 0; s < 4; s++)
            m.net.blocks[s] = blocks;
        memorises(m);
    }
}

int main(void)
{
    omp_set_num_threads(1); // nets this small gain nothing, and wait where the cores are taken
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_few_networks_and_heads_memorise_64_pictures),
        cmocka_unit_test(every_network_and_head_memorises_64_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
