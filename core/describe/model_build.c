#include "core/describe/model_build.h"

#include "core/describe/colour.h"
#include "core/describe/model_inside.h"
#include "core/describe/whitening.h"

#include <stdlib.h>
#include <string.h>

static ak_status config_text(char **out, const ak_model_parts *p, ak_error *err)
{
    json_t *training = p->training ? json_loads(p->training, 0, NULL) : json_object();
    json_t *config =
        json_pack("{s:s, s:o, s:o, s:{s:i, s:s}, s:{s:I, s:f, s:f, s:f}, s:o}", "kind", "model",
                  "encoder", ak_fields_write(&p->net, ak_resnet_fields), "head",
                  ak_fields_write(&p->head, ak_head_fields), "input", "side", p->side, "fit",
                  "stretch", "descriptor", "dims", (json_int_t)p->dims, "power", (double)p->power,
                  "shrink", (double)p->shrink, "colour", (double)p->colour, "training", training);
    *out = config ? json_dumps(config, JSON_INDENT(1)) : NULL;
    json_decref(config);
    return *out ? AK_OK : ak_fail(err, AK_BAD_VALUE, "the description of the training is no JSON");
}

// x (n, raw): what the whitening is fitted on.
static ak_status gather(float *x, ak_features *features, const ak_model_parts *p, size_t raw,
                        const ak_image *(*pictures)(void *, size_t), void *arg, size_t n,
                        ak_error *err)
{
    size_t bytes = 3 * (size_t)p->side * (size_t)p->side;
    uint8_t *inputs = ak_alloc(AK_EMBED_BATCH, bytes);
    float *pooled = ak_alloc(AK_EMBED_BATCH * ak_features_count(features), sizeof *pooled);
    ak_status status =
        inputs && pooled ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for pictures");
    for (size_t i = 0; i < n && status == AK_OK; i += AK_EMBED_BATCH) {
        size_t part = n - i < AK_EMBED_BATCH ? n - i : AK_EMBED_BATCH;
        for (size_t j = 0; j < part && status == AK_OK; j++) {
            ak_image small = {0};
            status = ak_image_resize(&small, pictures(arg, i + j), p->side, p->side, err);
            if (status == AK_OK)
                memcpy(inputs + j * bytes, small.rgb, bytes);
            ak_image_clear(&small);
        }
        if (status == AK_OK)
            status = ak_raw_vectors(x + i * raw, pooled, features, p->colour, inputs, p->side, part,
                                    err);
    }
    free(inputs);
    free(pooled);
    return status;
}

// raw: numbers that are whitened; x (n, raw) of n pictures.
static ak_status raw_of(float **x, size_t *raw, const ak_model_parts *p,
                        const ak_image *(*pictures)(void *arg, size_t i), void *arg, size_t n,
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
    *x = ak_mul(&cells, n, *raw) ? ak_alloc(cells, sizeof **x) : NULL;
    status = *x ? gather(*x, features, p, *raw, pictures, arg, n, err)
                : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the features of %zu pictures", n);
    ak_features_free(features);
    return status;
}

static ak_status put(ak_buf *out, const ak_model_parts *p, const float *mean, const float *matrix,
                     size_t raw, ak_error *err)
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
    status = ak_checkpoint_write(out, &c, err);
    free(config);
    return status;
}

ak_status ak_model_build(ak_buf *out, const ak_model_parts *p,
                         const ak_image *(*pictures)(void *arg, size_t i), void *arg, size_t n,
                         ak_error *err)
{
    size_t raw = 0;
    float *x = NULL, *mean = NULL, *matrix = NULL;
    ak_status status = raw_of(&x, &raw, p, pictures, arg, n, err);
    if (status != AK_OK)
        goto done;
    mean = ak_alloc(raw, sizeof *mean);
    matrix = ak_alloc(p->dims * raw, sizeof *matrix);
    status = mean && matrix
                 ? ak_whitening_fit(mean, matrix, x, n, raw, p->dims, p->power, p->shrink, err)
                 : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a whitening");
    if (status == AK_OK)
        status = put(out, p, mean, matrix, raw, err);
done:
    free(x);
    free(mean);
    free(matrix);
    return status;
}

ak_status ak_model_rebuild(ak_buf *out, const ak_model *base, const ak_model_parts *p, double trust,
                           const ak_image *(*pictures)(void *arg, size_t i), void *arg, size_t n,
                           ak_error *err)
{
    size_t raw = base->raw;
    float *x = NULL;
    float *mean = ak_alloc(raw, sizeof *mean), *matrix = ak_alloc(base->dims * raw, sizeof *matrix);
    ak_status status =
        mean && matrix ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a whitening");
    if (status == AK_OK) {
        memcpy(mean, base->mean, raw * sizeof *mean);
        memcpy(matrix, base->matrix, base->dims * raw * sizeof *matrix);
        status = n ? raw_of(&x, &raw, p, pictures, arg, n, err) : AK_OK;
    }
    if (status == AK_OK)
        status =
            ak_whitening_refit(mean, matrix, x, n, raw, p->dims, p->power, p->shrink, trust, err);
    if (status == AK_OK)
        status = put(out, p, mean, matrix, raw, err);
    free(x);
    free(mean);
    free(matrix);
    return status;
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
        m->matrix[i * m->raw + i] = 1.0f;
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
                            .mean = m->mean,
                            .matrix = m->matrix,
                            .raw = m->raw};
}
