// Altered pictures, made a second time from what alter.h says.
#include "core/eval/alter.h"

#include "core/base/hash.h"
#include "core/base/random.h"
#include "tests/image/made.h"

#include <math.h>

enum { W = 180, H = 120 };
static const uint64_t SEED = 7;

static ak_random stream_of(ak_alteration how, const char *name)
{
    ak_sha256 sum = ak_sha256_of((ak_bytes){(const uint8_t *)name, strlen(name)});
    uint32_t high = 0, low = 0;
    for (int i = 0; i < 4; i++) {
        high = high << 8 | sum.at[i];
        low = low << 8 | sum.at[4 + i];
    }
    return ak_random_stream(SEED, (uint32_t)how, high, low);
}

// Red tells x and green y; blue waves slowly. Smooth: a JPEG of quality 95 keeps it within a few.
static double colour_at(double x, double y, int c)
{
    return c == 0 ? 20 + x : c == 1 ? 20 + 1.5 * y : 128 + 60 * sin(x / 25) * cos(y / 30);
}

static void made_smooth(ak_image *image)
{
    ak_error err;
    assert_int_equal(ak_image_init(image, W, H, &err), AK_OK);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < 3; c++)
                image->rgb[3 * (y * W + x) + c] = (uint8_t)lround(colour_at(x, y, c));
}

static void altered(ak_image *out, const ak_image *picture, ak_alteration how, const char *name)
{
    ak_buf file = {0};
    ak_error err;
    if (ak_alter(&file, picture, how, SEED, name, &err) != AK_OK)
        fail_msg("%s", err.text);
    assert_int_equal(ak_format_sniff(ak_buf_bytes(&file)), AK_FORMAT_JPEG);
    assert_int_equal(ak_image_decode(out, ak_buf_bytes(&file), 0, &AK_IMAGE_LIMITS_DEFAULT, &err),
                     AK_OK);
    ak_buf_clear(&file);
}

static void expect_colour(const ak_image *got, int x, int y, const double expected[3])
{
    check_pixel(got, x, y, (int)lround(expected[0]), (int)lround(expected[1]),
                (int)lround(expected[2]), 9);
}

static void crop_and_mirror_are_where_the_random_numbers_say(void **state)
{
    (void)state;
    ak_image picture = {0}, got = {0};
    made_smooth(&picture);
    static const char *const names[] = {"a/1.jpg", "b/2.png", "three"};
    int corners[3][2];
    for (int i = 0; i < 3; i++) {
        altered(&got, &picture, AK_ALTER_CROP, names[i]);
        assert_int_equal(got.width, 151); // sqrt(0.7) 180 = 150.6
        assert_int_equal(got.height, 100);
        ak_random r = stream_of(AK_ALTER_CROP, names[i]);
        int left = (int)ak_random_below(&r, W - 151 + 1),
            top = (int)ak_random_below(&r, H - 100 + 1);
        corners[i][0] = left;
        corners[i][1] = top;
        for (int y = 0; y < got.height; y += 9)
            for (int x = 0; x < got.width; x += 9)
                expect_colour(&got, x, y,
                              (double[]){colour_at(left + x, top + y, 0),
                                         colour_at(left + x, top + y, 1),
                                         colour_at(left + x, top + y, 2)});
    }
    assert_true(memcmp(corners[0], corners[1], sizeof corners[0]) ||
                memcmp(corners[0], corners[2], sizeof corners[0]));
    altered(&got, &picture, AK_ALTER_MIRROR, names[0]);
    for (int y = 0; y < H; y += 7)
        for (int x = 0; x < W; x += 7)
            expect_colour(&got, x, y,
                          (double[]){colour_at(W - 1 - x, y, 0), colour_at(W - 1 - x, y, 1),
                                     colour_at(W - 1 - x, y, 2)});
    ak_image_clear(&got);
    ak_image_clear(&picture);
}

static void colours_are_shifted_as_the_random_numbers_say(void **state)
{
    (void)state;
    ak_image picture = {0}, got = {0};
    made_smooth(&picture);
    altered(&got, &picture, AK_ALTER_COLOUR, "x/y.webp");
    ak_random r = stream_of(AK_ALTER_COLOUR, "x/y.webp");
    double gain[3], shift[3], moved = 0;
    for (int c = 0; c < 3; c++) {
        gain[c] = ak_random_range(&r, 0.75, 1.25);
        shift[c] = ak_random_range(&r, -16, 16);
        moved += fabs(gain[c] * 128 + shift[c] - 128);
    }
    assert_true(moved > 20);
    for (int y = 4; y < H; y += 7)
        for (int x = 4; x < W; x += 7) {
            double expected[3];
            for (int c = 0; c < 3; c++)
                expected[c] = fmin(255, fmax(0, gain[c] * colour_at(x, y, c) + shift[c]));
            expect_colour(&got, x, y, expected);
        }
    ak_image_clear(&got);
    ak_image_clear(&picture);
}

