// What a pass through a network gave, and how far two of them are apart, part by part.
#ifndef AK_TESTS_OUTCOME_H
#define AK_TESTS_OUTCOME_H

#include "core/nn/graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// features (batch, graph.features), gradient (graph.params), statistics (graph.stats): means and
// unbiased variances.
typedef struct {
    double *features, *gradient, *stats;
} outcome;

// What is compared: the gradient from parameter `trained` on, statistics from stage `batch_from`
// on.
typedef struct {
    const ak_graph *graph;
    int batch;
    size_t trained;
    int batch_from;
} scope;

// A number for each part of an outcome: a difference, or what it may be at most.
enum { FEATURES, STATISTICS, GRADIENT, TENSOR, PARTS_MAX = TENSOR + AK_RANGES_MAX };
typedef struct {
    double of[PARTS_MAX];
    int n;
} parts;

static inline outcome outcome_new(const ak_graph *graph, int batch)
{
    return (outcome){calloc(graph->features * (size_t)batch, sizeof(double)),
                     calloc(graph->params, sizeof(double)), calloc(graph->stats, sizeof(double))};
}

static inline void outcome_free(outcome *o)
{
    free(o->features);
    free(o->gradient);
    free(o->stats);
}

static inline double distance(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return isfinite(sum) ? sqrt(sum) : INFINITY;
}

static inline double norm(const double *a, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * a[i];
    return sqrt(sum);
}

// The largest difference in any channel, a variance's as a share of 1 + variance.
static inline double statistics_apart(const scope *s, const double *a, const double *b)
{
    double most = 0;
    for (int i = 0; i < s->graph->n; i++) {
        const ak_node *n = &s->graph->nodes[i];
        for (int c = 0; n->op == AK_OP_BN && n->stage >= s->batch_from && c < n->c; c++) {
            size_t mean = n->stat + (size_t)c, variance = mean + (size_t)n->c;
            double d =
                fmax(fabs(a[mean] - b[mean]), fabs(a[variance] - b[variance]) / (1 + b[variance]));
            most = isfinite(a[mean] + a[variance]) ? fmax(most, d) : INFINITY;
        }
    }
    return most;
}

static inline parts parts_apart(const scope *s, const outcome *a, const outcome *b)
{
    ak_range ranges[AK_RANGES_MAX];
    size_t n = ak_graph_ranges(ranges, s->graph), from = s->trained;
    parts p = {.n = TENSOR + (int)n};
    p.of[FEATURES] = distance(a->features, b->features, s->graph->features * (size_t)s->batch);
    p.of[STATISTICS] = statistics_apart(s, a->stats, b->stats);
    p.of[GRADIENT] = distance(a->gradient + from, b->gradient + from, s->graph->params - from);
    for (size_t i = 0; i < n; i++)
        if (ranges[i].start >= from)
            p.of[TENSOR + i] = distance(a->gradient + ranges[i].start,
                                        b->gradient + ranges[i].start, ranges[i].count);
    return p;
}

// What rounding to f32 may do. Every tensor of the gradient by itself, not just the large ones;
// those that hardly matter, by a share of the tensors' mean norm.
static inline parts bounds_f32(const scope *s, const outcome *exact)
{
    ak_range ranges[AK_RANGES_MAX];
    size_t n = ak_graph_ranges(ranges, s->graph);
    double all = norm(exact->gradient + s->trained, s->graph->params - s->trained);
    parts p = {.n = TENSOR + (int)n};
    p.of[FEATURES] = 1e-4 * norm(exact->features, s->graph->features * (size_t)s->batch);
    p.of[STATISTICS] = 1e-3;
    p.of[GRADIENT] = 0.7e-3 * all;
    for (size_t i = 0; i < n; i++)
        p.of[TENSOR + i] = 1e-3 * (norm(exact->gradient + ranges[i].start, ranges[i].count) +
                                   0.01 * all / sqrt((double)n));
    return p;
}

// In bf16, twice what rounding does to the definition. A tensor of few numbers may owe a small
// error to luck: the tensors' mean error is added to its own.
static inline parts bounds_bf16(const scope *s, const outcome *exact, const outcome *rounded)
{
    parts p = parts_apart(s, rounded, exact);
    double mean = p.of[GRADIENT] / sqrt((double)(p.n - TENSOR));
    for (int i = 0; i < p.n; i++)
        p.of[i] = 2 * (p.of[i] + (i < TENSOR ? 0 : mean));
    return p;
}

// The part that is the furthest beyond its bound; -1: none is beyond.
static inline int worst_part(const parts *apart, const parts *bound)
{
    int worst = -1;
    double most = 1;
    for (int i = 0; i < apart->n; i++)
        if (!(apart->of[i] <= most * bound->of[i])) {
            worst = i;
            most = apart->of[i] / bound->of[i];
        }
    return worst;
}

static inline void part_name(char name[40], int part)
{
    static const char *const names[] = {"features", "statistics", "gradient"};
    if (part < TENSOR)
        snprintf(name, 40, "%s", names[part]);
    else
        snprintf(name, 40, "gradient of tensor %d", part - TENSOR);
}

#endif
