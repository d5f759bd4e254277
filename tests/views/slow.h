// The views of the default recipe and the blur as they are defined, step by step.
#ifndef AK_TESTS_SLOW_VIEW_H
#define AK_TESTS_SLOW_VIEW_H

#include "core/views/views.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int x, y, w, h;
} box;

static inline box choose_crop(const ak_image *p, const ak_view_recipe *recipe, ak_random *r)
{
    double all = (double)p->width * p->height, stretch = log((double)recipe->aspect_most);
    for (int attempt = 0; attempt < 10; attempt++) {
        double area =
            all * ak_random_range(r, (double)recipe->area_least, (double)recipe->area_most);
        double aspect = exp(ak_random_range(r, -stretch, stretch));
        int w = (int)lround(sqrt(area * aspect)), h = (int)lround(sqrt(area / aspect));
        if (w >= 1 && h >= 1 && w <= p->width && h <= p->height)
            return (box){(int)ak_random_below(r, (uint32_t)(p->width - w + 1)),
                         (int)ak_random_below(r, (uint32_t)(p->height - h + 1)), w, h};
    }
    int s = p->width < p->height ? p->width : p->height; // a very long picture: its middle
    return (box){(p->width - s) / 2, (p->height - s) / 2, s, s};
}

// Sources of output place i of n from a run of `from`: area shares when it shrinks, the two
// nearest when it grows.
static inline int taps_of(float *weight, int *first, int i, int n, int from)
{
    double scale = (double)from / n;
    if (scale <= 1) {
        double centre = (i + 0.5) * scale - 0.5;
        centre = centre < 0 ? 0 : centre > from - 1 ? from - 1 : centre;
        *first = (int)centre < from - 1 || from == 1 ? (int)centre : from - 2;
        weight[1] = (float)(centre - *first);
        weight[0] = 1.0f - weight[1];
        return from == 1 ? 1 : 2;
    }
    double low = i * scale, high = low + scale;
    int end = (int)ceil(high - 1e-9);
    *first = (int)low;
    end = end > from ? from : end;
    for (int k = *first; k < end; k++) {
        double a = k > low ? k : low, b = k + 1 < high ? k + 1 : high;
        weight[k - *first] = (float)((b - a) / scale);
    }
    return end - *first;
}

#define TAPS_MAX 64 // a crop is at most this many times the side: larger ones are sampled thinner

static inline void resize_rows(float *out, const ak_image *p, box b, int side)
{
    float weight[TAPS_MAX];
    for (int i = 0; i < side; i++) {
        int first, n = taps_of(weight, &first, i, side, b.w);
        for (int y = 0; y < b.h; y++) {
            const uint8_t *from =
                p->rgb + 3 * ((size_t)(b.y + y) * (size_t)p->width + (size_t)(b.x + first));
            float sum[3] = {0};
            for (int k = 0; k < n; k++)
                for (int c = 0; c < 3; c++)
                    sum[c] += weight[k] * (float)from[3 * k + c];
            memcpy(out + 3 * ((size_t)y * (size_t)side + (size_t)i), sum, sizeof sum);
        }
    }
}

static inline void resize_columns(float *out, const float *rows, int height, int side)
{
    float weight[TAPS_MAX];
    size_t line = 3 * (size_t)side;
    for (int i = 0; i < side; i++) {
        int first, n = taps_of(weight, &first, i, side, height);
        float *to = out + (size_t)i * line;
        memset(to, 0, line * sizeof *to);
        for (int k = 0; k < n; k++) {
            const float *from = rows + (size_t)(first + k) * line;
            for (size_t j = 0; j < line; j++)
                to[j] += weight[k] * from[j];
        }
    }
}

typedef struct {
    float m[3][4]; // colour' = m (colour, 1)
} colour_map;

static const float luma[3] = {0.299f, 0.587f, 0.114f};

