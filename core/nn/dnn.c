// oneDNN behind a graph: primitives are made once, in the order of the nodes, into three lists of
// steps (load, forward, backward) that are then only run. The one file that includes oneDNN.
//
// Activations lie in blocks of 16 channels (8 without AVX-512), so that what is done between the
// convolutions (kernels.c) sees one plain array. A node's gradient is written by the first of its
// consumers to come, in reverse order, and added to by the others.
#include "core/nn/dnn.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/nn/kernels.h"

#include <dnnl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MAX    512
#define MEMORIES_MAX 2048
#define ARGS_MAX     9

typedef enum {
    STEP_PRIMITIVE,
    STEP_ADD_RELU,
    STEP_RELU_BACKWARD,
    STEP_ADD,
    STEP_AVGPOOL,
    STEP_AVGPOOL_BACKWARD,
    STEP_AVGPOOL_BACKWARD_ADD,
} step_kind;

typedef struct {
    step_kind kind;
    dnnl_primitive_t primitive;
    int args_n;
    dnnl_exec_arg_t args[ARGS_MAX];
    void *y;            // element-wise kinds
    const void *a, *b;  // likewise
    const ak_node *map; // AVGPOOL: the node that is averaged
    size_t n, column;
} step;

typedef struct {
    step at[STEPS_MAX];
    int n;
} steps;

typedef struct {
    dnnl_memory_desc_t md;
    dnnl_memory_t y, dy;
    void *y_at, *dy_at;
    size_t n;                 // elements
    bool has_dy;              // some consumer has written dy
    dnnl_primitive_desc_t pd; // forward's, the hint for backward
    dnnl_memory_t workspace, mean, variance, weights, scale_shift;
    float *mean_at, *variance_at, *bias_at, *folded_at;
} value;

struct ak_dnn {
    ak_graph graph;
    int batch;
    ak_dnn_mode mode;
    bool bf16;
    size_t block;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t plain; // scratchpad in our hands
    value values[AK_NODES_MAX];
    steps load, forward, backward;
    dnnl_memory_t memories[MEMORIES_MAX];
    int memories_n;
    void *owned[MEMORIES_MAX];
    int owned_n;
    dnnl_memory_t scratch[STEPS_MAX];
    int scratch_n;
    size_t scratch_bytes;
    float *input;            // (batch, h, w, 3), normalised
    float *params, *dparams; // ours: loaded, and the last gradient
    void *spare;             // a second consumer's gradient before it is added
    size_t spare_bytes;
    dnnl_memory_t spare_users[AK_NODES_MAX];
    int spare_users_n;
};

