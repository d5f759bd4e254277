// The steps of training and tuning: forward node by node, backward in reverse. A node's gradient is
// written by the first of its consumers to come, and added to by the others.
#include "core/nn/dnn_inside.h"

// Where a consumer of node i writes its share of the gradient: the node's own memory when it is
// the first, else a spare that gradient_end adds to it.
static ak_status gradient_begin(ak_dnn *d, int i, dnnl_memory_t *out, ak_error *err)
{
    value *v = &d->values[i];
    if (!v->has_dy) {
        if (!v->dy)
            PASS(ak_dnn_memory_new(d, &v->dy, &v->dy_at, &v->md, NULL, err));
        *out = v->dy;
        return AK_OK;
    }
    size_t bytes = dnnl_memory_desc_get_size(&v->md);
    if (bytes > d->spare_bytes)
        d->spare_bytes = bytes;
    if (d->memories_n == MEMORIES_MAX || d->spare_users_n == AK_NODES_MAX)
        return ak_fail(err, AK_INTERNAL, "the network has too many parts");
    TRY(dnnl_memory_create(out, &v->md, d->engine, DNNL_MEMORY_NONE));
    d->memories[d->memories_n++] = *out;
    d->spare_users[d->spare_users_n++] = *out;
    return AK_OK;
}

static ak_status gradient_end(ak_dnn *d, int i, ak_error *err)
{
    value *v = &d->values[i];
    if (v->has_dy)
        return ak_dnn_elementwise(&d->backward, STEP_ADD, v->dy_at, NULL, NULL, v->n, err);
    v->has_dy = true;
    return AK_OK;
}

static ak_status conv_train(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    conv_shape s;
    PASS(ak_dnn_conv_shape_of(&s, d, i, err));
    dnnl_convolution_desc_t desc;
    TRY(dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_direct,
                                           &s.src, &s.weights, NULL, &s.dst, s.w.strides, s.w.left,
                                           s.w.right));
    PASS(ak_dnn_describe(d, &v->pd, &desc, d->plain, NULL, err));
    dnnl_memory_t source, plain;
    PASS(ak_dnn_conv_source(d, &source, i, v->pd, err));
    PASS(ak_dnn_plain_weights(d, &plain, i, d->params + node->param, err));
    PASS(ak_dnn_view(&d->weights, plain, node->param, err));
    PASS(ak_dnn_memory_new(d, &v->weights, NULL,
                           dnnl_primitive_desc_query_md(v->pd, dnnl_query_weights_md, 0), NULL,
                           err));
    PASS(ak_dnn_reorder_step(d, &d->load, v->weights, plain, err));
    return ak_dnn_primitive_step(d, &d->forward, v->pd,
                                 (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, source},
                                                     {DNNL_ARG_WEIGHTS, v->weights},
                                                     {DNNL_ARG_DST, v->y}},
                                 3, err);
}

static ak_status conv_backward_data(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    conv_shape s;
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t pd;
    dnnl_memory_t plain, weights, dx;
    PASS(ak_dnn_conv_shape_of(&s, d, i, err));
    TRY(dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &s.src, &s.weights,
                                                 &s.dst, s.w.strides, s.w.left, s.w.right));
    PASS(ak_dnn_describe(d, &pd, &desc, d->plain, v->pd, err));
    PASS(ak_dnn_plain_weights(d, &plain, i, d->params + node->param, err));
    PASS(ak_dnn_view(&d->weights, plain, node->param, err));
    PASS(ak_dnn_memory_new(d, &weights, NULL,
                           dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), NULL, err));
    PASS(ak_dnn_reorder_step(d, &d->load, weights, plain, err));
    PASS(gradient_begin(d, node->a, &dx, err));
    PASS(ak_dnn_primitive_step(d, &d->backward, pd,
                               (dnnl_exec_arg_t[]){{DNNL_ARG_DIFF_DST, v->dy},
                                                   {DNNL_ARG_WEIGHTS, weights},
                                                   {DNNL_ARG_DIFF_SRC, dx}},
                               3, err));
    return gradient_end(d, node->a, err);
}

// Whether our own kernel takes a convolution's backward weights: bf16, few cells.
static bool has_small_maps(const ak_dnn *d, const ak_node *node)
{
    const ak_node *x = &d->graph.nodes[node->a];
    return d->bf16 && !d->library && x->op != AK_OP_INPUT && node->k <= AK_SMALL_MAPS_K &&
           x->h * x->w <= AK_SMALL_MAPS_CELLS;
}

