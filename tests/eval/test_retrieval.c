// Leave-one-out retrieval against its definition in plain loops, and against cases done by hand.
#include "core/eval/retrieval.h"

#include "core/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

// The definition: for each query all others sorted, and read from the first to the last.
static ak_retrieval measure_slowly(const float *d, const int32_t *labels, size_t n, size_t queries,
                                   size_t dims)
{
    ak_retrieval out = {0};
    size_t *order = calloc(n, sizeof *order);
    double *score = calloc(n, sizeof *score);
    for (size_t q = 0; q < queries; q++) {
        size_t m = 0, relevant = 0, found = 0, first = 0;
        double ap = 0;
        for (size_t j = 0; j < n; j++) {
            score[j] = 0;
            for (size_t k = 0; k < dims; k++)
                score[j] += (double)d[q * dims + k] * (double)d[j * dims + k];
        }
        for (size_t j = 0; j < n; j++) { // insertion, so that ties stay in the order of index
            if (j == q)
                continue;
            relevant += labels[j] == labels[q];
            size_t at = m++;
            for (; at > 0 && score[order[at - 1]] < score[j]; at--)
                order[at] = order[at - 1];
            order[at] = j;
        }
        if (!relevant)
            continue;
        out.queries++;
        for (size_t i = 0; i < m; i++) {
            if (labels[order[i]] != labels[q])
                continue;
            ap += (double)++found / (double)(i + 1);
            first = first ? first : i + 1;
            out.p1 += i < 1;
            out.p10 += i < 10 ? 0.1 : 0;
            out.p20 += i < 20 ? 0.05 : 0;
        }
        out.map += ap / (double)relevant;
        out.r5 += first <= 5;
        out.r10 += first <= 10;
        out.r20 += first <= 20;
    }
    out.map /= (double)out.queries;
    out.p1 /= (double)out.queries;
    out.p10 /= (double)out.queries;
    out.p20 /= (double)out.queries;
    out.r5 /= (double)out.queries;
    out.r10 /= (double)out.queries;
    out.r20 /= (double)out.queries;
    free(score);
    free(order);
    return out;
}

static void expect_close(const ak_retrieval *a, const ak_retrieval *b)
{
    assert_int_equal(a->queries, b->queries);
    assert_true(fabs(a->map - b->map) < 1e-9);
    assert_true(fabs(a->p1 - b->p1) < 1e-9);
    assert_true(fabs(a->p10 - b->p10) < 1e-9);
    assert_true(fabs(a->p20 - b->p20) < 1e-9);
    assert_true(fabs(a->r5 - b->r5) < 1e-9);
    assert_true(fabs(a->r10 - b->r10) < 1e-9);
    assert_true(fabs(a->r20 - b->r20) < 1e-9);
}

// Small whole numbers: their products are exact in float, so that ties are ties on both sides.
static void retrieval_agrees_with_its_definition_on_random_data_with_ties(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        ak_random r = ak_random_stream(seed, 0, 0, 0);
        size_t n = 2 + ak_random_below(&r, 300), dims = 1 + ak_random_below(&r, 20);
        size_t queries = 1 + ak_random_below(&r, (uint32_t)n); // the others are only found
        uint32_t classes = 1 + ak_random_below(&r, (uint32_t)n);
        float *d = calloc(n * dims, sizeof *d);
        int32_t *labels = calloc(n, sizeof *labels);
        for (size_t i = 0; i < n * dims; i++)
            d[i] = (float)ak_random_below(&r, 5) - 2;
        for (size_t i = 0; i < n; i++)
            labels[i] = (int32_t)ak_random_below(&r, classes) * 7 - 3;
        labels[1] = labels[0]; // at least one query has something to find
        ak_error err;
        ak_retrieval fast, slow = measure_slowly(d, labels, n, queries, dims);
        if (ak_retrieval_measure(&fast, d, labels, n, queries, dims, &err) != AK_OK)
            fail_msg("seed %u: %s", seed, err.text);
        expect_close(&fast, &slow);
        free(labels);
        free(d);
    }
}

