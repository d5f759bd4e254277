// Kernels, head, checkpoint: each beside a plain reference.
#include "core/base/random.h"
#include "core/nn/checkpoint.h"
#include "core/nn/head.h"
#include "core/nn/kernels.h"

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

static double head_loss(const ak_head *h, const float *params, const float *x, const float *dz,
                        size_t n, float *work)
{
    float z[64];
    double loss = 0;
    ak_head_forward(z, h, params, x, n, work);
    for (size_t i = 0; i < n * h->out; i++)
        loss += (double)z[i] * (double)dz[i];
    return loss;
}

static void head_gradients_agree_with_central_differences(void **state)
{
    (void)state;
    enum { ROWS = 6 };
    ak_head h = {5, 8, 4};
    size_t count = ak_head_params(&h);
    float *params = ak_alloc(count, 4), *dparams = ak_alloc(count, 4);
    float *stats = ak_alloc(ak_head_stats(&h), 4), *work = ak_alloc(ak_head_work(&h, ROWS), 4);
    float x[ROWS * 5], dx[ROWS * 5], z[ROWS * 4], dz[ROWS * 4];
    ak_random r = ak_random_stream(4, 0, 0, 0);
    ak_head_init(params, stats, &h, 3);
    for (int i = 0; i < ROWS * 5; i++)
        x[i] = (float)ak_random_normal(&r);
    for (int i = 0; i < ROWS * 4; i++)
        dz[i] = (float)ak_random_normal(&r);
    ak_head_forward(z, &h, params, x, ROWS, work);
    ak_head_stats_update(stats, &h, work, ROWS, 0.1f);
    ak_head_backward(dx, dparams, &h, params, dz, x, ROWS, work);
    const float step = 1e-2f;
    int kinks = 0;
    for (size_t i = 0; i < count + ROWS * 5; i++) {
        float *at = i < count ? &params[i] : &x[i - count], keep = *at;
        float gradient = i < count ? dparams[i] : dx[i - count];
        *at = keep + step;
        double up = head_loss(&h, params, x, dz, ROWS, work);
        *at = keep - step;
        double down = head_loss(&h, params, x, dz, ROWS, work);
        *at = keep;
        kinks += fabs((up - down) / (2 * (double)step) - (double)gradient) > 0.02;
    }
    assert_in_range(kinks, 0, (count + ROWS * 5) / 20); // a ReLU that switched within the step
    free(params);
    free(dparams);
    free(stats);
    free(work);
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
        cmocka_unit_test(head_gradients_agree_with_central_differences),
        cmocka_unit_test(checkpoints_come_back_whole_and_damage_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