#define TRY(call)                                                                                  \
    do {                                                                                           \
        dnnl_status_t try_ = (call);                                                               \
        if (try_ != dnnl_success)                                                                  \
            return ak_fail(err, try_ == dnnl_out_of_memory ? AK_OUT_OF_MEMORY : AK_INTERNAL,       \
                           "oneDNN refused %s (status %d)", #call, (int)try_);                     \
    } while (0)

#define PASS(call)                                                                                 \
    do {                                                                                           \
        ak_status pass_ = (call);                                                                  \
        if (pass_ != AK_OK)                                                                        \
            return pass_;                                                                          \
    } while (0)

bool ak_dnn_has_bf16(void)
{
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    return isa == dnnl_cpu_isa_avx512_core_bf16 || isa == dnnl_cpu_isa_avx512_core_amx;
}

ak_status ak_dnn_limit_isa(const char *isa, ak_error *err)
{
    dnnl_cpu_isa_t limit;
    if (strcmp(isa, "avx2") == 0)
        limit = dnnl_cpu_isa_avx2;
    else if (strcmp(isa, "avx512") == 0)
        limit = dnnl_cpu_isa_avx512_core;
    else
        return ak_fail(err, AK_BAD_VALUE, "isa \"%s\"; avx2 or avx512", isa);
    if (dnnl_set_max_cpu_isa(limit) != dnnl_success)
        return ak_fail(err, AK_CONFLICT, "the processor's instructions are chosen already");
    return AK_OK;
}

// --- building ----------------------------------------------------------------------------------

static void *own(ak_dnn *d, size_t bytes)
{
    if (d->owned_n == MEMORIES_MAX)
        return NULL;
    void *at = ak_alloc(bytes, 1);
    if (at)
        d->owned[d->owned_n++] = at;
    return at;
}

// A memory object over `at`, or over memory of its own when at is NULL.
static ak_status memory_new(ak_dnn *d, dnnl_memory_t *out, void **where,
                            const dnnl_memory_desc_t *md, void *at, ak_error *err)
{
    if (!at)
        at = own(d, dnnl_memory_desc_get_size(md));
    if (!at || d->memories_n == MEMORIES_MAX)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a network's activations");
    TRY(dnnl_memory_create(out, md, d->engine, at));
    d->memories[d->memories_n++] = *out;
    if (where)
        *where = at;
    return AK_OK;
}

static step *step_new(steps *list, step_kind kind)
{
    if (list->n == STEPS_MAX)
        return NULL;
    step *s = &list->at[list->n++];
    *s = (step){.kind = kind};
    return s;
}

static ak_status elementwise(steps *list, step_kind kind, void *y, const void *a, const void *b,
                             size_t n, ak_error *err)
{
    step *s = step_new(list, kind);
    if (!s)
        return ak_fail(err, AK_INTERNAL, "the network has more than %d steps", STEPS_MAX);
    s->y = y;
    s->a = a;
    s->b = b;
    s->n = n;
    return AK_OK;
}

// Appends a primitive of pd with arguments (index, memory); the scratchpad is added.
static ak_status primitive_step(ak_dnn *d, steps *list, const_dnnl_primitive_desc_t pd,
                                const dnnl_exec_arg_t *args, int n, ak_error *err)
{
    step *s = step_new(list, STEP_PRIMITIVE);
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

static ak_status reorder_step(ak_dnn *d, steps *list, dnnl_memory_t to, dnnl_memory_t from,
                              ak_error *err)
{
    const dnnl_memory_desc_t *a, *b;
    dnnl_primitive_desc_t pd;
    TRY(dnnl_memory_get_memory_desc(from, &a));
    TRY(dnnl_memory_get_memory_desc(to, &b));
    TRY(dnnl_reorder_primitive_desc_create(&pd, a, d->engine, b, d->engine, d->plain));
    ak_status status = primitive_step(
        d, list, pd, (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, 2, err);
    dnnl_primitive_desc_destroy(pd);
    return status;
}

static dnnl_data_type_t type_of(const ak_dnn *d)
{
    return d->bf16 ? dnnl_bf16 : dnnl_f32;
}

static ak_status activation(ak_dnn *d, int i, bool with_memory, ak_error *err)
{
    value *v = &d->values[i];
    const ak_node *node = &d->graph.nodes[i];
    dnnl_dims_t dims = {d->batch, node->c, node->h, node->w};
    v->n = (size_t)d->batch * (size_t)node->c * (size_t)node->h * (size_t)node->w;
    TRY(dnnl_memory_desc_init_by_tag(&v->md, 4, dims, type_of(d),
                                     d->block == 16 ? dnnl_nChw16c : dnnl_nChw8c));
    return with_memory ? memory_new(d, &v->y, &v->y_at, &v->md, NULL, err) : AK_OK;
}

// Where a consumer of node i writes its share of the gradient: the node's own memory when it is
// the first, else a spare that gradient_end adds to it.
static ak_status gradient_begin(ak_dnn *d, int i, dnnl_memory_t *out, ak_error *err)
{
    value *v = &d->values[i];
    if (!v->has_dy) {
        if (!v->dy)
            PASS(memory_new(d, &v->dy, &v->dy_at, &v->md, NULL, err));
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
        return elementwise(&d->backward, STEP_ADD, v->dy_at, NULL, NULL, v->n, err);
    v->has_dy = true;
    return AK_OK;
}

typedef struct {
    dnnl_memory_desc_t src, dst, weights;
    dnnl_dims_t strides, left, right;
} conv_shape;

static ak_status conv_shape_of(conv_shape *s, ak_dnn *d, int i, ak_error *err)
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
static ak_status plain_weights(ak_dnn *d, dnnl_memory_t *out, int i, float *at, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    dnnl_dims_t dims = {node->c, d->graph.nodes[node->a].c, node->k, node->k};
    dnnl_memory_desc_t md;
    TRY(dnnl_memory_desc_init_by_tag(&md, 4, dims, dnnl_f32, dnnl_oihw));
    return memory_new(d, out, NULL, &md, at, err);
}

// The memory that a convolution reads: its input's, or the pixels brought into the wanted order.
static ak_status conv_source(ak_dnn *d, dnnl_memory_t *out, int i, const_dnnl_primitive_desc_t pd,
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
        PASS(memory_new(d, &pixels, &at, &md, NULL, err));
        d->input = at;
        v->md = *dnnl_primitive_desc_query_md(pd, dnnl_query_src_md, 0);
        PASS(memory_new(d, &v->y, &v->y_at, &v->md, NULL, err));
        PASS(reorder_step(d, &d->forward, v->y, pixels, err));
    }
    *out = v->y;
    return AK_OK;
}

// --- training ----------------------------------------------------------------------------------

static ak_status conv_train(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    conv_shape s;
    PASS(conv_shape_of(&s, d, i, err));
    dnnl_convolution_desc_t desc;
    TRY(dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training, dnnl_convolution_direct,
                                           &s.src, &s.weights, NULL, &s.dst, s.strides, s.left,
                                           s.right));
    TRY(dnnl_primitive_desc_create(&v->pd, &desc, d->plain, d->engine, NULL));
    dnnl_memory_t source, plain;
    PASS(conv_source(d, &source, i, v->pd, err));
    PASS(plain_weights(d, &plain, i, d->params + node->param, err));
    PASS(memory_new(d, &v->weights, NULL,
                    dnnl_primitive_desc_query_md(v->pd, dnnl_query_weights_md, 0), NULL, err));
    PASS(reorder_step(d, &d->load, v->weights, plain, err));
    return primitive_step(d, &d->forward, v->pd,
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
    PASS(conv_shape_of(&s, d, i, err));
    TRY(dnnl_convolution_backward_data_desc_init(&desc, dnnl_convolution_direct, &s.src, &s.weights,
                                                 &s.dst, s.strides, s.left, s.right));
    TRY(dnnl_primitive_desc_create(&pd, &desc, d->plain, d->engine, v->pd));
    PASS(plain_weights(d, &plain, i, d->params + node->param, err));
    PASS(memory_new(d, &weights, NULL, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0),
                    NULL, err));
    PASS(reorder_step(d, &d->load, weights, plain, err));
    PASS(gradient_begin(d, node->a, &dx, err));
    PASS(primitive_step(d, &d->backward, pd,
                        (dnnl_exec_arg_t[]){{DNNL_ARG_DIFF_DST, v->dy},
                                            {DNNL_ARG_WEIGHTS, weights},
                                            {DNNL_ARG_DIFF_SRC, dx}},
                        3, err));
    dnnl_primitive_desc_destroy(pd);
    return gradient_end(d, node->a, err);
}

static ak_status conv_backward_weights(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    conv_shape s;
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t pd;
    dnnl_memory_t plain, dw;
    PASS(conv_shape_of(&s, d, i, err));
    s.src = d->values[node->a].md;
    s.weights.data_type = dnnl_f32;
    TRY(dnnl_convolution_backward_weights_desc_init(&desc, dnnl_convolution_direct, &s.src,
                                                    &s.weights, NULL, &s.dst, s.strides, s.left,
                                                    s.right));
    TRY(dnnl_primitive_desc_create(&pd, &desc, d->plain, d->engine, v->pd));
    PASS(plain_weights(d, &plain, i, d->dparams + node->param, err));
    PASS(memory_new(d, &dw, NULL, dnnl_primitive_desc_query_md(pd, dnnl_query_diff_weights_md, 0),
                    NULL, err));
    PASS(primitive_step(d, &d->backward, pd,
                        (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, d->values[node->a].y},
                                            {DNNL_ARG_DIFF_DST, v->dy},
                                            {DNNL_ARG_DIFF_WEIGHTS, dw}},
                        3, err));
    dnnl_primitive_desc_destroy(pd);
    return reorder_step(d, &d->backward, plain, dw, err);
}

static ak_status scale_shift_of(ak_dnn *d, dnnl_memory_t *out, const ak_node *node, float *at,
                                ak_error *err)
{
    dnnl_memory_desc_t md;
    dnnl_dims_t dims = {2, node->c};
    TRY(dnnl_memory_desc_init_by_tag(&md, 2, dims, dnnl_f32, dnnl_ab));
    return memory_new(d, out, NULL, &md, at, err);
}

static unsigned bn_flags(const ak_node *node)
{
    return dnnl_use_scaleshift | (node->relu ? (unsigned)dnnl_fuse_norm_relu : 0);
}

static ak_status bn_train(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i];
    dnnl_batch_normalization_desc_t desc;
    TRY(dnnl_batch_normalization_forward_desc_init(&desc, dnnl_forward_training, &v->md, AK_BN_EPS,
                                                   bn_flags(node)));
    TRY(dnnl_primitive_desc_create(&v->pd, &desc, d->plain, d->engine, NULL));
    dnnl_memory_desc_t stat;
    dnnl_dims_t dims = {node->c};
    TRY(dnnl_memory_desc_init_by_tag(&stat, 1, dims, dnnl_f32, dnnl_a));
    PASS(memory_new(d, &v->mean, (void **)&v->mean_at, &stat, NULL, err));
    PASS(memory_new(d, &v->variance, (void **)&v->variance_at, &stat, NULL, err));
    PASS(scale_shift_of(d, &v->scale_shift, node, d->params + node->param, err));
    const dnnl_memory_desc_t *ws = dnnl_primitive_desc_query_md(v->pd, dnnl_query_workspace_md, 0);
    if (ws && dnnl_memory_desc_get_size(ws))
        PASS(memory_new(d, &v->workspace, NULL, ws, NULL, err));
    return primitive_step(d, &d->forward, v->pd,
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
                                                    bn_flags(node)));
    TRY(dnnl_primitive_desc_create(&pd, &desc, d->plain, d->engine, v->pd));
    PASS(scale_shift_of(d, &dss, node, d->dparams + node->param, err));
    PASS(gradient_begin(d, node->a, &dx, err));
    PASS(primitive_step(d, &d->backward, pd,
                        (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, d->values[node->a].y},
                                            {DNNL_ARG_MEAN, v->mean},
                                            {DNNL_ARG_VARIANCE, v->variance},
                                            {DNNL_ARG_DIFF_DST, v->dy},
                                            {DNNL_ARG_SCALE_SHIFT, v->scale_shift},
                                            {DNNL_ARG_WORKSPACE, v->workspace},
                                            {DNNL_ARG_DIFF_SRC, dx},
                                            {DNNL_ARG_DIFF_SCALE_SHIFT, dss}},
                        8, err));
    dnnl_primitive_desc_destroy(pd);
    return gradient_end(d, node->a, err);
}

