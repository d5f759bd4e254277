// Objectives against reference values (ML.md), central differences and identities.
#include "core/base/random.h"
#include "core/learn/objectives.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4, D = 8, C = 3 };

static float a[N * D], b[N * D], both[2 * N * D], proxies[C * D];
static const uint32_t labels[2 * N] = {0, 1, 2, 0, 0, 1, 2, 0};

static int inputs(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < D; k++) {
            a[i * D + k] = sinf((float)((i + 1) * (k + 1)));
            b[i * D + k] = a[i * D + k] + 0.5f * cosf((float)(2 * (i + 1) + 3 * (k + 1)));
        }
    for (int c = 0; c < C; c++)
        for (int k = 0; k < D; k++)
            proxies[c * D + k] = cosf(0.3f * (float)((c + 1) * (k + 1)) + (float)(c + 1));
    memcpy(both, a, sizeof a);
    memcpy(both + N * D, b, sizeof b);
    return 0;
}

static double norm(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

static double contrast(float *da, float *db, const float *x, const float *y, size_t n, float tau)
{
    float *work = calloc(ak_nt_xent_work(n, D), sizeof *work);
    double loss = ak_nt_xent(da, db, x, y, n, D, tau, work);
    free(work);
    return loss;
}

static double proxy(float *dx, float *dp, const float *x, const float *p, float smoothing)
{
    float *work = calloc(ak_proxy_softmax_work(2 * N, D, C), sizeof *work);
    double loss = ak_proxy_softmax(dx, dp, x, p, labels, 2 * N, D, C, 0.1f, smoothing, work);
    free(work);
    return loss;
}

static void nt_xent_has_the_reference_values(void **state)
{
    (void)state;
    float da[N * D], db[N * D];
    assert_float_equal(contrast(da, db, a, b, N, 0.5f), 0.746080152929, 1e-5);
    assert_float_equal(norm(da, N * D), 0.197157351355, 1e-5);
    assert_float_equal(norm(db, N * D), 0.191086495988, 1e-5);
    assert_float_equal(da[0], -0.009085297447, 1e-5);
    assert_float_equal(contrast(da, db, a, b, N, 0.1f), 0.027497511990, 1e-5);
    assert_float_equal(norm(da, N * D), 0.116317429080, 1e-4);
}

static void proxy_softmax_has_the_reference_values(void **state)
{
    (void)state;
    float dx[2 * N * D], dp[C * D];
    assert_float_equal(proxy(dx, dp, both, proxies, 0), 1.413559124413, 1e-5);
    assert_float_equal(norm(dx, N * D), 1.218895325445, 1e-4);
    assert_float_equal(norm(dx + N * D, N * D), 1.298024045890, 1e-4);
    assert_float_equal(dx[0], -0.072378854817, 1e-5);
}

static void nt_xent_of_equal_vectors_is_log_of_the_others(void **state)
{
    (void)state;
    float x[N * D], da[N * D], db[N * D];
    for (int i = 0; i < N; i++)
        memcpy(x + i * D, a, D * sizeof *x);
    assert_float_equal(contrast(da, db, x, x, N, 0.2f), log(2 * N - 1), 1e-5);
}

static void nt_xent_does_not_see_length_order_or_side(void **state)
{
    (void)state;
    float da[N * D], db[N * D], x[N * D], y[N * D];
    double loss = contrast(da, db, a, b, N, 0.3f);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < D; k++) {
            x[(N - 1 - i) * D + k] = a[i * D + k] * (float)(i + 2);
            y[(N - 1 - i) * D + k] = b[i * D + k];
        }
    assert_float_equal(contrast(da, db, x, y, N, 0.3f), loss, 1e-5);
    assert_float_equal(contrast(da, db, b, a, N, 0.3f), loss, 1e-5);
}

static void gradients_are_orthogonal_to_the_raw_vectors(void **state)
{
    (void)state;
    float da[N * D], db[N * D], dx[2 * N * D], dp[C * D];
    contrast(da, db, a, b, N, 0.1f);
    proxy(dx, dp, both, proxies, 0.1f);
    for (int i = 0; i < N; i++) {
        double contrast_dot = 0, proxy_dot = 0;
        for (int k = 0; k < D; k++) {
            contrast_dot += (double)(da[i * D + k] * a[i * D + k]);
            proxy_dot += (double)(dx[i * D + k] * a[i * D + k]);
        }
        assert_float_equal(contrast_dot, 0, 1e-5);
        assert_float_equal(proxy_dot, 0, 1e-5);
    }
}

// In float32 a step of 1e-2 leaves about 1e-4 of rounding and 1e-4 of curvature.
static void gradients_agree_with_central_differences(void **state)
{
    (void)state;
    float da[N * D], db[N * D], dx[2 * N * D], dp[C * D], none_x[2 * N * D], none_p[C * D];
    const float h = 1e-2f;
    contrast(da, db, a, b, N, 0.5f);
    for (int i = 0; i < N * D; i++) {
        float keep = a[i], ga[N * D], gb[N * D];
        a[i] = keep + h;
        double up = contrast(ga, gb, a, b, N, 0.5f);
        a[i] = keep - h;
        double down = contrast(ga, gb, a, b, N, 0.5f);
        a[i] = keep;
        assert_float_equal((float)((up - down) / (2 * (double)h)), da[i], 1e-3);
    }
    proxy(dx, dp, both, proxies, 0.1f);
    for (int i = 0; i < C * D; i++) {
        float keep = proxies[i];
        proxies[i] = keep + h;
        double up = proxy(none_x, none_p, both, proxies, 0.1f);
        proxies[i] = keep - h;
        double down = proxy(none_x, none_p, both, proxies, 0.1f);
        proxies[i] = keep;
        assert_float_equal((float)((up - down) / (2 * (double)h)), dp[i], 5e-3);
    }
}

static void tiny_temperatures_do_not_overflow(void **state)
{
    (void)state;
    float da[N * D], db[N * D];
    assert_true(isfinite(contrast(da, db, a, b, N, 1e-3f)));
    for (int i = 0; i < N * D; i++)
        assert_true(isfinite(da[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nt_xent_has_the_reference_values),
        cmocka_unit_test(proxy_softmax_has_the_reference_values),
        cmocka_unit_test(nt_xent_of_equal_vectors_is_log_of_the_others),
        cmocka_unit_test(nt_xent_does_not_see_length_order_or_side),
        cmocka_unit_test(gradients_are_orthogonal_to_the_raw_vectors),
        cmocka_unit_test(gradients_agree_with_central_differences),
        cmocka_unit_test(tiny_temperatures_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, inputs, NULL);
}
