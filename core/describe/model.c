// Reading models and running them. What is fitted in model_build.c is applied here, by the same
// steps: prepare -> raw_vectors (features | colour) -> whitening; layout and palette beside that.
#include "core/describe/model.h"

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/describe/colour.h"
#include "core/describe/layout.h"
#include "core/describe/model_inside.h"
#include "core/describe/palette.h"
#include "core/describe/whitening.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static ak_status number(double *out, const json_t *object, const char *group, const char *key,
                        double least, double most, ak_error *err)
{
    const json_t *v = json_object_get(json_object_get(object, group), key);
    if (!json_is_number(v) || !(json_number_value(v) >= least && json_number_value(v) <= most))
        return ak_fail(err, AK_CORRUPT, "the model's %s.%s is missing or not within %g to %g",
                       group, key, least, most);
    *out = json_number_value(v);
    return AK_OK;
}

static ak_status read_config(ak_model *m, const json_t *config, ak_error *err)
{
    struct {
        const char *group, *key;
        double least, most;
        bool later; // models from before there was one do not name it
        double value;
    } f[] = {
        {"input", "side", 8, 1024, false, 0},        {"descriptor", "dims", 1, 4096, false, 0},
        {"descriptor", "colour", 0, 1000, false, 0}, {"descriptor", "power", 0, 2, false, 0},
        {"descriptor", "shrink", 0, 10, false, 0},   {"descriptor", "layout", 0, 1000, true, 0},
        {"descriptor", "palette", 0, 1000, true, 0}};
    const json_t *descriptor = json_object_get(config, "descriptor");
    for (size_t i = 0; i < sizeof f / sizeof *f; i++) {
        if (f[i].later && !json_object_get(descriptor, f[i].key))
            continue;
        ak_status status =
            number(&f[i].value, config, f[i].group, f[i].key, f[i].least, f[i].most, err);
        if (status != AK_OK)
            return status;
    }
    m->side = (int)f[0].value;
    m->dims = (size_t)f[1].value;
    m->colour = (float)f[2].value;
    m->power = (float)f[3].value;
    m->shrink = (float)f[4].value;
    m->layout = (float)f[5].value;
    m->palette = (float)f[6].value;
    m->net = AK_RN10;
    m->head = AK_HEAD_PROJECTION;
    ak_status status = ak_fields_read(&m->net, ak_resnet_fields, json_object_get(config, "encoder"),
                                      "encoder", err);
    if (status == AK_OK)
        status =
            ak_fields_read(&m->head, ak_head_fields, json_object_get(config, "head"), "head", err);
    if (status != AK_OK)
        return ak_fail_within(err, "the model's configuration");
    status = ak_resnet_graph(&m->graph, &m->net, m->side, err);
    if (status != AK_OK)
        return ak_fail_within(err, "the model's encoder");
    m->head.in = m->graph.features;
    m->raw = m->graph.features + (m->colour > 0 ? AK_COLOUR_BINS : 0);
    return AK_OK;
}

typedef struct {
    const char *name;
    float **at;
    size_t n;
    bool needed;
} tensor;

#define TENSORS 9

static ak_status tensors_of(tensor out[TENSORS], ak_model *m, ak_error *err)
{
    size_t cells;
    if (!ak_mul(&cells, m->dims, m->raw))
        return ak_fail(err, AK_CORRUPT, "a descriptor of %zu numbers is too long", m->dims);
    const tensor all[TENSORS] = {
        {"encoder", &m->params, m->graph.params, true},
        {"encoder statistics", &m->stats, m->graph.stats, true},
        {"head", &m->head_params, ak_head_params(&m->head), true},
        {"head statistics", &m->head_stats, ak_head_stats(&m->head), true},
        {"whitening mean", &m->mean, m->raw, true},
        {"whitening", &m->whitening, cells, true},
        {"smoothing", &m->smoothing, m->dims * m->dims, false}, // of refined models
        {"palette mean", &m->palette_mean, AK_PALETTE_BINS, m->palette > 0},
        {"palette", &m->palette_axes, AK_PALETTE_DIMS * AK_PALETTE_BINS, m->palette > 0}};
    memcpy(out, all, sizeof all);
    return AK_OK;
}

ak_status ak_model_inside_alloc(ak_model *m, ak_error *err)
{
    tensor t[TENSORS];
    ak_status status = tensors_of(t, m, err);
    for (size_t i = 0; i < TENSORS && status == AK_OK; i++)
        if (!(*t[i].at = ak_alloc(t[i].n, sizeof(float))))
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a model");
    if (status == AK_OK && !(m->matrix = ak_alloc(m->dims * m->raw, sizeof(float))))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a model");
    return status;
}

