// The views of the default recipe and the blur as they are defined: pixel by pixel, step by step,
// in doubles, sharing nothing with core/views but the random numbers.
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

// The share of source `at` (of `from`) in output place i (of n) along one axis: of the place's area
// where it shrinks; where it grows, of the straight line between the two nearest sources.
static inline double share_of(int at, int from, int i, int n)
{
    double scale = (double)from / n, low = i * scale, high = low + scale;
    if (scale > 1)
        return fmax(0, fmin(at + 1, high) - fmax(at, low)) / scale;
    double centre = fmin(fmax((low + high) / 2 - 0.5, 0), from - 1);
    return fmax(0, 1 - fabs(at - centre));
}

// The first source that may have a share, and the last.
static inline int first_of(int from, int i, int n)
{
    int at = (int)floor((double)from / n * i) - 1;
    return at < 0 ? 0 : at;
}

static inline int last_of(int from, int i, int n)
{
    int at = (int)ceil((double)from / n * (i + 1));
    return at < from ? at : from - 1;
}

// Output pixel (x, y) of a box of a picture.
static inline void sample(double colour[3], const ak_image *p, box b, int x, int y, int side)
{
    memset(colour, 0, 3 * sizeof *colour);
    for (int v = first_of(b.h, y, side); v <= last_of(b.h, y, side); v++)
        for (int u = first_of(b.w, x, side); u <= last_of(b.w, x, side); u++) {
            double share = share_of(v, b.h, y, side) * share_of(u, b.w, x, side);
            for (int c = 0; c < 3; c++)
                colour[c] += share * p->rgb[3 * ((b.y + v) * p->width + b.x + u) + c];
        }
}

static inline double grey_of(const double colour[3])
{
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
}

static inline void towards(double colour[3], double factor, double grey)
{
    for (int c = 0; c < 3; c++)
        colour[c] = factor * colour[c] + (1 - factor) * grey;
}

// What is not grey lies in a plane, in which it is turned: red towards green for an angle above 0.
static inline void turn(double v[3], double angle)
{
    double grey = (v[0] + v[1] + v[2]) / 3;
    double along = (2 * v[0] - v[1] - v[2]) / sqrt(6), across = (v[1] - v[2]) / sqrt(2);
    double p = along * cos(angle) - across * sin(angle);
    double q = along * sin(angle) + across * cos(angle);
    v[0] = grey + 2 * p / sqrt(6);
    v[1] = grey - p / sqrt(6) + q / sqrt(2);
    v[2] = grey - p / sqrt(6) - q / sqrt(2);
}

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE };

// One step of the jitter, on a view of n pixels.
static inline void change(double *view, int n, uint32_t step, const ak_view_recipe *recipe,
                          ak_random *r)
{
    const float strengths[] = {recipe->brightness, recipe->contrast, recipe->saturation,
                               recipe->hue};
    double strength = (double)strengths[step], grey = 0;
    double factor = ak_random_range(r, 1 - strength, 1 + strength);
    for (int i = 0; i < n; i++)
        grey += grey_of(view + 3 * i) / n; // of the whole view, as it is by now
    for (int i = 0; i < n; i++) {
        double *colour = view + 3 * i;
        if (step == BRIGHTNESS)
            towards(colour, factor, 0);
        else if (step == CONTRAST)
            towards(colour, factor, grey);
        else if (step == SATURATION)
            towards(colour, factor, grey_of(colour));
        else
            turn(colour, 2 * acos(-1) * (factor - 1));
    }
}

static inline void slow_view(uint8_t *out, int side, const ak_image *picture,
                             const ak_view_recipe *recipe, ak_random stream)
{
    enum { SHRINKS_MOST = 62 };
    int n = side * side;
    double *view = calloc(3 * (size_t)n, sizeof *view);
    box b = choose_crop(picture, recipe, &stream);
    bool mirror = ak_random_uniform(&stream) < (double)recipe->mirror;
    // What a larger box has beyond that, to the right and below, is left out.
    b.w = b.w > SHRINKS_MOST * side ? SHRINKS_MOST * side : b.w;
    b.h = b.h > SHRINKS_MOST * side ? SHRINKS_MOST * side : b.h;
    for (int i = 0; i < n; i++)
        sample(view + 3 * i, picture, b, mirror ? side - 1 - i % side : i % side, i / side, side);
    if (ak_random_uniform(&stream) < (double)recipe->jitter) {
        uint32_t order[4] = {BRIGHTNESS, CONTRAST, SATURATION, HUE};
        ak_random_shuffle(&stream, order, 4);
        for (int i = 0; i < 4; i++)
            change(view, n, order[i], recipe, &stream);
    }
    if (ak_random_uniform(&stream) < (double)recipe->grey)
        for (int i = 0; i < n; i++)
            towards(view + 3 * i, 0, grey_of(view + 3 * i));
    for (int i = 0; i < 3 * n; i++)
        out[i] = (uint8_t)fmin(fmax(floor(view[i] + 0.5), 0), 255);
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
