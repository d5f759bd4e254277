// The gate's parts beside slow, obvious ones.
#include "core/base/random.h"
#include "core/refine/bootstrap.h"
#include "core/refine/gate_alter.h"
#include "core/refine/gate_meaning.h"
#include "core/refine/measure.h"
#include "core/refine/near.h"
#include "core/refine/plan.h"
#include "tests/refine/run_rig.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

// (n, d) rows of unit length; copies of earlier rows now and then, so that there are ties.
static float *made_rows(uint32_t seed, size_t n, size_t d)
{
    float *x = malloc(n * d * sizeof *x);
    ak_random r = ak_random_stream(seed, 1, 2, 3);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        if (i > 4 && ak_random_below(&r, 5) == 0) {
            memcpy(x + i * d, x + (i - 4) * d, d * sizeof *x);
            continue;
        }
        for (size_t k = 0; k < d; k++) {
            x[i * d + k] = (float)ak_random_normal(&r);
            sum += (double)(x[i * d + k] * x[i * d + k]);
        }
        for (size_t k = 0; k < d; k++)
            x[i * d + k] /= (float)sqrt(sum);
    }
    return x;
}

static float dot(const float *a, const float *b, size_t d)
{
    float sum = 0;
    for (size_t k = 0; k < d; k++)
        sum += a[k] * b[k];
    return sum;
}

// How many rows come before row j for this query, `self` left out. Rows whose scores differ by less
// than rounding are a matter of taste: they must be copies of each other here.
static size_t before(const float *query, const float *gallery, size_t count, size_t d, size_t j,
                     size_t self)
{
    size_t n = 0;
    const float *row = gallery + j * d;
    for (size_t i = 0; i < count; i++) {
        const float *other = gallery + i * d;
        bool tie = memcmp(other, row, d * sizeof *row) == 0;
        n += i != self && i != j && (tie ? i < j : dot(query, other, d) > dot(query, row, d));
    }
    return n;
}

static void ranks_are_those_of_counting(void **state)
{
    (void)state;
    ak_error err;
    enum { N = 70, COUNT = 150, D = 13 };
    float *queries = made_rows(1, N, D), *gallery = made_rows(2, COUNT, D);
    uint32_t target[N], rank[N];
    for (size_t i = 0; i < N; i++)
        target[i] = (uint32_t)(i * 7 % COUNT);
    assert_int_equal(ak_measure_ranks(rank, queries, target, N, gallery, COUNT, D, &err), AK_OK);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(rank[i], 1 + before(queries + i * D, gallery, COUNT, D, target[i], COUNT));
    queries[0] = NAN;
    assert_int_equal(ak_measure_ranks(rank, queries, target, 1, gallery, COUNT, D, &err), AK_OK);
    assert_int_equal(rank[0], COUNT);
    free(queries);
    free(gallery);
}

static void average_precision_is_that_of_counting(void **state)
{
    (void)state;
    ak_error err;
    enum { N = 70, COUNT = 120, D = 9 };
    float *gallery = made_rows(3, COUNT, D);
    uint32_t self[N], relevant[N * 6];
    size_t start[N + 1] = {0};
    double ap[N];
    ak_random r = ak_random_stream(4, 0, 0, 0);
    for (size_t i = 0; i < N; i++) {
        size_t n = ak_random_below(&r, 6);
        self[i] = (uint32_t)i;
        start[i + 1] = start[i];
        for (size_t k = 0; k < n; k++)
            relevant[start[i + 1]++] = (uint32_t)((i + 1 + k * 17) % COUNT);
    }
    assert_int_equal(ak_measure_ap(ap, self, relevant, start, N, gallery, COUNT, D, &err), AK_OK);
    for (size_t i = 0; i < N; i++) {
        size_t n = start[i + 1] - start[i];
        double sum = 0;
        for (size_t k = 0; k < n; k++) {
            size_t place = before(gallery + i * D, gallery, COUNT, D, relevant[start[i] + k], i);
            size_t better = 0;
            for (size_t l = 0; l < n; l++)
                better +=
                    before(gallery + i * D, gallery, COUNT, D, relevant[start[i] + l], i) < place;
            sum += (double)(better + 1) / (double)(place + 1);
        }
        assert_true(n ? fabs(ap[i] - sum / (double)n) < 1e-12 : isnan(ap[i]));
    }
    free(gallery);
}

