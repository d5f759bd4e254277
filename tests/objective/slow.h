// The formulas of the objectives as they stand in the papers, in float64, without matrices, without
// maxima taken out, one anchor after the other: what the fast ones are compared with.
#ifndef AK_TESTS_OBJECTIVE_SLOW_H
#define AK_TESTS_OBJECTIVE_SLOW_H

#include "core/objective/objective.h"

#include <math.h>
#include <string.h>

static double slow_cosine(const double *x, const double *y, size_t d)
{
    double xy = 0, xx = 0, yy = 0;
    for (size_t j = 0; j < d; j++) {
        xy += x[j] * y[j];
        xx += x[j] * x[j];
        yy += y[j] * y[j];
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : 0;
}

static const double *slow_row(const ak_pairs_f64 *in, size_t i) // of a over b
{
    return i < in->n ? in->a + i * in->d : in->b + (i - in->n) * in->d;
}

static double slow_distance(double cosine)
{
    double d2 = 2 - 2 * cosine;
    return sqrt(d2 > 1e-12 ? d2 : 1e-12);
}

// The objectives that hold all 2n rows against each other; one anchor.
static double slow_anchor(const char *name, const ak_objective_params *p, const ak_pairs_f64 *in,
                          size_t i)
{
    size_t n = in->n, positives = 0, negatives = 0;
    double tau = p->tau, e_pos = 0, e_negs = 0, s_pos = 0, e_all = 0, s_same = 0;
    double farthest = 0, nearest = INFINITY;
    for (size_t k = 0; k < 2 * n; k++) {
        if (k == i)
            continue;
        double s = slow_cosine(slow_row(in, i), slow_row(in, k), in->d);
        bool view = k % n == i % n;
        bool same = view || (in->labels && in->labels[k % n] == in->labels[i % n]);
        bool masked = in->masked && in->masked[i * 2 * n + k];
        if (view) {
            s_pos = s / tau;
            e_pos = exp(s / tau);
        } else if (!masked) {
            e_negs += exp(s / tau);
            negatives++;
        }
        if (same || !masked)
            e_all += exp(s / tau);
        if (same) {
            s_same += s / tau;
            positives++;
            farthest = fmax(farthest, slow_distance(s));
        } else if (!masked) {
            nearest = fmin(nearest, slow_distance(s));
        }
    }
    if (strcmp(name, "nt_xent") == 0)
        return -log(e_pos / (e_pos + e_negs));
    if (strcmp(name, "dcl") == 0)
        return negatives ? -s_pos + log(e_negs) : 0;
    if (strcmp(name, "rince") == 0)
        return -pow(e_pos, p->q) / p->q + pow(p->lambda * (e_pos + e_negs), p->q) / p->q;
    if (strcmp(name, "debiased") == 0) {
        double m = (double)negatives, t = p->prior;
        double g = fmax((e_negs - m * t * e_pos) / (1 - t), m * exp(-1 / tau));
        return -log(e_pos / (e_pos + g));
    }
    if (strcmp(name, "sup_con") == 0)
        return log(e_all) - s_same / (double)positives;
    if (strcmp(name, "triplet") == 0)
        return fmax(0, farthest - nearest + p->margin);
    return NAN;
}

static double slow_siamese(const ak_objective_params *p, const ak_pairs_f64 *in)
{
    double sum = 0;
    for (size_t i = 0; i < in->n; i++)
        for (size_t k = 0; k < in->n; k++) {
            double d = slow_distance(slow_cosine(in->a + i * in->d, in->b + k * in->d, in->d));
            bool masked = in->masked && in->masked[i * 2 * in->n + in->n + k];
            if (i == k)
                sum += 0.5 * d * d;
            else if (!masked)
                sum += 0.5 * pow(fmax(0, p->margin - d), 2);
        }
    return sum / (double)(in->n * in->n);
}

static double slow_info_nce(const ak_objective_params *p, const ak_pairs_f64 *in, const double *x,
                            const double *target)
{
    double own = exp(slow_cosine(x, target, in->d) / p->tau), all = own;
    for (size_t k = 0; k < in->queued; k++)
        all += exp(slow_cosine(x, in->queue + k * in->d, in->d) / p->tau);
    return -log(own / all);
}

static double slow_proxies(const ak_objective_params *p, const ak_pairs_f64 *in, size_t i)
{
    double all = 0, loss = 0;
    for (size_t c = 0; c < in->classes; c++)
        all += exp(slow_cosine(slow_row(in, i), in->proxies + c * in->d, in->d) / p->tau);
    for (size_t c = 0; c < in->classes; c++) {
        double wanted = p->smoothing / (double)in->classes;
        if (c == in->labels[i % in->n])
            wanted += 1 - p->smoothing;
        loss -= wanted *
                (slow_cosine(slow_row(in, i), in->proxies + c * in->d, in->d) / p->tau - log(all));
    }
    return loss;
}

static double slow_objective(const ak_objective *o, const ak_objective_params *p,
                             const ak_pairs_f64 *given)
{
    ak_pairs_f64 in = *given;
    size_t n = in.n, d = in.d;
    double sum = 0;
    if (!o->labels)
        in.labels = NULL;
    if (strcmp(o->name, "siamese") == 0)
        return slow_siamese(p, &in);
    for (size_t i = 0; i < n; i++) {
        const double *a = in.a + i * d, *b = in.b + i * d;
        const double *to_b = in.target_b ? in.target_b + i * d : b;
        const double *to_a = in.target_a ? in.target_a + i * d : a;
        if (strcmp(o->name, "byol") == 0)
            sum += 4 - 2 * slow_cosine(a, to_b, d) - 2 * slow_cosine(b, to_a, d);
        else if (strcmp(o->name, "info_nce") == 0)
            sum += in.target_a
                       ? 0.5 * slow_info_nce(p, &in, a, to_b) + 0.5 * slow_info_nce(p, &in, b, to_a)
                       : slow_info_nce(p, &in, a, to_b);
        else if (strcmp(o->name, "proxy_softmax") == 0)
            sum += 0.5 * slow_proxies(p, &in, i) + 0.5 * slow_proxies(p, &in, n + i);
        else
            sum +=
                0.5 * slow_anchor(o->name, p, &in, i) + 0.5 * slow_anchor(o->name, p, &in, n + i);
    }
    return sum / (double)n;
}

#endif
