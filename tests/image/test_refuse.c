// What is refused, and that it is refused before memory is asked for.
#include "tests/image/made.h"

// The largest request for memory since it was set to 0. A sanitizer has its own malloc.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define WATCHED 1
static size_t largest;
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t size);
void *__libc_memalign(size_t alignment, size_t n);

static void watch(size_t n)
{
    if (n > largest)
        largest = n;
}

void *malloc(size_t n)
{
    watch(n);
    return __libc_malloc(n);
}

void *calloc(size_t count, size_t size)
{
    watch(count * size);
    return __libc_calloc(count, size);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    watch(n);
    return __libc_memalign(alignment, n);
}
#else
#define WATCHED 0
static size_t largest;
#endif

static ak_status try(const void *at, size_t n, ak_error *err)
{
    ak_image image = {0};
    ak_image_info info;
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    ak_status peeked = ak_image_peek(&info, (ak_bytes){at, n}, &limits, err);
    ak_status decoded = ak_image_decode(&image, (ak_bytes){at, n}, 0, &limits, err);
    if (peeked != AK_OK)
        assert_int_equal(decoded, peeked);
    if (decoded != AK_OK) {
        assert_null(image.rgb);
        assert_int_equal(err->status, decoded);
        assert_true(strlen(err->text) > 0);
    }
    ak_image_clear(&image);
    return decoded;
}

static void bytes_that_are_no_picture_are_not_an_image(void **state)
{
    (void)state;
    ak_error err;
    assert_int_equal(try(NULL, 0, &err), AK_NOT_AN_IMAGE);
    assert_non_null(strstr(err.text, "empty"));
    for (int byte = 0; byte < 256; byte++) {
        uint8_t one = (uint8_t)byte;
        assert_int_equal(try(&one, 1, &err), AK_NOT_AN_IMAGE);
    }
    assert_int_equal(try("a line of text that is no picture\n", 34, &err), AK_NOT_AN_IMAGE);
    assert_int_equal(try("GIF89a\1\0\1\0", 10, &err), AK_NOT_AN_IMAGE);
    assert_int_equal(try("<svg xmlns='http://www.w3.org/2000/svg'/>", 41, &err), AK_NOT_AN_IMAGE);
}

static void signatures_alone_are_broken(void **state)
{
    (void)state;
    ak_error err;
    assert_int_equal(try("\xff\xd8\xff", 3, &err), AK_BROKEN_IMAGE);
    assert_int_equal(try("\x89PNG\r\n\x1a\n", 8, &err), AK_BROKEN_IMAGE);
    assert_int_equal(try("RIFF\4\0\0\0WEBP", 12, &err), AK_BROKEN_IMAGE);
}

static void truncated_files_are_refused_wherever_they_are_cut(void **state)
{
    (void)state;
    ak_error err;
    ak_buf file = {0};
    for (int kind = 0; kind < MADE_KINDS; kind++) {
        const char *name = made_any(&file, kind);
        assert_int_equal(try(file.at, file.n, &err), AK_OK);
        for (size_t i = 0; i <= 16; i++) {
            size_t n = i < 16 ? file.n * i / 16 : file.n - 1;
            // A copy of its own length, so that the sanitizer sees a read behind the cut.
            uint8_t *cut = malloc(n ? n : 1);
            memcpy(cut, file.at, n);
            ak_status status = try(cut, n, &err);
            if (status != AK_BROKEN_IMAGE && !(n < 12 && status == AK_NOT_AN_IMAGE))
                fail_msg("%s cut to %zu of %zu bytes: %s", name, n, file.n, ak_status_code(status));
            free(cut);
        }
    }
    ak_buf_clear(&file);
}

static void truncated_jpeg_is_refused_when_reduced_too(void **state)
{
    (void)state;
    ak_error err;
    ak_image scene = {0}, image = {0};
    ak_buf file = {0};
    made_scene(&scene, 400, 300);
    assert_int_equal(ak_image_encode_jpeg(&file, &scene, 85, &err), AK_OK);
    assert_int_equal(decode(&image, (ak_bytes){file.at, file.n * 15 / 16}, 32, &err),
                     AK_BROKEN_IMAGE);
    assert_non_null(strstr(err.text, "remature end"));
    ak_buf_clear(&file);
    ak_image_clear(&scene);
    ak_image_clear(&image);
}

static void bytes_between_segments_of_a_jpeg_are_tolerated(void **state)
{
    (void)state;
    ak_error err;
    ak_image scene = {0};
    ak_buf file = {0}, odd = {0};
    made_scene(&scene, 40, 30);
    assert_int_equal(ak_image_encode_jpeg(&file, &scene, 85, &err), AK_OK);
    assert_true(ak_buf_append(&odd, file.at, file.n));
    assert_true(ak_buf_append(&odd, "trailing", 8)); // as cameras append a preview
    assert_int_equal(try(odd.at, odd.n, &err), AK_OK);
    odd.n = 0;
    assert_true(ak_buf_append(&odd, file.at, 20)); // SOI and JFIF
    assert_true(ak_buf_append(&odd, "junk", 4));
    assert_true(ak_buf_append(&odd, file.at + 20, file.n - 20));
    assert_int_equal(try(odd.at, odd.n, &err), AK_OK);
    ak_buf_clear(&file);
    ak_buf_clear(&odd);
    ak_image_clear(&scene);
}

static void check_claim(const ak_buf *file, const char *claim)
{
    ak_error err;
    largest = 0;
    assert_int_equal(try(file->at, file->n, &err), AK_IMAGE_TOO_LARGE);
    if (WATCHED)
        assert_true(largest < 100000);
    if (!strstr(err.text, claim))
        fail_msg("%s", err.text);
}

