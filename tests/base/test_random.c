// Philox against the known answers of its authors' Random123, and what is drawn from it.
#include "core/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void philox_gives_the_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint32_t out[4];
        ak_philox(out, known[i].counter, known[i].key);
        assert_memory_equal(out, known[i].out, sizeof out);
    }
}

static void a_stream_hands_out_each_word_of_each_block_once(void **state)
{
    (void)state;
    ak_random r = ak_random_stream(0x0123456789abcdef, 1, 2, 3);
    for (uint32_t block = 0; block < 3; block++) {
        uint32_t out[4], key[2] = {0x89abcdef, 0x01234567}, counter[4] = {block, 1, 2, 3};
        ak_philox(out, counter, key);
        for (int i = 0; i < 4; i++)
            assert_int_equal(ak_random_u32(&r), out[i]);
    }
}

static void streams_of_other_names_differ(void **state)
{
    (void)state;
    ak_random streams[] = {ak_random_stream(1, 0, 0, 0),
                           ak_random_stream(2, 0, 0, 0),
                           ak_random_stream(1 | 1ull << 32, 0, 0, 0),
                           ak_random_stream(1, 1, 0, 0),
                           ak_random_stream(1, 0, 1, 0),
                           ak_random_stream(1, 0, 0, 1)};
    uint64_t first[6];
    for (int i = 0; i < 6; i++) {
        first[i] = ak_random_u64(&streams[i]);
        for (int j = 0; j < i; j++)
            assert_true(first[i] != first[j]);
    }
}

static void draws_keep_within_their_ranges(void **state)
{
    (void)state;
    ak_random r = ak_random_stream(7, 0, 0, 0);
    uint32_t seen = 0;
    for (int i = 0; i < 20000; i++) {
        uint32_t below = ak_random_below(&r, 10);
        assert_true(below < 10);
        seen |= 1u << below;
        double u = ak_random_uniform(&r), v = ak_random_range(&r, -2, 3);
        assert_true(u >= 0 && u < 1);
        assert_true(v >= -2 && v < 3);
        assert_int_equal(ak_random_below(&r, 1), 0);
    }
    assert_int_equal(seen, 1023);
}

static void moments_are_those_of_the_distributions(void **state)
{
    (void)state;
    enum { N = 200000 };
    ak_random r = ak_random_stream(11, 0, 0, 0);
    double sum = 0, square = 0, uniform = 0;
    for (int i = 0; i < N; i++) {
        double x = ak_random_normal(&r);
        assert_true(isfinite(x));
        sum += x;
        square += x * x;
        uniform += ak_random_uniform(&r);
    }
    // Five standard errors and a little.
    assert_true(fabs(sum / N) < 0.012);
    assert_true(fabs(square / N - 1) < 0.017);
    assert_true(fabs(uniform / N - 0.5) < 0.0035);
}

static void a_shuffle_is_a_permutation_that_the_stream_decides(void **state)
{
    (void)state;
    uint32_t a[101], b[101], seen[101] = {0};
    for (uint32_t i = 0; i < 101; i++)
        a[i] = b[i] = i;
    ak_random r = ak_random_stream(3, 0, 0, 0), same = ak_random_stream(3, 0, 0, 0);
    ak_random_shuffle(&r, a, 101);
    ak_random_shuffle(&same, b, 101);
    assert_memory_equal(a, b, sizeof a);
    int moved = 0;
    for (uint32_t i = 0; i < 101; i++) {
        seen[a[i]]++;
        moved += a[i] != i;
    }
    for (int i = 0; i < 101; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 80);
    ak_random_shuffle(&r, a, 0);
    ak_random_shuffle(&r, a, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_known_answers),
        cmocka_unit_test(a_stream_hands_out_each_word_of_each_block_once),
        cmocka_unit_test(streams_of_other_names_differ),
        cmocka_unit_test(draws_keep_within_their_ranges),
        cmocka_unit_test(moments_are_those_of_the_distributions),
        cmocka_unit_test(a_shuffle_is_a_permutation_that_the_stream_decides),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
