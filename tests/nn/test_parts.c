// Kernels, head, checkpoint: each beside a plain reference.
#include "core/base/random.h"
#include "core/nn/checkpoint.h"
#include "core/nn/dnn.h"
#include "core/nn/head.h"
#include "core/nn/kernels.h"
#include "core/nn/small_maps.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static float bf16_to_float(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static uint16_t float_to_bf16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void elementwise_kernels_equal_their_definition(void **state)
{
    (void)state;
    ak_random r = ak_random_stream(1, 2, 3, 4);
    for (int round = 0; round < 20; round++) {
        size_t n = 1 + ak_random_below(&r, 300);
        float *a = ak_alloc(n, 4), *b = ak_alloc(n, 4), *y = ak_alloc(n, 4);
        uint16_t *ah = ak_alloc(n, 2), *bh = ak_alloc(n, 2), *yh = ak_alloc(n, 2);
        for (size_t i = 0; i < n; i++) {
            ah[i] = float_to_bf16((float)ak_random_normal(&r));
            bh[i] = float_to_bf16((float)ak_random_normal(&r));
            a[i] = bf16_to_float(ah[i]);
            b[i] = bf16_to_float(bh[i]);
        }
        ak_add_relu(y, a, b, n, false);
        ak_add_relu(yh, ah, bh, n, true);
        for (size_t i = 0; i < n; i++) {
            assert_true(y[i] == fmaxf(0, a[i] + b[i]));
            assert_int_equal(yh[i], float_to_bf16(fmaxf(0, a[i] + b[i])));
        }
        ak_relu_backward(y, a, b, n, false);
        ak_relu_backward(yh, ah, bh, n, true);
        for (size_t i = 0; i < n; i++) {
            assert_true(y[i] == (b[i] > 0 ? a[i] : 0));
            assert_int_equal(yh[i], b[i] > 0 ? ah[i] : 0);
        }
        memcpy(y, b, n * 4);
        ak_add(y, a, n, false);
        for (size_t i = 0; i < n; i++)
            assert_true(y[i] == a[i] + b[i]);
        void *all[] = {a, b, y, ah, bh, yh};
        for (int i = 0; i < 6; i++)
            free(all[i]);
    }
}

static void average_pooling_reads_blocks_of_channels(void **state)
{
    (void)state;
    enum { BATCH = 3, C = 32, PLANE = 6 };
    for (size_t block = 8; block <= 16; block += 8) {
        float x[BATCH * C * PLANE], dx[BATCH * C * PLANE], y[BATCH * 40] = {0};
        ak_random r = ak_random_stream(9, 0, 0, 0);
        for (size_t i = 0; i < BATCH * C * PLANE; i++)
            x[i] = (float)ak_random_normal(&r);
        ak_avgpool(y, 40, x, BATCH, C, PLANE, block, false);
        ak_avgpool_backward(dx, y, 40, BATCH, C, PLANE, block, false, false);
        for (size_t b = 0; b < BATCH; b++)
            for (size_t c = 0; c < C; c++) {
                double mean = 0;
                size_t start = (b * C + c / block * block) * PLANE + c % block;
                for (size_t p = 0; p < PLANE; p++)
                    mean += (double)x[start + p * block] / PLANE;
                assert_float_equal(y[b * 40 + c], mean, 1e-5);
                assert_float_equal(dx[start], mean / PLANE, 1e-5);
            }
        ak_avgpool_backward(dx, y, 40, BATCH, C, PLANE, block, true, false);
        assert_float_equal(dx[0], 2 * y[0] / PLANE, 1e-5);
    }
}

// Place of (picture, channel, cell) in blocks of 16 channels.
static size_t blocked(size_t n, size_t c, size_t cell, size_t channels, size_t cells)
{
    return ((n * (channels / 16) + c / 16) * cells + cell) * 16 + c % 16;
}

// One weight's gradient: output o, input c, tap (p, q).
static double weight_gradient(const uint16_t *x, const uint16_t *dy, const ak_small_maps *s,
                              size_t o, size_t c, int p, int q)
{
    double sum = 0;
    for (size_t n = 0; n < s->batch; n++)
        for (int i = 0; i < s->oh; i++)
            for (int j = 0; j < s->ow; j++) {
                int r = i * s->stride - s->pad + p, t = j * s->stride - s->pad + q;
                if (r < 0 || r >= s->h || t < 0 || t >= s->w)
                    continue;
                size_t at_x = blocked(n, c, (size_t)(r * s->w + t), s->ic, (size_t)(s->h * s->w));
                size_t at_y =
                    blocked(n, o, (size_t)(i * s->ow + j), s->oc, (size_t)(s->oh * s->ow));
                sum += (double)bf16_to_float(x[at_x]) * (double)bf16_to_float(dy[at_y]);
            }
    return sum;
}