static ak_status maxpool(ak_dnn *d, int i, ak_error *err)
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
        PASS(memory_new(d, &v->workspace, NULL, ws, NULL, err));
    return primitive_step(d, &d->forward, v->pd,
                          (dnnl_exec_arg_t[]){{DNNL_ARG_SRC, d->values[node->a].y},
                                              {DNNL_ARG_DST, v->y},
                                              {DNNL_ARG_WORKSPACE, v->workspace}},
                          3, err);
}

static ak_status maxpool_backward(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i], *x = &d->graph.nodes[node->a];
    value *v = &d->values[i];
    dnnl_pooling_desc_t desc;
    dnnl_primitive_desc_t pd;
    dnnl_memory_t dx;
    dnnl_dims_t strides = {node->stride, node->stride}, kernel = {node->k, node->k};
    dnnl_dims_t left = {node->pad, node->pad};
    dnnl_dims_t right = {(node->h - 1) * node->stride + node->k - x->h - node->pad,
                         (node->w - 1) * node->stride + node->k - x->w - node->pad};
    TRY(dnnl_pooling_backward_desc_init(&desc, dnnl_pooling_max, &d->values[node->a].md, &v->md,
                                        strides, kernel, left, right));
    TRY(dnnl_primitive_desc_create(&pd, &desc, d->plain, d->engine, v->pd));
    PASS(gradient_begin(d, node->a, &dx, err));
    PASS(primitive_step(d, &d->backward, pd,
                        (dnnl_exec_arg_t[]){{DNNL_ARG_DIFF_DST, v->dy},
                                            {DNNL_ARG_WORKSPACE, v->workspace},
                                            {DNNL_ARG_DIFF_SRC, dx}},
                        3, err));
    dnnl_primitive_desc_destroy(pd);
    return gradient_end(d, node->a, err);
}

