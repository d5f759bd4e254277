// The inside of the fast executor, for core/nn/dnn*.c alone; the one place that includes oneDNN.
//
// dnn_build.c makes memories and steps, dnn_train.c and dnn_serve.c lay out the steps of the modes
// (of serving also for the stages that are frozen in training), dnn.c owns the object and runs
// them.
#ifndef AK_NN_DNN_INSIDE_H
#define AK_NN_DNN_INSIDE_H

#include "core/nn/dnn.h"

#include "core/nn/gate.h"
#include "core/nn/small_maps.h"

#include <dnnl.h>

#define STEPS_MAX    512
#define MEMORIES_MAX 2048
#define ARGS_MAX     9
#define BUFFERS_MAX  16

typedef enum {
    STEP_PRIMITIVE,
    STEP_ADD_RELU,
    STEP_RELU_BACKWARD,
    STEP_ADD,
    STEP_AVGPOOL,
    STEP_AVGPOOL_BACKWARD,
    STEP_AVGPOOL_BACKWARD_ADD,
    STEP_GATE,
    STEP_GATE_BACKWARD,
    STEP_BN_PARTS,
    STEP_BN_PARTS_BACKWARD,
    STEP_SMALL_MAPS, // a convolution's backward weights, without oneDNN
} step_kind;

typedef struct {
    step_kind kind;
    dnnl_primitive_t primitive;
    int args_n;
    dnnl_exec_arg_t args[ARGS_MAX];
    void *y;            // element-wise kinds
    const void *a, *b;  // likewise
    const ak_node *map; // AVGPOOL: the node that is averaged; else the node itself
    size_t n, column;
    float *work; // GATE
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
    float *mean_at, *variance_at, *bias_at, *work;
} value;

// Memory that several activations use, one after the other.
typedef struct {
    void *at;
    size_t bytes;
    int until; // the last node that reads it
} buffer;

// A view of the caller's parameters or gradient, from number `at` on: given its place at each call.
typedef struct {
    dnnl_memory_t memory;
    size_t at;
} view;

typedef struct {
    view at[2 * AK_NODES_MAX];
    int n;
} views;

struct ak_dnn {
    ak_graph graph;
    int batch;
    ak_dnn_mode mode;
    bool bf16, library;
    const ak_bn_parts *parts;
    int begin; // the first node that is trained; those before are as in serving
    size_t block;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t plain;       // scratchpad in our hands
    dnnl_primitive_attr_t fused[2][2]; // also a sum, a ReLU
    dnnl_primitive_desc_t described[STEPS_MAX];
    int described_n;
    value values[AK_NODES_MAX];
    steps load, forward, backward;
    dnnl_memory_t memories[MEMORIES_MAX];
    int memories_n;
    void *owned[MEMORIES_MAX];
    int owned_n;
    buffer buffers[BUFFERS_MAX];
    int buffers_n;
    dnnl_memory_t scratch[STEPS_MAX];
    int scratch_n;
    size_t scratch_bytes;
    void *scratch_at;
    float *input; // (batch, h, w, 3), normalised
    views weights, gradients;
    float *params;   // what load keeps: all but the weights of convolutions, which are reordered
    float *folded;   // weights of the nodes before `begin`, their batch norm folded in
    float *gradient; // backward's result, the caller's
    void *spare;     // a second consumer's gradient before it is added
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

// The sliding window of a convolution or a pooling, in oneDNN's terms.
typedef struct {
    dnnl_dims_t kernel, strides, left, right;
} window;

typedef struct {
    dnnl_memory_desc_t src, dst, weights;
    window w;
} conv_shape;

// Each returns an error where oneDNN refuses or a table is full; all that is made is freed with the
// object.

// Zeroed bytes that live as long as the object; NULL out of memory.
void *ak_dnn_own(ak_dnn *d, size_t bytes);

// A memory object over `at`, or over memory of its own when at is NULL; *where says which.
ak_status ak_dnn_memory_new(ak_dnn *d, dnnl_memory_t *out, void **where,
                            const dnnl_memory_desc_t *md, void *at, ak_error *err);

// A primitive's description, made with `attr`.
ak_status ak_dnn_describe(ak_dnn *d, dnnl_primitive_desc_t *out, const void *desc,
                          const_dnnl_primitive_attr_t attr, const_dnnl_primitive_desc_t hint,
                          ak_error *err);

// The memory in which node i's primitive (values[i].pd) leaves word for its way back, if it does.
ak_status ak_dnn_workspace(ak_dnn *d, int i, ak_error *err);

// Room for the output of node i; with_memory false sets its description alone.
ak_status ak_dnn_activation(ak_dnn *d, int i, bool with_memory, ak_error *err);

// Steps, appended to a list. NULL when it is full.
step *ak_dnn_step_new(steps *list, step_kind kind);
ak_status ak_dnn_elementwise(steps *list, step_kind kind, void *y, const void *a, const void *b,
                             size_t n, ak_error *err);
ak_status ak_dnn_primitive_step(ak_dnn *d, steps *list, const_dnnl_primitive_desc_t pd,
                                const dnnl_exec_arg_t *args, int n, ak_error *err);
ak_status ak_dnn_reorder_step(ak_dnn *d, steps *list, dnnl_memory_t to, dnnl_memory_t from,
                              ak_error *err);
ak_small_maps ak_dnn_small_maps(const ak_dnn *d, const ak_node *node);
ak_gate_shape ak_dnn_gate_shape(const ak_dnn *d, const ak_node *node);
ak_status ak_dnn_gate_step(ak_dnn *d, int i, ak_error *err);
ak_status ak_dnn_pool_step(ak_dnn *d, steps *list, step_kind kind, int i, ak_error *err);
ak_status ak_dnn_maxpool(ak_dnn *d, int i, ak_error *err);

window ak_dnn_window(const ak_dnn *d, int i);

// Convolutions: shape, the plain (out, in, k, k) f32 view of the numbers at `at`, the memory that
// is read (the pixels are brought into the wanted order first).
ak_status ak_dnn_conv_shape_of(conv_shape *s, ak_dnn *d, int i, ak_error *err);
ak_status ak_dnn_plain_weights(ak_dnn *d, dnnl_memory_t *out, int i, float *at, ak_error *err);
ak_status ak_dnn_view(views *list, dnnl_memory_t memory, size_t at, ak_error *err);
ak_status ak_dnn_conv_source(ak_dnn *d, dnnl_memory_t *out, int i, const_dnnl_primitive_desc_t pd,
                             ak_error *err);

// The steps of serving for the nodes before d->begin, of the other modes for those from there on.
ak_status ak_dnn_build_serve(ak_dnn *d, ak_error *err);
ak_status ak_dnn_build_train(ak_dnn *d, ak_error *err);

#endif