static void overlap_is_that_of_counting(void **state)
{
    (void)state;
    ak_error err;
    enum { N = 70, COUNT = 1200, D = 6, NEAR = COUNT / 100 };
    float *a = made_rows(31, N, D), *b = made_rows(32, N, D), *gallery = made_rows(33, COUNT, D);
    double share[N];
    uint32_t self[N];
    for (uint32_t i = 0; i < N; i++) {
        self[i] = i * 3;
        for (int k = 0; k < D; k++)
            b[i * D + k] = a[i * D + k] + 0.3f * b[i * D + k];
    }
    assert_int_equal(ak_measure_overlap(share, a, b, self, N, gallery, COUNT, D, &err), AK_OK);
    for (uint32_t i = 0; i < N; i++) {
        size_t same = 0, surely = 0; // scores that differ by less than a rounding may swap
        for (uint32_t j = 0; j < COUNT; j++) {
            size_t better[2] = {0}, near[2] = {0};
            for (int which = 0; which < 2 && j != self[i]; which++) {
                const float *q = (which ? b : a) + i * D;
                float score = dot(q, gallery + j * D, D);
                for (uint32_t k = 0; k < COUNT; k++) {
                    float other = dot(q, gallery + k * D, D);
                    better[which] += k != self[i] && k != j && other > score + 1e-5f;
                    near[which] += k != self[i] && k != j && other > score - 1e-5f;
                }
            }
            same += j != self[i] && better[0] < NEAR && better[1] < NEAR;
            surely += j != self[i] && near[0] < NEAR && near[1] < NEAR;
        }
        assert_true(share[i] * NEAR <= (double)same + 1e-9);
        assert_true(share[i] * NEAR >= (double)surely - 1e-9);
    }
    assert_int_equal(ak_measure_overlap(share, a, a, self, N, gallery, COUNT, D, &err), AK_OK);
    for (int i = 0; i < N; i++)
        assert_true(share[i] == 1);
    assert_int_equal(ak_measure_overlap(share, a, b, self, 1, gallery, 5, D, &err), AK_OK);
    assert_true(share[0] == 1); // all that there are
    assert_int_equal(ak_measure_overlap(share, a, b, self, 1, gallery, 1, D, &err), AK_BAD_VALUE);
    free(a);
    free(b);
    free(gallery);
}

static void churn_is_none_for_the_same_and_all_for_others(void **state)
{
    (void)state;
    ak_error err;
    enum { COUNT = 600, D = 16 };
    float *a = made_rows(5, COUNT, D), *b = made_rows(6, COUNT, D);
    uint32_t self[COUNT];
    double churn;
    for (uint32_t i = 0; i < COUNT; i++)
        self[i] = i;
    assert_int_equal(ak_measure_churn(&churn, self, COUNT, a, D, a, D, COUNT, &err), AK_OK);
    assert_true(churn < 1e-9);
    assert_int_equal(ak_measure_churn(&churn, self, COUNT, a, D, b, D, COUNT, &err), AK_OK);
    assert_true(churn > 0.95);
    free(a);
    free(b);
}

static void rank_counts_directions_and_dead_dimensions_are_found(void **state)
{
    (void)state;
    ak_error err;
    enum { N = 4000, D = 12 };
    float *x = calloc(N * D, sizeof *x);
    ak_random r = ak_random_stream(7, 0, 0, 0);
    double rank;
    size_t dead;
    for (int live = 1; live <= D; live += 5) { // live directions of the same strength
        for (size_t i = 0; i < N * D; i++)
            x[i] = (int)(i % D) < live ? (float)ak_random_normal(&r) : 0;
        assert_int_equal(ak_measure_health(&rank, &dead, x, N, D, &err), AK_OK);
        assert_true(fabs(rank - live) < 0.02 * live);
        assert_int_equal(dead, D - live);
    }
    x[5] = INFINITY;
    assert_int_equal(ak_measure_health(&rank, &dead, x, N, D, &err), AK_OK);
    assert_true(rank == 0 && dead == D);
    free(x);
}

static void bounds_of_the_bootstrap_are_those_of_the_normal(void **state)
{
    (void)state;
    ak_error err;
    enum { N = 400 };
    double a[N], b[N], mean = 0, square = 0;
    ak_random r = ak_random_stream(8, 0, 0, 0);
    for (size_t i = 0; i < N; i++) {
        a[i] = ak_random_uniform(&r);
        b[i] = a[i] + 0.03 + 0.2 * ak_random_normal(&r);
        mean += (b[i] - a[i]) / N;
        square += (b[i] - a[i]) * (b[i] - a[i]) / N;
    }
    double error = sqrt((square - mean * mean) / N);
    ak_paired p, again;
    assert_int_equal(ak_bootstrap(&p, a, b, N, 10000, 5, &err), AK_OK);
    assert_true(fabs(p.candidate - p.incumbent - mean) < 1e-12);
    assert_true(fabs(p.low - (mean - 2.326 * error)) < 0.1 * error);
    assert_true(fabs(p.high - (mean + 2.326 * error)) < 0.1 * error);
    assert_int_equal(ak_bootstrap(&again, a, b, N, 10000, 5, &err), AK_OK);
    assert_memory_equal(&p, &again, sizeof p);
    assert_int_equal(ak_bootstrap(&again, a, b, N, 10000, 6, &err), AK_OK);
    assert_true(again.low != p.low);
    assert_int_equal(ak_bootstrap(&p, a, b, 0, 10000, 5, &err), AK_BAD_VALUE);
}