static ak_status pool_step(ak_dnn *d, steps *list, step_kind kind, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    step *s = step_new(list, kind);
    if (!s)
        return ak_fail(err, AK_INTERNAL, "the network has more than %d steps", STEPS_MAX);
    value *x = &d->values[node->a];
    s->map = &d->graph.nodes[node->a];
    s->column = node->column;
    s->y = kind == STEP_AVGPOOL ? x->y_at : x->dy_at;
    return AK_OK;
}

static ak_status avgpool_backward(ak_dnn *d, int i, ak_error *err)
{
    int a = d->graph.nodes[i].a;
    value *x = &d->values[a];
    if (!x->dy)
        PASS(memory_new(d, &x->dy, &x->dy_at, &x->md, NULL, err));
    bool first = !x->has_dy;
    x->has_dy = true;
    return pool_step(d, &d->backward, first ? STEP_AVGPOOL_BACKWARD : STEP_AVGPOOL_BACKWARD_ADD, i,
                     err);
}

// Both inputs of a sum get the same gradient: the batch norm's own, which the shortcut borrows.
// That is safe since the batch norm's backward, which reads it, runs before any later consumer of
// the shortcut adds to it (b < a).
static ak_status add_relu_backward(ak_dnn *d, int i, ak_error *err)
{
    const ak_node *node = &d->graph.nodes[i];
    value *v = &d->values[i], *a = &d->values[node->a], *b = &d->values[node->b];
    PASS(memory_new(d, &a->dy, &a->dy_at, &a->md, NULL, err));
    a->has_dy = true;
    PASS(elementwise(&d->backward, STEP_RELU_BACKWARD, a->dy_at, v->dy_at, v->y_at, v->n, err));
    if (b->has_dy)
        return elementwise(&d->backward, STEP_ADD, b->dy_at, a->dy_at, NULL, b->n, err);
    b->dy = a->dy;
    b->dy_at = a->dy_at;
    b->has_dy = true;
    return AK_OK;
}

