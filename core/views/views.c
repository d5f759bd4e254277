#include "core/views/views.h"

#include "core/views/stages.h"

// Parts of a view's stream: blocks of Philox's counter that no other augmentation comes to.
enum { CROP_TO_GREY, SHRINK, BLUR, SOLARISE, JPEG, ERASE, CAST };
#define BLOCKS (1u << 24)

static ak_random part_of(ak_random stream, uint32_t part)
{
    stream.counter[0] = part * BLOCKS;
    return stream;
}

static bool happens(ak_random *r, float probability)
{
    return ak_random_uniform(r) < (double)probability;
}

static float between(ak_random *r, float least, float most)
{
    return (float)ak_random_range(r, (double)least, (double)most);
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t ak_view_work(int width, int height, int side)
{
    size_t view = 3 * (size_t)side * (size_t)side;
    size_t crop = most(ak_crop_work(width, height, side), ak_crop_work(side, side, side));
    return view + 1 + most(crop, ak_blur_work(side));
}

// The side that a view is made and spoilt at before it is scaled up.
static int first_side(int side, const ak_view_recipe *recipe, ak_random r)
{
    if (!happens(&r, recipe->shrink))
        return side;
    float share = between(&r, recipe->shrink_least, recipe->shrink_most);
    int less = (int)((float)side * share + 0.5f);
    return less < 1 ? 1 : less;
}

// The view (from, from, 3) scaled to `side`, which is larger. large: 3 side^2 + 1 floats.
static void enlarge(uint8_t *view, int side, int from, float *large, float *work)
{
    const ak_image small = {from, from, view};
    ak_crop_resize(large, side, &small, (ak_box){0, 0, from, from}, work);
    for (size_t i = 0; i < 3 * (size_t)side * (size_t)side; i++)
        view[i] = (uint8_t)(large[i] + 0.5f);
}

void ak_view_make(uint8_t *out, int side, const ak_image *picture, const ak_view_recipe *recipe,
                  ak_random stream, float *work)
{
    size_t n = 3 * (size_t)side * (size_t)side;
    float *view = work, mean[3];
    work = view + n + 1;

    ak_random r = part_of(stream, CROP_TO_GREY);
    ak_box box = ak_crop_choose(picture->width, picture->height, recipe, &r);
    bool mirror = happens(&r, recipe->mirror);
    const int less = first_side(side, recipe, part_of(stream, SHRINK));
    ak_crop_resize(view, less, picture, box, work);
    ak_view_mean(mean, view, less);
    ak_colour_map map = ak_jitter_choose(recipe, mean, &r);
    r = part_of(stream, CAST);
    if (happens(&r, recipe->cast))
        ak_jitter_cast(&map, recipe, &r);
    ak_jitter_apply(out, view, less, &map, mirror);

    r = part_of(stream, BLUR);
    if (happens(&r, recipe->blur))
        ak_blur(out, less, between(&r, recipe->blur_least, recipe->blur_most) * (float)less / 224,
                work);
    r = part_of(stream, SOLARISE);
    if (happens(&r, recipe->solarise))
        ak_solarise(out, less, recipe->solarise_from);
    r = part_of(stream, JPEG);
    if (happens(&r, recipe->jpeg)) {
        uint32_t qualities = (uint32_t)(recipe->jpeg_most - recipe->jpeg_least + 1);
        ak_recompress(out, less, recipe->jpeg_least + (int)ak_random_below(&r, qualities));
    }
    if (less < side)
        enlarge(out, side, less, view, work);
    r = part_of(stream, ERASE);
    if (happens(&r, recipe->erase)) {
        float share = between(&r, recipe->erase_least, recipe->erase_most);
        bool noise = happens(&r, recipe->erase_noise);
        ak_erase(out, side, share, noise, &r);
    }
}

ak_view_recipe ak_view_small_recipe(const ak_view_plan *plan)
{
    ak_view_recipe small = plan->first;
    small.area_least = plan->small.area_least;
    small.area_most = plan->small.area_most;
    return small;
}
