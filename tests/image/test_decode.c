// What each kind of file becomes in pixels.
#include "tests/image/made.h"

static void every_format_survives_a_round_trip(void **state)
{
    (void)state;
    static const int sizes[][2] = {{64, 48}, {1, 1}, {33, 17}, {50, 301}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ak_error err;
        ak_image before = {0}, after = {0};
        ak_buf file = {0};
        made_scene(&before, sizes[i][0], sizes[i][1]);
        assert_int_equal(ak_image_encode_png(&file, &before, &err), AK_OK);
        assert_int_equal(ak_format_sniff(ak_buf_bytes(&file)), AK_FORMAT_PNG);
        decode_ok(&after, &file);
        assert_true(difference(&before, &after) == 0);
        file.n = 0;
        assert_int_equal(ak_image_encode_jpeg(&file, &before, 95, &err), AK_OK);
        assert_int_equal(ak_format_sniff(ak_buf_bytes(&file)), AK_FORMAT_JPEG);
        decode_ok(&after, &file);
        assert_true(difference(&before, &after) < 6);
        file.n = 0;
        assert_int_equal(ak_image_encode_webp(&file, &before, 95, &err), AK_OK);
        assert_int_equal(ak_format_sniff(ak_buf_bytes(&file)), AK_FORMAT_WEBP);
        decode_ok(&after, &file);
        assert_true(difference(&before, &after) < 9);
        ak_buf_clear(&file);
        ak_image_clear(&before);
        ak_image_clear(&after);
    }
}

static void encoding_appends(void **state)
{
    (void)state;
    ak_error err;
    ak_image image = {0};
    ak_buf file = {0};
    made_scene(&image, 20, 20);
    assert_true(ak_buf_append(&file, "head", 4));
    assert_int_equal(ak_image_encode_jpeg(&file, &image, 80, &err), AK_OK);
    assert_int_equal(ak_image_encode_webp(&file, &image, 80, &err), AK_OK);
    assert_int_equal(ak_image_encode_png(&file, &image, &err), AK_OK);
    assert_memory_equal(file.at, "head\xff\xd8", 6);
    ak_buf_clear(&file);
    ak_image_clear(&image);
}

static void what_a_format_cannot_hold_is_refused_and_nothing_appended(void **state)
{
    (void)state;
    ak_error err;
    ak_image image = {0};
    ak_buf file = {0};
    assert_int_equal(ak_image_init(&image, 70000, 1, &err), AK_OK);
    memset(image.rgb, 9, 70000 * 3);
    assert_int_equal(ak_image_encode_jpeg(&file, &image, 80, &err), AK_IMAGE_TOO_LARGE);
    assert_int_equal(ak_image_encode_webp(&file, &image, 80, &err), AK_IMAGE_TOO_LARGE);
    assert_int_equal(file.n, 0);
    ak_image_clear(&image);
}

static void grey_jpeg_becomes_grey_rgb(void **state)
{
    (void)state;
    uint8_t grey[40 * 30];
    ak_image image = {0};
    ak_buf file = {0};
    for (size_t i = 0; i < sizeof grey; i++)
        grey[i] = (uint8_t)(i % 40 * 6);
    made_jpeg(&file, grey, 40, 30,
              (made_jpeg_kind){1, JCS_GRAYSCALE, JCS_GRAYSCALE, false, NULL, 0});
    decode_ok(&image, &file);
    for (int x = 0; x < 40; x++)
        check_pixel(&image, x, 15, x * 6, x * 6, x * 6, 4);
    ak_buf_clear(&file);
    ak_image_clear(&image);
}