void ak_model_inside_compose(ak_model *m)
{
    memcpy(m->matrix, m->whitening, m->dims * m->raw * sizeof *m->matrix);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m->dims, (int)m->raw, (int)m->dims,
                1, m->smoothing, (int)m->dims, m->whitening, (int)m->raw, 1, m->matrix,
                (int)m->raw);
}

static bool holds(const ak_checkpoint *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->tensors[i].name, name) == 0)
            return true;
    return false;
}

// The file must hold what its configuration says before room for it is made.
static ak_status read_tensors(ak_model *m, const ak_checkpoint *c, ak_error *err)
{
    tensor t[TENSORS];
    ak_status status = tensors_of(t, m, err);
    for (size_t i = 0; i < TENSORS && status == AK_OK; i++) {
        t[i].needed |= holds(c, t[i].name);
        if (t[i].needed)
            status = ak_checkpoint_expect(c, t[i].name, t[i].n, err);
    }
    if (status == AK_OK)
        status = ak_model_inside_alloc(m, err);
    for (size_t i = 0; i < TENSORS && status == AK_OK; i++)
        if (t[i].needed)
            status = ak_checkpoint_floats(*t[i].at, c, t[i].name, t[i].n, err);
    if (status == AK_OK)
        ak_model_inside_compose(m);
    return status;
}

ak_status ak_model_read(ak_model **out, ak_bytes file, ak_error *err)
{
    *out = NULL;
    ak_checkpoint c;
    ak_model *m = NULL;
    json_t *config = NULL;
    ak_status status = ak_checkpoint_read(&c, file, err);
    if (status != AK_OK)
        return status;
    config = json_loadb((const char *)c.config.at, c.config.n, 0, NULL);
    const char *kind = json_string_value(json_object_get(config, "kind"));
    if (!kind || strcmp(kind, "model") != 0) {
        status = ak_fail(err, AK_BAD_VALUE,
                         "the checkpoint is a %s, not a model: a model has a whitening",
                         kind ? kind : "file of another kind");
        goto done;
    }
    m = calloc(1, sizeof *m);
    if (!m) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a model");
        goto done;
    }
    status = read_config(m, config, err);
    if (status == AK_OK)
        status = read_tensors(m, &c, err);
    if (status == AK_OK) {
        ak_sha256 sum = ak_sha256_of(file);
        ak_hex(m->id, sum.at, AK_MODEL_ID_HEX / 2);
        *out = m;
        m = NULL;
    }
done:
    json_decref(config);
    ak_model_free(m);
    return status;
}

ak_status ak_model_load(ak_model **out, const char *path, ak_error *err)
{
    ak_buf bytes = {0};
    *out = NULL;
    ak_status status = ak_file_read(&bytes, path, AK_MODEL_FILE_LIMIT, err);
    if (status == AK_OK && ak_model_read(out, ak_buf_bytes(&bytes), err) != AK_OK)
        status = ak_fail_within(err, "%s", path);
    ak_buf_clear(&bytes);
    return status;
}

void ak_model_free(ak_model *m)
{
    if (!m)
        return;
    free(m->params);
    free(m->stats);
    free(m->head_params);
    free(m->head_stats);
    free(m->mean);
    free(m->whitening);
    free(m->smoothing);
    free(m->matrix);
    free(m->palette_mean);
    free(m->palette_axes);
    free(m);
}

const char *ak_model_id(const ak_model *m)
{
    return m->id;
}

// Numbers of a descriptor that are not whitened.
static size_t beside(const ak_model *m)
{
    return (m->layout > 0 ? AK_LAYOUT_DIMS : 0) + (m->palette > 0 ? AK_PALETTE_DIMS : 0);
}

int ak_model_dims(const ak_model *m)
{
    return (int)(m->dims + beside(m));
}

size_t ak_model_input_bytes(const ak_model *m)
{
    return 3 * (size_t)m->side * (size_t)m->side;
}

ak_status ak_model_prepare(uint8_t *input, const ak_model *m, const ak_image *pixels, ak_error *err)
{
    return ak_image_square(input, m->side, pixels, err);
}

// --- the embedder ------------------------------------------------------------------------------

struct ak_embedder {
    const ak_model *model;
    ak_features *features;
    // (AK_EMBED_BATCH, features), (AK_EMBED_BATCH, raw), (AK_EMBED_BATCH, dims)
    float *pooled, *raw, *whitened;
};

