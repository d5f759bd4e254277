// Residual networks of basic blocks (He et al. 2016) for small pictures.
#include "core/nn/graph.h"

#include <math.h>

static int add(ak_graph *g, ak_node node)
{
    g->nodes[g->n] = node;
    return g->n++;
}

static int conv_bn(ak_graph *g, int a, int c, int k, int stride, bool relu)
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
                                .param = g->params});
    g->params += (size_t)c * (size_t)x->c * (size_t)(k * k);
    int bn = add(g, (ak_node){.op = AK_OP_BN,
                              .a = conv,
                              .c = c,
                              .h = h,
                              .w = w,
                              .relu = relu,
                              .param = g->params,
                              .stat = g->stats});
    g->params += 2 * (size_t)c;
    g->stats += 2 * (size_t)c;
    return bn;
}

static int block(ak_graph *g, int x, int c, int stride)
{
    int shortcut = x;
    if (stride != 1 || g->nodes[x].c != c)
        shortcut = conv_bn(g, x, c, 1, stride, false);
    int y = conv_bn(g, x, c, 3, stride, true);
    y = conv_bn(g, y, c, 3, 1, false);
    ak_node sum = g->nodes[y];
    return add(
        g, (ak_node){.op = AK_OP_ADD_RELU, .a = y, .b = shortcut, .c = c, .h = sum.h, .w = sum.w});
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
    for (int s = 0; s < 4; s++)
        if (net->blocks[s] < 1 || net->blocks[s] > 3)
            return ak_fail(err, AK_BAD_VALUE, "%d blocks in stage %d; 1 to 3 are possible",
                           net->blocks[s], s + 1);
    *g = (ak_graph){.mean = {0.485f, 0.456f, 0.406f}, .deviation = {0.229f, 0.224f, 0.225f}};
    int x = add(g, (ak_node){.op = AK_OP_INPUT, .a = -1, .c = 3, .h = side, .w = side});
    x = conv_bn(g, x, width_of(net, 64), 3, 2, true);
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
            x = block(g, x, width_of(net, 64 << s), b == 0 ? stride : 1);
        if (4 - s <= net->pool_stages) {
            int c = g->nodes[x].c;
            add(g, (ak_node){
                       .op = AK_OP_AVGPOOL, .a = x, .c = c, .h = 1, .w = 1, .column = g->features});
            g->features += (size_t)c;
        }
    }
    return AK_OK;
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
                params[node->param + (size_t)c] = 1.0f;
                params[node->param + (size_t)(node->c + c)] = 0.0f;
                stats[node->stat + (size_t)c] = 0.0f;
                stats[node->stat + (size_t)(node->c + c)] = 1.0f;
            }
        }
    }
}
