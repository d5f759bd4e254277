// Nearest-neighbour classification against its definition: all voters sorted, the first 20 asked.
#include "core/eval/knn.h"

#include "core/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct {
    double score;
    size_t index;
} neighbour;

static int by_rank(const void *a, const void *b)
{
    const neighbour *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static ak_knn measure_slowly(const float *rows, const int32_t *labels, size_t n, size_t queries,
                             size_t voters, size_t dims)
{
    ak_knn out = {0};
    size_t right = 0;
    neighbour *all = calloc(n, sizeof *all);
    for (size_t q = 0; q < queries; q++) {
        size_t m = 0, mates = 0;
        for (size_t j = voters; j < n; j++) {
            if (j == q)
                continue;
            double score = 0;
            for (size_t k = 0; k < dims; k++)
                score += (double)rows[q * dims + k] * (double)rows[j * dims + k];
            mates += labels[j] == labels[q];
            all[m++] = (neighbour){score, j};
        }
        if (!mates)
            continue;
        qsort(all, m, sizeof *all, by_rank);
        size_t asked = m < 20 ? m : 20;
        double best = 0;
        int32_t winner = 0;
        for (size_t i = 0; i < asked; i++) { // the class of each neighbour, nearest first
            double weight = 0;
            for (size_t k = 0; k < asked; k++)
                if (labels[all[k].index] == labels[all[i].index])
                    weight += exp((all[k].score - all[0].score) / 0.07);
            if (weight > best) {
                best = weight;
                winner = labels[all[i].index];
            }
        }
        out.queries++;
        right += winner == labels[q];
    }
    out.accuracy = (double)right / (double)out.queries;
    free(all);
    return out;
}

// Small whole numbers over eight: products are exact in float, so that ties are ties on both sides.
static void knn_agrees_with_its_definition_on_random_data_with_ties(void **state)
{
    (void)state;
    size_t wrong = 0;
    for (uint32_t seed = 1; seed <= 30; seed++) {
        ak_random r = ak_random_stream(seed, 0, 0, 0);
        size_t n = 2 + ak_random_below(&r, 300), dims = 1 + ak_random_below(&r, 20);
        uint32_t classes = 1 + ak_random_below(&r, 12);
        size_t queries = n, voters = 0;
        if (seed % 2) // against a bank
            queries = voters = 1 + ak_random_below(&r, (uint32_t)n - 1);
        float *rows = calloc(n * dims, sizeof *rows);
        int32_t *labels = calloc(n, sizeof *labels);
        for (size_t i = 0; i < n; i++)
            labels[i] = (int32_t)ak_random_below(&r, classes) * 5 - 7;
        for (size_t i = 0; i < n * dims; i++) // a little of the class in each
            rows[i] = ((float)ak_random_below(&r, 5) - 2 + (float)(labels[i / dims] % 3)) / 8;
        labels[n - 1] = labels[0]; // at least one query has a voter of its class
        ak_error err;
        ak_knn fast, slow = measure_slowly(rows, labels, n, queries, voters, dims);
        if (ak_knn_measure(&fast, rows, labels, n, queries, voters, dims, &err) != AK_OK)
            fail_msg("seed %u: %s", seed, err.text);
        assert_int_equal(fast.queries, slow.queries);
        if (fabs(fast.accuracy - slow.accuracy) > 1e-12)
            fail_msg("seed %u: %g instead of %g", seed, fast.accuracy, slow.accuracy);
        wrong += fast.accuracy < 1;
        free(labels);
        free(rows);
    }
    assert_true(wrong > 10);
}

static void random_vectors_are_classified_by_chance(void **state)
{
    (void)state;
    enum { N = 2000, DIMS = 32, CLASSES = 10 };
    static float rows[N * DIMS];
    static int32_t labels[N];
    ak_random r = ak_random_stream(5, 0, 0, 0);
    for (size_t i = 0; i < N * DIMS; i++)
        rows[i] = (float)(ak_random_normal(&r) / sqrt(DIMS));
    for (size_t i = 0; i < N; i++)
        labels[i] = (int32_t)(i % CLASSES);
    ak_knn m;
    assert_int_equal(ak_knn_measure(&m, rows, labels, N, N, 0, DIMS, NULL), AK_OK);
    double chance = 1. / CLASSES, deviation = sqrt(chance * (1 - chance) / N);
    assert_true(fabs(m.accuracy - chance) < 5 * deviation);
}

static void pairs_of_copies_are_always_right(void **state)
{
    (void)state;
    enum { N = 100, DIMS = 16 };
    static float rows[N * DIMS];
    static int32_t labels[N];
    ak_random r = ak_random_stream(6, 0, 0, 0);
    for (size_t i = 0; i < N; i++) {
        double length = 0;
        for (size_t k = 0; k < DIMS; k++) {
            rows[i * DIMS + k] = i % 2 ? rows[(i - 1) * DIMS + k] : (float)ak_random_normal(&r);
            length += (double)rows[i * DIMS + k] * (double)rows[i * DIMS + k];
        }
        for (size_t k = 0; k < DIMS; k++)
            rows[i * DIMS + k] /= (float)sqrt(length);
        labels[i] = (int32_t)(i / 2);
    }
    ak_knn m;
    assert_int_equal(ak_knn_measure(&m, rows, labels, N, N, 0, DIMS, NULL), AK_OK);
    assert_int_equal(m.queries, N);
    assert_true(m.accuracy == 1);
}

static void pictures_without_a_voter_of_their_class_are_no_queries(void **state)
{
    (void)state;
    const float rows[] = {1, 0, 1, 0, 0, 1};
    const int32_t labels[] = {0, 0, 1}, alone[] = {0, 1, 2};
    ak_knn m;
    ak_error err;
    assert_int_equal(ak_knn_measure(&m, rows, labels, 3, 3, 0, 2, &err), AK_OK);
    assert_int_equal(m.queries, 2);
    assert_int_equal(ak_knn_measure(&m, rows, alone, 3, 3, 0, 2, &err), AK_BAD_VALUE);
    assert_int_equal(ak_knn_measure(&m, rows, labels, 3, 3, 3, 2, &err), AK_BAD_VALUE);
    assert_int_equal(ak_knn_measure(&m, rows, labels, 0, 0, 0, 2, &err), AK_BAD_VALUE);
    const float broken[] = {1, NAN, 1, 0, 0, 1};
    assert_int_equal(ak_knn_measure(&m, broken, labels, 3, 3, 0, 2, &err), AK_BAD_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knn_agrees_with_its_definition_on_random_data_with_ties),
        cmocka_unit_test(random_vectors_are_classified_by_chance),
        cmocka_unit_test(pairs_of_copies_are_always_right),
        cmocka_unit_test(pictures_without_a_voter_of_their_class_are_no_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
