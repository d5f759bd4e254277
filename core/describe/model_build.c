#include "core/describe/model_build.h"

#include "core/describe/colour.h"
#include "core/describe/model_inside.h"
#include "core/describe/whitening.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#define PCA_POWER  0.75f // of the whitening that learning starts from
#define PCA_SHRINK 0.1f

static ak_status config_text(char **out, const ak_model_parts *p, ak_error *err)
{
    json_t *training = p->training ? json_loads(p->training, 0, NULL) : json_object();
    json_t *config =
        json_pack("{s:s, s:o, s:o, s:{s:i, s:s}, s:{s:I, s:f, s:f, s:f, s:f}, s:o}", "kind",
                  "model", "encoder", ak_fields_write(&p->net, ak_resnet_fields), "head",
                  ak_fields_write(&p->head, ak_head_fields), "input", "side", p->side, "fit",
                  "stretch", "descriptor", "dims", (json_int_t)p->dims, "power", (double)p->power,
                  "shrink", (double)p->shrink, "colour", (double)p->colour, "layout",
                  (double)p->layout, "training", training);
    *out = config ? json_dumps(config, JSON_INDENT(1)) : NULL;
    json_decref(config);
    return *out ? AK_OK : ak_fail(err, AK_BAD_VALUE, "the description of the training is no JSON");
}

// x (rows, raw): what the whitening is fitted on.
static ak_status gather(float *x, ak_features *features, const ak_model_parts *p, size_t raw,
                        const ak_fit_set *set, ak_error *err)
{
    const size_t bytes = 3 * (size_t)p->side * (size_t)p->side, rows = ak_fit_rows(set);
    uint8_t *inputs = ak_alloc(AK_EMBED_BATCH, bytes);
    float *pooled = ak_alloc(AK_EMBED_BATCH * ak_features_count(features), sizeof *pooled);
    ak_status status =
        inputs && pooled ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for pictures");
    for (size_t i = 0; i < rows && status == AK_OK; i += AK_EMBED_BATCH) {
        size_t part = rows - i < AK_EMBED_BATCH ? rows - i : AK_EMBED_BATCH;
        for (size_t j = 0; j < part && status == AK_OK; j++)
            status = ak_fit_input(inputs + j * bytes, p->side, set, i + j, err);
        if (status == AK_OK)
            status = ak_raw_vectors(x + i * raw, pooled, features, p->colour, inputs, p->side, part,
                                    err);
    }
    free(inputs);
    free(pooled);
    return status;
}

// raw: numbers that are whitened; x (rows, raw).
static ak_status raw_of(float **x, size_t *raw, const ak_model_parts *p, const ak_fit_set *set,
                        ak_error *err)
{
    ak_features *features = NULL;
    // f32, so that what is fitted does not depend on the processor.
    ak_status status =
        ak_features_new(&features, &p->net, p->side, p->params, p->stats, AK_DNN_F32, err);
    if (status != AK_OK)
        return status;
    size_t cells;
    *raw = ak_features_count(features) + (p->colour > 0 ? AK_COLOUR_BINS : 0);
    *x = ak_mul(&cells, ak_fit_rows(set), *raw) ? ak_alloc(cells, sizeof **x) : NULL;
    status =
        *x ? gather(*x, features, p, *raw, set, err)
           : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the features of %zu pictures", set->n);
    ak_features_free(features);
    return status;
}

typedef struct {
    float *mean, *matrix; // (raw), (dims, raw)
} whitening;

static ak_status whitening_alloc(whitening *w, size_t dims, size_t raw, ak_error *err)
{
    size_t cells;
    *w = (whitening){.mean = ak_alloc(raw, sizeof(float))};
    w->matrix = ak_mul(&cells, dims, raw) ? ak_alloc(cells, sizeof(float)) : NULL;
    return w->mean && w->matrix ? AK_OK
                                : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a whitening");
}

static void whitening_free(whitening *w)
{
    free(w->mean);
    free(w->matrix);
}

static ak_status put(ak_buf *out, const ak_model_parts *p, const float *mean, const float *matrix,
                     size_t raw, const float *smoothing, ak_error *err)
{
    char *config = NULL;
    ak_graph graph;
    ak_status status = ak_resnet_graph(&graph, &p->net, p->side, err);
    if (status == AK_OK)
        status = config_text(&config, p, err);
    if (status != AK_OK)
        return status;
    ak_checkpoint c = {.config = {(const uint8_t *)config, strlen(config)}};
    ak_checkpoint_add(&c, "encoder", p->params, graph.params, AK_TENSOR_F16);
    ak_checkpoint_add(&c, "encoder statistics", p->stats, graph.stats, AK_TENSOR_F32);
    ak_checkpoint_add(&c, "head", p->head_params, ak_head_params(&p->head), AK_TENSOR_F16);
    ak_checkpoint_add(&c, "head statistics", p->head_stats, ak_head_stats(&p->head), AK_TENSOR_F32);
    ak_checkpoint_add(&c, "whitening mean", mean, raw, AK_TENSOR_F32);
    ak_checkpoint_add(&c, "whitening", matrix, p->dims * raw, AK_TENSOR_F16);
    if (smoothing)
        ak_checkpoint_add(&c, "smoothing", smoothing, p->dims * p->dims, AK_TENSOR_F16);
    status = ak_checkpoint_write(out, &c, err);
    free(config);
    return status;
}