static void weight_gradients_of_small_maps_equal_their_definition(void **state)
{
    (void)state;
    if (!ak_dnn_has_bf16())
        skip();
    ak_random r = ak_random_stream(6, 0, 0, 0);
    for (int round = 0; round < 24; round++) {
        ak_small_maps s = {.batch = 1 + ak_random_below(&r, 9),
                           .ic = 16 * (1 + ak_random_below(&r, 3)),
                           .oc = 16 * (1 + ak_random_below(&r, 3)),
                           .h = 1 + (int)ak_random_below(&r, 7),
                           .w = 1 + (int)ak_random_below(&r, 7),
                           .k = round % 2 ? 3 : 1,
                           .stride = 1 + round / 2 % 2};
        s.pad = s.k / 2;
        s.oh = (s.h + s.stride - 1) / s.stride;
        s.ow = (s.w + s.stride - 1) / s.stride;
        size_t nx = s.batch * s.ic * (size_t)(s.h * s.w);
        size_t ny = s.batch * s.oc * (size_t)(s.oh * s.ow), k = (size_t)s.k;
        uint16_t *x = ak_alloc(nx, 2), *dy = ak_alloc(ny, 2);
        float *dw = ak_alloc(s.oc * s.ic * k * k, 4);
        void *work = ak_alloc(ak_small_maps_work(&s), 1);
        for (size_t i = 0; i < nx; i++)
            x[i] = float_to_bf16((float)ak_random_normal(&r));
        for (size_t i = 0; i < ny; i++)
            dy[i] = float_to_bf16((float)ak_random_normal(&r));
        ak_small_maps_weights(dw, x, dy, &s, work);
        for (size_t i = 0; i < s.oc * s.ic * k * k; i++) {
            double expected = weight_gradient(x, dy, &s, i / (k * k) / s.ic, i / (k * k) % s.ic,
                                              (int)(i / k % k), (int)(i % k));
            assert_true(fabs((double)dw[i] - expected) < 1e-4 * (1 + fabs(expected)));
        }
        free(x);
        free(dy);
        free(dw);
        free(work);
    }
}

enum { ROWS = 6, WIDEST = 20 };

// The head's definition: params as ak_head_params lays them, everything in double. z (ROWS, out).
static void head_definition(double *z, const ak_head *h, const double *params, const double *x)
{
    double in[ROWS * WIDEST], out[ROWS * WIDEST];
    size_t columns = h->in;
    memcpy(in, x, ROWS * h->in * sizeof *in);
    for (int l = 0; l < h->depth; l++) {
        bool last = l == h->depth - 1, bn = !last || h->last_bn;
        size_t rows = last ? h->out : h->hidden;
        const double *after = params + rows * columns;
        for (size_t j = 0; j < rows; j++) {
            double mean = 0, variance = 0;
            for (size_t i = 0; i < ROWS; i++) {
                double sum = bn ? 0 : after[j];
                for (size_t k = 0; k < columns; k++)
                    sum += in[i * columns + k] * params[j * columns + k];
                out[i * rows + j] = sum;
                mean += sum / ROWS;
            }
            for (size_t i = 0; i < ROWS; i++)
                variance += pow(out[i * rows + j] - mean, 2) / ROWS;
            for (size_t i = 0; bn && i < ROWS; i++) {
                double *y = &out[i * rows + j];
                *y = (*y - mean) / sqrt(variance + (double)AK_BN_EPS) * after[j] + after[rows + j];
                *y = !last && *y < 0 ? 0 : *y;
            }
        }
        params = after + (bn ? 2 : 1) * rows;
        memcpy(in, out, ROWS * rows * sizeof *in);
        columns = rows;
    }
    memcpy(z, in, ROWS * h->out * sizeof *z);
}

