#include "core/describe/model_build.h"

#include "core/describe/colour.h"
#include "core/describe/model_inside.h"
#include "core/describe/palette.h"
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
        json_pack("{s:s, s:o, s:o, s:{s:i, s:s}, s:{s:I, s:f, s:f, s:f, s:f, s:f}, s:o}", "kind",
                  "model", "encoder", ak_fields_write(&p->net, ak_resnet_fields), "head",
                  ak_fields_write(&p->head, ak_head_fields), "input", "side", p->side, "fit",
                  "stretch", "descriptor", "dims", (json_int_t)p->dims, "power", (double)p->power,
                  "shrink", (double)p->shrink, "colour", (double)p->colour, "layout",
                  (double)p->layout, "palette", (double)p->palette, "training", training);
    *out = config ? json_dumps(config, JSON_INDENT(1)) : NULL;
    json_decref(config);
    return *out ? AK_OK : ak_fail(err, AK_BAD_VALUE, "the description of the training is no JSON");
}

// What is fitted on: x (rows, raw) for the whitening, histograms (rows, AK_PALETTE_BINS) for the
// palette.
typedef struct {
    size_t raw;
    float *x, *histograms;
} samples;

static ak_status gather(samples *s, ak_features *features, const ak_model_parts *p,
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
            status = ak_raw_vectors(s->x + i * s->raw, pooled, features, p->colour, inputs, p->side,
                                    part, err);
        if (p->palette <= 0 || status != AK_OK)
            continue;
#pragma omp parallel for schedule(static)
        for (size_t j = 0; j < part; j++)
            ak_palette_histogram(s->histograms + (i + j) * AK_PALETTE_BINS, inputs + j * bytes,
                                 p->side);
    }
    free(inputs);
    free(pooled);
    return status;
}

static void samples_free(samples *s)
{
    free(s->x);
    free(s->histograms);
}

static ak_status samples_of(samples *s, const ak_model_parts *p, const ak_fit_set *set,
                            ak_error *err)
{
    ak_features *features = NULL;
    // f32, so that what is fitted does not depend on the processor.
    ak_status status =
        ak_features_new(&features, &p->net, p->side, p->params, p->stats, AK_DNN_F32, err);
    if (status != AK_OK)
        return status;
    size_t cells;
    *s = (samples){.raw = ak_features_count(features) + (p->colour > 0 ? AK_COLOUR_BINS : 0)};
    s->x = ak_mul(&cells, ak_fit_rows(set), s->raw) ? ak_alloc(cells, sizeof *s->x) : NULL;
    s->histograms =
        ak_alloc(p->palette > 0 ? ak_fit_rows(set) : 1, AK_PALETTE_BINS * sizeof *s->histograms);
    status = s->x && s->histograms ? gather(s, features, p, set, err)
                                   : ak_fail(err, AK_OUT_OF_MEMORY,
                                             "no memory for the features of %zu pictures", set->n);
    ak_features_free(features);
    return status;
}

// Whitening and palette.
typedef struct {
    size_t raw;
    float *mean, *matrix;               // (raw), (dims, raw)
    float *palette_mean, *palette_axes; // core/describe/palette.h
} fitted;

static ak_status fitted_alloc(fitted *f, size_t dims, size_t raw, ak_error *err)
{
    size_t cells;
    *f = (fitted){.raw = raw,
                  .mean = ak_alloc(raw, sizeof(float)),
                  .palette_mean = ak_alloc(AK_PALETTE_BINS, sizeof(float)),
                  .palette_axes = ak_alloc(AK_PALETTE_DIMS * AK_PALETTE_BINS, sizeof(float))};
    f->matrix = ak_mul(&cells, dims, raw) ? ak_alloc(cells, sizeof(float)) : NULL;
    return f->mean && f->matrix && f->palette_mean && f->palette_axes
               ? AK_OK
               : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a whitening");
}

static void fitted_free(fitted *f)
{
    free(f->mean);
    free(f->matrix);
    free(f->palette_mean);
    free(f->palette_axes);
}

