// One run of any objective: unit vectors, cosines to what the anchors are held against, the
// objective on each row of those, and the way back by two products.
//
// With S = X Y' the cosines of anchors X to candidates Y, and G = dL/dS as the rows leave it,
// dX = G Y and dY = G' X.
#include "core/objective/anchor.h"
#include "core/objective/rows.h"

#include <assert.h>
#include <string.h>

typedef R(ak_pairs) pairs;
typedef R(ak_pair_gradients) gradients;

typedef struct {
    const ak_objective *objective;
    const ak_objective_params *params;
    const pairs *in;
    size_t candidates;
    real *s;               // (anchors, candidates): cosines, then derivatives
    real *u, *du, *u_norm; // (2n, d): a over b
    real *v, *dv, *v_norm; // (others, d): proxies, or targets over the queue
    real *losses;          // (anchors)
} run;

// What the i-th anchor is held against.
static ak_anchor anchor_of(const run *r, size_t i)
{
    size_t n = r->in->n;
    ak_anchor anchor = {.params = r->params, .n = r->candidates, .self = r->candidates, .pairs = n};
    if (r->objective->proxies) {
        anchor.positive = r->in->labels[i < n ? i : i - n];
    } else if (r->objective->across) {
        anchor.positive = i;
    } else if (!r->objective->one_sided) {
        anchor.self = i;
        anchor.positive = i < n ? i + n : i - n;
        if (r->objective->labels) {
            anchor.labels = r->in->labels;
            anchor.label = r->in->labels[i < n ? i : i - n];
        }
    }
    return anchor;
}

// Self and false negatives leave the row.
static void leave_out(real *row, const run *r, const ak_anchor *anchor, size_t i)
{
    size_t n = r->in->n;
    if (anchor->self < anchor->n)
        row[anchor->self] = -INFINITY;
    if (!r->in->masked || r->objective->proxies || r->objective->one_sided)
        return;
    const uint8_t *masked = r->in->masked + i * 2 * n + (r->objective->across ? n : 0);
    for (size_t k = 0; k < anchor->n; k++)
        if (masked[k] && !ak_is_positive(anchor, k))
            row[k] = -INFINITY;
}

// The mean over anchors. Losses are kept and summed in order, whoever computed them.
static double each_anchor(run *r, size_t anchors)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < anchors; i++) {
        ak_anchor anchor = anchor_of(r, i);
        real *row = r->s + i * r->candidates;
        leave_out(row, r, &anchor, i);
        r->losses[i] = (real)r->objective->R(anchor)(row, &anchor);
    }
    double sum = 0;
    for (size_t i = 0; i < anchors; i++)
        sum += (double)r->losses[i];
    return sum / (double)anchors;
}

// s = x y'; stride: numbers from one row of s to the next.
static void cosines(real *s, size_t stride, const real *x, size_t m, const real *y, size_t k,
                    size_t d)
{
    cblas_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)k, (int)d, 1, x, (int)d, y,
               (int)d, 0, s, (int)stride);
}

// dx = scale g y + keep dx.
static void to_anchors(real *dx, real keep, real scale, const real *g, size_t stride, const real *y,
                       size_t m, size_t k, size_t d)
{
    cblas_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)d, (int)k, scale, g,
               (int)stride, y, (int)d, keep, dx, (int)d);
}

// dy = scale g' x + keep dy.
static void to_candidates(real *dy, real keep, real scale, const real *g, const real *x, size_t m,
                          size_t k, size_t d)
{
    cblas_gemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)k, (int)d, (int)m, scale, g, (int)k, x,
               (int)d, keep, dy, (int)d);
}

static double against_all(run *r)
{
    size_t m = 2 * r->in->n, d = r->in->d;
    real scale = 1 / (real)m;
    cosines(r->s, m, r->u, m, r->u, m, d);
    double loss = each_anchor(r, m);
    to_anchors(r->du, 0, scale, r->s, m, r->u, m, m, d);
    to_candidates(r->du, 1, scale, r->s, r->u, m, m, d);
    return loss;
}

