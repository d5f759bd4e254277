// Models: built, read back, damaged; embedders: the same descriptor by any batch and precision.
#include "core/describe/colour.h"
#include "core/describe/layout.h"
#include "core/describe/model_build.h"
#include "core/describe/palette.h"
#include "core/nn/dnn.h"
#include "tests/fuzz/model.c"
#include "tests/fuzz/mutate.h"
#include "tests/learn/made_pictures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { PICTURES = 150, SIDE = 48, WHITENED = 32, PARTS = WHITENED + AK_LAYOUT_DIMS };
enum { DIMS = PARTS + AK_PALETTE_DIMS };
#define LAYOUT  0.4f
#define PALETTE 0.3f
#define POWER   0.5f
#define SHRINK  0.1f

static ak_pictures set;
static ak_buf file;
static ak_model *model;

static const ak_image *picture(void *arg, size_t i)
{
    (void)arg;
    return &set.items[i].image;
}

static const ak_fit_set fit = {
    .picture = picture, .n = PICTURES, .weights = AK_FIT_WEIGHTS_DEFAULT, .seed = 4};

static int setup(void **state)
{
    (void)state;
    made_pictures(&set, PICTURES, 5, 64);
    ak_graph g;
    ak_resnet net = {{1, 1, 1, 1}, 0.25f, 2, 2, 0, false};
    ak_error err = {0};
    if (ak_resnet_graph(&g, &net, SIDE, &err) != AK_OK)
        return -1;
    ak_head head = {g.features, 32, 16, 2, false, NULL};
    float *params = ak_alloc(g.params, 4), *stats = ak_alloc(g.stats, 4);
    float *head_params = ak_alloc(ak_head_params(&head), 4);
    float *head_stats = ak_alloc(ak_head_stats(&head), 4);
    ak_graph_init(params, stats, &g, 1);
    ak_head_init(head_params, head_stats, &head, 1);
    ak_model_parts parts = {.net = net,
                            .params = params,
                            .stats = stats,
                            .head = head,
                            .head_params = head_params,
                            .head_stats = head_stats,
                            .side = SIDE,
                            .dims = WHITENED,
                            .power = POWER,
                            .shrink = SHRINK,
                            .colour = 0.5f,
                            .layout = LAYOUT,
                            .palette = PALETTE,
                            .training = "{\"views\": 12}"};
    ak_status status = ak_model_build(&file, &parts, &fit, &err);
    if (status == AK_OK)
        status = ak_model_read(&model, ak_buf_bytes(&file), &err);
    free(params);
    free(stats);
    free(head_params);
    free(head_stats);
    if (status != AK_OK)
        print_error("%s\n", err.text);
    return status == AK_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ak_model_free(model);
    ak_buf_clear(&file);
    ak_pictures_clear(&set);
    return 0;
}

static float *embed(const ak_model *m, ak_precision precision, size_t n, size_t step)
{
    ak_embedder *e;
    ak_error err = {0};
    size_t bytes = ak_model_input_bytes(m), dims = (size_t)ak_model_dims(m);
    uint8_t *inputs = ak_alloc(n, bytes);
    float *out = ak_alloc(n * dims, sizeof *out);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ak_model_prepare(inputs + i * bytes, m, &set.items[i].image, &err), AK_OK);
    if (ak_embedder_new(&e, m, precision, &err) != AK_OK)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < n; i += step)
        assert_int_equal(ak_embedder_run(out + i * dims, e, inputs + i * bytes,
                                         n - i < step ? n - i : step, &err),
                         AK_OK);
    ak_embedder_free(e);
    free(inputs);
    return out;
}

