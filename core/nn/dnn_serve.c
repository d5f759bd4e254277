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

// The attributes of a convolution that also adds (sum) and cuts off (relu), made once.
static ak_status fused(ak_dnn *d, const_dnnl_primitive_attr_t *out, bool sum, bool relu,
                       ak_error *err)
{
    dnnl_primitive_attr_t *attr = &d->fused[sum][relu];
    *out = *attr;
    if (*out)
        return AK_OK;
    dnnl_post_ops_t post;
    TRY(dnnl_primitive_attr_clone(attr, d->plain));
    TRY(dnnl_post_ops_create(&post));
    dnnl_status_t status = dnnl_success;
    if (sum)
        status = dnnl_post_ops_append_sum(post, 1.0f);
    if (relu && status == dnnl_success)
        status = dnnl_post_ops_append_eltwise(post, 1.0f, dnnl_eltwise_relu, 0, 0);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(*attr, post);
    dnnl_post_ops_destroy(post);
    TRY(status);
    *out = *attr;
    return AK_OK;
}

// Convolution i with its batch norm i + 1 folded in and, when the sum `sum` follows (else -1), the
// shortcut added, in the shortcut's memory.
static ak_status conv_serve(ak_dnn *d, int i, int sum, ak_error *err)
{
    const ak_graph *g = &d->graph;
    const ak_node *node = &g->nodes[i];
    value *v = &d->values[i], *bn = &d->values[i + 1];
    bool in_place = sum >= 0 && overwritable(g, g->nodes[sum].b, i + 1, sum);
    const_dnnl_primitive_attr_t attr;
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
                                           &s.src, &s.weights, &bias_md, &s.dst, s.w.strides,
                                           s.w.left, s.w.right));
    PASS(fused(d, &attr, in_place, in_place || g->nodes[i + 1].relu, err));
    PASS(ak_dnn_describe(d, &pd, &desc, attr, NULL, err));
    PASS(ak_dnn_conv_source(d, &source, i, pd, err));
    PASS(ak_dnn_plain_weights(d, &plain, i, d->folded + node->param, err)); // folded at load
    PASS(ak_dnn_memory_new(d, &v->weights, NULL,
                           dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), NULL, err));
    PASS(ak_dnn_reorder_step(d, &d->load, v->weights, plain, err));
    PASS(ak_dnn_primitive_step(d, &d->forward, pd,
                               (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, source},
                                                   {DNNL_ARG_WEIGHTS, v->weights},
                                                   {DNNL_ARG_BIAS, bias},
                                                   {DNNL_ARG_DST, v->y}},
                               4, err));
    *bn = (value){.md = v->md, .y = v->y, .y_at = v->y_at, .n = v->n};
    if (in_place)
        d->values[sum] = *bn;
    return AK_OK;
}

// A sum that no convolution took over, in the memory of its first input.
static ak_status sum_serve(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    const value *a = &d->values[node->a], *b = &d->values[node->b];
    *v = (value){.md = a->md, .y = a->y, .y_at = a->y_at, .n = a->n};
    return ak_dnn_elementwise(&d->forward, STEP_ADD_RELU, v->y_at, a->y_at, b->y_at, v->n, err);
}

// In the memory of its input, which nothing else reads.
static ak_status gate_serve(ak_dnn *d, int i, ak_error *err)
{
    const value *a = &d->values[d->graph.nodes[i].a];
    d->values[i] = (value){.md = a->md, .y = a->y, .y_at = a->y_at, .n = a->n};
    return ak_dnn_gate_step(d, i, err);
}

static bool follows(const ak_graph *g, int i, ak_op op)
{
    return i < g->n && g->nodes[i].op == op && g->nodes[i].a == i - 1;
}

ak_status ak_dnn_build_serve(ak_dnn *d, ak_error *err)
{
    const ak_graph *g = &d->graph;
    for (int i = 0; i < d->begin; i++) {
        switch (g->nodes[i].op) {
        case AK_OP_INPUT:
        case AK_OP_BN: // the convolution before has it in it
            break;
        case AK_OP_CONV:
            if (!follows(g, i + 1, AK_OP_BN))
                return ak_fail(err, AK_INTERNAL, "convolution %d is not followed by its batch norm",
                               i);
            PASS(conv_serve(d, i, follows(g, i + 2, AK_OP_ADD_RELU) ? i + 2 : -1, err));
            break;
        case AK_OP_GATE:
            PASS(gate_serve(d, i, err));
            break;
        case AK_OP_ADD_RELU:
            if (!d->values[i].y)
                PASS(sum_serve(d, i, err));
            break;
        case AK_OP_MAXPOOL:
            PASS(ak_dnn_activation(d, i, true, err));
            PASS(ak_dnn_maxpool(d, i, err));
            break;
        case AK_OP_AVGPOOL:
            PASS(ak_dnn_pool_step(d, &d->forward, STEP_AVGPOOL, i, err));
            break;
        }
    }
    return AK_OK;
}