static void a_png_that_claims_40000_x_40000_asks_for_no_memory(void **state)
{
    (void)state;
    ak_buf file = {0};
    made_any(&file, 3);
    memcpy(file.at + 16, "\0\0\x9c\x40\0\0\x9c\x40", 8);
    check_claim(&file, "picture is 40000 x 40000; a side has at most 32768");
    memcpy(file.at + 16, "\0\0\x75\x30\0\0\x75\x30", 8);
    check_claim(&file, "picture is 30000 x 30000; at most 100 megapixels");
    ak_buf_clear(&file);
}

static void a_jpeg_that_claims_65500_x_65500_asks_for_no_memory(void **state)
{
    (void)state;
    ak_buf file = {0};
    for (int kind = 0; kind < 2; kind++) {
        made_any(&file, kind);
        uint8_t *frame = memmem(file.at, file.n, kind ? "\xff\xc2\0\x11" : "\xff\xc0\0\x11", 4);
        assert_non_null(frame);
        memcpy(frame + 5, "\xff\xdc\xff\xdc", 4);
        check_claim(&file, "65500 x 65500");
        memcpy(frame + 5, "\xff\xff\xff\xff", 4); // more than libjpeg itself takes
        check_claim(&file, "JPEG");
    }
    ak_buf_clear(&file);
}

static void a_webp_that_claims_16383_x_16383_asks_for_no_memory(void **state)
{
    (void)state;
    ak_buf file = {0};
    made_any(&file, 6);
    memcpy(file.at + 26, "\xff\x3f\xff\x3f", 4); // VP8: width and height behind the start code
    check_claim(&file, "16383 x 16383");
    made_any(&file, 9);
    memcpy(file.at + 24, "\x5f\xea\0\x5f\xea\0", 6); // VP8X: the canvas
    check_claim(&file, "60000 x 60000");
    ak_buf_clear(&file);
}

static void limits_hold_for_pixels_and_sides_apart(void **state)
{
    (void)state;
    ak_error err;
    ak_image_info info;
    ak_image image = {0};
    ak_buf file = {0};
    static const struct {
        size_t pixels;
        int side;
        ak_status want;
    } cases[] = {
        {45 * 37, 45, AK_OK},
        {45 * 37 - 1, 45, AK_IMAGE_TOO_LARGE},
        {45 * 37, 44, AK_IMAGE_TOO_LARGE},
        {1, 100000, AK_IMAGE_TOO_LARGE},
        {100000, 1, AK_IMAGE_TOO_LARGE},
        {0, 0, AK_IMAGE_TOO_LARGE},
        {SIZE_MAX, INT32_MAX, AK_OK},
    };
    for (int kind = 0; kind < MADE_KINDS - 1; kind++) {
        made_any(&file, kind);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            ak_image_limits limits = {.pixels = cases[i].pixels, .side = cases[i].side};
            assert_int_equal(ak_image_peek(&info, ak_buf_bytes(&file), &limits, &err),
                             cases[i].want);
            assert_int_equal(ak_image_decode(&image, ak_buf_bytes(&file), 0, &limits, &err),
                             cases[i].want);
        }
    }
    ak_buf_clear(&file);
    ak_image_clear(&image);
}

static void pictures_without_pixels_are_broken(void **state)
{
    (void)state;
    ak_error err;
    ak_buf file = {0};
    made_any(&file, 3);
    memset(file.at + 16, 0, 4);
    assert_int_equal(try(file.at, file.n, &err), AK_BROKEN_IMAGE);
    memset(file.at + 16, 255, 4); // a negative width to those who read it as signed
    assert_int_equal(try(file.at, file.n, &err), AK_BROKEN_IMAGE);
    made_any(&file, 0);
    uint8_t *frame = memmem(file.at, file.n, "\xff\xc0\0\x11", 4);
    memset(frame + 5, 0, 2);
    assert_int_equal(try(file.at, file.n, &err), AK_BROKEN_IMAGE);
    ak_buf_clear(&file);
}

static void an_animation_with_a_frame_beyond_its_canvas_is_broken(void **state)
{
    (void)state;
    ak_error err;
    ak_buf file = {0};
    made_any(&file, 9);
    uint8_t *frame = memmem(file.at, file.n, "ANMF", 4);
    frame[8] = 20; // x = 40, and 32 wide on 64
    assert_int_equal(try(file.at, file.n, &err), AK_BROKEN_IMAGE);
    frame[8] = 4;
    assert_int_equal(try(file.at, file.n, &err), AK_OK);
    file.at[24] = 19; // a canvas of 20 x 48
    assert_int_equal(try(file.at, file.n, &err), AK_BROKEN_IMAGE);
    ak_buf_clear(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_no_picture_are_not_an_image),
        cmocka_unit_test(signatures_alone_are_broken),
        cmocka_unit_test(truncated_files_are_refused_wherever_they_are_cut),
        cmocka_unit_test(truncated_jpeg_is_refused_when_reduced_too),
        cmocka_unit_test(bytes_between_segments_of_a_jpeg_are_tolerated),
        cmocka_unit_test(a_png_that_claims_40000_x_40000_asks_for_no_memory),
        cmocka_unit_test(a_jpeg_that_claims_65500_x_65500_asks_for_no_memory),
        cmocka_unit_test(a_webp_that_claims_16383_x_16383_asks_for_no_memory),
        cmocka_unit_test(limits_hold_for_pixels_and_sides_apart),
        cmocka_unit_test(pictures_without_pixels_are_broken),
        cmocka_unit_test(an_animation_with_a_frame_beyond_its_canvas_is_broken),
    };
    return cmocka_run_group_tests_name("refuse", tests, NULL, NULL);
}