static double cosine(const float *x, const float *y, size_t dims)
{
    double dot = 0, xx = 0, yy = 0;
    for (size_t i = 0; i < dims; i++) {
        dot += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    assert_float_equal(xx, 1, 1e-4);
    return dot / sqrt(xx * yy);
}

static void the_id_is_the_hash_and_the_shape_is_as_built(void **state)
{
    (void)state;
    assert_int_equal(strlen(ak_model_id(model)), AK_MODEL_ID_HEX);
    assert_int_equal(ak_model_dims(model), DIMS);
    assert_int_equal(ak_model_input_bytes(model), 3 * SIDE * SIDE);
    assert_int_equal(ak_model_parts_of(model).side, SIDE);
}

static void descriptors_do_not_depend_on_the_batch(void **state)
{
    (void)state;
    float *whole = embed(model, AK_PRECISION_AUTO, PICTURES, PICTURES);
    static const size_t steps[] = {1, 3, 7, 64, 90};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        float *cut = embed(model, AK_PRECISION_AUTO, PICTURES, steps[s]);
        for (size_t i = 0; i < PICTURES; i++)
            assert_true(cosine(whole + i * DIMS, cut + i * DIMS, DIMS) >= 0.9999);
        free(cut);
    }
    free(whole);
}

// y + smoothing y in the place of the whitened y, the rest beside it; none: as it was.
static void a_smoothing_moves_the_whitened_part_and_can_be_taken_off(void **state)
{
    (void)state;
    enum { SOME = 20 };
    ak_error err = {0};
    ak_buf smooth = {0}, again = {0};
    ak_model *moved, *plain;
    float smoothing[WHITENED * WHITENED];
    ak_random r = ak_random_stream(12, 0, 0, 0);
    for (int i = 0; i < WHITENED * WHITENED; i++)
        smoothing[i] = 0.1f * (float)ak_random_normal(&r);
    ak_model_parts parts = ak_model_parts_of(model);
    parts.smoothing = smoothing;
    assert_int_equal(ak_model_rebuild(&smooth, model, &parts, &err), AK_OK);
    assert_int_equal(ak_model_read(&moved, ak_buf_bytes(&smooth), &err), AK_OK);
    parts = ak_model_parts_of(moved);
    parts.smoothing = NULL;
    assert_int_equal(ak_model_rebuild(&again, moved, &parts, &err), AK_OK);
    assert_int_equal(ak_model_read(&plain, ak_buf_bytes(&again), &err), AK_OK);
    float *was = embed(model, AK_PRECISION_F32, SOME, SOME);
    float *is = embed(moved, AK_PRECISION_F32, SOME, SOME);
    float *off = embed(plain, AK_PRECISION_F32, SOME, SOME);
    for (size_t i = 0; i < SOME; i++) {
        double expected[WHITENED], square = 0, before = 0;
        for (size_t k = 0; k < WHITENED; k++) {
            expected[k] = (double)was[i * DIMS + k];
            before += expected[k] * expected[k];
            for (size_t l = 0; l < WHITENED; l++)
                expected[k] += (double)(smoothing[k * WHITENED + l] * was[i * DIMS + l]);
            square += expected[k] * expected[k];
        }
        for (size_t k = 0; k < WHITENED; k++) // half precision in the file
            assert_float_equal(is[i * DIMS + k], (float)(expected[k] * sqrt(before / square)),
                               2e-3);
        for (size_t k = WHITENED; k < DIMS; k++)
            assert_float_equal(is[i * DIMS + k], was[i * DIMS + k], 1e-5);
        for (size_t k = 0; k < DIMS; k++)
            assert_float_equal(off[i * DIMS + k], was[i * DIMS + k], 1e-5);
    }
    free(was);
    free(is);
    free(off);
    ak_model_free(moved);
    ak_model_free(plain);
    ak_buf_clear(&smooth);
    ak_buf_clear(&again);
}

// The palette's mean and axes as the model must have fitted them, but for half precision.
static void fit_palette(float *mean, float *axes)
{
    ak_error err = {0};
    uint8_t input[3 * SIDE * SIDE];
    float *histograms = ak_alloc(ak_fit_rows(&fit), AK_PALETTE_BINS * sizeof *histograms);
    for (size_t i = 0; i < ak_fit_rows(&fit); i++) {
        assert_int_equal(ak_fit_input(input, SIDE, &fit, i, &err), AK_OK);
        ak_palette_histogram(histograms + i * AK_PALETTE_BINS, input, SIDE);
    }
    assert_int_equal(ak_palette_fit(mean, axes, &fit, histograms, POWER, SHRINK, &err), AK_OK);
    free(histograms);
}