// libjpeg writes an Adobe marker for CMYK and YCCK, and stores samples as they are given: Adobe's
// readers, and this one, take them as 255 - ink.
static void adobe_cmyk_jpeg_is_inverted_into_rgb(void **state)
{
    (void)state;
    static const struct {
        uint8_t cmyk[4], rgb[3];
    } known[] = {
        {{255, 255, 255, 255}, {255, 255, 255}}, // no ink
        {{0, 255, 255, 255}, {0, 255, 255}},     // cyan
        {{255, 255, 0, 255}, {255, 255, 0}},     // yellow
        {{255, 255, 255, 0}, {0, 0, 0}},         // black
        {{200, 100, 50, 128}, {100, 50, 25}},
    };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        for (int ycck = 0; ycck < 2; ycck++) {
            uint8_t samples[16 * 16 * 4];
            ak_image image = {0};
            ak_buf file = {0};
            for (size_t i = 0; i < 256; i++)
                memcpy(samples + 4 * i, known[k].cmyk, 4);
            made_jpeg(&file, samples, 16, 16,
                      (made_jpeg_kind){4, JCS_CMYK, ycck ? JCS_YCCK : JCS_CMYK, false, NULL, 0});
            decode_ok(&image, &file);
            check_pixel(&image, 7, 9, known[k].rgb[0], known[k].rgb[1], known[k].rgb[2], 4);
            ak_buf_clear(&file);
            ak_image_clear(&image);
        }
}

static void cmyk_without_adobe_marker_is_ink(void **state)
{
    (void)state;
    uint8_t samples[16 * 16 * 4] = {0};
    ak_image image = {0};
    ak_buf file = {0};
    for (size_t i = 0; i < 256; i++)
        samples[4 * i] = 255; // all cyan, nothing else
    made_jpeg(&file, samples, 16, 16, (made_jpeg_kind){4, JCS_CMYK, JCS_CMYK, false, NULL, 0});
    uint8_t *marker = memmem(file.at, file.n,
                             "\xff\xee\0\x0e"
                             "Adobe",
                             9);
    assert_non_null(marker);
    marker[4] = 'X';
    decode_ok(&image, &file);
    check_pixel(&image, 3, 3, 0, 255, 255, 4);
    ak_buf_clear(&file);
    ak_image_clear(&image);
}

static void progressive_jpeg_equals_baseline(void **state)
{
    (void)state;
    ak_image scene = {0}, a = {0}, b = {0};
    ak_buf file = {0};
    made_scene(&scene, 67, 45);
    made_jpeg(&file, scene.rgb, 67, 45, (made_jpeg_kind){3, JCS_RGB, JCS_YCbCr, false, NULL, 0});
    decode_ok(&a, &file);
    made_jpeg(&file, scene.rgb, 67, 45, (made_jpeg_kind){3, JCS_RGB, JCS_YCbCr, true, NULL, 0});
    decode_ok(&b, &file);
    assert_true(difference(&a, &b) == 0);
    ak_buf_clear(&file);
    ak_image_clear(&scene);
    ak_image_clear(&a);
    ak_image_clear(&b);
}

// One scan for DC, then one a coefficient and component.
static void made_many_scans(ak_buf *file, int components)
{
    jpeg_scan_info scans[1 + 3 * 63] = {
        {.comps_in_scan = components, .component_index = {0, 1, 2}}};
    ak_image scene = {0};
    int n = 1;
    for (int c = 0; c < components; c++)
        for (int k = 1; k < 64; k++)
            scans[n++] =
                (jpeg_scan_info){.comps_in_scan = 1, .component_index = {c}, .Ss = k, .Se = k};
    made_scene(&scene, 48, 32);
    J_COLOR_SPACE stored = components == 3 ? JCS_YCbCr : JCS_GRAYSCALE;
    made_jpeg(file, scene.rgb, 48, 32, (made_jpeg_kind){3, JCS_RGB, stored, false, scans, n});
    ak_image_clear(&scene);
}

static void a_jpeg_with_190_scans_is_refused_and_one_with_64_is_not(void **state)
{
    (void)state;
    ak_error err;
    ak_image image = {0};
    ak_buf file = {0};
    made_many_scans(&file, 1);
    decode_ok(&image, &file);
    made_many_scans(&file, 3);
    assert_int_equal(decode(&image, ak_buf_bytes(&file), 0, &err), AK_BROKEN_IMAGE);
    assert_non_null(strstr(err.text, "100 scans"));
    ak_buf_clear(&file);
    ak_image_clear(&image);
}

