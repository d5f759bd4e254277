// The proxy: its size, and that what is embedded now is what will be read later.
#include "tests/image/made.h"

static void make(ak_image *pixels, ak_buf *jpeg, const ak_buf *original)
{
    ak_error err;
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    jpeg->n = 0;
    if (ak_proxy_make(pixels, jpeg, ak_buf_bytes(original), &limits, &err) != AK_OK)
        fail_msg("%s", err.text);
}

static void proxies_shrink_to_their_side_and_never_grow(void **state)
{
    (void)state;
    static const int sizes[][4] = {
        {600, 400, 384, 256},   {400, 600, 256, 384}, {256, 300, 256, 300}, {255, 100, 255, 100},
        {1, 1, 1, 1},           {257, 257, 256, 256}, {9000, 90, 2048, 20}, {3000, 300, 2048, 205},
        {2048, 256, 2048, 256}, {1, 5000, 1, 2048},
    };
    ak_error err;
    ak_image scene = {0}, pixels = {0};
    ak_buf file = {0}, jpeg = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        made_scene(&scene, sizes[i][0], sizes[i][1]);
        file.n = 0;
        assert_int_equal(ak_image_encode_jpeg(&file, &scene, 90, &err), AK_OK);
        make(&pixels, &jpeg, &file);
        assert_int_equal(pixels.width, sizes[i][2]);
        assert_int_equal(pixels.height, sizes[i][3]);
    }
    ak_image_clear(&scene);
    ak_image_clear(&pixels);
    ak_buf_clear(&file);
    ak_buf_clear(&jpeg);
}

static void what_is_embedded_now_is_what_is_read_later(void **state)
{
    (void)state;
    ak_error err;
    ak_image pixels = {0}, read = {0};
    ak_buf file = {0}, jpeg = {0}, again = {0};
    for (int kind = 0; kind < MADE_KINDS; kind++) {
        made_any(&file, kind);
        make(&pixels, &jpeg, &file);
        assert_int_equal(ak_proxy_read(&read, ak_buf_bytes(&jpeg), &err), AK_OK);
        assert_true(difference(&pixels, &read) == 0);
        make(&read, &again, &file);
        assert_int_equal(again.n, jpeg.n);
        assert_memory_equal(again.at, jpeg.at, jpeg.n);
    }
    ak_image_clear(&pixels);
    ak_image_clear(&read);
    ak_buf_clear(&file);
    ak_buf_clear(&jpeg);
    ak_buf_clear(&again);
}

static void the_proxy_of_a_proxy_keeps_its_size_and_nearly_its_pixels(void **state)
{
    (void)state;
    ak_error err;
    ak_image scene = {0}, first = {0}, second = {0};
    ak_buf file = {0}, jpeg = {0}, again = {0};
    made_scene(&scene, 1000, 700);
    assert_int_equal(ak_image_encode_png(&file, &scene, &err), AK_OK);
    make(&first, &jpeg, &file);
    make(&second, &again, &jpeg);
    assert_true(difference(&first, &second) < 3);
    ak_image_clear(&scene);
    ak_image_clear(&first);
    ak_image_clear(&second);
    ak_buf_clear(&file);
    ak_buf_clear(&jpeg);
    ak_buf_clear(&again);
}

static void a_proxy_is_upright_and_says_so(void **state)
{
    (void)state;
    ak_error err;
    ak_image_info info;
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    ak_image stored = {0}, pixels = {0};
    ak_buf plain = {0}, file = {0}, jpeg = {0};
    made_quarters(&stored, 900, 600);
    assert_int_equal(ak_image_encode_jpeg(&plain, &stored, 95, &err), AK_OK);
    made_exif_jpeg(&file, &plain, 6, true);
    make(&pixels, &jpeg, &file);
    assert_int_equal(pixels.width, 256);
    assert_int_equal(pixels.height, 384);
    check_pixel(&pixels, 250, 5, 255, 0, 0, 12); // the stored first pixel, now at the right
    assert_int_equal(ak_image_peek(&info, ak_buf_bytes(&jpeg), &limits, &err), AK_OK);
    assert_int_equal(info.orientation, 1);
    assert_int_equal(info.width, 256);
    ak_image_clear(&stored);
    ak_image_clear(&pixels);
    ak_buf_clear(&plain);
    ak_buf_clear(&file);
    ak_buf_clear(&jpeg);
}

static void a_failed_proxy_appends_nothing(void **state)
{
    (void)state;
    ak_error err;
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    ak_image pixels = {0};
    ak_buf file = {0}, jpeg = {0};
    made_any(&file, 0);
    assert_true(ak_buf_append(&jpeg, "before", 6));
    assert_int_equal(ak_proxy_make(&pixels, &jpeg, (ak_bytes){file.at, file.n / 2}, &limits, &err),
                     AK_BROKEN_IMAGE);
    assert_int_equal(jpeg.n, 6);
    limits.side = 10;
    assert_int_equal(ak_proxy_make(&pixels, &jpeg, ak_buf_bytes(&file), &limits, &err),
                     AK_IMAGE_TOO_LARGE);
    assert_int_equal(jpeg.n, 6);
    ak_image_clear(&pixels);
    ak_buf_clear(&file);
    ak_buf_clear(&jpeg);
}

static void what_is_larger_than_a_proxy_is_not_read_as_one(void **state)
{
    (void)state;
    ak_error err;
    ak_image scene = {0}, pixels = {0};
    ak_buf file = {0};
    made_scene(&scene, 2049, 20);
    assert_int_equal(ak_image_encode_jpeg(&file, &scene, 85, &err), AK_OK);
    assert_int_equal(ak_proxy_read(&pixels, ak_buf_bytes(&file), &err), AK_IMAGE_TOO_LARGE);
    ak_image_clear(&scene);
    ak_image_clear(&pixels);
    ak_buf_clear(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proxies_shrink_to_their_side_and_never_grow),
        cmocka_unit_test(what_is_embedded_now_is_what_is_read_later),
        cmocka_unit_test(the_proxy_of_a_proxy_keeps_its_size_and_nearly_its_pixels),
        cmocka_unit_test(a_proxy_is_upright_and_says_so),
        cmocka_unit_test(a_failed_proxy_appends_nothing),
        cmocka_unit_test(what_is_larger_than_a_proxy_is_not_read_as_one),
    };
    return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