// unit whitened part | weight * unit layout | weight * unit palette, and that of unit length
static void layout_and_palette_stand_beside_the_whitened_part(void **state)
{
    (void)state;
    static float mean[AK_PALETTE_BINS], axes[AK_PALETTE_DIMS * AK_PALETTE_BINS];
    fit_palette(mean, axes);
    float *whole = embed(model, AK_PRECISION_AUTO, PICTURES, PICTURES);
    uint8_t input[3 * SIDE * SIDE];
    const float scale = 1 / sqrtf(1 + LAYOUT * LAYOUT + PALETTE * PALETTE);
    for (size_t i = 0; i < PICTURES; i++) {
        float *d = whole + i * DIMS, layout[AK_LAYOUT_DIMS], palette[AK_PALETTE_DIMS], square = 0;
        assert_int_equal(ak_model_prepare(input, model, &set.items[i].image, NULL), AK_OK);
        ak_layout(layout, input, SIDE);
        ak_palette(palette, input, SIDE, mean, axes);
        for (size_t j = 0; j < WHITENED; j++)
            square += d[j] * d[j];
        assert_float_equal(sqrtf(square), scale, 1e-4);
        for (size_t j = 0; j < AK_LAYOUT_DIMS; j++)
            assert_float_equal(d[WHITENED + j], LAYOUT * layout[j] * scale, 1e-5);
        for (size_t j = 0; j < AK_PALETTE_DIMS; j++)
            assert_float_equal(d[PARTS + j], PALETTE * palette[j] * scale, 1e-3);
    }
    free(whole);
}

// Without the palette a model has the descriptor of before there was one.
static void a_rebuild_may_leave_the_palette_out(void **state)
{
    (void)state;
    enum { SOME = 5 };
    ak_error err = {0};
    ak_buf file_without = {0};
    ak_model *without;
    ak_model_parts parts = ak_model_parts_of(model);
    parts.palette = 0;
    parts.smoothing = NULL;
    assert_int_equal(ak_model_rebuild(&file_without, model, &parts, &err), AK_OK);
    assert_int_equal(ak_model_read(&without, ak_buf_bytes(&file_without), &err), AK_OK);
    assert_int_equal(ak_model_dims(without), PARTS);
    assert_true(file_without.n + 2 * AK_PALETTE_DIMS * AK_PALETTE_BINS < file.n);
    float *was = embed(model, AK_PRECISION_F32, SOME, SOME);
    float *is = embed(without, AK_PRECISION_F32, SOME, SOME);
    const float longer = sqrtf((1 + LAYOUT * LAYOUT + PALETTE * PALETTE) / (1 + LAYOUT * LAYOUT));
    for (size_t i = 0; i < SOME; i++)
        for (size_t j = 0; j < PARTS; j++)
            assert_float_equal(is[i * PARTS + j], was[i * DIMS + j] * longer, 1e-5);
    free(was);
    free(is);
    ak_model_free(without);
    ak_buf_clear(&file_without);
}

static double least_agreement(const ak_model *m, size_t n)
{
    float *f32 = embed(m, AK_PRECISION_F32, n, n), *bf16 = embed(m, AK_PRECISION_BF16, n, n);
    size_t dims = (size_t)ak_model_dims(m);
    double least = 1;
    for (size_t i = 0; i < n; i++) {
        double c = cosine(f32 + i * dims, bf16 + i * dims, dims);
        least = c < least ? c : least;
    }
    free(f32);
    free(bf16);
    return least;
}

// The shipped encoder keeps the promise; whitened noise of random weights comes near it.
static void precisions_agree(void **state)
{
    (void)state;
    if (!ak_dnn_has_bf16())
        skip();
    ak_model *shipped;
    ak_error err;
    assert_int_equal(ak_model_load(&shipped, "models/akin.model", &err), AK_OK);
    double least = least_agreement(shipped, 40);
    print_message("shipped: least cosine between bf16 and f32 %.5f\n", least);
    assert_true(least >= 0.999);
    ak_model_free(shipped);
    assert_true(least_agreement(model, 40) >= 0.98);
}