static ak_status small_maps_backward_weights(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    ak_small_maps maps = ak_dnn_small_maps(d, node);
    step *s = ak_dnn_step_new(&d->backward, STEP_SMALL_MAPS);
    if (!s)
        return ak_fail(err, AK_INTERNAL, "the network has more than %d steps", STEPS_MAX);
    s->map = node;
    s->a = d->values[node->a].y_at;
    s->b = d->values[i].dy_at;
    if (ak_small_maps_work(&maps) > d->scratch_bytes)
        d->scratch_bytes = ak_small_maps_work(&maps);
    return AK_OK;
}

static ak_status conv_backward_weights(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    conv_shape s;
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t pd;
    dnnl_memory_t plain, dw;
    PASS(ak_dnn_conv_shape_of(&s, d, i, err));
    s.src = d->values[node->a].md;
    s.weights.data_type = dnnl_f32;
    TRY(dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &s.src,
                                                    &s.weights, NULL, &s.dst, s.w.strides, s.w.left,
                                                    s.w.right));
    PASS(ak_dnn_describe(d, &pd, &desc, d->plain, v->pd, err));
    PASS(ak_dnn_plain_weights(d, &plain, i, d->params + node->param, err));
    PASS(ak_dnn_view(&d->gradients, plain, node->param, err));
    PASS(ak_dnn_memory_new(
        d, &dw, NULL, dnnl_primitive_desc_query_md(pd, dnnl_query_diff_weights_md, 0), NULL, err));
    PASS(ak_dnn_primitive_step(d, &d->backward, pd,
                               (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, d->values[node->a].y},
                                                   {DNNL_ARG_DIFF_DST, v->dy},
                                                   {DNNL_ARG_DIFF_WEIGHTS, dw}},
                               3, err));
    return ak_dnn_reorder_step(d, &d->backward, plain, dw, err);
}

static ak_status scale_shift_of(ak_dnn *d, dnnl_memory_t *out, const ak_node *node, float *at,
                                ak_error *err)
{
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {2, node->c};
    TRY(dnnl_memory_desc_init_by_tag(&md, 2, dims, dnnl_f32, dnnl_ab));
    return ak_dnn_memory_new(d, out, NULL, &md, at, err);
}

static unsigned bn_flags(const ak_dnn *d, const ak_node *node)
{
    return dnnl_use_scaleshift | (node->relu ? (unsigned)dnnl_fuse_norm_relu : 0) |
           (d->mode == AK_DNN_TUNE ? (unsigned)dnnl_use_global_stats : 0);
}

// Forward and back, where the statistics are of several processes.
static ak_status bn_parts_step(ak_dnn *d, steps *list, step_kind kind, int i, ak_error *err)
{
    step *s = ak_dnn_step_new(list, kind);
    if (!s)
        return ak_fail(err, AK_INTERNAL, "the network has more than %d steps", STEPS_MAX);
    s->map = &d->graph.nodes[i];
    return AK_OK;
}

static ak_status bn_parts_backward(ak_dnn *d, int i, ak_error *err)
{
    value *x = &d->values[d->graph.nodes[i].a]; // read by the batch norm alone
    PASS(ak_dnn_memory_new(d, &x->dy, &x->dy_at, &x->md, NULL, err));
    x->has_dy = true;
    return bn_parts_step(d, &d->backward, STEP_BN_PARTS_BACKWARD, i, err);
}

static ak_status bn_train(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    dnnl_batch_normalization_desc_t desc;
    TRY(dnnl_batch_normalization_forward_desc_init(&desc, dnnl_forward_training, &v->md, AK_BN_EPS,
                                                   bn_flags(d, node)));
    PASS(ak_dnn_describe(d, &v->pd, &desc, d->plain, NULL, err));
    dnnl_memory_desc_t stat;
    dnnl_dims_t dims = {node->c};
    TRY(dnnl_memory_desc_init_by_tag(&stat, 1, dims, dnnl_f32, dnnl_a));
    PASS(ak_dnn_memory_new(d, &v->mean, (void **)&v->mean_at, &stat, NULL, err));
    PASS(ak_dnn_memory_new(d, &v->variance, (void **)&v->variance_at, &stat, NULL, err));
    if (d->parts)
        return bn_parts_step(d, &d->forward, STEP_BN_PARTS, i, err);
    PASS(scale_shift_of(d, &v->scale_shift, node, d->params + node->param, err));
    PASS(ak_dnn_workspace(d, i, err));
    return ak_dnn_primitive_step(d, &d->forward, v->pd,
                                 (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, d->values[node->a].y},
                                                     {DNNL_ARG_DST, v->y},
                                                     {DNNL_ARG_MEAN, v->mean},
                                                     {DNNL_ARG_VARIANCE, v->variance},
                                                     {DNNL_ARG_SCALE_SHIFT, v->scale_shift},
                                                     {DNNL_ARG_WORKSPACE, v->workspace}},
                                 6, err);
}