static ak_status build_train(ak_dnn *d, ak_error *err)
{
    const ak_graph *g = &d->graph;
    for (int i = 0; i < g->n; i++) {
        const ak_node *node = &g->nodes[i];
        if (node->op != AK_OP_INPUT && node->op != AK_OP_AVGPOOL)
            PASS(activation(d, i, true, err));
        switch (node->op) {
        case AK_OP_INPUT:
            break;
        case AK_OP_CONV:
            PASS(conv_train(d, i, err));
            break;
        case AK_OP_BN:
            PASS(bn_train(d, i, err));
            break;
        case AK_OP_ADD_RELU:
            PASS(elementwise(&d->forward, STEP_ADD_RELU, d->values[i].y_at, d->values[node->a].y_at,
                             d->values[node->b].y_at, d->values[i].n, err));
            break;
        case AK_OP_MAXPOOL:
            PASS(maxpool(d, i, err));
            break;
        case AK_OP_AVGPOOL:
            PASS(pool_step(d, &d->forward, STEP_AVGPOOL, i, err));
            break;
        }
    }
    for (int i = g->n - 1; i > 0; i--) {
        switch (g->nodes[i].op) {
        case AK_OP_INPUT:
            break;
        case AK_OP_CONV:
            PASS(conv_backward_weights(d, i, err));
            if (g->nodes[g->nodes[i].a].op != AK_OP_INPUT)
                PASS(conv_backward_data(d, i, err));
            break;
        case AK_OP_BN:
            PASS(bn_backward(d, i, err));
            break;
        case AK_OP_ADD_RELU:
            PASS(add_relu_backward(d, i, err));
            break;
        case AK_OP_MAXPOOL:
            PASS(maxpool_backward(d, i, err));
            break;
        case AK_OP_AVGPOOL:
            PASS(avgpool_backward(d, i, err));
            break;
        }
    }
    return AK_OK;
}