static void damaged_models_are_refused(void **state)
{
    (void)state;
    ak_model *m;
    ak_error err;
    for (size_t i = 0; i < 40; i++) {
        size_t at = i * (file.n - 1) / 39;
        file.at[at] ^= 4;
        assert_int_not_equal(ak_model_read(&m, ak_buf_bytes(&file), &err), AK_OK);
        assert_null(m);
        file.at[at] ^= 4;
        assert_int_equal(ak_model_read(&m, (ak_bytes){file.at, at}, &err), AK_CORRUPT);
    }
    assert_int_equal(ak_model_load(&m, "no/such/file", &err), AK_NOT_FOUND);
}

static void mutated_models_with_a_right_checksum_do_no_harm(void **state)
{
    (void)state;
    int accepted = 0, refused = 0;
    for (uint32_t i = 0; i < 400; i++) {
        ak_random r = ak_random_stream(40, i, 0, 0);
        ak_buf broken = {0};
        assert_true(ak_buf_append(&broken, file.at, file.n));
        for (uint32_t k = 0; i && k < 1 + i % 3; k++) // mostly the head: lengths, text, table
            broken.at[ak_random_below(&r, i % 2 ? 900 : (uint32_t)file.n)] ^=
                (uint8_t)(1u << ak_random_below(&r, 8));
        uint8_t *exact = exact_copy(&broken);
        if (LLVMFuzzerTestOneInput(exact, broken.n) == 0)
            accepted++;
        else
            refused++;
        free(exact);
        ak_buf_clear(&broken);
    }
    print_message("%d accepted, %d refused\n", accepted, refused);
    assert_true(accepted > 20 && refused > 20);
}

static void random_models_have_the_same_shape_and_no_whitening(void **state)
{
    (void)state;
    ak_model *random;
    ak_error err;
    assert_int_equal(ak_model_random(&random, model, 3, &err), AK_OK);
    assert_int_equal(ak_model_input_bytes(random), ak_model_input_bytes(model));
    ak_model_free(random);
}

static void every_colour_has_a_bin_and_histograms_are_even_where_pictures_are(void **state)
{
    (void)state;
    bool seen[AK_COLOUR_BINS] = {0};
    for (int r = 0; r < 256; r += 5)
        for (int g = 0; g < 256; g += 5)
            for (int b = 0; b < 256; b += 5) {
                int bin = ak_colour_bin((uint8_t)r, (uint8_t)g, (uint8_t)b);
                assert_in_range(bin, 0, AK_COLOUR_BINS - 1);
                seen[bin] = true;
            }
    for (int i = 0; i < AK_COLOUR_BINS; i++)
        assert_true(seen[i]);
    uint8_t pixels[3 * 30 * 30];
    float histogram[AK_COLOUR_BINS];
    for (int i = 0; i < 900; i++)
        memcpy(pixels + 3 * i, (uint8_t[]){200, 30, 30}, 3);
    ak_colour_histogram(histogram, pixels, 30);
    assert_float_equal(histogram[ak_colour_bin(200, 30, 30)], 1, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_id_is_the_hash_and_the_shape_is_as_built),
        cmocka_unit_test(descriptors_do_not_depend_on_the_batch),
        cmocka_unit_test(layout_and_palette_stand_beside_the_whitened_part),
        cmocka_unit_test(a_rebuild_may_leave_the_palette_out),
        cmocka_unit_test(a_smoothing_moves_the_whitened_part_and_can_be_taken_off),
        cmocka_unit_test(precisions_agree),
        cmocka_unit_test(damaged_models_are_refused),
        cmocka_unit_test(mutated_models_with_a_right_checksum_do_no_harm),
        cmocka_unit_test(random_models_have_the_same_shape_and_no_whitening),
        cmocka_unit_test(every_colour_has_a_bin_and_histograms_are_even_where_pictures_are),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
