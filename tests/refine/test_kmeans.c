// Clusters of unit vectors: found where they are, the same by the same seed.
#include "core/base/random.h"
#include "core/refine/kmeans.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { KINDS = 7, EACH = 90, N = KINDS * EACH, D = 12 };

static float x[N * D];

static int setup(void **state)
{
    (void)state;
    ak_random r = ak_random_stream(3, 0, 0, 0);
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j < D; j++) { // kind i % KINDS lies along an axis of its own
            x[i * D + j] = (j == i % KINDS) + 0.2f * (float)ak_random_normal(&r);
            sum += (double)(x[i * D + j] * x[i * D + j]);
        }
        for (int j = 0; j < D; j++)
            x[i * D + j] /= (float)sqrt(sum);
    }
    return 0;
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int j = 0; j < D; j++)
        sum += (double)(a[j] * b[j]);
    return sum;
}

static void clusters_are_the_kinds(void **state)
{
    (void)state;
    enum { K = 2 * KINDS }; // a kind may be split; two kinds may not be joined
    float centres[K * D];
    uint32_t labels[N];
    int right = 0;
    assert_int_equal(ak_kmeans(centres, labels, x, N, D, K, 1, NULL), AK_OK);
    for (int c = 0; c < K; c++) {
        int count[KINDS] = {0}, most = 0;
        for (int i = 0; i < N; i++)
            count[i % KINDS] += labels[i] == (uint32_t)c;
        for (int kind = 0; kind < KINDS; kind++)
            most = count[kind] > most ? count[kind] : most;
        right += most;
    }
    print_message("purity %.3f\n", (double)right / N);
    assert_true(right > 0.97 * N);
}

static void every_row_has_its_nearest_centre(void **state)
{
    (void)state;
    enum { K = 20 };
    float centres[K * D];
    uint32_t labels[N];
    assert_int_equal(ak_kmeans(centres, labels, x, N, D, K, 2, NULL), AK_OK);
    for (int i = 0; i < N; i++)
        for (int c = 0; c < K; c++)
            assert_true(dot(x + i * D, centres + c * D) <=
                        dot(x + i * D, centres + labels[i] * D) + 1e-5);
    for (int c = 0; c < K; c++)
        assert_float_equal((float)dot(centres + c * D, centres + c * D), 1, 1e-4);
}

static void a_seed_gives_the_same_clusters(void **state)
{
    (void)state;
    float a[9 * D], b[9 * D];
    uint32_t labels[2][N];
    assert_int_equal(ak_kmeans(a, labels[0], x, N, D, 9, 5, NULL), AK_OK);
    assert_int_equal(ak_kmeans(b, labels[1], x, N, D, 9, 5, NULL), AK_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_equal(labels[0], labels[1], sizeof labels[0]);
}

// Rows that are all the same leave centres without any.
static void equal_rows_and_as_many_clusters_as_rows_are_taken(void **state)
{
    (void)state;
    float same[8 * D], centres[8 * D];
    uint32_t labels[8];
    for (int i = 0; i < 8; i++)
        memcpy(same + i * D, x, D * sizeof *x);
    assert_int_equal(ak_kmeans(centres, labels, same, 8, D, 8, 1, NULL), AK_OK);
    for (int i = 0; i < 8 * D; i++)
        assert_true(isfinite(centres[i]));
    assert_int_equal(ak_kmeans(centres, labels, same, 8, D, 9, 1, NULL), AK_BAD_VALUE);
    assert_int_equal(ak_kmeans(centres, labels, same, 8, D, 0, 1, NULL), AK_BAD_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clusters_are_the_kinds),
        cmocka_unit_test(every_row_has_its_nearest_centre),
        cmocka_unit_test(a_seed_gives_the_same_clusters),
        cmocka_unit_test(equal_rows_and_as_many_clusters_as_rows_are_taken),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