// A candidate that is no better passes in few of many runs: the bound is one of 99%.
static void chance_rarely_passes_for_a_gain(void **state)
{
    (void)state;
    ak_error err;
    enum { N = 120, RUNS = 300 };
    double a[N], b[N];
    int passed = 0;
    for (uint32_t run = 0; run < RUNS; run++) {
        ak_random r = ak_random_stream(9, run, 0, 0);
        ak_paired p;
        for (size_t i = 0; i < N; i++) {
            a[i] = ak_random_below(&r, 2);
            b[i] = ak_random_below(&r, 2);
        }
        assert_int_equal(ak_bootstrap(&p, a, b, N, 1000, run, &err), AK_OK);
        passed += p.low > 0;
    }
    assert_true(passed <= 12); // 3 expected; more than 12 has a probability of 1e-4
}

static void clusters_are_those_of_joining_all_pairs(void **state)
{
    (void)state;
    ak_error err;
    enum { N = 600, D = 8 };
    float *x = made_rows(10, N, D);
    uint64_t *hashes = calloc(N, sizeof *hashes);
    uint32_t *cluster = calloc(N, sizeof *cluster), *slow = calloc(N, sizeof *slow);
    ak_random r = ak_random_stream(11, 0, 0, 0);
    for (size_t i = 0; i < N; i++) {
        hashes[i] = ak_random_below(&r, 3) ? 0xffff : ak_random_u64(&r);
        slow[i] = (uint32_t)i;
    }
    assert_int_equal(ak_near_clusters(cluster, x, hashes, N, D, 0.9f, &err), AK_OK);
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++)
                if (slow[j] > slow[i] && dot(x + i * D, x + j * D, D) >= 0.9f &&
                    __builtin_popcountll(hashes[i] ^ hashes[j]) <= AK_NEAR_HASH_BITS) {
                    slow[j] = slow[i];
                    changed = true;
                }
    }
    assert_memory_equal(cluster, slow, N * sizeof *slow);
    free(x);
    free(hashes);
    free(cluster);
    free(slow);
}

static void neighbours_are_those_of_counting(void **state)
{
    (void)state;
    ak_error err;
    enum { N = 530, D = 6, K = 5 };
    float *x = made_rows(13, N, D);
    uint32_t *near = calloc(N * K, sizeof *near), few[2 * K];
    assert_int_equal(ak_near_neighbours(near, x, N, D, K, &err), AK_OK);
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < K; k++) {
            float score = dot(x + i * D, x + near[i * K + k] * D, D);
            size_t better = 0;
            for (size_t j = 0; j < N; j++)
                better += j != i && dot(x + i * D, x + j * D, D) > score + 1e-6f;
            assert_true(near[i * K + k] != i && better <= k);
            for (size_t l = 0; l < k; l++)
                assert_int_not_equal(near[i * K + l], near[i * K + k]);
        }
    assert_int_equal(ak_near_neighbours(few, x, 2, D, K, &err), AK_OK);
    assert_true(few[0] == 1 && few[1] == UINT32_MAX && few[K] == 0);
    free(x);
    free(near);
}

static void nothing_near_a_yardstick_is_trained_on(void **state)
{
    (void)state;
    enum { N = 4000 };
    ak_run_picture *pictures = calloc(N, sizeof *pictures);
    ak_role *roles = calloc(N, sizeof *roles);
    uint32_t *clusters = calloc(N, sizeof *clusters);
    ak_random r = ak_random_stream(12, 0, 0, 0);
    for (size_t i = 0; i < N; i++) {
        pictures[i].trained = ak_random_below(&r, 4) == 0;
        bool yardstick = !pictures[i].trained && ak_random_below(&r, 3) == 0;
        bool inside = ak_random_below(&r, 2);
        roles[i] = yardstick ? (inside ? AK_ROLE_YARDSTICK : AK_ROLE_OLD_YARDSTICK)
                   : inside && !pictures[i].trained ? AK_ROLE_TRAIN
                                                    : AK_ROLE_REPLAY;
        clusters[i] = i && ak_random_below(&r, 2) ? clusters[i - 1] : (uint32_t)i;
    }
    ak_plan_roles(roles, clusters, pictures, N);
    size_t kept = 0, trained = 0;
    for (size_t from = 0, to; from < N; from = to) {
        size_t yardsticks = 0, learned = 0, was = 0;
        for (to = from; to < N && clusters[to] == clusters[from]; to++) {
            yardsticks += roles[to] == AK_ROLE_YARDSTICK || roles[to] == AK_ROLE_OLD_YARDSTICK;
            learned += roles[to] == AK_ROLE_TRAIN || roles[to] == AK_ROLE_REPLAY;
            was += pictures[to].trained;
        }
        assert_true(yardsticks <= 1);
        assert_true(!yardsticks || (!learned && !was));
        kept += yardsticks;
        trained += learned;
    }
    assert_true(kept > 300 && trained > 300);
    free(pictures);
    free(roles);
    free(clusters);
}

