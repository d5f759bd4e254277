// Residual networks of basic blocks (He et al. 2016) for small pictures.
#include "core/nn/graph.h"

#include <math.h>

const ak_field ak_resnet_fields[] = {
    {"blocks", AK_FIELD_INT4, offsetof(ak_resnet, blocks), 1, 3,
     "blocks of each stage: rn10 has 1, 1, 1, 1, rn18 has 2, 2, 2, 2", NULL},
    {"width", AK_FIELD_FLOAT, offsetof(ak_resnet, width), 0.125, 4,
     "multiplies the stages' widths 64, 128, 256, 512", NULL},
    {"last_stride", AK_FIELD_INT, offsetof(ak_resnet, last_stride), 1, 2,
     "of the last stage; 1 for a finer map", NULL},
    {"pool_stages", AK_FIELD_INT, offsetof(ak_resnet, pool_stages), 1, 4,
     "stages whose average is in the features, counted from the last", NULL},
    {"attention", AK_FIELD_INT, offsetof(ak_resnet, attention), 0, 64,
     "squeeze-and-excitation with this reduction; 0: none", NULL},
    {"zero_last_bn", AK_FIELD_BOOL, offsetof(ak_resnet, zero_last_bn), 0, 1,
     "the last batch norm of a block begins at 0", NULL},
    {0},
};

static int add(ak_graph *g, ak_node node)
{
    g->nodes[g->n] = node;
    return g->n++;
}

static int conv_bn(ak_graph *g, int a, int c, int k, int stride, int stage, bool relu)
{
    const ak_node *x = &g->nodes[a];
    int h = (x->h + stride - 1) / stride, w = (x->w + stride - 1) / stride;
    int conv = add(g, (ak_node){.op = AK_OP_CONV,
                                .a = a,
                                .c = c,
                                .h = h,
                                .w = w,
                                .k = k,
                                .stride = stride,
                                .pad = k / 2,
                                .stage = stage,
                                .param = g->params});
    g->params += (size_t)c * (size_t)x->c * (size_t)(k * k);
    int bn = add(g, (ak_node){.op = AK_OP_BN,
                              .a = conv,
                              .c = c,
                              .h = h,
                              .w = w,
                              .stage = stage,
                              .relu = relu,
                              .param = g->params,
                              .stat = g->stats});
    g->params += 2 * (size_t)c;
    g->stats += 2 * (size_t)c;
    return bn;
}

static int gate(ak_graph *g, int a, int hidden)
{
    ak_node node = g->nodes[a];
    int c = node.c;
    int y = add(g, (ak_node){.op = AK_OP_GATE,
                             .a = a,
                             .c = c,
                             .h = node.h,
                             .w = node.w,
                             .k = hidden,
                             .stage = node.stage,
                             .param = g->params});
    g->params += 2 * (size_t)c * (size_t)hidden + (size_t)(c + hidden);
    return y;
}

static int block(ak_graph *g, const ak_resnet *net, int x, int c, int stride, int stage)
{
    int shortcut = x;
    if (stride != 1 || g->nodes[x].c != c)
        shortcut = conv_bn(g, x, c, 1, stride, stage, false);
    int y = conv_bn(g, x, c, 3, stride, stage, true);
    y = conv_bn(g, y, c, 3, 1, stage, false);
    ak_node last = g->nodes[y];
    g->nodes[y].zero = net->zero_last_bn;
    if (net->attention)
        y = gate(g, y, c < 2 * net->attention ? 2 : c / net->attention);
    return add(g, (ak_node){.op = AK_OP_ADD_RELU,
                            .a = y,
                            .b = shortcut,
                            .c = c,
                            .h = last.h,
                            .w = last.w,
                            .stage = stage});
}

static int width_of(const ak_resnet *net, int width)
{
    int rounded = (int)lroundf(net->width * (float)width / 16.0f) * 16;
    return rounded < 16 ? 16 : rounded;
}

