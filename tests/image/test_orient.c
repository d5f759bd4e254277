// EXIF orientation, from every container, in either byte order.
#include "tests/image/made.h"

// Where the stored quarters (red, green / blue, white) are once the picture is upright: by EXIF's
// definition of which side of the scene the first row and the first column are.
static const char upright[9][5] = {"",     "rgbw", "grwb", "wbgr", "bwrg",
                                   "rbgw", "brwg", "wgbr", "gwrb"};

static void check_quarters(const ak_image *image, int orientation, int width, int height)
{
    const char *want = upright[orientation];
    bool swap = orientation > 4;
    assert_int_equal(image->width, swap ? height : width);
    assert_int_equal(image->height, swap ? width : height);
    for (int i = 0; i < 4; i++) {
        int x = image->width * (i % 2 ? 3 : 1) / 4, y = image->height * (i / 2 ? 3 : 1) / 4;
        bool white = want[i] == 'w';
        check_pixel(image, x, y, white || want[i] == 'r' ? 255 : 0,
                    white || want[i] == 'g' ? 255 : 0, white || want[i] == 'b' ? 255 : 0, 12);
    }
}

static void check_peek(const ak_buf *file, int orientation, int width, int height)
{
    ak_error err;
    ak_image_info info;
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    bool swap = orientation > 4;
    assert_int_equal(ak_image_peek(&info, ak_buf_bytes(file), &limits, &err), AK_OK);
    assert_int_equal(info.orientation, orientation);
    assert_int_equal(info.width, swap ? height : width);
    assert_int_equal(info.height, swap ? width : height);
}

static void jpeg_is_turned_upright_for_all_8_orientations(void **state)
{
    (void)state;
    ak_error err;
    ak_image stored = {0}, image = {0};
    ak_buf plain = {0}, file = {0};
    made_quarters(&stored, 96, 64);
    assert_int_equal(ak_image_encode_jpeg(&plain, &stored, 95, &err), AK_OK);
    for (int orientation = 1; orientation <= 8; orientation++)
        for (int big = 0; big < 2; big++) {
            made_exif_jpeg(&file, &plain, orientation, big == 1);
            check_peek(&file, orientation, 96, 64);
            decode_ok(&image, &file);
            check_quarters(&image, orientation, 96, 64);
            assert_int_equal(decode(&image, ak_buf_bytes(&file), 16, &err), AK_OK);
            check_quarters(&image, orientation, 24, 16); // turned as well when it is reduced
        }
    ak_buf_clear(&plain);
    ak_buf_clear(&file);
    ak_image_clear(&stored);
    ak_image_clear(&image);
}

static void png_and_webp_are_turned_upright_too(void **state)
{
    (void)state;
    ak_image stored = {0}, image = {0};
    ak_buf plain = {0}, file = {0};
    uint8_t rgba[34 * 22 * 4], tiff[32] = {'E', 'x', 'i', 'f', 0, 0};
    made_quarters(&stored, 34, 22);
    for (size_t i = 0; i < 34 * 22; i++) {
        memcpy(rgba + 4 * i, stored.rgb + 3 * i, 3);
        rgba[4 * i + 3] = 255;
    }
    made_webp_rgba(&plain, rgba, 34, 22, true);
    for (int orientation = 1; orientation <= 8; orientation++) {
        made_png(
            &file, stored.rgb, 34 * 3, 34, 22,
            (made_png_kind){.depth = 8, .type = PNG_COLOR_TYPE_RGB, .orientation = orientation});
        check_peek(&file, orientation, 34, 22);
        decode_ok(&image, &file);
        check_quarters(&image, orientation, 34, 22);
        for (size_t prefix = 0; prefix <= 6; prefix += 6) { // writers disagree about the prefix
            made_tiff(tiff + 6, orientation, false);
            made_webp_begin(&file, 0x08, 34, 22);
            assert_true(ak_buf_append(&file, plain.at + 12, plain.n - 12));
            put_chunk(&file, "EXIF", tiff + prefix, sizeof tiff - prefix);
            made_webp_end(&file);
            check_peek(&file, orientation, 34, 22);
            decode_ok(&image, &file);
            check_quarters(&image, orientation, 34, 22);
        }
    }
    ak_buf_clear(&plain);
    ak_buf_clear(&file);
    ak_image_clear(&stored);
    ak_image_clear(&image);
}

static void exif_without_sense_is_as_none(void **state)
{
    (void)state;
    ak_error err;
    ak_image stored = {0};
    ak_buf plain = {0}, file = {0};
    made_quarters(&stored, 20, 10);
    assert_int_equal(ak_image_encode_jpeg(&plain, &stored, 95, &err), AK_OK);
    static const int bad[] = {0, 9, 255};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        made_exif_jpeg(&file, &plain, bad[i], false);
        check_peek(&file, 1, 20, 10);
    }
    // Every byte of the block broken in turn: never an error, never a size that is not the file's.
    for (size_t at = 6; at < 38; at++) {
        ak_image_info info;
        ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
        made_exif_jpeg(&file, &plain, 6, false);
        file.at[at] ^= 0xff;
        assert_int_equal(ak_image_peek(&info, ak_buf_bytes(&file), &limits, &err), AK_OK);
        assert_int_equal(info.width + info.height, 30);
    }
    ak_buf_clear(&plain);
    ak_buf_clear(&file);
    ak_image_clear(&stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jpeg_is_turned_upright_for_all_8_orientations),
        cmocka_unit_test(png_and_webp_are_turned_upright_too),
        cmocka_unit_test(exif_without_sense_is_as_none),
    };
    return cmocka_run_group_tests_name("orient", tests, NULL, NULL);
}
