// The inside of the fast executor, for core/nn/dnn*.c alone; the one place that includes oneDNN.
//
// dnn_build.c makes memories and steps, dnn_train.c and dnn_serve.c lay out the steps of the two
// modes, dnn.c owns the object and runs them.
#ifndef AK_NN_DNN_INSIDE_H
#define AK_NN_DNN_INSIDE_H

#include "core/nn/dnn.h"

#include <dnnl.h>

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
    float *mean_at, *variance_at, *bias_at;
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

// What a convolution is, in oneDNN's terms.
typedef struct {
    dnnl_memory_desc_t src, dst, weights;
    dnnl_dims_t strides, left, right;
} conv_shape;

// Each returns an error where oneDNN refuses or a table is full; all that is made is freed with the
// object.

// Zeroed bytes that live as long as the object; NULL out of memory.
void *ak_dnn_own(ak_dnn *d, size_t bytes);

// A memory object over `at`, or over memory of its own when at is NULL; *where says which.
ak_status ak_dnn_memory_new(ak_dnn *d, dnnl_memory_t *out, void **where,
                            const dnnl_memory_desc_t *md, void *at, ak_error *err);

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
ak_status ak_dnn_pool_step(ak_dnn *d, steps *list, step_kind kind, int i, ak_error *err);
ak_status ak_dnn_maxpool(ak_dnn *d, int i, ak_error *err);

// Convolutions: shape, the plain (out, in, k, k) f32 view of the numbers at `at`, the memory that
// is read (the pixels are brought into the wanted order first).
ak_status ak_dnn_conv_shape_of(conv_shape *s, ak_dnn *d, int i, ak_error *err);
ak_status ak_dnn_plain_weights(ak_dnn *d, dnnl_memory_t *out, int i, float *at, ak_error *err);
ak_status ak_dnn_conv_source(ak_dnn *d, dnnl_memory_t *out, int i, const_dnnl_primitive_desc_t pd,
                             ak_error *err);

// All steps of a mode.
ak_status ak_dnn_build_train(ak_dnn *d, ak_error *err);
ak_status ak_dnn_build_serve(ak_dnn *d, ak_error *err);

#endif
