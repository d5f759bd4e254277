// Colours: brightness, contrast, saturation and hue are affine in the colour, so their product, in
// random order, is one 3 x 4 matrix a view; grey is another saturation.
#include "core/views/stages.h"

#include <emmintrin.h>
#include <math.h>
#include <string.h>

static const float luma[3] = {0.299f, 0.587f, 0.114f};

static void then(ak_colour_map *map, const float next[3][3], const float add[3])
{
    ak_colour_map was = *map;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++) {
            float sum = j == 3 ? add[i] : 0;
            for (int k = 0; k < 3; k++)
                sum += next[i][k] * was.m[k][j];
            map->m[i][j] = sum;
        }
}

// factor * colour + (1 - factor) * its grey, channel by channel.
static void saturate(ak_colour_map *map, float factor)
{
    float next[3][3], none[3] = {0};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            next[i][j] = (i == j ? factor : 0) + (1 - factor) * luma[j];
    then(map, next, none);
}

static void scale(ak_colour_map *map, float factor, float add)
{
    float next[3][3] = {{factor, 0, 0}, {0, factor, 0}, {0, 0, factor}};
    float shift[3] = {add, add, add};
    then(map, next, shift);
}

// A turn about the grey axis by Rodrigues' formula.
static void turn(ak_colour_map *map, float turns)
{
    float a = 6.2831853f * turns, c = cosf(a), s = sinf(a) / sqrtf(3.0f), t = (1 - c) / 3.0f;
    float next[3][3] = {{c + t, t - s, t + s}, {t + s, c + t, t - s}, {t - s, t + s, c + t}};
    float none[3] = {0};
    then(map, next, none);
}

static float strength(ak_random *r, float s)
{
    return (float)ak_random_range(r, 1 - (double)s, 1 + (double)s);
}

ak_colour_map ak_jitter_choose(const ak_view_recipe *recipe, const float mean[3], ak_random *r)
{
    ak_colour_map map = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
    if (ak_random_uniform(r) < (double)recipe->jitter) {
        uint32_t order[4] = {0, 1, 2, 3};
        ak_random_shuffle(r, order, 4);
        for (int i = 0; i < 4; i++) {
            if (order[i] == 0) {
                scale(&map, strength(r, recipe->brightness), 0);
            } else if (order[i] == 1) {
                float factor = strength(r, recipe->contrast), grey = 0;
                for (int c = 0; c < 3; c++)
                    grey += luma[c] * (map.m[c][0] * mean[0] + map.m[c][1] * mean[1] +
                                       map.m[c][2] * mean[2] + map.m[c][3]);
                scale(&map, factor, (1 - factor) * grey);
            } else if (order[i] == 2) {
                saturate(&map, strength(r, recipe->saturation));
            } else {
                turn(&map, strength(r, recipe->hue) - 1);
            }
        }
    }
    if (ak_random_uniform(r) < (double)recipe->grey)
        saturate(&map, 0);
    return map;
}

void ak_jitter_cast(ak_colour_map *map, const ak_view_recipe *recipe, ak_random *r)
{
    float next[3][3] = {{0}}, shift[3];
    for (int c = 0; c < 3; c++) {
        next[c][c] = strength(r, recipe->cast_gain);
        shift[c] = 255 * (strength(r, recipe->cast_shift / 255) - 1);
    }
    then(map, next, shift);
}

void ak_view_mean(float mean[3], const float *view, int side)
{
    size_t n = (size_t)side * (size_t)side;
    ak_pixel sum = {0};
    for (size_t i = 0; i < n; i++)
        sum += *(const ak_pixel *)(view + 3 * i);
    for (int c = 0; c < 3; c++)
        mean[c] = sum[c] / (float)n;
}

// Four numbers, cut off below 0 and above 255, as bytes.
static uint32_t bytes_of(ak_pixel v)
{
    __m128i whole = _mm_cvttps_epi32((__m128)v), half = _mm_packs_epi32(whole, whole);
    return (uint32_t)_mm_cvtsi128_si32(_mm_packus_epi16(half, half));
}

void ak_jitter_apply(uint8_t *out, const float *view, int side, const ak_colour_map *map,
                     bool mirror)
{
    ak_pixel column[4];
    for (int j = 0; j < 4; j++)
        column[j] = (ak_pixel){map->m[0][j], map->m[1][j], map->m[2][j]};
    size_t n = (size_t)side * (size_t)side;
    for (int y = 0; y < side; y++) {
        size_t at = (size_t)y * (size_t)side;
        for (int x = 0; x < side; x++, at++) {
            const float *from = view + 3 * (mirror ? at + (size_t)(side - 1 - 2 * x) : at);
            ak_pixel v =
                column[0] * from[0] + column[1] * from[1] + column[2] * from[2] + column[3] + 0.5f;
            uint32_t rgb = bytes_of(v);
            memcpy(out + 3 * at, &rgb, at + 1 < n ? 4 : 3); // the next pixel covers the fourth
        }
    }
}
