#include "core/nn/head.h"

#include "core/base/random.h"
#include "core/nn/graph.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

typedef struct {
    const float *w1, *scale, *shift, *w2, *b2;
} places;

static places places_of(const ak_head *h, const float *params)
{
    places p = {.w1 = params};
    p.scale = p.w1 + h->hidden * h->in;
    p.shift = p.scale + h->hidden;
    p.w2 = p.shift + h->hidden;
    p.b2 = p.w2 + h->out * h->hidden;
    return p;
}

// What forward leaves for backward: the normalised hidden values, the activations, a gradient.
typedef struct {
    float *normal, *active, *dactive, *mean, *variance;
} leavings;

static leavings leavings_of(const ak_head *h, float *work, size_t n)
{
    leavings l = {.normal = work};
    l.active = l.normal + n * h->hidden;
    l.dactive = l.active + n * h->hidden;
    l.mean = l.dactive + n * h->hidden;
    l.variance = l.mean + h->hidden;
    return l;
}

size_t ak_head_params(const ak_head *h)
{
    return h->hidden * h->in + 2 * h->hidden + h->out * h->hidden + h->out;
}

size_t ak_head_stats(const ak_head *h)
{
    return 2 * h->hidden;
}

size_t ak_head_work(const ak_head *h, size_t n)
{
    return 3 * n * h->hidden + 2 * h->hidden;
}

void ak_head_init(float *params, float *stats, const ak_head *h, uint64_t seed)
{
    places p = places_of(h, params);
    ak_random r = ak_random_stream(seed, 0x4ead, 0, 0);
    double a = 1 / sqrt((double)h->in), b = 1 / sqrt((double)h->hidden);
    for (float *at = params; at < p.scale; at++)
        *at = (float)ak_random_range(&r, -a, a);
    for (size_t i = 0; i < h->hidden; i++) {
        params[p.scale - params + (ptrdiff_t)i] = 1.0f;
        params[p.shift - params + (ptrdiff_t)i] = 0.0f;
        stats[i] = 0.0f;
        stats[h->hidden + i] = 1.0f;
    }
    for (float *at = params + (p.w2 - params); at < params + ak_head_params(h); at++)
        *at = (float)ak_random_range(&r, -b, b);
}

void ak_head_forward(float *z, const ak_head *h, const float *params, const float *x, size_t n,
                     float *work)
{
    places p = places_of(h, params);
    leavings l = leavings_of(h, work, n);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)h->hidden, (int)h->in, 1.0f,
                x, (int)h->in, p.w1, (int)h->in, 0.0f, l.normal, (int)h->hidden);
    for (size_t j = 0; j < h->hidden; j++) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < n; i++)
            mean += (double)l.normal[i * h->hidden + j];
        mean /= (double)n;
        for (size_t i = 0; i < n; i++) {
            double d = (double)l.normal[i * h->hidden + j] - mean;
            variance += d * d;
        }
        variance /= (double)n;
        l.mean[j] = (float)mean;
        l.variance[j] = (float)variance;
        float rstd = (float)(1 / sqrt(variance + (double)AK_BN_EPS));
        for (size_t i = 0; i < n; i++) {
            float *at = &l.normal[i * h->hidden + j], y;
            *at = (*at - (float)mean) * rstd;
            y = *at * p.scale[j] + p.shift[j];
            l.active[i * h->hidden + j] = y > 0 ? y : 0;
        }
    }
    for (size_t i = 0; i < n; i++)
        memcpy(z + i * h->out, p.b2, h->out * sizeof *z);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)h->out, (int)h->hidden, 1.0f,
                l.active, (int)h->hidden, p.w2, (int)h->hidden, 1.0f, z, (int)h->out);
}

void ak_head_stats_update(float *stats, const ak_head *h, const float *work, size_t n, float share)
{
    const float *mean = work + 3 * n * h->hidden, *variance = mean + h->hidden;
    float unbiased = n > 1 ? (float)n / (float)(n - 1) : 1.0f;
    for (size_t j = 0; j < h->hidden; j++) {
        stats[j] += share * (mean[j] - stats[j]);
        stats[h->hidden + j] += share * (variance[j] * unbiased - stats[h->hidden + j]);
    }
}

void ak_head_backward(float *dx, float *dparams, const ak_head *h, const float *params,
                      const float *dz, const float *x, size_t n, float *work)
{
    places p = places_of(h, params), d = places_of(h, dparams);
    leavings l = leavings_of(h, work, n);
    float *dw1 = dparams, *dscale = (float *)d.scale, *dshift = (float *)d.shift;
    float *dw2 = (float *)d.w2, *db2 = (float *)d.b2;
    memset(db2, 0, h->out * sizeof *db2);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < h->out; j++)
            db2[j] += dz[i * h->out + j];
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)h->out, (int)h->hidden, (int)n, 1.0f,
                dz, (int)h->out, l.active, (int)h->hidden, 0.0f, dw2, (int)h->hidden);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)h->hidden, (int)h->out,
                1.0f, dz, (int)h->out, p.w2, (int)h->hidden, 0.0f, l.dactive, (int)h->hidden);
    for (size_t j = 0; j < h->hidden; j++) {
        double sum = 0, dot = 0;
        for (size_t i = 0; i < n; i++) {
            size_t at = i * h->hidden + j;
            if (l.active[at] <= 0)
                l.dactive[at] = 0;
            sum += (double)l.dactive[at];
            dot += (double)l.dactive[at] * (double)l.normal[at];
        }
        dscale[j] = (float)dot;
        dshift[j] = (float)sum;
        float scale = p.scale[j] / sqrtf(l.variance[j] + AK_BN_EPS);
        for (size_t i = 0; i < n; i++) {
            size_t at = i * h->hidden + j;
            l.dactive[at] = scale * (l.dactive[at] - (float)(sum / (double)n) -
                                     l.normal[at] * (float)(dot / (double)n));
        }
    }
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)h->hidden, (int)h->in, (int)n, 1.0f,
                l.dactive, (int)h->hidden, x, (int)h->in, 0.0f, dw1, (int)h->in);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, (int)h->in, (int)h->hidden, 1.0f,
                l.dactive, (int)h->hidden, p.w1, (int)h->in, 0.0f, dx, (int)h->in);
}