static double head_loss(const ak_head *h, const double *params, const double *x, const double *dz)
{
    double z[ROWS * WIDEST], loss = 0;
    head_definition(z, h, params, x);
    for (size_t i = 0; i < ROWS * h->out; i++)
        loss += z[i] * dz[i];
    return loss;
}

static void head_equals_its_definition(ak_head h)
{
    size_t count = ak_head_params(&h), inputs = ROWS * h.in, outputs = ROWS * h.out;
    float *params = ak_alloc(count, 4), *dparams = ak_alloc(count, 4);
    float *stats = ak_alloc(ak_head_stats(&h) + 1, 4), *work = ak_alloc(ak_head_work(&h, ROWS), 4);
    double *params64 = ak_alloc(count, 8), x64[ROWS * WIDEST] = {0}, z64[ROWS * WIDEST];
    double dz64[ROWS * WIDEST];
    float x[ROWS * WIDEST], dx[ROWS * WIDEST], z[ROWS * WIDEST], dz[ROWS * WIDEST];
    ak_random r = ak_random_stream(4, (uint32_t)h.depth, h.last_bn, 0);
    ak_head_init(params, stats, &h, 3);
    for (size_t i = 0; i < count; i++)
        params64[i] = (double)(params[i] += 0.1f * (float)ak_random_normal(&r));
    for (size_t i = 0; i < inputs; i++)
        x64[i] = (double)(x[i] = (float)ak_random_normal(&r));
    for (size_t i = 0; i < outputs; i++)
        dz64[i] = (double)(dz[i] = (float)ak_random_normal(&r));
    ak_head_forward(z, &h, params, x, ROWS, work);
    head_definition(z64, &h, params64, x64);
    for (size_t i = 0; i < outputs; i++)
        assert_float_equal(z[i], z64[i], 1e-4);
    ak_head_stats_update(stats, &h, work, ROWS, 0.1f);
    ak_head_backward(dx, dparams, &h, params, dz, x, ROWS, work);
    for (size_t i = 0; i < count + inputs; i++) {
        double *at = i < count ? &params64[i] : &x64[i - count], keep = *at, step = 1e-6;
        double gradient = (double)(i < count ? dparams[i] : dx[i - count]);
        *at = keep + step;
        double up = head_loss(&h, params64, x64, dz64);
        *at = keep - step;
        double down = head_loss(&h, params64, x64, dz64);
        *at = keep;
        assert_true(fabs(gradient - (up - down) / (2 * step)) < 1e-3 * (1 + fabs(gradient)));
    }
    free(params);
    free(dparams);
    free(params64);
    free(stats);
    free(work);
}

static void alone(double *values, size_t n)
{
    (void)values;
    (void)n;
}

static void heads_and_gradients_equal_their_definition(void **state)
{
    (void)state;
    for (int depth = 1; depth <= AK_HEAD_DEPTH_MAX; depth++)
        for (int last_bn = 0; last_bn <= 1; last_bn++)
            head_equals_its_definition((ak_head){5, 8, 4, depth, last_bn, NULL});
    const ak_bn_parts one = {alone, 1};
    for (int last_bn = 0; last_bn <= 1; last_bn++)
        head_equals_its_definition((ak_head){5, 20, 4, 3, last_bn, &one});
}

static void head_tensors_cover_the_parameters_without_gaps(void **state)
{
    (void)state;
    for (int depth = 1; depth <= AK_HEAD_DEPTH_MAX; depth++)
        for (int last_bn = 0; last_bn <= 1; last_bn++) {
            ak_head h = {5, 8, 4, depth, last_bn, NULL};
            ak_range ranges[3 * AK_HEAD_DEPTH_MAX];
            size_t n = ak_head_ranges(ranges, &h), at = 0;
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(ranges[i].start, at);
                at += ranges[i].count;
            }
            assert_int_equal(at, ak_head_params(&h));
        }
    // The layout that trained heads are stored in: W1, scale, shift, W2, b2.
    ak_head h = {5, 8, 4, 2, false, NULL};
    assert_int_equal(ak_head_params(&h), 8 * 5 + 2 * 8 + 4 * 8 + 4);
    assert_int_equal(ak_head_stats(&h), 2 * 8);
}