static void sixteen_bit_png_is_rounded(void **state)
{
    (void)state;
    enum { N = 256 };
    uint8_t rows[N * 6];
    ak_image image = {0};
    ak_buf file = {0};
    for (int x = 0; x < N; x++)
        for (int c = 0; c < 3; c++) {
            unsigned sample = (unsigned)(x * 257 + (c - 1) * 120); // nearest to x, whatever c
            sample = x == 0 && c == 0 ? 0 : x == 255 && c == 2 ? 65535 : sample;
            rows[x * 6 + c * 2] = (uint8_t)(sample >> 8);
            rows[x * 6 + c * 2 + 1] = (uint8_t)sample;
        }
    made_png(&file, rows, sizeof rows, N, 1,
             (made_png_kind){.depth = 16, .type = PNG_COLOR_TYPE_RGB});
    decode_ok(&image, &file);
    for (int x = 0; x < N; x++)
        check_pixel(&image, x, 0, x, x, x, 0);
    ak_buf_clear(&file);
    ak_image_clear(&image);
}

static void one_bit_and_grey_alpha_png_are_expanded(void **state)
{
    (void)state;
    const uint8_t bits[2] = {0xa5, 0x80}, pairs[6] = {100, 255, 100, 0, 100, 128};
    ak_image image = {0};
    ak_buf file = {0};
    made_png(&file, bits, 2, 9, 1, (made_png_kind){.depth = 1, .type = PNG_COLOR_TYPE_GRAY});
    decode_ok(&image, &file);
    for (int x = 0; x < 9; x++) {
        int v = bits[x / 8] >> (7 - x % 8) & 1 ? 255 : 0;
        check_pixel(&image, x, 0, v, v, v, 0);
    }
    made_png(&file, pairs, 6, 3, 1, (made_png_kind){.depth = 8, .type = PNG_COLOR_TYPE_GRAY_ALPHA});
    decode_ok(&image, &file);
    check_pixel(&image, 0, 0, 100, 100, 100, 0);
    check_pixel(&image, 1, 0, 255, 255, 255, 0);
    check_pixel(&image, 2, 0, 177, 177, 177, 0);
    ak_buf_clear(&file);
    ak_image_clear(&image);
}

static void palette_png_takes_its_colours_and_lies_on_white(void **state)
{
    (void)state;
    const png_color palette[3] = {{10, 20, 30}, {200, 100, 0}, {0, 0, 0}};
    const uint8_t alpha[3] = {255, 255, 0}, rows[4] = {0, 1, 2, 1};
    ak_image image = {0};
    ak_buf file = {0};
    made_png_kind kind = {
        .depth = 8, .type = PNG_COLOR_TYPE_PALETTE, .palette = palette, .palette_count = 3};
    made_png(&file, rows, 2, 2, 2, kind);
    decode_ok(&image, &file);
    check_pixel(&image, 0, 0, 10, 20, 30, 0);
    check_pixel(&image, 1, 0, 200, 100, 0, 0);
    check_pixel(&image, 0, 1, 0, 0, 0, 0);
    kind.palette_alpha = alpha;
    kind.alpha_count = 3;
    made_png(&file, rows, 2, 2, 2, kind);
    decode_ok(&image, &file);
    check_pixel(&image, 1, 1, 200, 100, 0, 0);
    check_pixel(&image, 0, 1, 255, 255, 255, 0);
    ak_buf_clear(&file);
    ak_image_clear(&image);
}

static void made_ramp(uint8_t rgba[64 * 64 * 4])
{
    for (int i = 0; i < 64 * 64; i++) {
        rgba[4 * i] = 200;
        rgba[4 * i + 1] = 40;
        rgba[4 * i + 2] = 0;
        rgba[4 * i + 3] = (uint8_t)(i % 64 * 255 / 63);
    }
}