// Grey noise in blocks, so that blurring and shrinking change much, and JPEG keeps what they leave.
static void made_blocks(ak_image *image)
{
    ak_error err;
    ak_random r = ak_random_stream(3, 0, 0, 0);
    assert_int_equal(ak_image_init(image, W, H, &err), AK_OK);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            uint8_t *at = image->rgb + 3 * (y * W + x);
            if (x % 6 == 0 && y % 6 == 0)
                at[0] = (uint8_t)(60 + ak_random_below(&r, 120));
            else
                at[0] = image->rgb[3 * ((y - y % 6) * W + x - x % 6)];
            at[1] = at[2] = at[0];
        }
}

static void blur_is_the_gaussian(void **state)
{
    (void)state;
    ak_image picture = {0}, got = {0};
    made_blocks(&picture);
    altered(&got, &picture, AK_ALTER_BLUR, "b");
    const double sigma = 0.01 * H;
    const int radius = 4; // ceil(3.6)
    double changed = 0;
    for (int y = 0; y < H; y += 5)
        for (int x = 0; x < W; x += 5) {
            double sum = 0, total = 0;
            for (int j = -radius; j <= radius; j++)
                for (int i = -radius; i <= radius; i++) {
                    double weight = exp(-(i * i + j * j) / (2 * sigma * sigma));
                    int at_x = x + i < 0 ? 0 : x + i >= W ? W - 1 : x + i;
                    int at_y = y + j < 0 ? 0 : y + j >= H ? H - 1 : y + j;
                    sum += weight * picture.rgb[3 * (at_y * W + at_x)];
                    total += weight;
                }
            expect_colour(&got, x, y, (double[]){sum / total, sum / total, sum / total});
            changed = fmax(changed, fabs(sum / total - picture.rgb[3 * (y * W + x)]));
        }
    assert_true(changed > 30);
    ak_image_clear(&got);
    ak_image_clear(&picture);
}

static void recompressed_copy_is_a_third_as_wide_and_coarse(void **state)
{
    (void)state;
    ak_image picture = {0}, got = {0}, expected = {0};
    ak_error err;
    ak_buf file = {0};
    made_smooth(&picture);
    altered(&got, &picture, AK_ALTER_JPEG, "j");
    assert_int_equal(got.width, 60);
    assert_int_equal(got.height, 40);
    assert_int_equal(ak_image_resize(&expected, &picture, 60, 40, &err), AK_OK);
    assert_int_equal(ak_image_encode_jpeg(&file, &expected, 15, &err), AK_OK);
    assert_int_equal(
        ak_image_decode(&expected, ak_buf_bytes(&file), 0, &AK_IMAGE_LIMITS_DEFAULT, &err), AK_OK);
    assert_true(difference(&got, &expected) == 0);
    ak_buf_clear(&file);
    ak_image_clear(&expected);
    ak_image_clear(&got);
    ak_image_clear(&picture);
}

static void rotation_turns_by_8_degrees_under_an_opaque_rectangle(void **state)
{
    (void)state;
    ak_image picture = {0}, got = {0};
    made_smooth(&picture);
    int turned[2] = {0};
    for (int i = 0; i < 8; i++) {
        char name[2] = {(char)('a' + i), 0};
        altered(&got, &picture, AK_ALTER_ROTATION, name);
        assert_int_equal(got.width, W);
        assert_int_equal(got.height, H);
        ak_random r = stream_of(AK_ALTER_ROTATION, name);
        bool right = ak_random_below(&r, 2);
        double red = ak_random_below(&r, 256), green = ak_random_below(&r, 256);
        const double colour[3] = {red, green, ak_random_below(&r, 256)};
        int left = (int)ak_random_below(&r, W - 72 + 1), top = (int)ak_random_below(&r, H - 18 + 1);
        turned[right]++;
        expect_colour(&got, left + 36, top + 9, colour);
        // What was at (dx, dy) from the middle is now where a turn by 8 degrees puts it: to the
        // right, that is clockwise as a viewer sees it, y pointing down.
        double angle = (right ? 8 : -8) * M_PI / 180;
        for (int dy = -40; dy <= 40; dy += 10)
            for (int dx = -60; dx <= 60; dx += 10) {
                int x = (int)lround((W - 1) / 2. + dx * cos(angle) - dy * sin(angle));
                int y = (int)lround((H - 1) / 2. + dx * sin(angle) + dy * cos(angle));
                if (x > left - 12 && x < left + 72 + 12 && y > top - 12 && y < top + 18 + 12)
                    continue; // the rectangle and what JPEG spreads about it
                double from_x = (W - 1) / 2. + dx, from_y = (H - 1) / 2. + dy;
                expect_colour(&got, x, y,
                              (double[]){colour_at(from_x, from_y, 0), colour_at(from_x, from_y, 1),
                                         colour_at(from_x, from_y, 2)});
            }
        // Turned about the middle, two corners come from outside: they are black.
        int dark = 0;
        for (int k = 0; k < 4; k++) {
            const uint8_t *at = got.rgb + 3 * (k / 2 * (H - 1) * W + k % 2 * (W - 1));
            dark += at[0] < 12 && at[1] < 12 && at[2] < 12;
        }
        assert_true(dark >= 2);
    }
    assert_true(turned[0] > 0 && turned[1] > 0);
    ak_image_clear(&got);
    ak_image_clear(&picture);
}