static ak_status bn_backward(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    dnnl_batch_normalization_desc_t desc;
    dnnl_primitive_desc_t pd;
    dnnl_memory_t dx, dss;
    TRY(dnnl_batch_normalization_backward_desc_init(&desc, dnnl_backward, &v->md, &v->md, AK_BN_EPS,
                                                    bn_flags(d, node)));
    PASS(ak_dnn_describe(d, &pd, &desc, d->plain, v->pd, err));
    PASS(scale_shift_of(d, &dss, node, d->params + node->param, err));
    PASS(ak_dnn_view(&d->gradients, dss, node->param, err));
    PASS(gradient_begin(d, node->a, &dx, err));
    PASS(ak_dnn_primitive_step(d, &d->backward, pd,
                               (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, d->values[node->a].y},
                                                   {DNNL_ARG_MEAN, v->mean},
                                                   {DNNL_ARG_VARIANCE, v->variance},
                                                   {DNNL_ARG_DIFF_DST, v->dy},
                                                   {DNNL_ARG_SCALE_SHIFT, v->scale_shift},
                                                   {DNNL_ARG_WORKSPACE, v->workspace},
                                                   {DNNL_ARG_DIFF_SRC, dx},
                                                   {DNNL_ARG_DIFF_SCALE_SHIFT, dss}},
                               8, err));
    return gradient_end(d, node->a, err);
}

static ak_status maxpool_backward(ak_dnn *d, int i, ak_error *err)
{
    int a = d->graph.nodes[i].a;
    value *v = &d->values[i];
    dnnl_pooling_desc_t desc;
    dnnl_primitive_desc_t pd;
    dnnl_memory_t dx;
    window w = ak_dnn_window(d, i);
    TRY(dnnl_pooling_backward_desc_init(&desc, dnnl_pooling_max, &d->values[a].md, &v->md,
                                        w.strides, w.kernel, w.left, w.right));
    PASS(ak_dnn_describe(d, &pd, &desc, d->plain, v->pd, err));
    PASS(gradient_begin(d, a, &dx, err));
    PASS(ak_dnn_primitive_step(d, &d->backward, pd,
                               (dnnl_exec_arg_t[]){{DNNL_ARG_DIFF_DST, v->dy},
                                                   {DNNL_ARG_WORKSPACE, v->workspace},
                                                   {DNNL_ARG_DIFF_SRC, dx}},
                               3, err));
    return gradient_end(d, a, err);
}

static ak_status avgpool_backward(ak_dnn *d, int i, ak_error *err)
{
    int a = d->graph.nodes[i].a;
    value *x = &d->values[a];
    if (!x->dy)
        PASS(ak_dnn_memory_new(d, &x->dy, &x->dy_at, &x->md, NULL, err));
    bool first = !x->has_dy;
    x->has_dy = true;
    return ak_dnn_pool_step(d, &d->backward,
                            first ? STEP_AVGPOOL_BACKWARD : STEP_AVGPOOL_BACKWARD_ADD, i, err);
}

// The gate is the one consumer of its input.
static ak_status gate_backward(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i], *x = &d->values[node->a];
    PASS(ak_dnn_memory_new(d, &x->dy, &x->dy_at, &x->md, NULL, err));
    x->has_dy = true;
    step *s = ak_dnn_step_new(&d->backward, STEP_GATE_BACKWARD);
    if (!s)
        return ak_fail(err, AK_INTERNAL, "the network has more than %d steps", STEPS_MAX);
    s->map = node;
    s->y = x->dy_at;
    s->a = v->dy_at;
    s->b = x->y_at;
    s->work = v->work;
    return AK_OK;
}

// Both inputs of a sum get the same gradient: the first one's own, which the shortcut borrows.
// That is safe since the way back through the first, which reads it, goes before any later consumer
// of the shortcut adds to it (b < a).
static ak_status add_relu_backward(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i], *a = &d->values[node->a], *b = &d->values[node->b];
    PASS(ak_dnn_memory_new(d, &a->dy, &a->dy_at, &a->md, NULL, err));
    a->has_dy = true;
    PASS(ak_dnn_elementwise(&d->backward, STEP_RELU_BACKWARD, a->dy_at, v->dy_at, v->y_at, v->n,
                            err));
    if (node->b < d->begin)
        return AK_OK;
    if (b->has_dy)
        return ak_dnn_elementwise(&d->backward, STEP_ADD, b->dy_at, a->dy_at, NULL, b->n, err);
    b->dy = a->dy;
    b->dy_at = a->dy_at;
    b->has_dy = true;
    return AK_OK;
}

