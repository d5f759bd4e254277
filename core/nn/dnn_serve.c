// The steps of serving: each convolution with its batch norm folded in, ReLU and the shortcut's sum
// fused.
#include "core/nn/dnn_inside.h"

// Nothing but the sum at node i may still read b when the convolution overwrites it.
static bool overwritable(const ak_graph *g, int b, int conv, int i)
{
    for (int j = conv; j < g->n; j++)
        if (j != i &&
            (g->nodes[j].a == b || (g->nodes[j].op == AK_OP_ADD_RELU && g->nodes[j].b == b)))
            return false;
    return true;
}

// Convolution i with its batch norm i + 1 folded in and, when the sum `sum` follows (else -1), the
// shortcut added, in the shortcut's memory.
static ak_status conv_serve(ak_dnn *d, int i, int sum, ak_error *err)
{
    const ak_graph *g = &d->graph;
    const ak_node *node = &g->nodes[i];
    value *v = &d->values[i], *bn = &d->values[i + 1];
    bool in_place = sum >= 0 && overwritable(g, g->nodes[sum].b, i + 1, sum);
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t post;
    dnnl_primitive_desc_t pd;
    conv_shape s;
    PASS(ak_dnn_activation(d, i, !in_place, err));
    PASS(ak_dnn_conv_shape_of(&s, d, i, err));
    if (in_place) {
        v->y = d->values[g->nodes[sum].b].y;
        v->y_at = d->values[g->nodes[sum].b].y_at;
    }
    dnnl_memory_desc_t bias_md;
    dnnl_memory_t bias, plain, source;
    dnnl_dims_t dims = {node->c};
    TRY(dnnl_memory_desc_init_by_tag(&bias_md, 1, dims, dnnl_f32, dnnl_a));
    PASS(ak_dnn_memory_new(d, &bias, (void **)&v->bias_at, &bias_md, NULL, err));
    dnnl_convolution_desc_t desc;
    TRY(dnnl_convolution_forward_desc_init(&desc, dnnl_forward_inference, dnnl_convolution_direct,
                                           &s.src, &s.weights, &bias_md, &s.dst, s.strides, s.left,
                                           s.right));
    TRY(dnnl_primitive_attr_clone(&attr, d->plain));
    TRY(dnnl_post_ops_create(&post));
    if (in_place)
        TRY(dnnl_post_ops_append_sum(post, 1.0f));
    if (in_place || g->nodes[i + 1].relu)
        TRY(dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_relu, 0, 0));
    TRY(dnnl_primitive_attr_set_post_ops(attr, post));
    TRY(dnnl_primitive_desc_create(&pd, &desc, attr, d->engine, NULL));
    PASS(ak_dnn_conv_source(d, &source, i, pd, err));
    PASS(ak_dnn_plain_weights(d, &plain, i, d->dparams + node->param, err)); // folded at load
    PASS(ak_dnn_memory_new(d, &v->weights, NULL,
                           dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), NULL, err));
    PASS(ak_dnn_reorder_step(d, &d->load, v->weights, plain, err));
    PASS(ak_dnn_primitive_step(d, &d->forward, pd,
                               (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, source},
                                                   {DNNL_ARG_WEIGHTS, v->weights},
                                                   {DNNL_ARG_BIAS, bias},
                                                   {DNNL_ARG_DST, v->y}},
                               4, err));
    dnnl_primitive_desc_destroy(pd);
    dnnl_post_ops_destroy(post);
    dnnl_primitive_attr_destroy(attr);
    *bn = (value){.md = v->md, .y = v->y, .y_at = v->y_at, .n = v->n};
    if (in_place)
        d->values[sum] = *bn;
    else if (sum >= 0) {
        value *b = &d->values[g->nodes[sum].b];
        d->values[sum] = *bn;
        return ak_dnn_elementwise(&d->forward, STEP_ADD_RELU, bn->y_at, bn->y_at, b->y_at, bn->n,
                                  err);
    }
    return AK_OK;
}

ak_status ak_dnn_build_serve(ak_dnn *d, ak_error *err)
{
    const ak_graph *g = &d->graph;
    for (int i = 0; i < g->n; i++) {
        const ak_node *node = &g->nodes[i];
        if (node->op == AK_OP_CONV) {
            bool folded = i + 1 < g->n && g->nodes[i + 1].op == AK_OP_BN && g->nodes[i + 1].a == i;
            if (!folded)
                return ak_fail(err, AK_INTERNAL, "convolution %d is not followed by its batch norm",
                               i);
            bool sum =
                i + 2 < g->n && g->nodes[i + 2].op == AK_OP_ADD_RELU && g->nodes[i + 2].a == i + 1;
            PASS(conv_serve(d, i, sum ? i + 2 : -1, err));
        } else if (node->op == AK_OP_MAXPOOL) {
            PASS(ak_dnn_activation(d, i, true, err));
            PASS(ak_dnn_maxpool(d, i, err));
        } else if (node->op == AK_OP_AVGPOOL) {
            PASS(ak_dnn_pool_step(d, &d->forward, STEP_AVGPOOL, i, err));
        }
    }
    return AK_OK;
}