static ak_status put(ak_buf *out, const ak_model_parts *p, const fitted *f, const float *smoothing,
                     ak_error *err)
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
    ak_checkpoint_add(&c, "whitening mean", f->mean, f->raw, AK_TENSOR_F32);
    ak_checkpoint_add(&c, "whitening", f->matrix, p->dims * f->raw, AK_TENSOR_F16);
    if (smoothing)
        ak_checkpoint_add(&c, "smoothing", smoothing, p->dims * p->dims, AK_TENSOR_F16);
    if (p->palette > 0) {
        ak_checkpoint_add(&c, "palette mean", f->palette_mean, AK_PALETTE_BINS, AK_TENSOR_F32);
        ak_checkpoint_add(&c, "palette", f->palette_axes, AK_PALETTE_DIMS * AK_PALETTE_BINS,
                          AK_TENSOR_F16);
    }
    status = ak_checkpoint_write(out, &c, err);
    free(config);
    return status;
}

// From the whitening by PCA to the learned one: f's is fitted anew to how the descriptors that it
// makes of x scatter. x (rows, raw) is overwritten.
static ak_status learn(fitted *f, float *x, const ak_model_parts *p, const ak_fit_set *set,
                       ak_error *err)
{
    const size_t raw = f->raw, dims = p->dims, rows = ak_fit_rows(set);
    size_t cells;
    float *y = ak_mul(&cells, rows, dims) ? ak_alloc(cells, sizeof *y) : NULL;
    float *turn = ak_alloc(dims * dims, sizeof *turn), *ratios = ak_alloc(dims, sizeof *ratios);
    float *before = ak_alloc(dims * raw, sizeof *before);
    ak_scatter s = {0};
    ak_status status = y && turn && ratios && before
                           ? ak_scatter_init(&s, dims, err)
                           : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a whitening");
    if (status == AK_OK) {
        memcpy(before, f->matrix, dims * raw * sizeof *before);
        ak_whitening_apply(y, x, f->mean, before, rows, raw, dims);
        status = ak_fit_scatter(&s, set, y, err);
    }
    if (status == AK_OK)
        status = ak_whitening_fit(turn, ratios, &s, dims, p->power, p->shrink, err);
    if (status == AK_OK)
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)dims, (int)raw, (int)dims, 1,
                    turn, (int)dims, before, (int)raw, 0, f->matrix, (int)raw);
    ak_scatter_clear(&s);
    free(before);
    free(ratios);
    free(turn);
    free(y);
    return status;
}

// PCA first: what varies least in the features, which is noise, is cut off before anything is
// learned from pairs.
static ak_status fit_whitening(fitted *f, float *x, const ak_model_parts *p, const ak_fit_set *set,
                               ak_error *err)
{
    ak_scatter s = {0};
    ak_status status = ak_scatter_init(&s, f->raw, err);
    if (status == AK_OK)
        status = ak_scatter_total(&s, x, set->n, err);
    if (status == AK_OK) {
        memcpy(f->mean, s.mean, f->raw * sizeof *f->mean);
        status = ak_whitening_pca(f->matrix, &s, p->dims, PCA_POWER, PCA_SHRINK, err);
    }
    ak_scatter_clear(&s);
    return status == AK_OK ? learn(f, x, p, set, err) : status;
}

ak_status ak_model_build(ak_buf *out, const ak_model_parts *p, const ak_fit_set *set, ak_error *err)
{
    samples s = {0};
    fitted f = {0};
    ak_status status = samples_of(&s, p, set, err);
    if (status == AK_OK)
        status = fitted_alloc(&f, p->dims, s.raw, err);
    if (status == AK_OK)
        status = fit_whitening(&f, s.x, p, set, err);
    if (status == AK_OK && p->palette > 0)
        status = ak_palette_fit(f.palette_mean, f.palette_axes, set, s.histograms, p->power,
                                p->shrink, err);
    if (status == AK_OK)
        status = put(out, p, &f, NULL, err);
    fitted_free(&f);
    samples_free(&s);
    return status;
}

ak_status ak_model_rebuild(ak_buf *out, const ak_model *base, const ak_model_parts *p,
                           ak_error *err)
{
    const fitted f = {.raw = base->raw,
                      .mean = base->mean,
                      .matrix = base->whitening,
                      .palette_mean = base->palette_mean,
                      .palette_axes = base->palette_axes};
    return put(out, p, &f, p->smoothing, err);
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
                            .palette = m->palette,
                            .mean = m->mean,
                            .matrix = m->matrix,
                            .raw = m->raw,
                            .smoothing = m->smoothing};
}