static void perfect_classes_score_one(void **state)
{
    (void)state;
    const float d[] = {1, 0, 1, 0, 0, 1, 0, 1};
    const int32_t labels[] = {0, 0, 1, 1};
    ak_retrieval m;
    assert_int_equal(ak_retrieval_measure(&m, d, labels, 4, 4, 2, NULL), AK_OK);
    assert_int_equal(m.queries, 4);
    assert_true(m.map == 1 && m.p1 == 1);
    assert_true(fabs(m.p10 - 0.1) < 1e-12); // one relevant among ten places
}

static void query_is_dropped_by_index_not_by_nearness(void **state)
{
    (void)state;
    // 0 and 1 are copies of two classes. Query 0 must find the copy first: that one is wrong.
    const float d[] = {1, 0, 1, 0, 0, 1, 0, 1};
    const int32_t labels[] = {0, 1, 0, 1};
    ak_retrieval m;
    assert_int_equal(ak_retrieval_measure(&m, d, labels, 4, 4, 2, NULL), AK_OK);
    assert_true(m.p1 == 0);
    // Queries 0, 1: the copy, then (tied) 2, 3. The ranks of 2 and 3 are 2 and 3. Queries 2, 3:
    // the copy, then 0, 1.
    assert_true(fabs(m.map - (1 / 2. + 1 / 3. + 1 / 2. + 1 / 3.) / 4) < 1e-12);
}

static void pictures_alone_in_their_class_are_no_queries(void **state)
{
    (void)state;
    const float d[] = {1, 0, 1, 0, 0, 1};
    const int32_t labels[] = {0, 0, 1};
    ak_retrieval m;
    assert_int_equal(ak_retrieval_measure(&m, d, labels, 3, 3, 2, NULL), AK_OK);
    assert_int_equal(m.queries, 2);
    const int32_t alone[] = {0, 1, 2};
    ak_error err;
    assert_int_equal(ak_retrieval_measure(&m, d, alone, 3, 3, 2, &err), AK_BAD_VALUE);
    assert_int_equal(ak_retrieval_measure(&m, d, alone, 0, 0, 2, &err), AK_BAD_VALUE);
}

static void values_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    const int32_t labels[] = {0, 0};
    ak_retrieval m;
    ak_error err;
    assert_int_equal(ak_retrieval_measure(&m, (float[]){1, NAN}, labels, 2, 2, 1, &err),
                     AK_BAD_VALUE);
    assert_int_equal(ak_retrieval_measure(&m, (float[]){INFINITY, 0}, labels, 2, 2, 1, &err),
                     AK_BAD_VALUE);
}

static void same_input_gives_the_same_bits(void **state)
{
    (void)state;
    enum { N = 500, DIMS = 64 };
    static float d[N * DIMS];
    static int32_t labels[N];
    ak_random r = ak_random_stream(9, 0, 0, 0);
    for (size_t i = 0; i < N * DIMS; i++)
        d[i] = (float)ak_random_normal(&r) / 8;
    for (size_t i = 0; i < N; i++)
        labels[i] = (int32_t)(i % 10);
    ak_retrieval a, b, slow = measure_slowly(d, labels, N, N, DIMS);
    assert_int_equal(ak_retrieval_measure(&a, d, labels, N, N, DIMS, NULL), AK_OK);
    assert_int_equal(ak_retrieval_measure(&b, d, labels, N, N, DIMS, NULL), AK_OK);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(fabs(a.map - slow.map) < 1e-4); // rounding may exchange neighbours
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retrieval_agrees_with_its_definition_on_random_data_with_ties),
        cmocka_unit_test(perfect_classes_score_one),
        cmocka_unit_test(query_is_dropped_by_index_not_by_nearness),
        cmocka_unit_test(pictures_alone_in_their_class_are_no_queries),
        cmocka_unit_test(values_that_are_not_finite_are_refused),
        cmocka_unit_test(same_input_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
