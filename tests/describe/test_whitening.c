// Learned whitening: beside slow definitions, and what it promises.
#include "core/base/random.h"
#include "core/describe/whitening.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { KINDS = 60, EACH = 8, N = KINDS * EACH, D = 6 };

static float x[N * D];
static ak_pair pairs[N];

// Kinds lie apart along the first axes, their pictures differ along the last ones.
static int setup(void **state)
{
    (void)state;
    ak_random r = ak_random_stream(8, 0, 0, 0);
    for (int kind = 0; kind < KINDS; kind++) {
        float centre[D];
        for (int j = 0; j < D; j++)
            centre[j] = (float)ak_random_normal(&r) * (float)(D - j);
        for (int i = kind * EACH; i < (kind + 1) * EACH; i++) {
            for (int j = 0; j < D; j++)
                x[i * D + j] = 3 + centre[j] + (float)ak_random_normal(&r) * (0.5f + (float)j);
            int next = kind * EACH + (i + 1) % EACH;
            pairs[i] = (ak_pair){(uint32_t)i, (uint32_t)next};
        }
    }
    return 0;
}

static ak_scatter scatter_of(const float *rows, size_t d)
{
    ak_scatter s;
    assert_int_equal(ak_scatter_init(&s, d, NULL), AK_OK);
    assert_int_equal(ak_scatter_total(&s, rows, N, NULL), AK_OK);
    assert_int_equal(ak_scatter_pairs(&s, rows, pairs, N, 1, NULL), AK_OK);
    ak_scatter_norm(&s);
    return s;
}

// y (N, dims) of x, without centring.
static void map(float *y, const float *matrix, const float *rows, int dims, int d)
{
    for (int i = 0; i < N; i++)
        for (int k = 0; k < dims; k++) {
            y[i * dims + k] = 0;
            for (int j = 0; j < d; j++)
                y[i * dims + k] += matrix[k * d + j] * rows[i * d + j];
        }
}

static void scatter_is_that_of_its_definition(void **state)
{
    (void)state;
    ak_scatter s = scatter_of(x, D);
    double mean[D] = {0}, total[D][D] = {{0}}, within[D][D] = {{0}}, traces[2] = {0};
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++)
            mean[j] += (double)x[i * D + j] / N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < D; j++)
            for (int k = 0; k < D; k++) {
                const float *a = x + pairs[i].a * D, *b = x + pairs[i].b * D;
                total[j][k] += ((double)x[i * D + j] - mean[j]) * ((double)x[i * D + k] - mean[k]);
                within[j][k] += (double)((a[j] - b[j]) * (a[k] - b[k]));
            }
    for (int j = 0; j < D; j++) {
        traces[0] += total[j][j];
        traces[1] += within[j][j];
    }
    for (int j = 0; j < D; j++) {
        assert_float_equal(s.mean[j], (float)mean[j], 1e-4);
        for (int k = 0; k <= j; k++) {
            assert_float_equal(s.total[j * D + k], (float)(total[j][k] / traces[0]), 1e-5);
            assert_float_equal(s.within[j * D + k], (float)(within[j][k] / traces[1]), 1e-5);
        }
    }
    ak_scatter_clear(&s);
}

static void pairs_scatter_equally_and_all_by_ratio(void **state)
{
    (void)state;
    float matrix[D * D], ratios[D], y[N * D];
    const float power = 0.75f;
    ak_scatter s = scatter_of(x, D);
    assert_int_equal(ak_whitening_fit(matrix, ratios, &s, D, power, 0, NULL), AK_OK);
    ak_scatter_clear(&s);
    map(y, matrix, x, D, D);
    s = scatter_of(y, D);
    double within = 0, total = 0;
    for (int j = 0; j < D; j++) {
        within += pow((double)ratios[j], (double)power);
        total += pow((double)ratios[j], 1 + (double)power);
    }
    for (int j = 0; j < D; j++) {
        assert_true(j == 0 || ratios[j] <= ratios[j - 1]);
        for (int k = 0; k <= j; k++) {
            double r = (double)ratios[j], same = j == k;
            assert_float_equal(s.within[j * D + k], (float)(same * pow(r, (double)power) / within),
                               1e-3);
            assert_float_equal(s.total[j * D + k],
                               (float)(same * pow(r, 1 + (double)power) / total), 1e-3);
        }
    }
    ak_scatter_clear(&s);
}

