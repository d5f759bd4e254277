// The perceptual hash: its DCT against the definition, and what it is for.
#include "core/image/phash.h"

#include "core/base/random.h"
#include "tests/image/made.h"

#include <math.h>

static void dct_agrees_with_the_double_sum(void **state)
{
    (void)state;
    ak_random r = ak_random_stream(1, 0, 0, 0);
    float grey[32 * 32], fast[64];
    for (int i = 0; i < 32 * 32; i++)
        grey[i] = (float)ak_random_range(&r, 0, 255);
    ak_phash_dct(fast, grey);
    for (int v = 1; v <= 8; v++)
        for (int u = 1; u <= 8; u++) {
            double sum = 0;
            for (int y = 0; y < 32; y++)
                for (int x = 0; x < 32; x++)
                    sum += (double)grey[y * 32 + x] * cos(M_PI * (2 * y + 1) * v / 64) *
                           cos(M_PI * (2 * x + 1) * u / 64);
            assert_true(fabs((double)fast[(v - 1) * 8 + u - 1] - sum) < 0.02);
        }
}

// A picture with detail at all scales: sums of random waves, the coarse ones the strongest.
static void made_waves(ak_image *image, int width, int height, uint32_t seed)
{
    enum { WAVES = 24 };
    double wave[WAVES][5];
    ak_error err;
    ak_random r = ak_random_stream(seed, 1, 0, 0);
    for (int i = 0; i < WAVES; i++) {
        double frequency = exp(ak_random_range(&r, log(0.5), log(12)));
        double angle = ak_random_range(&r, 0, 2 * M_PI);
        wave[i][0] = 2 * M_PI * frequency * cos(angle);
        wave[i][1] = 2 * M_PI * frequency * sin(angle);
        for (int c = 2; c < 5; c++)
            wave[i][c] = ak_random_normal(&r) * 30 / frequency;
    }
    assert_int_equal(ak_image_init(image, width, height, &err), AK_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double colour[3] = {128, 128, 128};
            for (int i = 0; i < WAVES; i++) {
                double s = sin(wave[i][0] * x / width + wave[i][1] * y / height + i);
                for (int c = 0; c < 3; c++)
                    colour[c] += s * wave[i][c + 2];
            }
            for (int c = 0; c < 3; c++)
                image->rgb[3 * (y * width + x) + c] = (uint8_t)fmin(255, fmax(0, colour[c]));
        }
}

static uint64_t hash_of(const ak_image *image)
{
    uint64_t hash;
    ak_error err;
    assert_int_equal(ak_phash(&hash, image, &err), AK_OK);
    return hash;
}

static void same_picture_has_the_same_hash_and_a_scaled_one_nearly(void **state)
{
    (void)state;
    ak_error err;
    for (uint32_t seed = 1; seed <= 20; seed++) {
        ak_image image = {0}, other = {0};
        made_waves(&image, 320, 240, seed);
        uint64_t hash = hash_of(&image);
        assert_true(hash_of(&image) == hash);
        assert_in_range(__builtin_popcountll(hash), 30, 32); // above the median: half, but for ties
        static const int sizes[][2] = {{160, 120}, {100, 100}, {640, 480}, {61, 47}};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            assert_int_equal(ak_image_resize(&other, &image, sizes[i][0], sizes[i][1], &err),
                             AK_OK);
            int bits = ak_phash_distance(hash, hash_of(&other));
            if (bits > 4)
                fail_msg("seed %u: %d bits apart at %d x %d", seed, bits, sizes[i][0], sizes[i][1]);
        }
        ak_buf jpeg = {0};
        assert_int_equal(ak_image_encode_jpeg(&jpeg, &image, 30, &err), AK_OK);
        assert_int_equal(
            ak_image_decode(&other, ak_buf_bytes(&jpeg), 0, &AK_IMAGE_LIMITS_DEFAULT, &err), AK_OK);
        assert_true(ak_phash_distance(hash, hash_of(&other)) <= 4);
        ak_buf_clear(&jpeg);
        ak_image_clear(&other);
        ak_image_clear(&image);
    }
}

static void others_differ_in_about_half_of_the_bits(void **state)
{
    (void)state;
    enum { N = 40 };
    uint64_t hashes[N];
    double sum = 0;
    int least = 64;
    for (uint32_t i = 0; i < N; i++) {
        ak_image image = {0};
        made_waves(&image, 96, 64, 100 + i);
        hashes[i] = hash_of(&image);
        ak_image_clear(&image);
        for (uint32_t j = 0; j < i; j++) {
            int bits = ak_phash_distance(hashes[i], hashes[j]);
            sum += bits;
            least = bits < least ? bits : least;
        }
    }
    assert_true(fabs(sum / (N * (N - 1) / 2) - 32) < 1.5);
    assert_true(least > 8);
}

static void flat_and_tiny_pictures_have_hashes_too(void **state)
{
    (void)state;
    ak_image image = {0};
    ak_error err;
    for (int value = 0; value < 256; value += 51) {
        assert_int_equal(ak_image_init(&image, 50, 70, &err), AK_OK);
        memset(image.rgb, value, 50 * 70 * 3);
        assert_true(hash_of(&image) == 0);
    }
    made_waves(&image, 1, 1, 1);
    assert_true(hash_of(&image) == 0);
    made_waves(&image, 1, 9, 1);
    hash_of(&image);
    ak_image_clear(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dct_agrees_with_the_double_sum),
        cmocka_unit_test(same_picture_has_the_same_hash_and_a_scaled_one_nearly),
        cmocka_unit_test(others_differ_in_about_half_of_the_bits),
        cmocka_unit_test(flat_and_tiny_pictures_have_hashes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