static int on_white(int colour, int x)
{
    int alpha = x * 255 / 63;
    return (colour * alpha + 255 * (255 - alpha)) / 255;
}

static void transparent_png_lies_on_white_interlaced_or_not(void **state)
{
    (void)state;
    uint8_t rgba[64 * 64 * 4];
    made_ramp(rgba);
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        ak_image image = {0};
        ak_buf file = {0};
        made_png(&file, rgba, 256, 64, 64,
                 (made_png_kind){
                     .depth = 8, .type = PNG_COLOR_TYPE_RGBA, .interlaced = interlaced == 1});
        decode_ok(&image, &file);
        for (int x = 0; x < 64; x++)
            check_pixel(&image, x, 31, on_white(200, x), on_white(40, x), on_white(0, x), 1);
        ak_buf_clear(&file);
        ak_image_clear(&image);
    }
}

static void transparent_webp_lies_on_white(void **state)
{
    (void)state;
    uint8_t rgba[64 * 64 * 4];
    made_ramp(rgba);
    for (int lossless = 0; lossless < 2; lossless++) {
        ak_image image = {0};
        ak_buf file = {0};
        made_webp_rgba(&file, rgba, 64, 64, lossless == 1);
        decode_ok(&image, &file);
        // Lossless files drop the colour under alpha 0, which is white anyway.
        for (int x = 0; x < 64; x++)
            check_pixel(&image, x, 31, on_white(200, x), on_white(40, x), on_white(0, x),
                        lossless ? 1 : 12);
        ak_buf_clear(&file);
        ak_image_clear(&image);
    }
}

static void interlaced_png_equals_plain_png(void **state)
{
    (void)state;
    ak_image scene = {0}, image = {0};
    ak_buf file = {0};
    made_scene(&scene, 37, 29);
    made_png(&file, scene.rgb, 37 * 3, 37, 29,
             (made_png_kind){.depth = 8, .type = PNG_COLOR_TYPE_RGB, .interlaced = true});
    decode_ok(&image, &file);
    assert_true(difference(&scene, &image) == 0);
    ak_buf_clear(&file);
    ak_image_clear(&scene);
    ak_image_clear(&image);
}

static void animated_webp_gives_its_first_frame_on_white(void **state)
{
    (void)state;
    ak_error err;
    ak_image image = {0}, scene = {0}, part = {0};
    ak_buf file = {0};
    made_animation(&file);
    made_scene(&scene, 32, 24);
    decode_ok(&image, &file);
    assert_int_equal(image.width, 64);
    assert_int_equal(image.height, 48);
    check_pixel(&image, 0, 0, 255, 255, 255, 0);
    check_pixel(&image, 40, 28, 255, 255, 255, 0);
    assert_int_equal(ak_image_crop(&part, &image, 8, 4, 32, 24, &err), AK_OK);
    assert_true(difference(&part, &scene) == 0);
    ak_buf_clear(&file);
    ak_image_clear(&image);
    ak_image_clear(&scene);
    ak_image_clear(&part);
}

static void a_reduced_picture_keeps_its_least_side_and_looks(void **state)
{
    (void)state;
    ak_error err;
    ak_image scene = {0}, reduced = {0}, small = {0}, want = {0};
    ak_buf jpeg = {0}, webp = {0}, png = {0};
    made_scene(&scene, 611, 403);
    assert_int_equal(ak_image_encode_jpeg(&jpeg, &scene, 95, &err), AK_OK);
    assert_int_equal(ak_image_encode_webp(&webp, &scene, 95, &err), AK_OK);
    assert_int_equal(ak_image_encode_png(&png, &scene, &err), AK_OK);
    assert_int_equal(ak_image_resize(&want, &scene, 30, 20, &err), AK_OK);
    const ak_buf *files[] = {&jpeg, &webp, &png};
    bool was_reduced[3] = {false};
    for (int f = 0; f < 3; f++)
        for (int least = 1; least < 500; least += 13) {
            assert_int_equal(decode(&reduced, ak_buf_bytes(files[f]), least, &err), AK_OK);
            int bound = least < 403 ? least : 403;
            assert_true(reduced.height >= bound && reduced.height <= 403);
            assert_true(abs(reduced.width * 403 - 611 * reduced.height) <= 611 + 403);
            was_reduced[f] |= reduced.height < 403;
            if (least < 60)
                continue;
            assert_int_equal(ak_image_resize(&small, &reduced, 30, 20, &err), AK_OK);
            assert_true(difference(&small, &want) < 5);
        }
    assert_true(was_reduced[0] && was_reduced[1]);
    ak_buf_clear(&jpeg);
    ak_buf_clear(&webp);
    ak_buf_clear(&png);
    ak_image_clear(&scene);
    ak_image_clear(&reduced);
    ak_image_clear(&small);
    ak_image_clear(&want);
}