ak_status ak_resnet_graph(ak_graph *g, const ak_resnet *net, int side, ak_error *err)
{
    if (side < 8 || side > 1024)
        return ak_fail(err, AK_BAD_VALUE, "input side %d px; 8 to 1024 are possible", side);
    if (!(net->width >= 0.125f && net->width <= 4.0f))
        return ak_fail(err, AK_BAD_VALUE, "width multiplier %g; 0.125 to 4 are possible",
                       (double)net->width);
    if (net->pool_stages < 1 || net->pool_stages > 4)
        return ak_fail(err, AK_BAD_VALUE, "%d pooled stages; 1 to 4 are possible",
                       net->pool_stages);
    if (net->last_stride != 1 && net->last_stride != 2)
        return ak_fail(err, AK_BAD_VALUE, "last stage at stride %d; 1 or 2", net->last_stride);
    if (net->attention < 0 || net->attention > 64)
        return ak_fail(err, AK_BAD_VALUE,
                       "attention with a reduction of %d; 0 (none) to 64 are possible",
                       net->attention);
    for (int s = 0; s < 4; s++)
        if (net->blocks[s] < 1 || net->blocks[s] > 3)
            return ak_fail(err, AK_BAD_VALUE, "%d blocks in stage %d; 1 to 3 are possible",
                           net->blocks[s], s + 1);
    *g = (ak_graph){.mean = {0.485f, 0.456f, 0.406f}, .deviation = {0.229f, 0.224f, 0.225f}};
    int x = add(g, (ak_node){.op = AK_OP_INPUT, .a = -1, .c = 3, .h = side, .w = side});
    x = conv_bn(g, x, width_of(net, 64), 3, 2, 0, true);
    ak_node stem = g->nodes[x];
    x = add(g, (ak_node){.op = AK_OP_MAXPOOL,
                         .a = x,
                         .c = stem.c,
                         .h = (stem.h + 1) / 2,
                         .w = (stem.w + 1) / 2,
                         .k = 3,
                         .stride = 2,
                         .pad = 1});
    for (int s = 0; s < 4; s++) {
        int stride = s == 0 ? 1 : s == 3 ? net->last_stride : 2;
        for (int b = 0; b < net->blocks[s]; b++)
            x = block(g, net, x, width_of(net, 64 << s), b == 0 ? stride : 1, s + 1);
        if (4 - s <= net->pool_stages) {
            int c = g->nodes[x].c;
            add(g, (ak_node){.op = AK_OP_AVGPOOL,
                             .a = x,
                             .c = c,
                             .h = 1,
                             .w = 1,
                             .stage = s + 1,
                             .column = g->features});
            g->features += (size_t)c;
        }
    }
    return AK_OK;
}

// The two linear layers of a gate, their biases with them.
static void gate_init(float *params, const ak_node *node, ak_random r)
{
    size_t c = (size_t)node->c, k = (size_t)node->k;
    double first = 1 / sqrt((double)c), second = 1 / sqrt((double)k);
    for (size_t i = 0; i < k * c + k; i++)
        params[i] = (float)ak_random_range(&r, -first, first);
    for (size_t i = k * c + k; i < 2 * k * c + k + c; i++)
        params[i] = (float)ak_random_range(&r, -second, second);
}

void ak_graph_init(float *params, float *stats, const ak_graph *g, uint64_t seed)
{
    for (int i = 0; i < g->n; i++) {
        const ak_node *node = &g->nodes[i];
        if (node->op == AK_OP_CONV) {
            size_t n = (size_t)node->c * (size_t)g->nodes[node->a].c * (size_t)(node->k * node->k);
            double deviation = sqrt(2.0 / (double)(node->c * node->k * node->k));
            ak_random r = ak_random_stream(seed, 0x1417, (uint32_t)i, 0);
            for (size_t j = 0; j < n; j++)
                params[node->param + j] = (float)(deviation * ak_random_normal(&r));
        } else if (node->op == AK_OP_BN) {
            for (int c = 0; c < node->c; c++) {
                params[node->param + (size_t)c] = node->zero ? 0.0f : 1.0f;
                params[node->param + (size_t)(node->c + c)] = 0.0f;
                stats[node->stat + (size_t)c] = 0.0f;
                stats[node->stat + (size_t)(node->c + c)] = 1.0f;
            }
        } else if (node->op == AK_OP_GATE) {
            gate_init(params + node->param, node, ak_random_stream(seed, 0x1417, (uint32_t)i, 0));
        }
    }
}

size_t ak_graph_ranges(ak_range out[AK_RANGES_MAX], const ak_graph *g)
{
    size_t n = 0;
    for (int i = 0; i < g->n; i++) {
        const ak_node *node = &g->nodes[i];
        size_t at = node->param, c = (size_t)node->c, k = (size_t)node->k;
        if (node->op == AK_OP_CONV) {
            out[n++] = (ak_range){at, c * (size_t)g->nodes[node->a].c * k * k, true};
        } else if (node->op == AK_OP_BN) {
            out[n++] = (ak_range){at, c, false};
            out[n++] = (ak_range){at + c, c, false};
        } else if (node->op == AK_OP_GATE) {
            out[n++] = (ak_range){at, k * c, true};
            out[n++] = (ak_range){at + k * c, k, false};
            out[n++] = (ak_range){at + k * c + k, c * k, true};
            out[n++] = (ak_range){at + 2 * k * c + k, c, false};
        }
    }
    return n;
}