// --- where outputs go --------------------------------------------------------------------------

static bool in_place(ak_op op)
{
    return op == AK_OP_BN || op == AK_OP_GATE || op == AK_OP_ADD_RELU;
}

// The last node that reads what node i computes, or what is computed from it in its place.
static int last_reader(const ak_graph *g, int i)
{
    bool same[AK_NODES_MAX] = {0};
    int last = i;
    same[i] = true;
    for (int j = i + 1; j < g->n; j++) {
        const ak_node *node = &g->nodes[j];
        if (!same[node->a] && !(node->op == AK_OP_ADD_RELU && same[node->b]))
            continue;
        last = j;
        same[j] = in_place(node->op) && same[node->a];
    }
    return last;
}

// Forward alone keeps nothing: a batch norm, a gate, a sum is computed in the memory of its input,
// and what nobody will read again is written over.
static ak_status reuse(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    PASS(ak_dnn_activation(d, i, false, err));
    if (in_place(node->op)) {
        v->y = d->values[node->a].y;
        v->y_at = d->values[node->a].y_at;
        return AK_OK;
    }
    size_t bytes = dnnl_memory_desc_get_size(&v->md);
    buffer *b = d->buffers;
    while (b < d->buffers + d->buffers_n && (b->until >= i || b->bytes < bytes))
        b++;
    if (b == d->buffers + d->buffers_n) {
        if (d->buffers_n == BUFFERS_MAX || !(b->at = ak_dnn_own(d, bytes)))
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a network's activations");
        b->bytes = bytes;
        d->buffers_n++;
    }
    b->until = last_reader(&d->graph, i);
    return ak_dnn_memory_new(d, &v->y, &v->y_at, &v->md, b->at, err);
}

static ak_status forward_of(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    if (node->op != AK_OP_INPUT && node->op != AK_OP_AVGPOOL)
        PASS(d->mode == AK_DNN_FORWARD ? reuse(d, i, err) : ak_dnn_activation(d, i, true, err));
    switch (node->op) {
    case AK_OP_INPUT:
        return AK_OK;
    case AK_OP_CONV:
        return conv_train(d, i, err);
    case AK_OP_BN:
        return bn_train(d, i, err);
    case AK_OP_GATE:
        return ak_dnn_gate_step(d, i, err);
    case AK_OP_ADD_RELU:
        return ak_dnn_elementwise(&d->forward, STEP_ADD_RELU, v->y_at, d->values[node->a].y_at,
                                  d->values[node->b].y_at, v->n, err);
    case AK_OP_MAXPOOL:
        return ak_dnn_maxpool(d, i, err);
    case AK_OP_AVGPOOL:
        return ak_dnn_pool_step(d, &d->forward, STEP_AVGPOOL, i, err);
    }
    return ak_fail(err, AK_INTERNAL, "an unknown operation");
}

static ak_status backward_of(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    switch (node->op) {
    case AK_OP_INPUT:
        return AK_OK;
    case AK_OP_CONV:
        PASS(has_small_maps(d, node) ? small_maps_backward_weights(d, i, err)
                                     : conv_backward_weights(d, i, err));
        bool wanted = node->a >= d->begin && d->graph.nodes[node->a].op != AK_OP_INPUT;
        return wanted ? conv_backward_data(d, i, err) : AK_OK;
    case AK_OP_BN:
        return d->parts ? bn_parts_backward(d, i, err) : bn_backward(d, i, err);
    case AK_OP_GATE:
        return gate_backward(d, i, err);
    case AK_OP_ADD_RELU:
        return add_relu_backward(d, i, err);
    case AK_OP_MAXPOOL:
        return maxpool_backward(d, i, err);
    case AK_OP_AVGPOOL:
        return avgpool_backward(d, i, err);
    }
    return ak_fail(err, AK_INTERNAL, "an unknown operation");
}

ak_status ak_dnn_build_train(ak_dnn *d, ak_error *err)
{
    for (int i = d->begin; i < d->graph.n; i++)
        PASS(forward_of(d, i, err));
    for (int i = d->graph.n - 1; i >= d->begin && d->mode != AK_DNN_FORWARD; i--)
        PASS(backward_of(d, i, err));
    return AK_OK;
}
