// Measures against reference values (ML.md) and the definitions, one pair after the other.
#include "core/base/random.h"
#include "core/learn/measures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ak_measures measured(const float *a, const float *b, size_t n, size_t d)
{
    ak_measures m;
    ak_error err;
    if (ak_measure(&m, a, b, n, d, &err) != AK_OK)
        fail_msg("%s", err.text);
    return m;
}

static void near(double found, double wanted, double tolerance)
{
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("%.9f is not %.9f", found, wanted);
}

static void they_have_the_reference_values(void **state)
{
    (void)state;
    float a[32], b[32];
    for (int i = 1; i <= 4; i++)
        for (int k = 1; k <= 8; k++) {
            a[(i - 1) * 8 + k - 1] = (float)sin(i * k);
            b[(i - 1) * 8 + k - 1] = (float)(sin(i * k) + 0.5 * cos(2 * i + 3 * k));
        }
    ak_measures m = measured(a, b, 4, 8);
    near(m.alignment, 0.172477557902, 1e-6);
    near(m.uniformity, -2.028987655686, 1e-6);
    near(m.rank, 4.358949344767, 1e-6);
}

static double unit_at(const float *x, size_t d, size_t j)
{
    double sum = 0;
    for (size_t k = 0; k < d; k++)
        sum += (double)x[k] * (double)x[k];
    return (double)x[j] / sqrt(sum);
}

static void they_are_their_definitions_on_random_sizes(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 8; seed++) {
        ak_random r = ak_random_stream(seed, 0, 0, 0);
        size_t n = 2 + ak_random_below(&r, 12), d = 2 + ak_random_below(&r, 20), m = 2 * n;
        float *x = malloc(m * d * sizeof *x);
        for (size_t i = 0; i < m * d; i++)
            x[i] = (float)ak_random_normal(&r) + 0.3f;
        double positive = 0, negative = 0, distance = 0, even = 0;
        for (size_t i = 0; i < m; i++)
            for (size_t k = 0; k < m; k++) {
                double cosine = 0, d2 = 0;
                for (size_t j = 0; j < d; j++) {
                    double p = unit_at(x + i * d, d, j), q = unit_at(x + k * d, d, j);
                    cosine += p * q;
                    d2 += (p - q) * (p - q);
                }
                even += k > i ? exp(-2 * d2) : 0;
                if (k == i + n) {
                    positive += cosine;
                    distance += d2;
                }
                if (i % n != k % n)
                    negative += cosine;
            }
        double all = 0, least = INFINITY;
        for (size_t j = 0; j < d; j++) {
            double mean = 0, square = 0;
            for (size_t i = 0; i < m; i++) {
                double u = unit_at(x + i * d, d, j);
                mean += u / (double)m;
                square += u * u / (double)m;
            }
            all += sqrt(square - mean * mean);
            least = fmin(least, sqrt(square - mean * mean));
        }
        ak_measures found = measured(x, x + n * d, n, d);
        near(found.positive, positive / (double)n, 1e-9);
        near(found.negative, negative / (double)(m * (m - 2)), 1e-9);
        near(found.alignment, distance / (double)n, 1e-9);
        near(found.uniformity, log(even / ((double)(m * (m - 1)) / 2)), 1e-9);
        near(found.deviation, all / sqrt((double)d), 1e-9);
        near(found.least, least / (all / (double)d), 1e-9);
        assert_true(found.rank >= 1 && found.rank <= (double)(m < d ? m : d) + 1e-3);
        free(x);
    }
}

// The first `rank` unit vectors, again and again.
static void rank_counts_directions_wide_and_tall(void **state)
{
    (void)state;
    const size_t sizes[][2] = {{12, 8}, {12, 64}};
    for (size_t t = 0; t < 2; t++)
        for (size_t rank = 1; rank <= 4; rank++) {
            size_t n = sizes[t][0], d = sizes[t][1];
            float *x = calloc(n * d, sizeof *x);
            for (size_t i = 0; i < n; i++)
                x[i * d + i % rank] = 3;
            near(measured(x, x, n, d).rank, (double)rank, 1e-3);
            free(x);
        }
}

static void spread_vectors_pass_and_collapsed_ones_are_named(void **state)
{
    (void)state;
    enum { N = 32, D = 16 };
    float x[N * D], y[N * D];
    ak_random r = ak_random_stream(1, 0, 0, 0);
    ak_error err;
    for (size_t i = 0; i < (size_t)N * D; i++)
        x[i] = (float)ak_random_normal(&r);
    ak_measures sound = measured(x, x, N, D);
    assert_int_equal(ak_measures_check(&sound, &err), AK_OK);
    assert_true(sound.deviation > 0.9 && sound.deviation < 1.1);

    for (size_t i = 0; i < (size_t)N * D; i++) // one point with a little noise
        y[i] = 1 + 0.001f * x[i];
    ak_measures point = measured(y, y, N, D);
    assert_true(point.deviation < 0.01);
    assert_int_equal(ak_measures_check(&point, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "collapsed"));

    for (size_t i = 0; i < (size_t)N * D; i++) // a line: spread, but of rank 1
        y[i] = i / D % 2 ? 1 : -1;
    ak_measures line = measured(y, y, N, D);
    assert_true(line.deviation > 0.9 && line.rank < 1.1);
    assert_int_equal(ak_measures_check(&line, &err), AK_BAD_VALUE);

    memset(y, 0, sizeof y);
    ak_measures nothing = measured(y, y, N, D);
    assert_int_equal(ak_measures_check(&nothing, &err), AK_BAD_VALUE);
}

static void numbers_that_are_not_finite_are_not_sound(void **state)
{
    (void)state;
    float x[32];
    for (int i = 0; i < 32; i++)
        x[i] = (float)sin(i);
    x[7] = NAN;
    ak_measures m;
    ak_error err;
    assert_true(ak_measure(&m, x, x, 4, 8, &err) != AK_OK || ak_measures_check(&m, &err) != AK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_have_the_reference_values),
        cmocka_unit_test(they_are_their_definitions_on_random_sizes),
        cmocka_unit_test(rank_counts_directions_wide_and_tall),
        cmocka_unit_test(spread_vectors_pass_and_collapsed_ones_are_named),
        cmocka_unit_test(numbers_that_are_not_finite_are_not_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
