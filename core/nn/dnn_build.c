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

ak_status ak_dnn_describe(ak_dnn *d, dnnl_primitive_desc_t *out, const void *desc,
                          const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t hint,
                          ak_error *err)
{
    if (d->described_n == STEPS_MAX)
        return ak_fail(err, AK_INTERNAL, "the network has too many parts");
    TRY(dnnl_primitive_desc_create(out, desc, attr, d->engine, hint));
    d->described[d->described_n++] = *out;
    return AK_OK;
}

ak_status ak_dnn_workspace(ak_dnn *d, int i, ak_error *err)
{
    value *v = &d->values[i];
    const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(v->pd, dnnl_query_workspace_md, 0);
    bool wanted = md && dnnl_memory_desc_get_size(md);
    return wanted ? ak_dnn_memory_new(d, &v->workspace, NULL, md, NULL, err) : AK_OK;
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

window ak_dnn_window(const ak_dnn *d, int i)
{
    const ak_node *node = &d->graph.nodes[i], *x = &d->graph.nodes[node->a];
    int h = (node->h - 1) * node->stride + node->k - x->h - node->pad;
    int w = (node->w - 1) * node->stride + node->k - x->w - node->pad;
    return (window){.kernel = {node->k, node->k},
                    .strides = {node->stride, node->stride},
                    .left = {node->pad, node->pad},
                    .right = {h > 0 ? h : 0, w > 0 ? w : 0}};
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
    s->w = ak_dnn_window(d, i);
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

ak_status ak_dnn_view(views *list, dnnl_memory_t memory, size_t at, ak_error *err)
{
    if (list->n == sizeof list->at / sizeof *list->at)
        return ak_fail(err, AK_INTERNAL, "the network has too many parts");
    list->at[list->n++] = (view){memory, at};
    return AK_OK;
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
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    dnnl_pooling_desc_t desc;
    window w = ak_dnn_window(d, i);
    bool back = i >= d->begin && d->mode != AK_DNN_FORWARD;
    TRY(dnnl_pooling_forward_desc_init(&desc, back ? dnnl_forward_training : dnnl_forward_inference,
                                       dnnl_pooling_max, &d->values[node->a].md, &v->md, w.strides,
                                       w.kernel, w.left, w.right));
    PASS(ak_dnn_describe(d, &v->pd, &desc, d->plain, NULL, err));
    PASS(ak_dnn_workspace(d, i, err));
    return ak_dnn_primitive_step(d, &d->forward, v->pd,
                                 (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, d->values[node->a].y},
                                                     {DNNL_ARG_DST, v->y},
                                                     {DNNL_ARG_WORKSPACE, v->workspace}},
                                 3, err);
}

ak_small_maps ak_dnn_small_maps(const ak_dnn *d, const ak_node *node)
{
    const ak_node *x = &d->graph.nodes[node->a];
    return (ak_small_maps){.batch = (size_t)d->batch,
                           .ic = (size_t)x->c,
                           .oc = (size_t)node->c,
                           .h = x->h,
                           .w = x->w,
                           .oh = node->h,
                           .ow = node->w,
                           .k = node->k,
                           .stride = node->stride,
                           .pad = node->pad};
}

ak_gate_shape ak_dnn_gate_shape(const ak_dnn *d, const ak_node *node)
{
    return (ak_gate_shape){.batch = (size_t)d->batch,
                           .c = (size_t)node->c,
                           .k = (size_t)node->k,
                           .plane = (size_t)node->h * (size_t)node->w,
                           .block = d->block,
                           .bf16 = d->bf16};
}

ak_status ak_dnn_gate_step(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    step *s = ak_dnn_step_new(&d->forward, STEP_GATE);
    ak_gate_shape shape = ak_dnn_gate_shape(d, node);
    v->work = ak_dnn_own(d, ak_gate_work(&shape) * sizeof *v->work);
    if (!s || !v->work)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a network's attention");
    s->map = node;
    s->y = v->y_at;
    s->a = d->values[node->a].y_at;
    s->work = v->work;
    return AK_OK;
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
