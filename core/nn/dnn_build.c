// Making what an executor is made of: memories, and steps appended to its lists. Scratchpads are
// shared: every primitive gets the same memory, as large as the largest wants it.
#include "core/nn/dnn_inside.h"

#include "core/base/mem.h"

void *ak_dnn_own(ak_dnn *d, size_t bytes)
{
    if (d->owned_n == MEMORIES_MAX)
        return NULL;
    void *at = ak_alloc(bytes, 1);
    if (at)
        d->owned[d->owned_n++] = at;
    return at;
}

// A memory object over `at`, or over memory of its own when at is NULL.
ak_status ak_dnn_memory_new(ak_dnn *d, dnnl_memory_t *out, void **where,
                            const dnnl_memory_desc_t *md, void *at, ak_error *err)
{
    if (!at)
        at = ak_dnn_own(d, dnnl_memory_desc_get_size(md));
    if (!at || d->memories_n == MEMORIES_MAX)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a network's activations");
    TRY(dnnl_memory_create(out, md, d->engine, at));
    d->memories[d->memories_n++] = *out;
    if (where)
        *where = at;
    return AK_OK;
}

step *ak_dnn_step_new(steps *list, step_kind kind)
{
    if (list->n == STEPS_MAX)
        return NULL;
    step *s = &list->at[list->n++];
    *s = (step){.kind = kind};
    return s;
}

ak_status ak_dnn_elementwise(steps *list, step_kind kind, void *y, const void *a, const void *b,
                             size_t n, ak_error *err)
{
    step *s = ak_dnn_step_new(list, kind);
    if (!s)
        return ak_fail(err, AK_INTERNAL, "the network has more than %d steps", STEPS_MAX);
    s->y = y;
    s->a = a;
    s->b = b;
    s->n = n;
    return AK_OK;
}

// Appends a primitive of pd with arguments (index, memory); the scratchpad is added.
ak_status ak_dnn_primitive_step(ak_dnn *d, steps *list, const_dnnl_primitive_desc_t pd,
                                const dnnl_exec_arg_t *args, int n, ak_error *err)
{
    step *s = ak_dnn_step_new(list, STEP_PRIMITIVE);
    if (!s)
        return ak_fail(err, AK_INTERNAL, "the network has more than %d steps", STEPS_MAX);
    TRY(dnnl_primitive_create(&s->primitive, pd));
    for (int i = 0; i < n; i++)
        if (args[i].memory)
            s->args[s->args_n++] = args[i];
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    size_t bytes = md ? dnnl_memory_desc_get_size(md) : 0;
    if (bytes) {
        dnnl_memory_t memory;
        if (d->memories_n == MEMORIES_MAX || d->scratch_n == STEPS_MAX)
            return ak_fail(err, AK_INTERNAL, "the network has too many parts");
        TRY(dnnl_memory_create(&memory, md, d->engine, DNNL_MEMORY_NONE));
        d->memories[d->memories_n++] = memory;
        d->scratch[d->scratch_n++] = memory;
        s->args[s->args_n++] = (dnnl_exec_arg_t){DNNL_ARG_SCRATCHPAD, memory};
        if (bytes > d->scratch_bytes)
            d->scratch_bytes = bytes;
    }
    return AK_OK;
}

