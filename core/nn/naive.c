#include "core/nn/naive.h"

#include "core/base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ak_naive {
    const ak_graph *graph;
    int batch, batch_from;
    bool bf16;
    double *y[AK_NODES_MAX], *dy[AK_NODES_MAX]; // (batch, c, h, w) each
    double *mean, *variance;                    // (graph.stats): at a BN's stat
    double *rounded;                            // bf16: parameters as they are used
};

static size_t size_of(const ak_naive *n, const ak_node *node)
{
    return (size_t)n->batch * (size_t)node->c * (size_t)node->h * (size_t)node->w;
}

// To the 7 binary digits of bf16 behind the first: all but 45 of a double's 52. Ties to even.
static double round_bf16(double value)
{
    const uint64_t one = (uint64_t)1 << 45;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits += one / 2 - 1 + (bits / one & 1);
    bits &= ~(one - 1);
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void round_map(const ak_naive *n, double *values, size_t count)
{
    for (size_t i = 0; n->bf16 && i < count; i++)
        values[i] = round_bf16(values[i]);
}

// The parameters, with the convolutions' weights as bf16 holds them.
static const double *used_params(ak_naive *n, const double *params)
{
    const ak_graph *g = n->graph;
    if (!n->bf16)
        return params;
    memcpy(n->rounded, params, g->params * sizeof *params);
    for (int i = 0; i < g->n; i++) {
        const ak_node *node = &g->nodes[i];
        if (node->op == AK_OP_CONV)
            round_map(n, n->rounded + node->param,
                      (size_t)node->c * (size_t)g->nodes[node->a].c * (size_t)(node->k * node->k));
    }
    return n->rounded;
}

ak_naive *ak_naive_new(const ak_graph *graph, int batch, bool bf16)
{
    ak_naive *n = calloc(1, sizeof *n);
    if (!n)
        return NULL;
    n->graph = graph;
    n->batch = batch;
    n->bf16 = bf16;
    n->mean = calloc(graph->stats + 1, sizeof *n->mean);
    n->variance = calloc(graph->stats + 1, sizeof *n->variance);
    n->rounded = bf16 ? calloc(graph->params, sizeof *n->rounded) : NULL;
    bool whole = n->mean && n->variance && (n->rounded || !bf16);
    for (int i = 0; i < graph->n; i++) {
        n->y[i] = calloc(size_of(n, &graph->nodes[i]), sizeof(double));
        n->dy[i] = calloc(size_of(n, &graph->nodes[i]), sizeof(double));
        whole = whole && n->y[i] && n->dy[i];
    }
    if (!whole) {
        ak_naive_free(n);
        return NULL;
    }
    return n;
}

void ak_naive_free(ak_naive *n)
{
    if (!n)
        return;
    for (int i = 0; i < AK_NODES_MAX; i++) {
        free(n->y[i]);
        free(n->dy[i]);
    }
    free(n->mean);
    free(n->variance);
    free(n->rounded);
    free(n);
}

// What the body does for every weight and every output place that it takes part in, with the
// offsets of the three. The window's place in the input is (i, j) * stride - pad; the innermost
// loop runs over the columns of the map that keep it within.
#define EACH_PRODUCT(node, x, batch, body)                                                         \
    for (int b = 0; b < (batch); b++)                                                              \
        for (int o = 0; o < (node)->c; o++)                                                        \
            for (int c = 0; c < (x)->c; c++)                                                       \
                for (int p = 0; p < (node)->k; p++)                                                \
                    for (int q = 0; q < (node)->k; q++) {                                          \
                        size_t at_w = (((size_t)o * (x)->c + c) * (node)->k + p) * (node)->k + q;  \
                        int step = (node)->stride, left = (node)->pad - q;                         \
                        int from = left > 0 ? (left + step - 1) / step : 0;                        \
                        int to = (x)->w + left > 0 ? ((x)->w - 1 + left) / step + 1 : 0;           \
                        to = to < (node)->w ? to : (node)->w;                                      \
                        for (int i = 0; i < (node)->h; i++) {                                      \
                            int r = i * step - (node)->pad + p;                                    \
                            if (r < 0 || r >= (x)->h)                                              \
                                continue;                                                          \
                            size_t row_y =                                                         \
                                ((size_t)(b * (node)->c + o) * (node)->h + i) * (node)->w;         \
                            size_t row_x = ((size_t)(b * (x)->c + c) * (x)->h + r) * (x)->w;       \
                            for (int j = from; j < to; j++) {                                      \
                                size_t at_y = row_y + j, at_x = row_x + j * step - left;           \
                                body;                                                              \
                            }                                                                      \
                        }                                                                          \
                    }

static void bn_forward(ak_naive *n, const ak_node *node, double *y, const double *x,
                       const double *params, const float *stats)
{
    size_t plane = (size_t)node->h * (size_t)node->w, all = plane * (size_t)n->batch;
    for (size_t c = 0; c < (size_t)node->c; c++) {
        double mean = 0, variance = 0;
        if (node->stage >= n->batch_from) {
            for (size_t i = 0; i < all; i++)
                mean += x[(i / plane * (size_t)node->c + c) * plane + i % plane];
            mean /= (double)all;
            for (size_t i = 0; i < all; i++) {
                double d = x[(i / plane * (size_t)node->c + c) * plane + i % plane] - mean;
                variance += d * d;
            }
            variance /= (double)all;
        } else {
            mean = stats[node->stat + c];
            variance = stats[node->stat + (size_t)node->c + c];
        }
        n->mean[node->stat + c] = mean;
        n->variance[node->stat + c] = variance;
        double scale = params[node->param + c] / sqrt(variance + (double)AK_BN_EPS);
        double shift = params[node->param + (size_t)node->c + c];
        for (size_t i = 0; i < all; i++) {
            size_t at = (i / plane * (size_t)node->c + c) * plane + i % plane;
            double v = (x[at] - mean) * scale + shift;
            y[at] = node->relu && v < 0 ? 0 : v;
        }
    }
}

static void bn_backward(ak_naive *n, const ak_node *node, double *dx, double *dparams,
                        const double *dy, const double *y, const double *x, const double *params)
{
    size_t plane = (size_t)node->h * (size_t)node->w, all = plane * (size_t)n->batch;
    for (size_t c = 0; c < (size_t)node->c; c++) {
        double mean = n->mean[node->stat + c];
        double rstd = 1 / sqrt(n->variance[node->stat + c] + (double)AK_BN_EPS);
        double sum = 0, dot = 0;
        for (size_t i = 0; i < all; i++) {
            size_t at = (i / plane * (size_t)node->c + c) * plane + i % plane;
            double g = node->relu && y[at] <= 0 ? 0 : dy[at];
            sum += g;
            dot += g * (x[at] - mean) * rstd;
        }
        dparams[node->param + c] += dot;
        dparams[node->param + (size_t)node->c + c] += sum;
        if (node->stage < n->batch_from)
            sum = dot = 0;
        for (size_t i = 0; i < all; i++) {
            size_t at = (i / plane * (size_t)node->c + c) * plane + i % plane;
            double g = node->relu && y[at] <= 0 ? 0 : dy[at];
            dx[at] += params[node->param + c] * rstd *
                      (g - sum / (double)all - (x[at] - mean) * rstd * dot / (double)all);
        }
    }
}

static void maxpool(ak_naive *n, const ak_node *node, const ak_node *x, double *y, double *dx,
                    const double *dy, const double *in)
{
    for (size_t m = 0; m < (size_t)(n->batch * node->c); m++)
        for (int i = 0; i < node->h; i++)
            for (int j = 0; j < node->w; j++) {
                size_t best = 0;
                double most = -INFINITY;
                for (int p = 0; p < node->k; p++)
                    for (int q = 0; q < node->k; q++) {
                        int r = i * node->stride - node->pad + p;
                        int s = j * node->stride - node->pad + q;
                        if (r < 0 || r >= x->h || s < 0 || s >= x->w)
                            continue;
                        size_t at = (m * (size_t)x->h + (size_t)r) * (size_t)x->w + (size_t)s;
                        if (in[at] > most) {
                            most = in[at];
                            best = at;
                        }
                    }
                size_t at = (m * (size_t)node->h + (size_t)i) * (size_t)node->w + (size_t)j;
                if (dx)
                    dx[best] += dy[at];
                else
                    y[at] = most;
            }
}

// The squeezed means, hidden values and gates of one picture: (c), (k), (c).
static void gates_of(double *mean, double *hidden, double *gates, const ak_node *node,
                     const double *x, const double *params)
{
    size_t c = (size_t)node->c, k = (size_t)node->k, plane = (size_t)node->h * (size_t)node->w;
    const double *w1 = params + node->param, *b1 = w1 + k * c, *w2 = b1 + k, *b2 = w2 + c * k;
    for (size_t i = 0; i < c; i++) {
        mean[i] = 0;
        for (size_t p = 0; p < plane; p++)
            mean[i] += x[i * plane + p] / (double)plane;
    }
    for (size_t j = 0; j < k; j++) {
        hidden[j] = b1[j];
        for (size_t i = 0; i < c; i++)
            hidden[j] += w1[j * c + i] * mean[i];
        hidden[j] = fmax(0, hidden[j]);
    }
    for (size_t i = 0; i < c; i++) {
        double sum = b2[i];
        for (size_t j = 0; j < k; j++)
            sum += w2[i * k + j] * hidden[j];
        gates[i] = 1 / (1 + exp(-sum));
    }
}

static void gate_forward(ak_naive *n, const ak_node *node, double *y, const double *x,
                         const double *params)
{
    size_t c = (size_t)node->c, k = (size_t)node->k, plane = (size_t)node->h * (size_t)node->w;
    double mean[c], hidden[k], gates[c];
    for (size_t b = 0; b < (size_t)n->batch; b++) {
        size_t start = b * c * plane;
        gates_of(mean, hidden, gates, node, x + start, params);
        for (size_t i = 0; i < c * plane; i++)
            y[start + i] = x[start + i] * gates[i / plane];
    }
}

static void gate_backward(ak_naive *n, const ak_node *node, double *dx, double *dparams,
                          const double *dy, const double *x, const double *params)
{
    size_t c = (size_t)node->c, k = (size_t)node->k, plane = (size_t)node->h * (size_t)node->w;
    const double *w1 = params + node->param, *w2 = w1 + k * c + k;
    double *dw1 = dparams + node->param, *db1 = dw1 + k * c, *dw2 = db1 + k, *db2 = dw2 + c * k;
    double mean[c], hidden[k], gates[c], dmean[c], dhidden[k];
    for (size_t b = 0; b < (size_t)n->batch; b++) {
        size_t start = b * c * plane;
        gates_of(mean, hidden, gates, node, x + start, params);
        memset(dmean, 0, sizeof dmean);
        memset(dhidden, 0, sizeof dhidden);
        for (size_t i = 0; i < c; i++) {
            double sum = 0;
            for (size_t p = 0; p < plane; p++)
                sum += dy[start + i * plane + p] * x[start + i * plane + p];
            double dgate = sum * gates[i] * (1 - gates[i]);
            db2[i] += dgate;
            for (size_t j = 0; j < k; j++) {
                dw2[i * k + j] += dgate * hidden[j];
                dhidden[j] += dgate * w2[i * k + j];
            }
        }
        for (size_t j = 0; j < k; j++) {
            double d = hidden[j] > 0 ? dhidden[j] : 0;
            db1[j] += d;
            for (size_t i = 0; i < c; i++) {
                dw1[j * c + i] += d * mean[i];
                dmean[i] += d * w1[j * c + i];
            }
        }
        for (size_t i = 0; i < c * plane; i++)
            dx[start + i] += dy[start + i] * gates[i / plane] + dmean[i / plane] / (double)plane;
    }
}

void ak_naive_forward(ak_naive *n, double *features, double *used, const uint8_t *pixels,
                      const double *params, const float *stats, int batch_from)
{
    const ak_graph *g = n->graph;
    n->batch_from = batch_from;
    params = used_params(n, params);
    for (int v = 0; v < g->n; v++) {
        const ak_node *node = &g->nodes[v], *x = node->a >= 0 ? &g->nodes[node->a] : NULL;
        double *y = n->y[v];
        const double *in = x ? n->y[node->a] : NULL;
        size_t plane = (size_t)node->h * (size_t)node->w;
        switch (node->op) {
        case AK_OP_INPUT:
            for (size_t i = 0; i < size_of(n, node); i++) {
                size_t b = i / (3 * plane), c = i / plane % 3;
                double value = pixels[(b * plane + i % plane) * 3 + c] / 255.0;
                y[i] = (value - (double)g->mean[c]) / (double)g->deviation[c];
            }
            break;
        case AK_OP_CONV:
            memset(y, 0, size_of(n, node) * sizeof *y);
            EACH_PRODUCT(node, x, n->batch, y[at_y] += in[at_x] * params[node->param + at_w])
            break;
        case AK_OP_BN:
            bn_forward(n, node, y, in, params, stats);
            if (used)
                for (size_t c = 0; c < (size_t)node->c; c++) {
                    used[node->stat + c] = n->mean[node->stat + c];
                    used[node->stat + (size_t)node->c + c] = n->variance[node->stat + c];
                }
            break;
        case AK_OP_GATE:
            gate_forward(n, node, y, in, params);
            break;
        case AK_OP_ADD_RELU:
            for (size_t i = 0; i < size_of(n, node); i++)
                y[i] = fmax(0, in[i] + n->y[node->b][i]);
            break;
        case AK_OP_MAXPOOL:
            maxpool(n, node, x, y, NULL, NULL, in);
            break;
        case AK_OP_AVGPOOL:
            plane = (size_t)x->h * (size_t)x->w;
            for (size_t i = 0; i < (size_t)(n->batch * node->c); i++) {
                double sum = 0;
                for (size_t j = 0; j < plane; j++)
                    sum += in[i * plane + j];
                features[i / (size_t)node->c * g->features + node->column + i % (size_t)node->c] =
                    sum / (double)plane;
            }
            break;
        }
        round_map(n, y, size_of(n, node));
    }
}

void ak_naive_backward(ak_naive *n, double *dparams, const double *dfeatures, const double *params)
{
    const ak_graph *g = n->graph;
    params = used_params(n, params);
    memset(dparams, 0, g->params * sizeof *dparams);
    for (int v = 0; v < g->n; v++)
        memset(n->dy[v], 0, size_of(n, &g->nodes[v]) * sizeof(double));
    for (int v = g->n - 1; v > 0; v--) {
        const ak_node *node = &g->nodes[v], *x = &g->nodes[node->a];
        double *dx = n->dy[node->a];
        const double *dy = n->dy[v], *y = n->y[v], *in = n->y[node->a];
        size_t plane = (size_t)x->h * (size_t)x->w;
        switch (node->op) {
        case AK_OP_INPUT:
            break;
        case AK_OP_CONV:
            EACH_PRODUCT(node, x, n->batch, {
                dx[at_x] += dy[at_y] * params[node->param + at_w];
                dparams[node->param + at_w] += dy[at_y] * in[at_x];
            })
            break;
        case AK_OP_BN:
            bn_backward(n, node, dx, dparams, dy, y, in, params);
            break;
        case AK_OP_GATE:
            gate_backward(n, node, dx, dparams, dy, in, params);
            break;
        case AK_OP_ADD_RELU:
            for (size_t i = 0; i < size_of(n, node); i++) {
                dx[i] += y[i] > 0 ? dy[i] : 0;
                n->dy[node->b][i] += y[i] > 0 ? dy[i] : 0;
            }
            break;
        case AK_OP_MAXPOOL:
            maxpool(n, node, x, NULL, dx, dy, in);
            break;
        case AK_OP_AVGPOOL:
            for (size_t i = 0; i < (size_t)(n->batch * node->c); i++) {
                size_t b = i / (size_t)node->c, c = i % (size_t)node->c;
                double d = dfeatures[b * g->features + node->column + c] / (double)plane;
                for (size_t j = 0; j < plane; j++)
                    dx[i * plane + j] += d;
            }
            break;
        }
        round_map(n, dx, size_of(n, x));
        if (node->op == AK_OP_ADD_RELU)
            round_map(n, n->dy[node->b], size_of(n, &g->nodes[node->b]));
    }
}
