// What a whitening is fitted on: rows in their order, parts from opposite corners, the same copies.
#include "core/describe/fit_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 12, SIDE = 24, WIDTH = 90, HEIGHT = 60, BYTES = 3 * SIDE * SIDE, D = 2 };

static ak_image pictures[N];
static size_t stop_at = SIZE_MAX;

// Red grows to the right, green downwards; blue is the picture's own.
static int setup(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++) {
        if (ak_image_init(&pictures[i], WIDTH, HEIGHT, NULL) != AK_OK)
            return -1;
        for (int y = 0; y < HEIGHT; y++)
            for (int x = 0; x < WIDTH; x++) {
                uint8_t *at = pictures[i].rgb + 3 * (y * WIDTH + x);
                at[0] = (uint8_t)(255 * x / WIDTH);
                at[1] = (uint8_t)(255 * y / HEIGHT);
                at[2] = (uint8_t)(20 * i);
            }
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < N; i++)
        ak_image_clear(&pictures[i]);
    return 0;
}

static const ak_image *picture(void *arg, size_t i)
{
    (void)arg;
    return i < stop_at ? &pictures[i] : NULL;
}

static ak_fit_set set_of(uint64_t seed)
{
    return (ak_fit_set){
        .picture = picture, .n = N, .weights = AK_FIT_WEIGHTS_DEFAULT, .seed = seed};
}

static void input_of(uint8_t input[BYTES], const ak_fit_set *set, size_t row)
{
    assert_int_equal(ak_fit_input(input, SIDE, set, row, NULL), AK_OK);
}

static double mean(const uint8_t *input, int channel)
{
    double sum = 0;
    for (int i = 0; i < SIDE * SIDE; i++)
        sum += input[3 * i + channel];
    return sum / (SIDE * SIDE);
}

static void rows_are_pictures_parts_and_copies(void **state)
{
    (void)state;
    ak_fit_set set = set_of(1);
    uint8_t input[BYTES];
    assert_int_equal(ak_fit_rows(&set), 4 * N);
    for (size_t row = 0; row < 3 * N; row++) { // blue tells whose it is; casts change it in copies
        input_of(input, &set, row);
        assert_float_equal((float)mean(input, 2), 20 * (float)(row % N), 1.5);
    }
    for (size_t i = 0; i < N; i++) {
        input_of(input, &set, i);
        assert_float_equal((float)mean(input, 0), 126, 3);
        assert_float_equal((float)mean(input, 1), 126, 3);
    }
}

// Means of the two gradients tell where a part lies: opposite, in both directions.
static void parts_lie_in_opposite_corners(void **state)
{
    (void)state;
    ak_fit_set set = set_of(2);
    uint8_t a[BYTES], b[BYTES];
    int lefts = 0, tops = 0;
    for (size_t i = 0; i < N; i++) {
        input_of(a, &set, N + i);
        input_of(b, &set, 2 * N + i);
        for (int channel = 0; channel < 2; channel++)
            assert_true((mean(a, channel) - 126) * (mean(b, channel) - 126) < 0);
        lefts += mean(a, 0) < 126;
        tops += mean(a, 1) < 126;
    }
    assert_true(lefts > 0 && lefts < N && tops > 0 && tops < N);
}

static void a_seed_gives_the_same_copies_and_another_others(void **state)
{
    (void)state;
    ak_fit_set set = set_of(3), other = set_of(4);
    uint8_t a[BYTES], b[BYTES];
    int differ = 0, spoilt = 0;
    for (size_t row = 3 * N; row < 4 * N; row++) {
        input_of(a, &set, row);
        input_of(b, &set, row);
        assert_memory_equal(a, b, BYTES);
        input_of(b, &other, row);
        differ += memcmp(a, b, BYTES) != 0;
        input_of(b, &set, row - 3 * N);
        spoilt += memcmp(a, b, BYTES) != 0;
    }
    assert_true(differ > N / 2 && spoilt > N / 2);
}

static void no_picture_stops_the_fit(void **state)
{
    (void)state;
    ak_fit_set set = set_of(5);
    uint8_t input[BYTES];
    ak_error err;
    stop_at = 3;
    assert_int_equal(ak_fit_input(input, SIDE, &set, 2, &err), AK_OK);
    assert_int_equal(ak_fit_input(input, SIDE, &set, 3, &err), AK_SHUTTING_DOWN);
    stop_at = SIZE_MAX;
}

// Each sort of pairs alone: within is that of its rows, whatever the others are.
static void each_sort_of_pairs_has_its_weight(void **state)
{
    (void)state;
    enum { ROWS = 4 * N };
    float x[ROWS * D];
    const ak_pair kin[] = {{0, 1}, {2, 3}};
    const ak_fit_weights weights[] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {3, 1, 0}};
    const float expected[][D] = {{1, 0}, {0, 1}, {0.5f, 0.5f}, {0.75f, 0.25f}};
    memset(x, 0, sizeof x);
    for (size_t i = 0; i < N; i++) {
        x[i * D] = x[(3 * N + i) * D] = (float)(i % 2); // kin differ along the first axis
        x[i * D + 1] = x[(3 * N + i) * D + 1] = (float)(i / 2);
        x[(2 * N + i) * D + 1] = 1;      // parts along the second
        x[(3 * N + i) * D + i % 2] += 1; // copies along either
    }
    for (size_t w = 0; w < sizeof weights / sizeof *weights; w++) {
        ak_fit_set set = set_of(6);
        ak_scatter s;
        set.kin = kin;
        set.kin_n = 2;
        set.weights = weights[w];
        assert_int_equal(ak_scatter_init(&s, D, NULL), AK_OK);
        assert_int_equal(ak_fit_scatter(&s, &set, x, NULL), AK_OK);
        for (int j = 0; j < D; j++)
            assert_float_equal(s.within[j * D + j], expected[w][j], 1e-5);
        ak_scatter_clear(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_pictures_parts_and_copies),
        cmocka_unit_test(parts_lie_in_opposite_corners),
        cmocka_unit_test(a_seed_gives_the_same_copies_and_another_others),
        cmocka_unit_test(no_picture_stops_the_fit),
        cmocka_unit_test(each_sort_of_pairs_has_its_weight),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
