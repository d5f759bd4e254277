// The inside of a model, for the files of core/describe alone.
#ifndef AK_DESCRIBE_MODEL_INSIDE_H
#define AK_DESCRIBE_MODEL_INSIDE_H

#include "core/describe/features.h"
#include "core/describe/model.h"
#include "core/nn/checkpoint.h"
#include "core/nn/head.h"

#include <jansson.h>

struct ak_model {
    char id[AK_MODEL_ID_HEX + 1];
    ak_resnet net;
    ak_graph graph;
    ak_head head;
    int side;
    float colour;        // weight of the colour part beside the features, 0: none
    float layout;        // weights of the layout and of the palette beside what was whitened,
    float palette;       // 0: none
    float power, shrink; // of the whitening, as it was fitted
    size_t dims, raw;    // of the whitened vector; of what is whitened
    float *params, *stats, *head_params, *head_stats;
    float *mean, *whitening; // (raw), (dims, raw)
    float *smoothing;        // (dims, dims), zeros: none
    float *matrix;           // (dims, raw): (1 + smoothing) whitening, what is computed with
    float *palette_mean, *palette_axes; // core/describe/palette.h
};

// Room for all of a model whose configuration is set.
ak_status ak_model_inside_alloc(ak_model *model, ak_error *err);

// The matrix, from whitening and smoothing.
void ak_model_inside_compose(ak_model *model);

// What is whitened: pooled features, the colour part beside them. raw (n, features + colour),
// pooled (n, features) is scratch.
ak_status ak_raw_vectors(float *raw, float *pooled, ak_features *features, float colour,
                         const uint8_t *inputs, int side, size_t n, ak_error *err);

#endif