static void crop_takes_the_region_and_refuses_one_outside(void **state)
{
    (void)state;
    ak_error err;
    ak_image scene = {0}, part = {0};
    made_scene(&scene, 20, 10);
    assert_int_equal(ak_image_crop(&part, &scene, 5, 3, 15, 7, &err), AK_OK);
    for (int y = 0; y < 7; y++)
        assert_memory_equal(part.rgb + y * 45, scene.rgb + ((y + 3) * 20 + 5) * 3, 45);
    static const int bad[][4] = {{-1, 0, 5, 5},        {0, -1, 5, 5},       {16, 0, 5, 5},
                                 {0, 6, 5, 5},         {0, 0, 0, 5},        {0, 0, 5, 0},
                                 {1, 1, INT32_MAX, 5}, {1, 1, 5, INT32_MAX}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(
            ak_image_crop(&part, &scene, bad[i][0], bad[i][1], bad[i][2], bad[i][3], &err),
            AK_BAD_VALUE);
    ak_image_clear(&scene);
    ak_image_clear(&part);
}

static void formats_have_names_and_media_types(void **state)
{
    (void)state;
    assert_string_equal(ak_format_name(AK_FORMAT_JPEG), "jpeg");
    assert_string_equal(ak_format_media(AK_FORMAT_PNG), "image/png");
    assert_string_equal(ak_format_media(AK_FORMAT_WEBP), "image/webp");
    assert_int_equal(ak_format_sniff((ak_bytes){(const uint8_t *)"RIFF1234WAVE", 12}),
                     AK_FORMAT_NONE);
    assert_int_equal(ak_format_sniff((ak_bytes){NULL, 0}), AK_FORMAT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_survives_a_round_trip),
        cmocka_unit_test(encoding_appends),
        cmocka_unit_test(what_a_format_cannot_hold_is_refused_and_nothing_appended),
        cmocka_unit_test(grey_jpeg_becomes_grey_rgb),
        cmocka_unit_test(adobe_cmyk_jpeg_is_inverted_into_rgb),
        cmocka_unit_test(cmyk_without_adobe_marker_is_ink),
        cmocka_unit_test(progressive_jpeg_equals_baseline),
        cmocka_unit_test(a_jpeg_with_190_scans_is_refused_and_one_with_64_is_not),
        cmocka_unit_test(sixteen_bit_png_is_rounded),
        cmocka_unit_test(one_bit_and_grey_alpha_png_are_expanded),
        cmocka_unit_test(palette_png_takes_its_colours_and_lies_on_white),
        cmocka_unit_test(transparent_png_lies_on_white_interlaced_or_not),
        cmocka_unit_test(transparent_webp_lies_on_white),
        cmocka_unit_test(interlaced_png_equals_plain_png),
        cmocka_unit_test(animated_webp_gives_its_first_frame_on_white),
        cmocka_unit_test(a_reduced_picture_keeps_its_least_side_and_looks),
        cmocka_unit_test(crop_takes_the_region_and_refuses_one_outside),
        cmocka_unit_test(formats_have_names_and_media_types),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
