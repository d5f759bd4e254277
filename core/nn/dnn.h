// The fast executor of a graph, on oneDNN: forward for serving, forward and backward for training.
//
// Compiled once for a batch size; nothing is allocated while it runs. One thread at a time; each
// call uses the OpenMP threads that the object was made with. Activations are bf16 or f32;
// weights, statistics, features and gradients are f32 outside.
#ifndef AK_NN_DNN_H
#define AK_NN_DNN_H

#include "core/base/error.h"
#include "core/nn/bn_parts.h"
#include "core/nn/graph.h"

#include <stdint.h>

typedef struct ak_dnn ak_dnn;

typedef enum {
    AK_DNN_SERVE,   // running statistics, batch norm folded in, ReLU and sums fused
    AK_DNN_FORWARD, // batch statistics and no way back, for momentum encoders
    AK_DNN_TRAIN,   // batch statistics, backward
    AK_DNN_TUNE,    // running statistics, which are constants for the gradient, backward
} ak_dnn_mode;

typedef enum { AK_DNN_F32, AK_DNN_BF16 } ak_dnn_type;

typedef struct {
    ak_dnn_mode mode;
    ak_dnn_type type;
    // TRAIN, TUNE: 0, or 1..4: the stem and that many stages use running statistics and get no
    // gradient; backward ends before them, and their part of dparams is 0.
    int frozen_stages;
    // Every convolution by oneDNN, also where a kernel of ours is faster: to compare with.
    bool library;
    // TRAIN: borrowed; statistics over several processes. NULL: over the batch.
    const ak_bn_parts *parts;
} ak_dnn_options;

// Whether this processor multiplies bf16 fast (AVX-512 BF16 or AMX).
bool ak_dnn_has_bf16(void);

// Restricts oneDNN to the instructions of a smaller processor; for tests, before anything else is
// called. isa: "avx2" or "avx512". AK_BAD_VALUE otherwise, AK_CONFLICT when it is too late.
ak_status ak_dnn_limit_isa(const char *isa, ak_error *err);

// graph is copied. batch pictures a call, exactly.
ak_status ak_dnn_new(ak_dnn **out, const ak_graph *graph, int batch, ak_dnn_options options,
                     ak_error *err);
void ak_dnn_free(ak_dnn *dnn);

// Takes over parameters (graph.params) and, where the mode uses them, running statistics
// (graph.stats); else stats may be NULL.
ak_status ak_dnn_load(ak_dnn *dnn, const float *params, const float *stats, ak_error *err);

// features (batch, graph.features) from pixels (batch, h, w, 3).
ak_status ak_dnn_forward(ak_dnn *dnn, float *features, const uint8_t *pixels, ak_error *err);

// After a forward, for every batch norm that used the batch's statistics:
// stats = (1 - share) * stats + share * the batch's mean and unbiased variance.
void ak_dnn_stats(float *stats, const ak_dnn *dnn, float share);

// dparams (graph.params) is overwritten; after the forward of the same pictures.
ak_status ak_dnn_backward(ak_dnn *dnn, float *dparams, const float *dfeatures, ak_error *err);

// What a network's steps are, for measuring where the time goes.
typedef enum {
    AK_DNN_LOAD, // parameters brought into the orders that the convolutions want
    AK_DNN_CONV_FORWARD,
    AK_DNN_CONV_BACKWARD_DATA,
    AK_DNN_CONV_BACKWARD_WEIGHTS,
    AK_DNN_BATCH_NORM,
    AK_DNN_ELEMENTWISE,
    AK_DNN_POOL,
    AK_DNN_REORDER, // the pixels' and the weight gradients'
    AK_DNN_KINDS
} ak_dnn_kind;

// Runs the steps of load, forward and backward once more, those of the kinds in the mask
// (1 << kind) alone, on whatever the activations hold and with the arrays of the last calls, and
// says how long each kind took. Load, forward and, for training, backward must have run before;
// gradients are no use afterwards. features (batch, graph.features) is read as the gradient and may
// be overwritten.
ak_status ak_dnn_time(double seconds[AK_DNN_KINDS], ak_dnn *dnn, unsigned kinds, float *features,
                      ak_error *err);

// Multiply-adds of the convolutions for one picture, forward.
double ak_graph_macs(const ak_graph *graph);

#endif