// From the whitening by PCA to the learned one: w's is fitted anew to how the descriptors that it
// makes of x scatter. x (rows, raw) is overwritten.
static ak_status learn(whitening *w, float *x, size_t raw, const ak_model_parts *p,
                       const ak_fit_set *set, ak_error *err)
{
    const size_t dims = p->dims, rows = ak_fit_rows(set);
    size_t cells;
    float *y = ak_mul(&cells, rows, dims) ? ak_alloc(cells, sizeof *y) : NULL;
    float *turn = ak_alloc(dims * dims, sizeof *turn), *ratios = ak_alloc(dims, sizeof *ratios);
    float *before = ak_alloc(dims * raw, sizeof *before);
    ak_scatter s = {0};
    ak_status status = y && turn && ratios && before
                           ? ak_scatter_init(&s, dims, err)
                           : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a whitening");
    if (status == AK_OK) {
        memcpy(before, w->matrix, dims * raw * sizeof *before);
        ak_whitening_apply(y, x, w->mean, before, rows, raw, dims);
        status = ak_fit_scatter(&s, set, y, err);
    }
    if (status == AK_OK)
        status = ak_whitening_fit(turn, ratios, &s, dims, p->power, p->shrink, err);
    if (status == AK_OK)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)dims, (int)raw, (int)dims, 1,
                    turn, (int)dims, before, (int)raw, 0, w->matrix, (int)raw);
    ak_scatter_clear(&s);
    free(before);
    free(ratios);
    free(turn);
    free(y);
    return status;
}

// PCA first: what varies least in the features, which is noise, is cut off before anything is
// learned from pairs.
static ak_status fit(whitening *w, float *x, size_t raw, const ak_model_parts *p,
                     const ak_fit_set *set, ak_error *err)
{
    ak_scatter s = {0};
    ak_status status = ak_scatter_init(&s, raw, err);
    if (status == AK_OK)
        status = ak_scatter_total(&s, x, set->n, err);
    if (status == AK_OK) {
        memcpy(w->mean, s.mean, raw * sizeof *w->mean);
        status = ak_whitening_pca(w->matrix, &s, p->dims, PCA_POWER, PCA_SHRINK, err);
    }
    ak_scatter_clear(&s);
    return status == AK_OK ? learn(w, x, raw, p, set, err) : status;
}

ak_status ak_model_build(ak_buf *out, const ak_model_parts *p, const ak_fit_set *set, ak_error *err)
{
    size_t raw = 0;
    float *x = NULL;
    whitening w = {0};
    ak_status status = raw_of(&x, &raw, p, set, err);
    if (status == AK_OK)
        status = whitening_alloc(&w, p->dims, raw, err);
    if (status == AK_OK)
        status = fit(&w, x, raw, p, set, err);
    if (status == AK_OK)
        status = put(out, p, w.mean, w.matrix, raw, NULL, err);
    whitening_free(&w);
    free(x);
    return status;
}

ak_status ak_model_rebuild(ak_buf *out, const ak_model *base, const ak_model_parts *p,
                           ak_error *err)
{
    return put(out, p, base->mean, base->whitening, base->raw, p->smoothing, err);
}

ak_status ak_model_random(ak_model **out, const ak_model *like, uint64_t seed, ak_error *err)
{
    *out = NULL;
    ak_model *m = calloc(1, sizeof *m);
    if (!m)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a model");
    *m = (ak_model){.net = like->net, .graph = like->graph, .head = like->head, .side = like->side};
    strcpy(m->id, "random");
    m->raw = m->dims = m->graph.features;
    ak_status status = ak_model_inside_alloc(m, err);
    if (status != AK_OK) {
        ak_model_free(m);
        return status;
    }
    ak_graph_init(m->params, m->stats, &m->graph, seed);
    ak_head_init(m->head_params, m->head_stats, &m->head, seed);
    for (size_t i = 0; i < m->dims; i++)
        m->whitening[i * m->raw + i] = 1.0f;
    ak_model_inside_compose(m);
    *out = m;
    return AK_OK;
}

ak_model_parts ak_model_parts_of(const ak_model *m)
{
    return (ak_model_parts){.net = m->net,
                            .params = m->params,
                            .stats = m->stats,
                            .head = m->head,
                            .head_params = m->head_params,
                            .head_stats = m->head_stats,
                            .side = m->side,
                            .dims = m->dims,
                            .power = m->power,
                            .shrink = m->shrink,
                            .colour = m->colour,
                            .layout = m->layout,
                            .mean = m->mean,
                            .matrix = m->matrix,
                            .raw = m->raw,
                            .smoothing = m->smoothing};
}