// --- serving -----------------------------------------------------------------------------------

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
    PASS(activation(d, i, !in_place, err));
    PASS(conv_shape_of(&s, d, i, err));
    if (in_place) {
        v->y = d->values[g->nodes[sum].b].y;
        v->y_at = d->values[g->nodes[sum].b].y_at;
    }
    dnnl_memory_desc_t bias_md;
    dnnl_memory_t bias, plain, source;
    dnnl_dims_t dims = {node->c};
    TRY(dnnl_memory_desc_init_by_tag(&bias_md, 1, dims, dnnl_f32, dnnl_a));
    PASS(memory_new(d, &bias, (void **)&v->bias_at, &bias_md, NULL, err));
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
    PASS(conv_source(d, &source, i, pd, err));
    PASS(plain_weights(d, &plain, i, d->dparams + node->param, err)); // folded at load
    PASS(memory_new(d, &v->weights, NULL,
                    dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), NULL, err));
    PASS(reorder_step(d, &d->load, v->weights, plain, err));
    PASS(primitive_step(d, &d->forward, pd,
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
        return elementwise(&d->forward, STEP_ADD_RELU, bn->y_at, bn->y_at, b->y_at, bn->n, err);
    }
    return AK_OK;
}

static ak_status build_serve(ak_dnn *d, ak_error *err)
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
            PASS(activation(d, i, true, err));
            PASS(maxpool(d, i, err));
        } else if (node->op == AK_OP_AVGPOOL) {
            PASS(pool_step(d, &d->forward, STEP_AVGPOOL, i, err));
        }
    }
    return AK_OK;
}

// --- the object --------------------------------------------------------------------------------

static ak_status build(ak_dnn *d, ak_error *err)
{
    TRY(dnnl_engine_create(&d->engine, dnnl_cpu, 0));
    TRY(dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags));
    TRY(dnnl_primitive_attr_create(&d->plain));
    TRY(dnnl_primitive_attr_set_scratchpad_mode(d->plain, dnnl_scratchpad_mode_user));
    d->params = own(d, d->graph.params * sizeof(float));
    d->dparams = own(d, d->graph.params * sizeof(float));
    if (!d->params || !d->dparams)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu parameters", d->graph.params);
    PASS(d->mode == AK_DNN_TRAIN ? build_train(d, err) : build_serve(d, err));
    void *scratch = own(d, d->scratch_bytes + 64);
    d->spare = own(d, d->spare_bytes + 64);
    if (!scratch || !d->spare)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a network's scratch space");
    for (int i = 0; i < d->scratch_n; i++)
        TRY(dnnl_memory_set_data_handle(d->scratch[i], scratch));
    for (int i = 0; i < d->spare_users_n; i++)
        TRY(dnnl_memory_set_data_handle(d->spare_users[i], d->spare));
    for (int i = 0; i < d->backward.n; i++)
        if (d->backward.at[i].kind == STEP_ADD && !d->backward.at[i].a)
            d->backward.at[i].a = d->spare;
    return AK_OK;
}

ak_status ak_dnn_new(ak_dnn **out, const ak_graph *graph, int batch, ak_dnn_mode mode,
                     ak_dnn_type type, ak_error *err)
{
    *out = NULL;
    for (int i = 0; i < graph->n; i++)
        if (graph->nodes[i].op != AK_OP_INPUT && graph->nodes[i].c % 16)
            return ak_fail(err, AK_BAD_VALUE, "%d channels; multiples of 16 are possible",
                           graph->nodes[i].c);
    ak_dnn *d = calloc(1, sizeof *d);
    if (!d)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a network");
    d->graph = *graph;
    d->batch = batch;
    d->mode = mode;
    d->bf16 = type == AK_DNN_BF16;
    d->block = dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core ? 16 : 8;
    ak_status status = build(d, err);
    if (status != AK_OK) {
        ak_dnn_free(d);
        return status;
    }
    *out = d;
    return AK_OK;
}