static void networks_come_back_from_json_and_absent_keys_keep_defaults(void **state)
{
    (void)state;
    ak_error err;
    const ak_resnet net = {{2, 1, 3, 1}, 0.3f, 1, 4, 16, true};
    const ak_head head = {.hidden = 64, .out = 32, .depth = 3, .last_bn = true};
    ak_resnet net2 = AK_RN10;
    ak_head head2 = AK_HEAD_PROJECTION;
    json_t *json = ak_fields_write(&net, ak_resnet_fields);
    json_t *head_json = ak_fields_write(&head, ak_head_fields);
    assert_int_equal(ak_fields_read(&net2, ak_resnet_fields, json, "encoder", &err), AK_OK);
    assert_int_equal(ak_fields_read(&head2, ak_head_fields, head_json, "head", &err), AK_OK);
    assert_memory_equal(net.blocks, net2.blocks, sizeof net.blocks);
    assert_true(net.width == net2.width && net2.last_stride == 1 && net2.pool_stages == 4 &&
                net2.attention == 16 && net2.zero_last_bn);
    assert_true(head2.hidden == 64 && head2.out == 32 && head2.depth == 3 && head2.last_bn);
    json_decref(json);
    json_decref(head_json);

    json = json_pack("{s:[iii]}", "blocks", 1, 1, 1);
    assert_int_equal(ak_fields_read(&net2, ak_resnet_fields, json, "encoder", &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "encoder.blocks"));
    json_decref(json);
    json = json_pack("{s:[iiii], s:f}", "blocks", 1, 2, 1, 1, "width", 0.5);
    net2 = AK_RN10;
    assert_int_equal(ak_fields_read(&net2, ak_resnet_fields, json, "encoder", &err), AK_OK);
    assert_true(net2.blocks[1] == 2 && net2.width == 0.5f && net2.pool_stages == 2);
    json_decref(json);
}

static void checkpoints_come_back_whole_and_damage_is_seen(void **state)
{
    (void)state;
    float full[33], half[7], back[33];
    for (int i = 0; i < 33; i++)
        full[i] = sinf((float)i);
    for (int i = 0; i < 7; i++)
        half[i] = 0.25f * (float)i;
    static const char config[] = "{\"kind\": \"test\"}";
    ak_checkpoint c = {.config = {(const uint8_t *)config, strlen(config)}}, in;
    ak_buf file = {0};
    ak_error err;
    ak_checkpoint_add(&c, "full", full, 33, AK_TENSOR_F32);
    ak_checkpoint_add(&c, "half", half, 7, AK_TENSOR_F16);
    assert_int_equal(ak_checkpoint_write(&file, &c, &err), AK_OK);
    assert_int_equal(ak_checkpoint_read(&in, ak_buf_bytes(&file), &err), AK_OK);
    assert_int_equal(in.config.n, strlen(config));
    assert_int_equal(ak_checkpoint_floats(back, &in, "full", 33, &err), AK_OK);
    assert_memory_equal(back, full, sizeof full);
    assert_int_equal(ak_checkpoint_floats(back, &in, "half", 7, &err), AK_OK);
    assert_memory_equal(back, half, sizeof half);
    assert_int_equal(ak_checkpoint_floats(back, &in, "full", 32, &err), AK_CORRUPT);
    assert_int_equal(ak_checkpoint_floats(back, &in, "none", 1, &err), AK_CORRUPT);
    for (size_t n = 0; n < file.n; n++)
        assert_int_equal(ak_checkpoint_read(&in, (ak_bytes){file.at, n}, &err), AK_CORRUPT);
    for (size_t i = 0; i < file.n; i++) {
        file.at[i] ^= 0x10;
        assert_int_not_equal(ak_checkpoint_read(&in, ak_buf_bytes(&file), &err), AK_OK);
        file.at[i] ^= 0x10;
    }
    file.at[8] = 99; // the version
    assert_int_equal(ak_checkpoint_read(&in, ak_buf_bytes(&file), &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "version 99"));
    ak_buf_clear(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elementwise_kernels_equal_their_definition),
        cmocka_unit_test(average_pooling_reads_blocks_of_channels),
        cmocka_unit_test(weight_gradients_of_small_maps_equal_their_definition),
        cmocka_unit_test(heads_and_gradients_equal_their_definition),
        cmocka_unit_test(head_tensors_cover_the_parameters_without_gaps),
        cmocka_unit_test(networks_come_back_from_json_and_absent_keys_keep_defaults),
        cmocka_unit_test(checkpoints_come_back_whole_and_damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
