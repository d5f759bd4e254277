#include "core/describe/fit_set.h"

#include "core/base/mem.h"
#include "core/base/random.h"
#include "core/views/views.h"

#include <math.h>
#include <stdlib.h>

enum { WHOLE, PART_A, PART_B, COPY };

// What people do to a picture before they pass it on.
static const ak_view_recipe copy_recipe = {.area_least = 0.7f,
                                           .area_most = 1,
                                           .aspect_most = 1.1f,
                                           .shrink = 0.7f,
                                           .shrink_least = 0.25f,
                                           .shrink_most = 0.75f,
                                           .mirror = 0.2f,
                                           .cast = 0.2f,
                                           .cast_gain = 0.25f,
                                           .cast_shift = 16,
                                           .blur = 0.3f,
                                           .blur_least = 0.1f,
                                           .blur_most = 6,
                                           .jpeg = 0.7f,
                                           .jpeg_least = 10,
                                           .jpeg_most = 50};

static size_t variants(const ak_fit_set *set)
{
    return set->n < AK_FIT_VARIANTS ? set->n : AK_FIT_VARIANTS;
}

size_t ak_fit_rows(const ak_fit_set *set)
{
    return set->n + COPY * variants(set);
}

// Two crops from opposite corners, half to two thirds of either side long.
static ak_status part_of(ak_image *out, const ak_image *picture, ak_random r, int which,
                         ak_error *err)
{
    const int right = (int)ak_random_below(&r, 2), low = (int)ak_random_below(&r, 2);
    double share[4];
    for (int i = 0; i < 4; i++)
        share[i] = ak_random_range(&r, 0.5, 0.65);
    int w = (int)fmax(1, round(share[which] * picture->width));
    int h = (int)fmax(1, round(share[2 + which] * picture->height));
    return ak_image_crop(out, picture, right != which ? picture->width - w : 0,
                         low != which ? picture->height - h : 0, w, h, err);
}

static ak_status copy_of(uint8_t *input, int side, const ak_image *picture, ak_random r,
                         ak_error *err)
{
    float *work = ak_alloc(ak_view_work(picture->width, picture->height, side), sizeof *work);
    if (!work)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a copy");
    ak_view_make(input, side, picture, &copy_recipe, r, work);
    free(work);
    return AK_OK;
}

ak_status ak_fit_input(uint8_t *input, int side, const ak_fit_set *set, size_t row, ak_error *err)
{
    const size_t m = variants(set);
    const int what = row < set->n ? WHOLE : (int)((row - set->n) / m) + PART_A;
    const size_t i = what == WHOLE ? row : (row - set->n) % m;
    const ak_image *picture = set->picture(set->arg, i);
    const ak_random r = ak_random_stream(set->seed, 0xf175, (uint32_t)i, what == COPY);
    ak_image part = {0};
    if (!picture)
        return ak_fail(err, AK_SHUTTING_DOWN, "stopped when it was asked to");
    if (what == COPY)
        return copy_of(input, side, picture, r, err);
    ak_status status = what == WHOLE ? AK_OK : part_of(&part, picture, r, what - PART_A, err);
    if (status == AK_OK)
        status = ak_image_square(input, side, what == WHOLE ? picture : &part, err);
    ak_image_clear(&part);
    return status;
}

ak_status ak_fit_scatter(ak_scatter *out, const ak_fit_set *set, const float *x, ak_error *err)
{
    const size_t m = variants(set), n = set->n;
    ak_pair *pairs = ak_alloc(m + 1, sizeof *pairs);
    ak_status status = pairs ? ak_scatter_total(out, x, n, err)
                             : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a whitening");
    if (status == AK_OK)
        status = ak_scatter_pairs(out, x, set->kin, set->kin_n, set->weights.kin, err);
    for (size_t i = 0; i < m && status == AK_OK; i++)
        pairs[i] = (ak_pair){(uint32_t)(n + i), (uint32_t)(n + m + i)};
    if (status == AK_OK)
        status = ak_scatter_pairs(out, x, pairs, m, set->weights.parts, err);
    for (size_t i = 0; i < m && status == AK_OK; i++)
        pairs[i] = (ak_pair){(uint32_t)i, (uint32_t)(n + 2 * m + i)};
    if (status == AK_OK)
        status = ak_scatter_pairs(out, x, pairs, m, set->weights.copies, err);
    if (status == AK_OK)
        ak_scatter_norm(out);
    free(pairs);
    return status;
}