static double a_against_b(run *r)
{
    size_t n = r->in->n, d = r->in->d;
    real *b = r->u + n * d, scale = 1 / (real)n;
    cosines(r->s, n, r->u, n, b, n, d);
    double loss = each_anchor(r, n);
    to_anchors(r->du, 0, scale, r->s, n, b, n, n, d);
    to_candidates(r->du + n * d, 0, scale, r->s, r->u, n, n, d);
    return loss;
}

static double against_proxies(gradients *out, run *r)
{
    size_t m = 2 * r->in->n, d = r->in->d, classes = r->in->classes;
    real scale = 1 / (real)m;
    R(ak_rows_normalise)(r->v, r->v_norm, r->in->proxies, classes, d);
    cosines(r->s, classes, r->u, m, r->v, classes, d);
    double loss = each_anchor(r, m);
    to_anchors(r->du, 0, scale, r->s, classes, r->v, m, classes, d);
    to_candidates(r->dv, 0, scale, r->s, r->u, m, classes, d);
    R(ak_rows_normalise_backward)(out->dproxies, r->dv, r->v, r->v_norm, classes, d);
    return loss;
}

static real dot(const real *x, const real *y, size_t d)
{
    double sum = 0;
    for (size_t j = 0; j < d; j++)
        sum += (double)x[j] * (double)y[j];
    return (real)sum;
}

// Each anchor has a target of its own, the first of its candidates; the queue is for all.
static double against_targets(run *r)
{
    const pairs *in = r->in;
    size_t n = in->n, d = in->d, queued = r->candidates - 1, stride = r->candidates;
    bool one_way = r->objective->queue && !in->target_b;
    size_t m = one_way ? n : 2 * n;
    real *queue = r->v + m * d, scale = 1 / (real)m;
    R(ak_rows_normalise)(r->v, r->v_norm, in->target_b ? in->target_b : in->b, n, d);
    if (!one_way)
        R(ak_rows_normalise)(r->v + n * d, r->v_norm, in->target_a ? in->target_a : in->a, n, d);
    R(ak_rows_normalise)(queue, r->v_norm + m, in->queue, queued, d);

    for (size_t i = 0; i < m; i++)
        r->s[i * stride] = dot(r->u + i * d, r->v + i * d, d);
    if (queued)
        cosines(r->s + 1, stride, r->u, m, queue, queued, d);
    double loss = each_anchor(r, m);
    memset(r->du, 0, 2 * n * d * sizeof *r->du);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < d; j++)
            r->du[i * d + j] = scale * r->s[i * stride] * r->v[i * d + j];
    if (queued)
        to_anchors(r->du, 1, scale, r->s + 1, stride, queue, m, queued, d);
    return loss;
}

double R(ak_objective_run)(gradients *out, const ak_objective *objective,
                           const ak_objective_params *params, const pairs *in, real *work)
{
    size_t n = in->n, d = in->d;
    assert(n && d && in->a && in->b && !in->target_a == !in->target_b);
    assert(!objective->labels || in->labels);
    assert(!objective->queue || in->queue || !in->queued);
    assert(!objective->proxies || (in->proxies && in->classes));
    ak_objective_shape shape = ak_objective_shape_of(objective, n, in->queued, in->classes);
    run r = {.objective = objective, .params = params, .in = in, .candidates = shape.candidates};
    r.s = work;
    r.u = r.s + shape.anchors * shape.candidates;
    r.du = r.u + 2 * n * d;
    r.v = r.du + 2 * n * d;
    r.dv = r.v + shape.others * d;
    r.u_norm = r.dv + shape.others * d;
    r.v_norm = r.u_norm + 2 * n;
    r.losses = r.v_norm + shape.others;

    R(ak_rows_normalise)(r.u, r.u_norm, in->a, n, d);
    R(ak_rows_normalise)(r.u + n * d, r.u_norm + n, in->b, n, d);
    double loss = objective->proxies     ? against_proxies(out, &r)
                  : objective->one_sided ? against_targets(&r)
                  : objective->across    ? a_against_b(&r)
                                         : against_all(&r);
    R(ak_rows_normalise_backward)(out->da, r.du, r.u, r.u_norm, n, d);
    R(ak_rows_normalise_backward)(out->db, r.du + n * d, r.u + n * d, r.u_norm + n, n, d);
    return loss;
}