static void parts_hardly_overlap_and_follow_the_seed(void **state)
{
    (void)state;
    ak_error err;
    for (uint32_t i = 0; i < 40; i++) {
        ak_image p = {0}, a = {0}, b = {0}, again = {0}, rest = {0};
        int w = 20 + 13 * (int)i, h = 300 - 7 * (int)i;
        ak_sha256 sum = ak_sha256_of((ak_bytes){(uint8_t *)&i, sizeof i});
        ak_image_init(&p, w, h, &err);
        for (int y = 0; y < h; y++) // every pixel says where it is
            for (int x = 0; x < w; x++) {
                uint8_t *at = p.rgb + 3 * (y * w + x);
                at[0] = (uint8_t)x;
                at[1] = (uint8_t)y;
                at[2] = (uint8_t)(x / 256 * 16 + y / 256);
            }
        assert_int_equal(ak_gate_parts(&a, &b, &p, 3, &sum, &err), AK_OK);
        int xa = a.rgb[0] + a.rgb[2] / 16 * 256, ya = a.rgb[1] + a.rgb[2] % 16 * 256;
        int xb = b.rgb[0] + b.rgb[2] / 16 * 256, yb = b.rgb[1] + b.rgb[2] % 16 * 256;
        double over_x = a.width - abs(xa - xb), over_y = a.height - abs(ya - yb);
        double over = over_x > 0 && over_y > 0 ? over_x * over_y : 0;
        double area = (double)a.width * a.height;
        assert_true(over / (2 * area - over) < AK_PART_IOU);
        assert_true(fabs(area / ((double)w * h) - AK_PART_AREA) < 0.03);
        assert_int_equal(ak_gate_parts(&again, &rest, &p, 3, &sum, &err), AK_OK);
        assert_memory_equal(a.rgb, again.rgb, 3 * (size_t)a.width * (size_t)a.height);
        ak_image_clear(&p);
        ak_image_clear(&a);
        ak_image_clear(&b);
        ak_image_clear(&again);
        ak_image_clear(&rest);
    }
}

static void every_family_of_copies_changes_the_picture_and_keeps_most_of_it(void **state)
{
    (void)state;
    ak_error err;
    ak_image p = {0};
    ak_sha256 sum = ak_sha256_of((ak_bytes){(const uint8_t *)"x", 1});
    rig_picture(&p, 4, 2, 200);
    for (int f = 0; f < AK_COPIES; f++) {
        ak_image copy = {0}, again = {0}, small = {0}, like = {0};
        assert_int_equal(ak_gate_copy(&copy, &p, (ak_copy)f, 9, &sum, &err), AK_OK);
        assert_int_equal(ak_gate_copy(&again, &p, (ak_copy)f, 9, &sum, &err), AK_OK);
        size_t bytes = 3 * (size_t)copy.width * (size_t)copy.height;
        assert_memory_equal(copy.rgb, again.rgb, bytes);
        assert_true(bytes != 120000 || memcmp(copy.rgb, p.rgb, bytes) != 0);
        assert_int_equal(ak_image_resize(&small, &p, 8, 8, &err), AK_OK);
        assert_int_equal(ak_image_resize(&like, &copy, 8, 8, &err), AK_OK);
        int far = 0;
        for (int i = 0; i < 192; i++)
            far += abs(small.rgb[i] - like.rgb[i]) > 60;
        assert_true(far < 96);
        ak_image_clear(&copy);
        ak_image_clear(&again);
        ak_image_clear(&small);
        ak_image_clear(&like);
    }
    ak_image_clear(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_of_counting),
        cmocka_unit_test(average_precision_is_that_of_counting),
        cmocka_unit_test(overlap_is_that_of_counting),
        cmocka_unit_test(churn_is_none_for_the_same_and_all_for_others),
        cmocka_unit_test(rank_counts_directions_and_dead_dimensions_are_found),
        cmocka_unit_test(bounds_of_the_bootstrap_are_those_of_the_normal),
        cmocka_unit_test(chance_rarely_passes_for_a_gain),
        cmocka_unit_test(clusters_are_those_of_joining_all_pairs),
        cmocka_unit_test(neighbours_are_those_of_counting),
        cmocka_unit_test(nothing_near_a_yardstick_is_trained_on),
        cmocka_unit_test(parts_hardly_overlap_and_follow_the_seed),
        cmocka_unit_test(every_family_of_copies_changes_the_picture_and_keeps_most_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
