// Channels are gone through in chunks, so that the sums of a chunk fit on the stack and go to the
// other processes together, and within those in groups that lie side by side in memory. A group is
// one thread's, picture after picture: the sums do not depend on the number of threads.
#include "core/nn/bn_parts.h"

#include "core/nn/activation.h"
#include "core/nn/graph.h"

#include <math.h>

enum { CHUNK = 1024, GROUP = 16 };

static inline size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t group_of(const ak_bn_maps *m)
{
    return least(m->block, GROUP);
}

// Where channel c, the first of a group, is at place p of picture n.
static inline size_t place(const ak_bn_maps *m, size_t n, size_t p, size_t c)
{
    return ((n * (m->c / m->block) + c / m->block) * m->plane + p) * m->block + c % m->block;
}

static double rows_of(const ak_bn_maps *m, const ak_bn_parts *parts)
{
    return (double)m->batch * (double)m->plane * parts->parts;
}

// sums[c] and squares[c], from channel `first` on, of n.
static inline __attribute__((always_inline)) void moments(double *sums, double *squares,
                                                          const void *x, const ak_bn_maps *m,
                                                          size_t first, size_t n, bool bf16)
{
    size_t group = group_of(m);
#pragma omp parallel for schedule(static)
    for (size_t c = 0; c < n; c += group) {
        double s[GROUP] = {0}, q[GROUP] = {0};
        size_t width = least(group, n - c);
        for (size_t i = 0; i < m->batch * m->plane; i++) {
            size_t at = place(m, i / m->plane, i % m->plane, first + c);
            for (size_t k = 0; k < width; k++) {
                double v = (double)get(x, at + k, bf16);
                s[k] += v;
                q[k] += v * v;
            }
        }
        memcpy(sums + c, s, width * sizeof *s);
        memcpy(squares + c, q, width * sizeof *q);
    }
}

static inline __attribute__((always_inline)) void
normalise(void *y, const void *x, const float *mean, const float *variance, const float *scale,
          const float *shift, const ak_bn_maps *m, bool bf16)
{
    size_t group = group_of(m);
#pragma omp parallel for schedule(static)
    for (size_t c = 0; c < m->c; c += group) {
        float factor[GROUP] = {0};
        size_t width = least(group, m->c - c);
        for (size_t k = 0; k < width; k++)
            factor[k] = scale[c + k] / sqrtf(variance[c + k] + AK_BN_EPS);
        for (size_t i = 0; i < m->batch * m->plane; i++) {
            size_t at = place(m, i / m->plane, i % m->plane, c);
            for (size_t k = 0; k < width; k++) {
                float v = (get(x, at + k, bf16) - mean[c + k]) * factor[k] + shift[c + k];
                put(y, at + k, m->relu && v < 0 ? 0 : v, bf16);
            }
        }
    }
}

void ak_bn_parts_forward(void *y, float *mean, float *variance, const void *x, const float *scale,
                         const float *shift, const ak_bn_maps *m, const ak_bn_parts *parts)
{
    double rows = rows_of(m, parts), sums[2 * CHUNK];
    for (size_t first = 0; first < m->c; first += CHUNK) {
        size_t n = least(CHUNK, m->c - first);
        BY_TYPE(m->bf16, moments(sums, sums + n, x, m, first, n, BF16));
        parts->sum(sums, 2 * n);
        for (size_t c = 0; c < n; c++) {
            double mu = sums[c] / rows;
            mean[first + c] = (float)mu;
            variance[first + c] = (float)fmax(sums[n + c] / rows - mu * mu, 0);
        }
    }
    BY_TYPE(m->bf16, normalise(y, x, mean, variance, scale, shift, m, BF16));
}

// Sums of dy, without what the ReLU cut off, and of its products with what x was normalised to.
static inline __attribute__((always_inline)) void
gradients(double *sums, double *dots, const void *dy, const void *x, const void *y,
          const float *mean, const float *variance, const ak_bn_maps *m, size_t first, size_t n,
          bool bf16)
{
    size_t group = group_of(m);
#pragma omp parallel for schedule(static)
    for (size_t c = 0; c < n; c += group) {
        double s[GROUP] = {0}, d[GROUP] = {0};
        size_t width = least(group, n - c);
        for (size_t i = 0; i < m->batch * m->plane; i++) {
            size_t at = place(m, i / m->plane, i % m->plane, first + c);
            for (size_t k = 0; k < width; k++) {
                float g = get(dy, at + k, bf16);
                g = m->relu && get(y, at + k, bf16) <= 0 ? 0 : g;
                s[k] += (double)g;
                d[k] += (double)(g * (get(x, at + k, bf16) - mean[first + c + k]));
            }
        }
        for (size_t k = 0; k < width; k++) {
            sums[c + k] = s[k];
            dots[c + k] = d[k] / sqrt((double)(variance[first + c + k] + AK_BN_EPS));
        }
    }
}

// dx = scale / deviation * (dy - means[c] - normalised x * dots[c]), dots being means, too.
static inline __attribute__((always_inline)) void
spread(void *dx, const void *dy, const void *x, const void *y, const float *mean,
       const float *variance, const float *scale, const double *means, const double *dots,
       const ak_bn_maps *m, size_t first, size_t n, bool bf16)
{
    size_t group = group_of(m);
#pragma omp parallel for schedule(static)
    for (size_t c = 0; c < n; c += group) {
        float rstd[GROUP] = {0};
        size_t width = least(group, n - c);
        for (size_t k = 0; k < width; k++)
            rstd[k] = 1 / sqrtf(variance[first + c + k] + AK_BN_EPS);
        for (size_t i = 0; i < m->batch * m->plane; i++) {
            size_t at = place(m, i / m->plane, i % m->plane, first + c);
            for (size_t k = 0; k < width; k++) {
                size_t channel = first + c + k;
                float g = get(dy, at + k, bf16);
                g = m->relu && get(y, at + k, bf16) <= 0 ? 0 : g;
                float normal = (get(x, at + k, bf16) - mean[channel]) * rstd[k];
                g -= (float)means[c + k] + normal * (float)dots[c + k];
                put(dx, at + k, scale[channel] * rstd[k] * g, bf16);
            }
        }
    }
}

void ak_bn_parts_backward(void *dx, float *dscale, float *dshift, const void *dy, const void *x,
                          const void *y, const float *mean, const float *variance,
                          const float *scale, const ak_bn_maps *m, const ak_bn_parts *parts)
{
    double rows = rows_of(m, parts), sums[2 * CHUNK];
    for (size_t first = 0; first < m->c; first += CHUNK) {
        size_t n = least(CHUNK, m->c - first);
        BY_TYPE(m->bf16, gradients(sums, sums + n, dy, x, y, mean, variance, m, first, n, BF16));
        for (size_t c = 0; c < n; c++) {
            dshift[first + c] = (float)sums[c];
            dscale[first + c] = (float)sums[n + c];
        }
        parts->sum(sums, 2 * n);
        for (size_t c = 0; c < 2 * n; c++)
            sums[c] /= rows;
        BY_TYPE(m->bf16,
                spread(dx, dy, x, y, mean, variance, scale, sums, sums + n, m, first, n, BF16));
    }
}
