// Copy detection against its definition: every pair kept, sorted and read from the best on.
#include "core/eval/copies.h"

#include "core/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    double score;
    size_t query, picture;
    bool true_pair;
} pair;

static int by_rank(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return x->picture < y->picture ? -1 : 1;
}

static ak_copies measure_slowly(const float *altered, const size_t *sources, size_t n,
                                size_t families, const float *pictures, size_t count, size_t dims)
{
    ak_copies out = {0};
    size_t queries = n * families;
    pair *all = calloc(queries * count, sizeof *all);
    for (size_t q = 0; q < queries; q++) {
        pair *own = all + q * count;
        for (size_t j = 0; j < count; j++) {
            double score = 0;
            for (size_t k = 0; k < dims; k++)
                score += (double)altered[q * dims + k] * (double)pictures[j * dims + k];
            own[j] = (pair){score, q, j, j == sources[q / families]};
        }
        qsort(own, count, sizeof *own, by_rank);
        out.r1[q % families] += own[0].true_pair / (double)n;
        for (size_t i = 0; i < count; i++)
            if (own[i].true_pair)
                out.map[q % families] += 1 / (double)(i + 1) / (double)n;
    }
    qsort(all, queries * count, sizeof *all, by_rank);
    for (size_t i = 0, found = 0; i < queries * count; i++)
        if (all[i].true_pair)
            out.micro_ap += (double)++found / (double)(i + 1) / (double)queries;
    free(all);
    return out;
}

static void expect_close(uint32_t seed, size_t families, const ak_copies *a, const ak_copies *b)
{
    double worst = fabs(a->micro_ap - b->micro_ap);
    for (size_t f = 0; f < families; f++)
        worst = fmax(worst, fmax(fabs(a->r1[f] - b->r1[f]), fabs(a->map[f] - b->map[f])));
    if (worst > 1e-9)
        fail_msg("seed %u: they differ by %g", seed, worst);
}

// Small whole numbers over eight: products are exact in float, so that ties are ties on both
// sides; scores leave -1..1 both ways.
static void copies_agree_with_their_definition_on_random_data_with_ties(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 30; seed++) {
        ak_random r = ak_random_stream(seed, 0, 0, 0);
        size_t count = 1 + ak_random_below(&r, 150), dims = 1 + ak_random_below(&r, 20);
        size_t n = 1 + ak_random_below(&r, 40), families = 1 + ak_random_below(&r, 6);
        float *pictures = calloc(count * dims, sizeof *pictures);
        float *altered = calloc(n * families * dims, sizeof *altered);
        size_t *sources = calloc(n, sizeof *sources);
        for (size_t i = 0; i < count * dims; i++)
            pictures[i] = ((float)ak_random_below(&r, 5) - 2) / 8;
        for (size_t i = 0; i < n; i++)
            sources[i] = ak_random_below(&r, (uint32_t)count);
        for (size_t i = 0; i < n * families * dims; i++) { // some dimensions are redrawn
            size_t source = sources[i / dims / families];
            altered[i] = ak_random_below(&r, 3) ? pictures[source * dims + i % dims]
                                                : ((float)ak_random_below(&r, 5) - 2) / 8;
        }
        ak_error err;
        ak_copies fast;
        ak_copies slow = measure_slowly(altered, sources, n, families, pictures, count, dims);
        if (ak_copies_measure(&fast, altered, sources, n, families, pictures, count, dims, &err) !=
            AK_OK)
            fail_msg("seed %u: %s", seed, err.text);
        expect_close(seed, families, &fast, &slow);
        free(sources);
        free(altered);
        free(pictures);
    }
}

enum { COUNT = 700, DIMS = 32, QUERIES = 300, FAMILIES = 2 };
static float pictures[COUNT * DIMS], altered[QUERIES * FAMILIES * DIMS];
static size_t sources[QUERIES];

static void draw_unit(float *row, ak_random *r)
{
    double length = 0;
    for (size_t k = 0; k < DIMS; k++) {
        row[k] = (float)ak_random_normal(r);
        length += (double)row[k] * (double)row[k];
    }
    for (size_t k = 0; k < DIMS; k++)
        row[k] /= (float)sqrt(length);
}

static void draw_all(ak_random *r)
{
    for (size_t i = 0; i < COUNT; i++)
        draw_unit(pictures + i * DIMS, r);
    for (size_t i = 0; i < QUERIES; i++)
        sources[i] = 2 * i;
    for (size_t i = 0; i < QUERIES * FAMILIES; i++)
        draw_unit(altered + i * DIMS, r);
}

static void exact_copies_score_one(void **state)
{
    (void)state;
    ak_random r = ak_random_stream(3, 0, 0, 0);
    draw_all(&r);
    for (size_t i = 0; i < QUERIES * FAMILIES; i++)
        memcpy(altered + i * DIMS, pictures + sources[i / FAMILIES] * DIMS, DIMS * sizeof(float));
    ak_copies m;
    assert_int_equal(
        ak_copies_measure(&m, altered, sources, QUERIES, FAMILIES, pictures, COUNT, DIMS, NULL),
        AK_OK);
    for (size_t f = 0; f < FAMILIES; f++) {
        assert_float_equal(m.r1[f], 1, 1e-9);
        assert_float_equal(m.map[f], 1, 1e-9);
    }
    assert_float_equal(m.micro_ap, 1, 1e-9);
}

static void random_vectors_are_found_by_chance(void **state)
{
    (void)state;
    ak_random r = ak_random_stream(4, 0, 0, 0);
    draw_all(&r);
    ak_copies m;
    assert_int_equal(
        ak_copies_measure(&m, altered, sources, QUERIES, FAMILIES, pictures, COUNT, DIMS, NULL),
        AK_OK);
    double map = 0; // of a place that is uniform: the mean of 1 / rank
    for (size_t i = 1; i <= COUNT; i++)
        map += 1.0 / (double)i / COUNT;
    for (size_t f = 0; f < FAMILIES; f++) {
        assert_true(m.r1[f] < 0.02);
        assert_true(fabs(m.map[f] - map) < 0.015);
    }
    assert_true(m.micro_ap < 0.01);
}

static void what_cannot_be_measured_is_refused(void **state)
{
    (void)state;
    ak_copies m;
    ak_error err;
    const size_t none[1] = {0};
    assert_int_equal(ak_copies_measure(&m, altered, none, 0, 1, pictures, 1, DIMS, &err),
                     AK_BAD_VALUE);
    const float broken[] = {NAN}, good[] = {1};
    assert_int_equal(ak_copies_measure(&m, broken, none, 1, 1, good, 1, 1, &err), AK_BAD_VALUE);
    assert_int_equal(ak_copies_measure(&m, good, none, 1, 1, broken, 1, 1, &err), AK_BAD_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_agree_with_their_definition_on_random_data_with_ties),
        cmocka_unit_test(exact_copies_score_one),
        cmocka_unit_test(random_vectors_are_found_by_chance),
        cmocka_unit_test(what_cannot_be_measured_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
