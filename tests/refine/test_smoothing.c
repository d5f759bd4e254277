// The smoothing beside a slow, obvious one, and what it must do.
#include "core/base/random.h"
#include "core/refine/smoothing.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 240, D = 24, KINDS = 6, NEAR = 12 };

static void norm(double *x)
{
    double square = 0;
    for (int k = 0; k < D; k++)
        square += x[k] * x[k];
    for (int k = 0; k < D; k++)
        x[k] /= sqrt(square);
}

// Rows of a few kinds, which lie in a quarter of the dimensions; the others tell nothing.
static void made_rows(float *x, uint32_t seed)
{
    ak_random kinds = ak_random_stream(77, 0, 0, 0), r = ak_random_stream(seed, 1, 0, 0);
    double centres[KINDS][D] = {{0}}, row[D];
    for (int c = 0; c < KINDS; c++)
        for (int k = 0; k < D / 4; k++)
            centres[c][k] = 0.8 * ak_random_normal(&kinds);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < D; k++)
            row[k] = centres[i % KINDS][k] + 0.6 * ak_random_normal(&r);
        norm(row);
        for (int k = 0; k < D; k++)
            x[i * D + k] = (float)row[k];
    }
}

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int k = 0; k < D; k++)
        sum += a[k] * b[k];
    return sum;
}

static void slow_hop(double (*to)[D], double (*from)[D])
{
    for (int i = 0; i < N; i++) {
        bool taken[N] = {0};
        memcpy(to[i], from[i], sizeof to[i]);
        taken[i] = true;
        for (int n = 0; n < NEAR; n++) {
            int best = -1;
            for (int j = 0; j < N; j++)
                if (!taken[j] && (best < 0 || dot(from[i], from[j]) > dot(from[i], from[best])))
                    best = j;
            taken[best] = true;
            for (int k = 0; k < D; k++)
                to[i][k] += pow(fmax(0, dot(from[i], from[best])), 3) * from[best][k];
        }
        norm(to[i]);
        for (int k = 0; k < D; k++)
            to[i][k] += from[i][k];
        norm(to[i]);
    }
}

static void targets_are_those_of_the_formula(void **state)
{
    (void)state;
    static double own[N][D], once[N][D], twice[N][D];
    float x[N * D], z[N * D];
    ak_error err;
    made_rows(x, 1);
    for (int i = 0; i < N * D; i++)
        own[i / D][i % D] = (double)x[i];
    slow_hop(once, own);
    slow_hop(twice, once);
    assert_int_equal(ak_smoothing_targets(z, x, N, D, NEAR, &err), AK_OK);
    for (int i = 0; i < N * D; i++)
        assert_float_equal(z[i], (float)twice[i / D][i % D], 1e-4);
}

// Share of the other rows of a kind among as many nearest ones.
static double precision(const float *x, const float *map)
{
    static double y[N][D];
    int right = 0;
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < D; k++) {
            y[i][k] = (double)x[i * D + k];
            for (int l = 0; l < D && map; l++)
                y[i][k] += (double)(map[k * D + l] * x[i * D + l]);
        }
        norm(y[i]);
    }
    for (int i = 0; i < N; i++) {
        bool taken[N] = {0};
        taken[i] = true;
        for (int n = 0; n < N / KINDS - 1; n++) {
            int best = -1;
            for (int j = 0; j < N; j++)
                if (!taken[j] && (best < 0 || dot(y[i], y[j]) > dot(y[i], y[best])))
                    best = j;
            taken[best] = true;
            right += best % KINDS == i % KINDS;
        }
    }
    return (double)right / (N * (N / KINDS - 1));
}

static void kinds_are_found_better_among_rows_that_it_was_not_fitted_on(void **state)
{
    (void)state;
    float x[N * D], other[N * D], map[D * D];
    ak_error err;
    const ak_smoothing how = {.neighbours = NEAR, .ridge = 0.3};
    made_rows(x, 1);
    made_rows(other, 2);
    assert_int_equal(ak_smoothing_fit(map, x, N, D, &how, &err), AK_OK);
    double before = precision(other, NULL), after = precision(other, map);
    print_message("of one kind among the nearest: %.3f before, %.3f after\n", before, after);
    assert_true(after > before + 0.02);
}

// The map is symmetric, no direction fades, and it becomes nothing as the ridge grows.
static void it_strengthens_and_the_ridge_keeps_it_small(void **state)
{
    (void)state;
    float x[N * D], map[D * D];
    double size[3] = {0};
    ak_error err;
    made_rows(x, 3);
    for (int n = 0; n < 3; n++) {
        const ak_smoothing how = {.neighbours = NEAR, .ridge = n == 0 ? 0.1 : n == 1 ? 1 : 1e6};
        assert_int_equal(ak_smoothing_fit(map, x, N, D, &how, &err), AK_OK);
        ak_random r = ak_random_stream(5, 0, 0, 0);
        for (int tries = 0; tries < 100; tries++) {
            double v[D], sum = 0;
            for (int k = 0; k < D; k++)
                v[k] = ak_random_normal(&r);
            norm(v);
            for (int k = 0; k < D; k++)
                for (int l = 0; l < D; l++)
                    sum += v[k] * (double)map[k * D + l] * v[l];
            assert_true(sum > -1e-5);
        }
        for (int k = 0; k < D; k++)
            for (int l = 0; l < D; l++) {
                assert_float_equal(map[k * D + l], map[l * D + k], 1e-5);
                size[n] += fabs((double)map[k * D + l]);
            }
    }
    assert_true(size[0] > size[1] && size[1] > size[2] && size[2] < 1e-4);
}

static void too_few_rows_and_rows_that_are_all_alike(void **state)
{
    (void)state;
    float x[N * D], map[D * D];
    ak_error err;
    const ak_smoothing how = {.neighbours = NEAR, .ridge = 0.3};
    made_rows(x, 4);
    assert_int_equal(ak_smoothing_fit(map, x, AK_SMOOTHING_LEAST - 1, D, &how, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "needs 100 pictures"));
    for (int i = 1; i < N; i++)
        memcpy(x + i * D, x, D * sizeof *x);
    assert_int_equal(ak_smoothing_fit(map, x, N, D, &how, &err), AK_OK);
    for (int i = 0; i < D * D; i++)
        assert_true(isfinite(map[i]) && fabsf(map[i]) < 1e-3f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_those_of_the_formula),
        cmocka_unit_test(kinds_are_found_better_among_rows_that_it_was_not_fitted_on),
        cmocka_unit_test(it_strengthens_and_the_ridge_keeps_it_small),
        cmocka_unit_test(too_few_rows_and_rows_that_are_all_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