ak_status ak_dnn_reorder_step(ak_dnn *d, steps *list, dnnl_memory_t to, dnnl_memory_t from,
                              ak_error *err)
{
    const dnnl_memory_desc_t *a, *b;
    dnnl_primitive_desc_t pd;
    TRY(dnnl_memory_get_memory_desc(from, &a));
    TRY(dnnl_memory_get_memory_desc(to, &b));
    TRY(dnnl_reorder_primitive_desc_create(&pd, a, d->engine, b, d->engine, d->plain));
    ak_status status = ak_dnn_primitive_step(
        d, list, pd, (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, 2, err);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static dnnl_data_type_t type_of(const ak_dnn *d)
{
    return d->bf16 ? dnnl_bf16 : dnnl_f32;
}

ak_status ak_dnn_activation(ak_dnn *d, int i, bool with_memory, ak_error *err)
{
    value *v = &d->values[i];
    const ak_node *node = &d->graph.nodes[i];
    dnnl_dims_t dims = {d->batch, node->c, node->h, node->w};
    v->n = (size_t)d->batch * (size_t)node->c * (size_t)node->h * (size_t)node->w;
    TRY(dnnl_memory_desc_init_by_tag(&v->md, 4, dims, type_of(d),
                                     d->block == 16 ? dnnl_nChw16c : dnnl_nChw8c));
    return with_memory ? ak_dnn_memory_new(d, &v->y, &v->y_at, &v->md, NULL, err) : AK_OK;
}

ak_status ak_dnn_conv_shape_of(conv_shape *s, ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i], *x = &d->graph.nodes[node->a];
    dnnl_dims_t dims = {node->c, x->c, node->k, node->k};
    s->dst = d->values[i].md;
    s->src = d->values[node->a].md;
    if (x->op == AK_OP_INPUT) {
        dnnl_dims_t in = {d->batch, x->c, x->h, x->w};
        TRY(dnnl_memory_desc_init_by_tag(&s->src, 4, in, type_of(d), dnnl_format_tag_any));
    }
    TRY(dnnl_memory_desc_init_by_tag(&s->weights, 4, dims, type_of(d), dnnl_format_tag_any));
    int h = (node->h - 1) * node->stride + node->k - x->h - node->pad;
    int w = (node->w - 1) * node->stride + node->k - x->w - node->pad;
    for (int a = 0; a < 2; a++) {
        s->strides[a] = node->stride;
        s->left[a] = node->pad;
        s->right[a] = (a ? w : h) > 0 ? (a ? w : h) : 0;
    }
    return AK_OK;
}

// The plain (out, in, k, k) f32 view of a convolution's numbers in `base`.
ak_status ak_dnn_plain_weights(ak_dnn *d, dnnl_memory_t *out, int i, float *at, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    dnnl_dims_t dims = {node->c, d->graph.nodes[node->a].c, node->k, node->k};
    dnnl_memory_desc_t md;
    TRY(dnnl_memory_desc_init_by_tag(&md, 4, dims, dnnl_f32, dnnl_oihw));
    return ak_dnn_memory_new(d, out, NULL, &md, at, err);
}

// The memory that a convolution reads: its input's, or the pixels brought into the wanted order.
ak_status ak_dnn_conv_source(ak_dnn *d, dnnl_memory_t *out, int i, const_dnnl_primitive_desc_t pd,
                             ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i], *x = &d->graph.nodes[node->a];
    value *v = &d->values[node->a];
    if (x->op == AK_OP_INPUT && !v->y) {
        dnnl_dims_t dims = {d->batch, x->c, x->h, x->w};
        dnnl_memory_desc_t md;
        dnnl_memory_t pixels;
        void *at;
        TRY(dnnl_memory_desc_init_by_tag(&md, 4, dims, dnnl_f32, dnnl_nhwc));
        PASS(ak_dnn_memory_new(d, &pixels, &at, &md, NULL, err));
        d->input = at;
        v->md = *dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
        PASS(ak_dnn_memory_new(d, &v->y, &v->y_at, &v->md, NULL, err));
        PASS(ak_dnn_reorder_step(d, &d->forward, v->y, pixels, err));
    }
    *out = v->y;
    return AK_OK;
}

ak_status ak_dnn_maxpool(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i], *x = &d->graph.nodes[node->a];
    value *v = &d->values[i];
    dnnl_pooling_desc_t desc;
    dnnl_dims_t strides = {node->stride, node->stride}, kernel = {node->k, node->k};
    dnnl_dims_t left = {node->pad, node->pad};
    dnnl_dims_t right = {(node->h - 1) * node->stride + node->k - x->h - node->pad,
                         (node->w - 1) * node->stride + node->k - x->w - node->pad};
    TRY(dnnl_pooling_forward_desc_init(
        &desc, d->mode == AK_DNN_TRAIN ? dnnl_forward_training : dnnl_forward_inference,
        dnnl_pooling_max, &d->values[node->a].md, &v->md, strides, kernel, left, right));
    TRY(dnnl_primitive_desc_create(&v->pd, &desc, d->plain, d->engine, NULL));
    const dnnl_memory_desc_t *ws = dnnl_primitive_desc_query_md(v->pd, dnnl_query_workspace_md, 0);
    if (ws && dnnl_memory_desc_get_size(ws))
        PASS(ak_dnn_memory_new(d, &v->workspace, NULL, ws, NULL, err));
    return ak_dnn_primitive_step(d, &d->forward, v->pd,
                                 (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, d->values[node->a].y},
                                                     {DNNL_ARG_DST, v->y},
                                                     {DNNL_ARG_WORKSPACE, v->workspace}},
                                 3, err);
}

ak_status ak_dnn_pool_step(ak_dnn *d, steps *list, step_kind kind, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    step *s = ak_dnn_step_new(list, kind);
    if (!s)
        return ak_fail(err, AK_INTERNAL, "the network has more than %d steps", STEPS_MAX);
    value *x = &d->values[node->a];
    s->map = &d->graph.nodes[node->a];
    s->column = node->column;
    s->y = kind == STEP_AVGPOOL ? x->y_at : x->dy_at;
    return AK_OK;
}