ak_status ak_embedder_new(ak_embedder **out, const ak_model *model, ak_precision precision,
                          ak_error *err)
{
    *out = NULL;
    ak_dnn_type type = AK_DNN_F32;
    if (precision == AK_PRECISION_BF16 || (precision == AK_PRECISION_AUTO && ak_dnn_has_bf16()))
        type = AK_DNN_BF16;
    ak_embedder *e = calloc(1, sizeof *e);
    if (!e)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an encoder");
    e->model = model;
    ak_status status = ak_features_new(&e->features, &model->net, model->side, model->params,
                                       model->stats, type, err);
    e->pooled = ak_alloc(AK_EMBED_BATCH * model->graph.features, sizeof(float));
    e->raw = ak_alloc(AK_EMBED_BATCH * model->raw, sizeof(float));
    e->whitened = ak_alloc(AK_EMBED_BATCH * model->dims, sizeof(float));
    if (status == AK_OK && (!e->pooled || !e->raw || !e->whitened))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an encoder");
    if (status != AK_OK) {
        ak_embedder_free(e);
        return status;
    }
    *out = e;
    return AK_OK;
}

void ak_embedder_free(ak_embedder *e)
{
    if (!e)
        return;
    ak_features_free(e->features);
    free(e->pooled);
    free(e->raw);
    free(e->whitened);
    free(e);
}

ak_status ak_raw_vectors(float *raw, float *pooled, ak_features *features, float colour,
                         const uint8_t *inputs, int side, size_t n, ak_error *err)
{
    size_t f = ak_features_count(features), d = f + (colour > 0 ? AK_COLOUR_BINS : 0);
    ak_status status = ak_features_run(pooled, features, inputs, n, err);
    if (status != AK_OK)
        return status;
#pragma omp parallel for schedule(static) if (n > 4)
    for (size_t i = 0; i < n; i++) {
        memcpy(raw + i * d, pooled + i * f, f * sizeof *raw);
        if (colour > 0) {
            float *part = raw + i * d + f;
            ak_colour_histogram(part, inputs + i * 3 * (size_t)side * (size_t)side, side);
            for (size_t j = 0; j < AK_COLOUR_BINS; j++)
                part[j] *= colour;
        }
    }
    return AK_OK;
}

// whitened (n, dims), unit length, the layouts and palettes beside them, weighted: unit length
// again.
static void join_parts(float *descriptors, const ak_model *m, const float *whitened,
                       const uint8_t *inputs, size_t n)
{
    const size_t dims = (size_t)ak_model_dims(m);
#pragma omp parallel for schedule(static) if (n > 4)
    for (size_t i = 0; i < n; i++) {
        const uint8_t *input = inputs + i * ak_model_input_bytes(m);
        float *to = descriptors + i * dims, *part = to + m->dims;
        memcpy(to, whitened + i * m->dims, m->dims * sizeof *to);
        if (m->layout > 0) {
            ak_layout(part, input, m->side);
            cblas_sscal(AK_LAYOUT_DIMS, m->layout, part, 1);
            part += AK_LAYOUT_DIMS;
        }
        if (m->palette > 0) {
            ak_palette(part, input, m->side, m->palette_mean, m->palette_axes);
            cblas_sscal(AK_PALETTE_DIMS, m->palette, part, 1);
        }
        float square = 0;
        for (size_t j = 0; j < dims; j++)
            square += to[j] * to[j];
        for (size_t j = 0; j < dims && square > 0; j++)
            to[j] /= sqrtf(square);
    }
}

ak_status ak_embedder_run(float *descriptors, ak_embedder *e, const uint8_t *inputs, size_t n,
                          ak_error *err)
{
    const ak_model *m = e->model;
    for (size_t i = 0; i < n; i += AK_EMBED_BATCH) {
        size_t part = n - i < AK_EMBED_BATCH ? n - i : AK_EMBED_BATCH;
        const uint8_t *at = inputs + i * ak_model_input_bytes(m);
        float *to = descriptors + i * (size_t)ak_model_dims(m);
        ak_status status =
            ak_raw_vectors(e->raw, e->pooled, e->features, m->colour, at, m->side, part, err);
        if (status != AK_OK)
            return status;
        ak_whitening_apply(beside(m) ? e->whitened : to, e->raw, m->mean, m->matrix, part, m->raw,
                           m->dims);
        if (beside(m))
            join_parts(to, m, e->whitened, at, part);
    }
    return AK_OK;
}