// Where a crop of the smooth picture was: its means of red and green tell.
static void centre_of(double at[2], const ak_image *crop)
{
    double sum[2] = {0};
    size_t n = (size_t)crop->width * (size_t)crop->height;
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 2; c++)
            sum[c] += crop->rgb[3 * i + (size_t)c];
    at[0] = sum[0] / (double)n - 20;
    at[1] = (sum[1] / (double)n - 20) / 1.5;
}

static void two_parts_of_a_picture_hardly_overlap(void **state)
{
    (void)state;
    ak_image picture = {0}, part = {0};
    made_smooth(&picture);
    double most = 0;
    for (int i = 0; i < 60; i++) {
        char name[16];
        double centre[2][2];
        snprintf(name, sizeof name, "%d", i);
        for (int k = 0; k < 2; k++) {
            altered(&part, &picture, k ? AK_ALTER_PART_B : AK_ALTER_PART_A, name);
            assert_int_equal(part.width, 99); // sqrt(0.3) 180 = 98.6
            assert_int_equal(part.height, 66);
            centre_of(centre[k], &part);
        }
        double across = fmax(0, 99 - fabs(centre[0][0] - centre[1][0]));
        double down = fmax(0, 66 - fabs(centre[0][1] - centre[1][1]));
        double both = across * down, iou = both / (2 * 99 * 66 - both);
        most = fmax(most, iou);
    }
    assert_true(most < 0.11); // the centres are known to half a pixel or so
    assert_true(most > 0.01); // in so narrow a picture they touch
    ak_image_clear(&part);
    ak_image_clear(&picture);
}

static void
every_alteration_takes_the_smallest_pictures_and_gives_the_same_bytes_again(void **state)
{
    (void)state;
    static const int sizes[][2] = {{1, 1}, {1, 40}, {3, 2}, {97, 31}};
    ak_image picture = {0};
    ak_error err;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int how = 0; how < AK_ALTER_COUNT; how++) {
            ak_buf a = {0}, b = {0}, c = {0};
            made_scene(&picture, sizes[s][0], sizes[s][1]);
            assert_int_equal(ak_alter(&a, &picture, how, 1, "n", &err), AK_OK);
            assert_int_equal(ak_alter(&b, &picture, how, 1, "n", &err), AK_OK);
            assert_int_equal(ak_alter(&c, &picture, how, 2, "n", &err), AK_OK);
            assert_true(a.n == b.n && !memcmp(a.at, b.at, a.n));
            if (s == 3 && how != AK_ALTER_JPEG && how != AK_ALTER_BLUR && how != AK_ALTER_MIRROR)
                assert_true(a.n != c.n || memcmp(a.at, c.at, a.n)); // another seed
            ak_buf_clear(&a);
            ak_buf_clear(&b);
            ak_buf_clear(&c);
        }
    ak_image_clear(&picture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crop_and_mirror_are_where_the_random_numbers_say),
        cmocka_unit_test(colours_are_shifted_as_the_random_numbers_say),
        cmocka_unit_test(blur_is_the_gaussian),
        cmocka_unit_test(recompressed_copy_is_a_third_as_wide_and_coarse),
        cmocka_unit_test(rotation_turns_by_8_degrees_under_an_opaque_rectangle),
        cmocka_unit_test(two_parts_of_a_picture_hardly_overlap),
        cmocka_unit_test(
            every_alteration_takes_the_smallest_pictures_and_gives_the_same_bytes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
