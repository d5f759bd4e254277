// Random resized crops. The taps of a row are the same for all rows of a crop: they are made once.
// Both passes run over floats in threes; the first stores four at a time, each pixel over the
// fourth of the one before.
#include "core/views/stages.h"

#include <math.h>
#include <string.h>

ak_box ak_crop_choose(int width, int height, const ak_view_recipe *recipe, ak_random *r)
{
    double all = (double)width * height, stretch = log((double)recipe->aspect_most);
    for (int attempt = 0; attempt < 10; attempt++) {
        double area =
            all * ak_random_range(r, (double)recipe->area_least, (double)recipe->area_most);
        double aspect = exp(ak_random_range(r, -stretch, stretch));
        int w = (int)lround(sqrt(area * aspect)), h = (int)lround(sqrt(area / aspect));
        if (w >= 1 && h >= 1 && w <= width && h <= height)
            return (ak_box){(int)ak_random_below(r, (uint32_t)(width - w + 1)),
                            (int)ak_random_below(r, (uint32_t)(height - h + 1)), w, h};
    }
    int s = width < height ? width : height; // a very long picture: its middle
    return (ak_box){(width - s) / 2, (height - s) / 2, s, s};
}

// The sources of one output place: `n` of them from `first` on.
typedef struct {
    int first, n;
} span;

// Sources of output place i of n from a run of `from`: area shares when it shrinks, the two
// nearest when it grows.
static span taps_of(float *weight, int i, int n, int from)
{
    double scale = (double)from / n;
    if (scale <= 1) {
        double centre = (i + 0.5) * scale - 0.5;
        centre = centre < 0 ? 0 : centre > from - 1 ? from - 1 : centre;
        int first = (int)centre < from - 1 || from == 1 ? (int)centre : from - 2;
        weight[1] = (float)(centre - first);
        weight[0] = 1.0f - weight[1];
        return (span){first, from == 1 ? 1 : 2};
    }
    double low = i * scale, high = low + scale;
    int first = (int)low, end = (int)ceil(high - 1e-9);
    end = end > from ? from : end;
    for (int k = first; k < end; k++) {
        double a = k > low ? k : low, b = k + 1 < high ? k + 1 : high;
        weight[k - first] = (float)((b - a) / scale);
    }
    return (span){first, end - first};
}

#define TAPS_MAX 64 // a crop is at most this many times the side: larger ones are cut

static void columns(float *out, const float *rows, int height, int side, int width)
{
    float weight[TAPS_MAX];
    size_t line = 3 * (size_t)width;
    for (int i = 0; i < side; i++) {
        span s = taps_of(weight, i, side, height);
        float *restrict to = out + (size_t)i * line;
        memset(to, 0, line * sizeof *to);
        for (int k = 0; k < s.n; k++) {
            const float *restrict from = rows + (size_t)(s.first + k) * line;
            float w = weight[k];
            for (size_t j = 0; j < line; j++)
                to[j] += w * from[j];
        }
    }
}

// Scratch: rows (height, side, 3) and a float, a line of the picture and a float, spans, weights.
size_t ak_crop_work(int width, int height, int side)
{
    size_t w = (size_t)width, h = (size_t)height, s = (size_t)side;
    return 3 * s * h + 1 + 3 * w + 1 + 2 * s + s * TAPS_MAX;
}

typedef struct {
    float *rows, *line, *weights;
    span *spans;
    int taps; // weights of a place
} scratch;

static scratch lay_out(float *work, int width, int height, int side)
{
    scratch s = {.rows = work, .line = work + 3 * (size_t)side * (size_t)height + 1};
    s.spans = (span *)(s.line + 3 * (size_t)width + 1);
    s.weights = (float *)(s.spans + side);
    s.taps = width > side ? (width + side - 1) / side + 1 : 2;
    for (int i = 0; i < side; i++)
        s.spans[i] = taps_of(s.weights + i * s.taps, i, side, width);
    return s;
}

static void row(float *out, const scratch *s, const float *line, int side)
{
    for (int i = 0; i < side; i++) {
        const float *from = line + 3 * s->spans[i].first, *weight = s->weights + i * s->taps;
        ak_pixel sum = {0};
        for (int k = 0; k < s->spans[i].n; k++)
            sum += weight[k] * *(const ak_pixel *)(from + 3 * k);
        *(ak_pixel *)(out + 3 * i) = sum;
    }
}

void ak_crop_resize(float *view, int side, const ak_image *picture, ak_box b, float *work)
{
    int most = side * (TAPS_MAX - 2);
    b.w = b.w > most ? most : b.w;
    b.h = b.h > most ? most : b.h;
    scratch s = lay_out(work, b.w, b.h, side);
    for (int y = 0; y < b.h; y++) {
        const uint8_t *restrict from =
            picture->rgb + 3 * ((size_t)(b.y + y) * (size_t)picture->width + (size_t)b.x);
        float *restrict line = s.line;
        for (int j = 0; j < 3 * b.w; j++)
            line[j] = (float)from[j];
        row(s.rows + 3 * (size_t)y * (size_t)side, &s, line, side);
    }
    columns(view, s.rows, b.h, side, side);
}
