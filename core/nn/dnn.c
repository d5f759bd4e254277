// oneDNN behind a graph: primitives are made once, in the order of the nodes, into three lists of
// steps (load, forward, backward) that are then only run.
//
// Activations lie in blocks of 16 channels (8 without AVX-512), so that what is done between the
// convolutions (kernels.c) sees one plain array.
#include "core/nn/dnn.h"

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/nn/dnn_inside.h"
#include "core/nn/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static ak_status build(ak_dnn *d, ak_error *err)
{
    TRY(dnnl_engine_create(&d->engine, dnnl_cpu, 0));
    TRY(dnnl_stream_create(&d->stream, d->engine, dnnl_stream_default_flags));
    TRY(dnnl_primitive_attr_create(&d->plain));
    TRY(dnnl_primitive_attr_set_scratchpad_mode(d->plain, dnnl_scratchpad_mode_user));
    d->params = ak_dnn_own(d, d->graph.params * sizeof(float));
    if (d->begin)
        d->folded = ak_dnn_own(d, d->graph.params * sizeof(float));
    if (!d->params || (d->begin && !d->folded))
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu parameters", d->graph.params);
    PASS(ak_dnn_build_serve(d, err));
    PASS(ak_dnn_build_train(d, err));
    void *scratch = d->scratch_at = ak_dnn_own(d, d->scratch_bytes + 64);
    d->spare = ak_dnn_own(d, d->spare_bytes + 64);
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

// The first node that is not as in serving. Stages are in the order of the nodes.
static int first_trained(const ak_graph *g, const ak_dnn_options *o)
{
    int i = 0;
    while (i < g->n &&
           (o->mode == AK_DNN_SERVE || (o->frozen_stages && g->nodes[i].stage <= o->frozen_stages)))
        i++;
    return i;
}

ak_status ak_dnn_new(ak_dnn **out, const ak_graph *graph, int batch, ak_dnn_options options,
                     ak_error *err)
{
    *out = NULL;
    for (int i = 0; i < graph->n; i++)
        if (graph->nodes[i].op != AK_OP_INPUT && graph->nodes[i].c % 16)
            return ak_fail(err, AK_BAD_VALUE, "%d channels; multiples of 16 are possible",
                           graph->nodes[i].c);
    if (options.frozen_stages < 0 || options.frozen_stages > 4)
        return ak_fail(err, AK_BAD_VALUE, "%d frozen stages; 0 to 4 are possible",
                       options.frozen_stages);
    if (options.frozen_stages && options.mode != AK_DNN_TRAIN && options.mode != AK_DNN_TUNE)
        return ak_fail(err, AK_BAD_VALUE, "frozen stages in a network that is not trained");
    if (options.parts && options.mode != AK_DNN_TRAIN)
        return ak_fail(err, AK_BAD_VALUE, "statistics over processes in a network without any");
    ak_dnn *d = calloc(1, sizeof *d);
    if (!d)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a network");
    d->graph = *graph;
    d->batch = batch;
    d->mode = options.mode;
    d->bf16 = options.type == AK_DNN_BF16;
    d->library = options.library || !ak_dnn_has_bf16(); // our kernels are bf16's
    d->parts = options.parts;
    d->begin = first_trained(graph, &options);
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
    for (int i = 0; i < d->described_n; i++)
        dnnl_primitive_desc_destroy(d->described[i]);
    for (int i = 0; i < d->memories_n; i++)
        dnnl_memory_destroy(d->memories[i]);
    for (int i = 0; i < d->owned_n; i++)
        free(d->owned[i]);
    for (int i = 0; i < 4; i++)
        dnnl_primitive_attr_destroy(d->fused[i / 2][i % 2]);
    dnnl_primitive_attr_destroy(d->plain);
    dnnl_stream_destroy(d->stream);
    dnnl_engine_destroy(d->engine);
    free(d);
}

static ak_bn_maps bn_maps(const ak_dnn *d, const ak_node *node)
{
    return (ak_bn_maps){.batch = (size_t)d->batch,
                        .c = (size_t)node->c,
                        .plane = (size_t)node->h * (size_t)node->w,
                        .block = d->block,
                        .bf16 = d->bf16,
                        .relu = node->relu};
}

static void bn_parts_forward(const ak_dnn *d, const ak_node *node)
{
    const value *v = &d->values[node - d->graph.nodes], *x = &d->values[node->a];
    const float *scale = d->params + node->param;
    ak_bn_maps maps = bn_maps(d, node);
    ak_bn_parts_forward(v->y_at, v->mean_at, v->variance_at, x->y_at, scale, scale + node->c, &maps,
                        d->parts);
}

static void bn_parts_backward(const ak_dnn *d, const ak_node *node)
{
    const value *v = &d->values[node - d->graph.nodes], *x = &d->values[node->a];
    float *dscale = d->gradient + node->param;
    ak_bn_maps maps = bn_maps(d, node);
    ak_bn_parts_backward(x->dy_at, dscale, dscale + node->c, v->dy_at, x->y_at, v->y_at, v->mean_at,
                         v->variance_at, d->params + node->param, &maps, d->parts);
}

// features: forward's result or backward's gradient, by the kind.
static ak_status run_step(ak_dnn *d, const step *s, float *features, ak_error *err)
{
    size_t stride = d->graph.features, batch = (size_t)d->batch;
    const ak_node *map = s->map;
    size_t plane = map ? (size_t)map->h * (size_t)map->w : 0;
    ak_gate_shape gate = {0};
    ak_small_maps maps;
    if (s->kind == STEP_GATE || s->kind == STEP_GATE_BACKWARD)
        gate = ak_dnn_gate_shape(d, map);
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
    case STEP_GATE:
        ak_gate_forward(s->y, s->a, d->params + map->param, &gate, s->work);
        break;
    case STEP_GATE_BACKWARD:
        ak_gate_backward(s->y, d->gradient + map->param, s->a, s->b, d->params + map->param, &gate,
                         s->work);
        break;
    case STEP_BN_PARTS:
        bn_parts_forward(d, map);
        break;
    case STEP_BN_PARTS_BACKWARD:
        bn_parts_backward(d, map);
        break;
    case STEP_SMALL_MAPS:
        maps = ak_dnn_small_maps(d, map);
        ak_small_maps_weights(d->gradient + map->param, s->a, s->b, &maps, d->scratch_at);
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
static void fold(ak_dnn *d, int i, const float *params, const float *stats)
{
    const ak_graph *g = &d->graph;
    const ak_node *conv = &g->nodes[i], *bn = &g->nodes[i + 1];
    size_t n = (size_t)g->nodes[conv->a].c * (size_t)(conv->k * conv->k);
    for (size_t c = 0; c < (size_t)conv->c; c++) {
        float rstd = 1.0f / sqrtf(stats[bn->stat + (size_t)bn->c + c] + AK_BN_EPS);
        float scale = params[bn->param + c] * rstd;
        for (size_t j = 0; j < n; j++)
            d->folded[conv->param + c * n + j] = params[conv->param + c * n + j] * scale;
        d->values[i].bias_at[c] =
            params[bn->param + (size_t)bn->c + c] - stats[bn->stat + c] * scale;
    }
}

static ak_status place(const views *list, float *numbers, ak_error *err)
{
    for (int i = 0; i < list->n; i++)
        TRY(dnnl_memory_set_data_handle(list->at[i].memory, numbers + list->at[i].at));
    return AK_OK;
}

// What the steps read besides the convolutions' weights, which are reordered at once.
static size_t kept_of(const ak_node *node)
{
    size_t c = (size_t)node->c, k = (size_t)node->k;
    return node->op == AK_OP_BN ? 2 * c : node->op == AK_OP_GATE ? 2 * c * k + c + k : 0;
}

ak_status ak_dnn_load(ak_dnn *d, const float *params, const float *stats, ak_error *err)
{
    PASS(place(&d->weights, (float *)params, err)); // read, never written
    for (int i = 0; i < d->graph.n; i++) {
        const ak_node *node = &d->graph.nodes[i];
        value *v = &d->values[i];
        memcpy(d->params + node->param, params + node->param, kept_of(node) * sizeof *params);
        if (i < d->begin && node->op == AK_OP_CONV)
            fold(d, i, params, stats);
        if (i >= d->begin && node->op == AK_OP_BN && d->mode == AK_DNN_TUNE) {
            memcpy(v->mean_at, stats + node->stat, (size_t)node->c * sizeof *stats);
            memcpy(v->variance_at, stats + node->stat + node->c, (size_t)node->c * sizeof *stats);
        }
    }
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
    for (int i = d->begin; i < d->graph.n && d->mode != AK_DNN_TUNE; i++) {
        const ak_node *node = &d->graph.nodes[i];
        if (node->op != AK_OP_BN)
            continue;
        const value *v = &d->values[i];
        float m = (float)d->batch * (float)node->h * (float)node->w;
        m *= d->parts ? (float)d->parts->parts : 1.0f;
        for (size_t c = 0; c < (size_t)node->c; c++) {
            float *mean = stats + node->stat + c, *variance = mean + node->c;
            *mean += share * (v->mean_at[c] - *mean);
            *variance += share * (v->variance_at[c] * m / fmaxf(m - 1, 1) - *variance);
        }
    }
}

// How many parameters, from the first on, belong to nodes that are not trained.
static size_t frozen_params(const ak_dnn *d)
{
    for (int i = d->begin; i < d->graph.n; i++)
        if (d->graph.nodes[i].op == AK_OP_CONV)
            return d->graph.nodes[i].param;
    return d->graph.params;
}

ak_status ak_dnn_backward(ak_dnn *d, float *dparams, const float *dfeatures, ak_error *err)
{
    d->gradient = dparams;
    PASS(place(&d->gradients, dparams, err));
    memset(dparams, 0, frozen_params(d) * sizeof *dparams);
    return run(d, &d->backward, (float *)dfeatures, err); // read, never written
}

static ak_dnn_kind kind_of(const ak_dnn *d, const steps *list, const step *s)
{
    const_dnnl_primitive_desc_t pd;
    dnnl_primitive_kind_t kind = dnnl_undefined_primitive;
    dnnl_prop_kind_t way = dnnl_prop_kind_undef;
    if (list == &d->load)
        return AK_DNN_LOAD;
    if (s->kind == STEP_SMALL_MAPS)
        return AK_DNN_CONV_BACKWARD_WEIGHTS;
    if (s->kind == STEP_BN_PARTS || s->kind == STEP_BN_PARTS_BACKWARD)
        return AK_DNN_BATCH_NORM;
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
