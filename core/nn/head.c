#include "core/nn/head.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

const ak_field ak_head_fields[] = {
    {"hidden", AK_FIELD_COUNT, offsetof(ak_head, hidden), 1, 65536,
     "width of all layers but the last", NULL},
    {"out", AK_FIELD_COUNT, offsetof(ak_head, out), 1, 65536, "width of the last layer", NULL},
    {"depth", AK_FIELD_INT, offsetof(ak_head, depth), 1, AK_HEAD_DEPTH_MAX, "linear layers", NULL},
    {"last_bn", AK_FIELD_BOOL, offsetof(ak_head, last_bn), 0, 1,
     "batch norm after the last layer, too", NULL},
    {0},
};
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "the table reads size_t as AK_FIELD_COUNT");

// One layer: its shape, and where its numbers lie in params, stats and, for n rows, work.
typedef struct {
    size_t rows, columns; // outputs, inputs
    bool bn, relu;
    size_t weights, scale, shift, bias; // scale and shift with a batch norm, else bias
    size_t mean, variance;              // in stats
    // In work: what enters the batch norm, normalised unless there are parts (n, rows); what leaves
    // the layer (n, rows); mean and variance of the batch (rows each).
    size_t normal, active, batch_mean, batch_variance;
} layer;

typedef struct {
    layer at[AK_HEAD_DEPTH_MAX];
    size_t params, stats, work;
    size_t gradient; // in work: (n, the widest), twice
    size_t widest;
} layout;

static layout layout_of(const ak_head *h, size_t n)
{
    layout all = {0};
    size_t columns = h->in;
    for (int i = 0; i < h->depth; i++) {
        bool last = i == h->depth - 1;
        layer *l = &all.at[i];
        *l = (layer){.rows = last ? h->out : h->hidden, .columns = columns};
        l->bn = !last || h->last_bn;
        l->relu = !last;
        l->weights = all.params;
        l->scale = l->bias = l->weights + l->rows * columns;
        l->shift = l->scale + l->rows;
        all.params = l->bias + (l->bn ? 2 : 1) * l->rows;
        l->mean = all.stats;
        l->variance = l->mean + l->rows;
        all.stats += l->bn ? 2 * l->rows : 0;
        l->normal = all.work;
        l->active = l->normal + n * l->rows;
        l->batch_mean = l->active + n * l->rows;
        l->batch_variance = l->batch_mean + l->rows;
        all.work = l->batch_variance + l->rows;
        all.widest = l->rows > all.widest ? l->rows : all.widest;
        columns = l->rows;
    }
    all.gradient = all.work;
    all.work += 2 * n * all.widest;
    return all;
}

size_t ak_head_params(const ak_head *h)
{
    return layout_of(h, 0).params;
}

size_t ak_head_stats(const ak_head *h)
{
    return layout_of(h, 0).stats;
}

size_t ak_head_work(const ak_head *h, size_t n)
{
    return layout_of(h, n).work;
}

size_t ak_head_ranges(ak_range out[3 * AK_HEAD_DEPTH_MAX], const ak_head *h)
{
    layout all = layout_of(h, 0);
    size_t n = 0;
    for (int i = 0; i < h->depth; i++) {
        const layer *l = &all.at[i];
        out[n++] = (ak_range){l->weights, l->rows * l->columns, true};
        out[n++] = (ak_range){l->scale, l->rows, false};
        if (l->bn)
            out[n++] = (ak_range){l->shift, l->rows, false};
    }
    return n;
}

void ak_head_init(float *params, float *stats, const ak_head *h, uint64_t seed)
{
    layout all = layout_of(h, 0);
    ak_random r = ak_random_stream(seed, 0x4ead, 0, 0);
    for (int i = 0; i < h->depth; i++) {
        const layer *l = &all.at[i];
        double bound = 1 / sqrt((double)l->columns);
        size_t drawn = l->rows * (l->columns + (l->bn ? 0 : 1)); // the bias, too
        for (size_t j = 0; j < drawn; j++)
            params[l->weights + j] = (float)ak_random_range(&r, -bound, bound);
        for (size_t j = 0; l->bn && j < l->rows; j++) {
            params[l->scale + j] = 1.0f;
            params[l->shift + j] = 0.0f;
            stats[l->mean + j] = 0.0f;
            stats[l->variance + j] = 1.0f;
        }
    }
}

enum { COLUMNS = 16 }; // that are gone through together, a cache line of each row

static ak_bn_maps rows_as_maps(const layer *l, size_t n)
{
    return (ak_bn_maps){.batch = n, .c = l->rows, .plane = 1, .block = l->rows, .relu = l->relu};
}

// x (n, rows) becomes normalised, y = max(0, scale * x + shift), without the ReLU where there is
// none.
static void bn_forward(float *y, float *x, float *mean, float *variance, const layer *l,
                       const float *params, size_t n)
{
    const float *scale = params + l->scale, *shift = params + l->shift;
#pragma omp parallel for schedule(static)
    for (size_t begin = 0; begin < l->rows; begin += COLUMNS) {
        size_t end = begin + COLUMNS < l->rows ? begin + COLUMNS : l->rows;
        double m[COLUMNS] = {0}, v[COLUMNS] = {0};
        float rstd[COLUMNS] = {0};
        for (size_t i = 0; i < n; i++)
            for (size_t j = begin; j < end; j++)
                m[j - begin] += (double)x[i * l->rows + j];
        for (size_t j = 0; j < COLUMNS; j++)
            m[j] /= (double)n;
        for (size_t i = 0; i < n; i++)
            for (size_t j = begin; j < end; j++) {
                double d = (double)x[i * l->rows + j] - m[j - begin];
                v[j - begin] += d * d;
            }
        for (size_t j = begin; j < end; j++) {
            mean[j] = (float)m[j - begin];
            variance[j] = (float)(v[j - begin] / (double)n);
            rstd[j - begin] = (float)(1 / sqrt(v[j - begin] / (double)n + (double)AK_BN_EPS));
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = begin; j < end; j++) {
                float normal = (x[i * l->rows + j] - mean[j]) * rstd[j - begin];
                float out = normal * scale[j] + shift[j];
                x[i * l->rows + j] = normal;
                y[i * l->rows + j] = l->relu && out < 0 ? 0 : out;
            }
    }
}