void ak_dnn_free(ak_dnn *d)
{
    if (!d)
        return;
    steps *lists[] = {&d->load, &d->forward, &d->backward};
    for (int l = 0; l < 3; l++)
        for (int i = 0; i < lists[l]->n; i++)
            dnnl_primitive_destroy(lists[l]->at[i].primitive);
    for (int i = 0; i < AK_NODES_MAX; i++)
        dnnl_primitive_desc_destroy(d->values[i].pd);
    for (int i = 0; i < d->memories_n; i++)
        dnnl_memory_destroy(d->memories[i]);
    for (int i = 0; i < d->owned_n; i++)
        free(d->owned[i]);
    dnnl_primitive_attr_destroy(d->plain);
    dnnl_stream_destroy(d->stream);
    dnnl_engine_destroy(d->engine);
    free(d);
}

// features: forward's result or backward's gradient, by the kind.
static ak_status run_step(ak_dnn *d, const step *s, float *features, ak_error *err)
{
    size_t stride = d->graph.features, batch = (size_t)d->batch;
    const ak_node *map = s->map;
    size_t plane = map ? (size_t)map->h * (size_t)map->w : 0;
    switch (s->kind) {
    case STEP_PRIMITIVE:
        TRY(dnnl_primitive_execute(s->primitive, d->stream, s->args_n, s->args));
        break;
    case STEP_ADD_RELU:
        ak_add_relu(s->y, s->a, s->b, s->n, d->bf16);
        break;
    case STEP_RELU_BACKWARD:
        ak_relu_backward(s->y, s->a, s->b, s->n, d->bf16);
        break;
    case STEP_ADD:
        ak_add(s->y, s->a, s->n, d->bf16);
        break;
    case STEP_AVGPOOL:
        ak_avgpool(features + s->column, stride, s->y, batch, (size_t)map->c, plane, d->block,
                   d->bf16);
        break;
    case STEP_AVGPOOL_BACKWARD:
    case STEP_AVGPOOL_BACKWARD_ADD:
        ak_avgpool_backward(s->y, features + s->column, stride, batch, (size_t)map->c, plane,
                            d->block, s->kind == STEP_AVGPOOL_BACKWARD_ADD, d->bf16);
        break;
    }
    return AK_OK;
}

static ak_status run(ak_dnn *d, const steps *list, float *features, ak_error *err)
{
    for (int i = 0; i < list->n; i++)
        PASS(run_step(d, &list->at[i], features, err));
    TRY(dnnl_stream_wait(d->stream));
    return AK_OK;
}

// w' = w * scale / sqrt(variance + eps), bias = shift - mean * scale / sqrt(variance + eps).
static void fold(ak_dnn *d, int i, const float *stats)
{
    const ak_graph *g = &d->graph;
    const ak_node *conv = &g->nodes[i], *bn = &g->nodes[i + 1];
    size_t n = (size_t)g->nodes[conv->a].c * (size_t)(conv->k * conv->k);
    for (size_t c = 0; c < (size_t)conv->c; c++) {
        float rstd = 1.0f / sqrtf(stats[bn->stat + (size_t)bn->c + c] + AK_BN_EPS);
        float scale = d->params[bn->param + c] * rstd;
        for (size_t j = 0; j < n; j++)
            d->dparams[conv->param + c * n + j] = d->params[conv->param + c * n + j] * scale;
        d->values[i].bias_at[c] =
            d->params[bn->param + (size_t)bn->c + c] - stats[bn->stat + c] * scale;
    }
}

