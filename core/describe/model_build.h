// Making models: from trained weights and pictures to fit the whitening on, or from random weights.
#ifndef AK_DESCRIBE_MODEL_BUILD_H
#define AK_DESCRIBE_MODEL_BUILD_H

#include "core/describe/fit_set.h"
#include "core/describe/model.h"
#include "core/nn/graph.h"
#include "core/nn/head.h"

typedef struct {
    ak_resnet net;
    const float *params, *stats; // of the encoder
    ak_head head;
    const float *head_params, *head_stats;
    int side;                      // px that it serves at
    size_t dims;                   // of what is whitened
    float power, shrink;           // of the whitening
    float colour, layout, palette; // weights of these parts, 0: none
    const float *mean, *matrix;    // (raw) and (dims, raw), features before colours, smoothed: as
    size_t raw;                    // ak_model_parts_of gives them; a build has its own
    const float *smoothing; // (dims, dims), what a rebuild adds to the whitening: W + smoothing W
    const char *training;   // JSON object with what is known of the run; NULL: {}
} ak_model_parts;

// Appends a model file to out, in half precision, its whitening and palette fitted on the set.
ak_status ak_model_build(ak_buf *out, const ak_model_parts *parts, const ak_fit_set *set,
                         ak_error *err);

// Appends a model with base's network, geometry and whitening, but with the weights, smoothing,
// layout and palette of parts (ak_model_parts_of(base), then changed). smoothing NULL: none. A
// palette is left out, not added.
ak_status ak_model_rebuild(ak_buf *out, const ak_model *base, const ak_model_parts *parts,
                           ak_error *err);

// The same network with random weights, its features not whitened: a baseline.
ak_status ak_model_random(ak_model **out, const ak_model *like, uint64_t seed, ak_error *err);

// What a model is made of, borrowed from it; training is NULL.
ak_model_parts ak_model_parts_of(const ak_model *model);

#endif
