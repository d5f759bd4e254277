// A network as data: nodes in the order of computing, with shapes and the places of their numbers.
//
// Two executors read it: dnn.c (oneDNN, fast) and naive.c (plain loops, the definition). All
// parameters of a network lie in one array of floats, all running statistics in another; the
// offsets do not depend on the input's size.
#ifndef AK_NN_GRAPH_H
#define AK_NN_GRAPH_H

#include "core/base/error.h"
#include "core/base/fields.h"
#include "core/base/random.h"

#include <stdbool.h>
#include <stddef.h>

#define AK_NODES_MAX  128
#define AK_RANGES_MAX (4 * AK_NODES_MAX)
#define AK_BN_EPS     1e-5f

typedef enum {
    AK_OP_INPUT,    // pixels (n, h, w, 3), bytes; normalised by mean and deviation
    AK_OP_CONV,     // a; weights (c, a.c, k, k) at `param`; no bias
    AK_OP_BN,       // a; scale (c) and shift (c) at `param`, mean (c) and variance (c) at `stat`
    AK_OP_GATE,     // a; every channel times its gate, sigmoid(W2 max(0, W1 m + b1) + b2), m the
                    // channels' means over the map; W1 (k, c), b1 (k), W2 (c, k), b2 (c) at `param`
    AK_OP_ADD_RELU, // max(0, a + b); b was computed before a
    AK_OP_MAXPOOL,  // a; k x k
    AK_OP_AVGPOOL,  // a; mean over the map, into columns `column` ... of the features (n, features)
} ak_op;

typedef struct {
    ak_op op;
    int a, b;           // inputs, node numbers
    int c, h, w;        // shape of the output
    int k, stride, pad; // CONV, MAXPOOL; k: width of a GATE's hidden layer
    int stage;          // 0: the stem, 1..4
    bool relu;          // BN
    bool zero;          // BN: its scale begins at 0
    size_t param, stat, column;
} ak_node;

typedef struct {
    ak_node nodes[AK_NODES_MAX];
    int n;
    size_t params, stats, features; // lengths
    float mean[3], deviation[3];    // of the input, in 0..1
} ak_graph;

// What a residual network is made of. Basic blocks, stages of width 64, 128, 256, 512.
typedef struct {
    int blocks[4];     // rn10: 1 1 1 1, rn18: 2 2 2 2
    float width;       // multiplies every width, rounded to 16
    int last_stride;   // of the last stage: 2, or 1 for a finer grid
    int pool_stages;   // stages whose average is in the features, counted from the last: 1..4
    int attention;     // squeeze-and-excitation (Hu et al. 2018) by this reduction; 0: none
    bool zero_last_bn; // a block begins as its shortcut: the scale of its last batch norm at 0
} ak_resnet;

#define AK_RN10 ((ak_resnet){{1, 1, 1, 1}, 1.0f, 2, 2, 0, false})
#define AK_RN18 ((ak_resnet){{2, 2, 2, 2}, 1.0f, 2, 2, 0, false})

// Reads and writes an ak_resnet; keys that are absent leave what was there.
extern const ak_field ak_resnet_fields[];

// The network for square input of `side` pixels (8 at least). AK_BAD_VALUE names what is off.
ak_status ak_resnet_graph(ak_graph *graph, const ak_resnet *net, int side, ak_error *err);

// He normal, fan-out, for convolutions; scale 1 (or 0, see zero_last_bn), shift 0; statistics 0 and
// 1; linear layers uniform within 1 / sqrt(fan-in). Same seed, same numbers. params (graph.params),
// stats (graph.stats).
void ak_graph_init(float *params, float *stats, const ak_graph *graph, uint64_t seed);

// One tensor among the parameters.
typedef struct {
    size_t start, count;
    bool matrix; // weights of a layer, which decay; else scales, shifts, biases, which do not
} ak_range;

// All tensors of the parameters, in order, without gaps; returns how many.
size_t ak_graph_ranges(ak_range out[AK_RANGES_MAX], const ak_graph *graph);

#endif