void ak_head_forward(float *z, const ak_head *h, const float *params, const float *x, size_t n,
                     float *work)
{
    layout all = layout_of(h, n);
    for (int i = 0; i < h->depth; i++) {
        const layer *l = &all.at[i];
        float *y = i == h->depth - 1 ? z : work + l->active;
        float *product = l->bn ? work + l->normal : y;
        for (size_t r = 0; !l->bn && r < n; r++)
            memcpy(y + r * l->rows, params + l->bias, l->rows * sizeof *y);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)l->rows, (int)l->columns,
                    1.0f, x, (int)l->columns, params + l->weights, (int)l->columns,
                    l->bn ? 0.0f : 1.0f, product, (int)l->rows);
        float *mean = work + l->batch_mean, *variance = work + l->batch_variance;
        ak_bn_maps maps = rows_as_maps(l, n);
        if (l->bn && h->parts)
            ak_bn_parts_forward(y, mean, variance, product, params + l->scale, params + l->shift,
                                &maps, h->parts);
        else if (l->bn)
            bn_forward(y, product, mean, variance, l, params, n);
        x = y;
    }
}

void ak_head_stats_update(float *stats, const ak_head *h, const float *work, size_t n, float share)
{
    layout all = layout_of(h, n);
    float rows = (float)n * (h->parts ? (float)h->parts->parts : 1.0f);
    float unbiased = rows > 1 ? rows / (rows - 1) : 1.0f;
    for (int i = 0; i < h->depth; i++) {
        const layer *l = &all.at[i];
        const float *mean = work + l->batch_mean, *variance = work + l->batch_variance;
        for (size_t j = 0; l->bn && j < l->rows; j++) {
            stats[l->mean + j] += share * (mean[j] - stats[l->mean + j]);
            stats[l->variance + j] += share * (variance[j] * unbiased - stats[l->variance + j]);
        }
    }
}

// dx (n, rows) from dy, which it may be; normal, active and variance are forward's.
static void bn_backward(float *dx, float *dparams, const float *dy, const layer *l,
                        const float *params, const float *work, size_t n)
{
    const float *normal = work + l->normal, *active = work + l->active;
    const float *variance = work + l->batch_variance;
#pragma omp parallel for schedule(static)
    for (size_t begin = 0; begin < l->rows; begin += COLUMNS) {
        size_t end = begin + COLUMNS < l->rows ? begin + COLUMNS : l->rows;
        double sum[COLUMNS] = {0}, dot[COLUMNS] = {0};
        for (size_t i = 0; i < n; i++)
            for (size_t j = begin; j < end; j++) {
                size_t at = i * l->rows + j;
                float d = l->relu && active[at] <= 0 ? 0 : dy[at];
                dx[at] = d;
                sum[j - begin] += (double)d;
                dot[j - begin] += (double)d * (double)normal[at];
            }
        for (size_t j = begin; j < end; j++) {
            dparams[l->scale + j] = (float)dot[j - begin];
            dparams[l->shift + j] = (float)sum[j - begin];
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = begin; j < end; j++) {
                size_t at = i * l->rows + j;
                float scale = params[l->scale + j] / sqrtf(variance[j] + AK_BN_EPS);
                dx[at] = scale * (dx[at] - (float)(sum[j - begin] / (double)n) -
                                  normal[at] * (float)(dot[j - begin] / (double)n));
            }
    }
}

void ak_head_backward(float *dx, float *dparams, const ak_head *h, const float *params,
                      const float *dz, const float *x, size_t n, float *work)
{
    layout all = layout_of(h, n);
    float *spare[2] = {work + all.gradient, work + all.gradient + n * all.widest};
    const float *dy = dz;
    for (int i = h->depth - 1; i >= 0; i--) {
        const layer *l = &all.at[i];
        const float *in = i ? work + all.at[i - 1].active : x;
        if (l->bn) {
            ak_bn_maps maps = rows_as_maps(l, n);
            if (h->parts)
                ak_bn_parts_backward(spare[0], dparams + l->scale, dparams + l->shift, dy,
                                     work + l->normal, work + l->active, work + l->batch_mean,
                                     work + l->batch_variance, params + l->scale, &maps, h->parts);
            else
                bn_backward(spare[0], dparams, dy, l, params, work, n);
            dy = spare[0];
        } else {
            memset(dparams + l->bias, 0, l->rows * sizeof *dparams);
            for (size_t r = 0; r < n; r++)
                for (size_t j = 0; j < l->rows; j++)
                    dparams[l->bias + j] += dy[r * l->rows + j];
        }
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)l->rows, (int)l->columns, (int)n,
                    1.0f, dy, (int)l->rows, in, (int)l->columns, 0.0f, dparams + l->weights,
                    (int)l->columns);
        float *down = i ? spare[1] : dx;
        if (down)
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)l->columns,
                        (int)l->rows, 1.0f, dy, (int)l->rows, params + l->weights, (int)l->columns,
                        0.0f, down, (int)l->columns);
        dy = down;
    }
}