ak_status ak_dnn_load(ak_dnn *d, const float *params, const float *stats, ak_error *err)
{
    memcpy(d->params, params, d->graph.params * sizeof *params);
    if (d->mode == AK_DNN_SERVE)
        for (int i = 0; i < d->graph.n; i++)
            if (d->graph.nodes[i].op == AK_OP_CONV)
                fold(d, i, stats);
    return run(d, &d->load, NULL, err);
}

ak_status ak_dnn_forward(ak_dnn *d, float *features, const uint8_t *pixels, ak_error *err)
{
    const ak_node *in = &d->graph.nodes[0];
    ak_normalise(d->input, pixels, (size_t)d->batch * (size_t)in->h * (size_t)in->w, d->graph.mean,
                 d->graph.deviation);
    return run(d, &d->forward, features, err);
}

void ak_dnn_stats(float *stats, const ak_dnn *d, float share)
{
    for (int i = 0; i < d->graph.n; i++) {
        const ak_node *node = &d->graph.nodes[i];
        if (node->op != AK_OP_BN)
            continue;
        const value *v = &d->values[i];
        float m = (float)d->batch * (float)node->h * (float)node->w;
        for (size_t c = 0; c < (size_t)node->c; c++) {
            float *mean = stats + node->stat + c, *variance = mean + node->c;
            *mean += share * (v->mean_at[c] - *mean);
            *variance += share * (v->variance_at[c] * m / fmaxf(m - 1, 1) - *variance);
        }
    }
}

ak_status ak_dnn_backward(ak_dnn *d, float *dparams, const float *dfeatures, ak_error *err)
{
    ak_status status = run(d, &d->backward, (float *)dfeatures, err); // read, never written
    if (status == AK_OK)
        memcpy(dparams, d->dparams, d->graph.params * sizeof *dparams);
    return status;
}

static ak_dnn_kind kind_of(const ak_dnn *d, const steps *list, const step *s)
{
    const_dnnl_primitive_desc_t pd;
    dnnl_primitive_kind_t kind = dnnl_undefined_primitive;
    dnnl_prop_kind_t way = dnnl_prop_kind_undef;
    if (list == &d->load)
        return AK_DNN_LOAD;
    if (s->kind != STEP_PRIMITIVE)
        return s->map ? AK_DNN_POOL : AK_DNN_ELEMENTWISE;
    dnnl_primitive_get_primitive_desc(s->primitive, &pd);
    dnnl_primitive_desc_query(pd, dnnl_query_primitive_kind, 0, &kind);
    dnnl_primitive_desc_query(pd, dnnl_query_prop_kind, 0, &way);
    switch (kind) {
    case dnnl_convolution:
        return way == dnnl_backward_data      ? AK_DNN_CONV_BACKWARD_DATA
               : way == dnnl_backward_weights ? AK_DNN_CONV_BACKWARD_WEIGHTS
                                              : AK_DNN_CONV_FORWARD;
    case dnnl_batch_normalization:
        return AK_DNN_BATCH_NORM;
    case dnnl_pooling:
        return AK_DNN_POOL;
    default:
        return AK_DNN_REORDER;
    }
}

ak_status ak_dnn_time(double seconds[AK_DNN_KINDS], ak_dnn *d, unsigned kinds, float *features,
                      ak_error *err)
{
    const steps *lists[] = {&d->load, &d->forward, &d->backward};
    memset(seconds, 0, AK_DNN_KINDS * sizeof *seconds);
    for (int l = 0; l < 3; l++)
        for (int i = 0; i < lists[l]->n; i++) {
            ak_dnn_kind kind = kind_of(d, lists[l], &lists[l]->at[i]);
            if (!(kinds & 1u << kind))
                continue;
            double start = ak_clock_s();
            PASS(run_step(d, &lists[l]->at[i], features, err));
            TRY(dnnl_stream_wait(d->stream));
            seconds[kind] += ak_clock_s() - start;
        }
    return AK_OK;
}

double ak_graph_macs(const ak_graph *g)
{
    double macs = 0;
    for (int i = 0; i < g->n; i++) {
        const ak_node *n = &g->nodes[i];
        if (n->op == AK_OP_CONV)
            macs += (double)n->c * n->h * n->w * g->nodes[n->a].c * n->k * n->k;
    }
    return macs;
}