static inline void then(colour_map *map, const float next[3][3], const float add[3])
{
    colour_map was = *map;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++) {
            float sum = j == 3 ? add[i] : 0;
            for (int k = 0; k < 3; k++)
                sum += next[i][k] * was.m[k][j];
            map->m[i][j] = sum;
        }
}

// factor * colour + (1 - factor) * its grey, channel by channel.
static inline void saturate(colour_map *map, float factor)
{
    float next[3][3], none[3] = {0};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            next[i][j] = (i == j ? factor : 0) + (1 - factor) * luma[j];
    then(map, next, none);
}

static inline void scale(colour_map *map, float factor, float add)
{
    float next[3][3] = {{factor, 0, 0}, {0, factor, 0}, {0, 0, factor}};
    float shift[3] = {add, add, add};
    then(map, next, shift);
}

// A turn about the grey axis by Rodrigues' formula.
static inline void turn(colour_map *map, float turns)
{
    float a = 6.2831853f * turns, c = cosf(a), s = sinf(a) / sqrtf(3.0f), t = (1 - c) / 3.0f;
    float next[3][3] = {{c + t, t - s, t + s}, {t + s, c + t, t - s}, {t - s, t + s, c + t}};
    float none[3] = {0};
    then(map, next, none);
}

static inline float strength(ak_random *r, float s)
{
    return (float)ak_random_range(r, 1 - (double)s, 1 + (double)s);
}

static inline colour_map choose_colour(const ak_view_recipe *recipe, const float mean[3],
                                       ak_random *r)
{
    colour_map map = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
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

static inline void slow_view(uint8_t *out, int side, const ak_image *picture,
                             const ak_view_recipe *recipe, ak_random stream)
{
    size_t n = (size_t)side * (size_t)side;
    float *rows = calloc(3 * (size_t)side * (size_t)picture->height, sizeof *rows);
    float *view = calloc(3 * n, sizeof *view), mean[3] = {0};
    box b = choose_crop(picture, recipe, &stream);
    bool mirror = ak_random_uniform(&stream) < (double)recipe->mirror;
    if (b.w > side * (TAPS_MAX - 2))
        b.w = side * (TAPS_MAX - 2);
    if (b.h > side * (TAPS_MAX - 2))
        b.h = side * (TAPS_MAX - 2);
    resize_rows(rows, picture, b, side);
    resize_columns(view, rows, b.h, side);
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            mean[c] += view[3 * i + (size_t)c];
    for (int c = 0; c < 3; c++)
        mean[c] /= (float)n;
    colour_map map = choose_colour(recipe, mean, &stream);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            const float *from = view + 3 * ((size_t)y * (size_t)side + (size_t)x);
            uint8_t *to =
                out + 3 * ((size_t)y * (size_t)side + (size_t)(mirror ? side - 1 - x : x));
            for (int c = 0; c < 3; c++) {
                float v = map.m[c][0] * from[0] + map.m[c][1] * from[1] + map.m[c][2] * from[2] +
                          map.m[c][3] + 0.5f;
                to[c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
    free(rows);
    free(view);
}

// Gaussian weights of all pixels within three sigma, in two dimensions at once.
static inline void slow_blur(double *out, const uint8_t *view, int side, double sigma)
{
    int radius = (int)ceil(3 * sigma);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            for (int c = 0; c < 3; c++) {
                double sum = 0, all = 0;
                for (int j = -radius; j <= radius; j++)
                    for (int i = -radius; i <= radius; i++) {
                        int v = y + j, u = x + i;
                        v = v < 0 ? 0 : v >= side ? side - 1 : v;
                        u = u < 0 ? 0 : u >= side ? side - 1 : u;
                        double w = exp(-0.5 * (i * i + j * j) / (sigma * sigma));
                        sum += w * view[3 * (v * side + u) + c];
                        all += w;
                    }
                out[3 * (y * side + x) + c] = sum / all;
            }
}

#endif