// So that refining again and again does not drift where the pictures stay the same.
static void fitting_again_changes_nothing(void **state)
{
    (void)state;
    float matrix[D * D], again[D * D], ratios[D], same[D], y[N * D], z[N * D];
    ak_scatter s = scatter_of(x, D);
    assert_int_equal(ak_whitening_fit(matrix, ratios, &s, D, 0.75f, 0, NULL), AK_OK);
    ak_scatter_clear(&s);
    map(y, matrix, x, D, D);
    s = scatter_of(y, D);
    assert_int_equal(ak_whitening_fit(again, same, &s, D, 0.75f, 0, NULL), AK_OK);
    ak_scatter_clear(&s);
    map(z, again, y, D, D);
    for (int i = 1; i < N; i++) { // up to a scale, the same dot products
        double a = 0, b = 0, a0 = 0, b0 = 0;
        for (int k = 0; k < D; k++) {
            a += (double)(y[k] * y[i * D + k]);
            b += (double)(z[k] * z[i * D + k]);
            a0 += (double)(y[k] * y[k]);
            b0 += (double)(z[k] * z[k]);
        }
        assert_float_equal((float)(a / a0), (float)(b / b0), 5e-3);
    }
    for (int k = 0; k < D; k++)
        assert_float_equal(same[k] / same[0], ratios[k] / ratios[0], 5e-3);
}

static double rightness(const float *y, int dims) // share of nearest ones that are of the kind
{
    int right = 0;
    for (int i = 0; i < N; i++) {
        int best = -1;
        double most = -2;
        for (int j = 0; j < N; j++) {
            double ab = 0, aa = 0, bb = 0;
            for (int k = 0; k < dims; k++) {
                ab += (double)(y[i * dims + k] * y[j * dims + k]);
                aa += (double)(y[i * dims + k] * y[i * dims + k]);
                bb += (double)(y[j * dims + k] * y[j * dims + k]);
            }
            if (i != j && ab / sqrt(aa * bb) > most) {
                most = ab / sqrt(aa * bb);
                best = j;
            }
        }
        right += best / EACH == i / EACH;
    }
    return (double)right / N;
}

static void kinds_are_told_apart_better(void **state)
{
    (void)state;
    float matrix[D * D], ratios[D], y[N * D], centred[N * D];
    ak_scatter s = scatter_of(x, D);
    for (int i = 0; i < N * D; i++)
        centred[i] = x[i] - s.mean[i % D];
    assert_int_equal(ak_whitening_fit(matrix, ratios, &s, D, 0.75f, 0, NULL), AK_OK);
    ak_scatter_clear(&s);
    map(y, matrix, centred, D, D);
    double before = rightness(centred, D), after = rightness(y, D);
    print_message("nearest of the same kind: %.3f before, %.3f after\n", before, after);
    assert_true(after > before + 0.05);
}

static void what_cannot_be_fitted_is_refused(void **state)
{
    (void)state;
    float matrix[(D + 1) * D], ratios[D + 1];
    ak_scatter s = scatter_of(x, D);
    assert_int_equal(ak_scatter_total(&s, x, 1, NULL), AK_BAD_VALUE);
    assert_int_equal(ak_whitening_fit(matrix, ratios, &s, D + 1, 0.75f, 0, NULL), AK_BAD_VALUE);
    ak_scatter_clear(&s);
}

static void without_pairs_the_total_scatter_decides_alone(void **state)
{
    (void)state;
    float matrix[D * D], ratios[D];
    ak_scatter s;
    assert_int_equal(ak_scatter_init(&s, D, NULL), AK_OK);
    assert_int_equal(ak_scatter_total(&s, x, N, NULL), AK_OK);
    assert_int_equal(ak_scatter_pairs(&s, x, pairs, 0, 1, NULL), AK_OK);
    ak_scatter_norm(&s);
    assert_int_equal(ak_whitening_fit(matrix, ratios, &s, D, 0, 0, NULL), AK_OK);
    for (int j = 0; j < D; j++)
        for (int k = 0; k < D; k++) { // a rotation, scaled by what the identity of trace 1 asks for
            double dot = 0;
            for (int l = 0; l < D; l++)
                dot += (double)(matrix[j * D + l] * matrix[k * D + l]);
            assert_float_equal((float)dot, j == k ? D : 0, 1e-2);
        }
    ak_scatter_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scatter_is_that_of_its_definition),
        cmocka_unit_test(pairs_scatter_equally_and_all_by_ratio),
        cmocka_unit_test(fitting_again_changes_nothing),
        cmocka_unit_test(kinds_are_told_apart_better),
        cmocka_unit_test(what_cannot_be_fitted_is_refused),
        cmocka_unit_test(without_pairs_the_total_scatter_decides_alone),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
