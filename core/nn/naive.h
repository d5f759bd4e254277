// The definition of the network in plain loops: what dnn.c must compute, for tests.
#ifndef AK_NN_NAIVE_H
#define AK_NN_NAIVE_H

#include "core/nn/graph.h"

#define AK_NAIVE_RUNNING 5

typedef struct ak_naive ak_naive;

// graph is borrowed; NULL out of memory. bf16: rounds to bf16 (nearest even) what a bf16 executor
// holds in it, that is the normalised pixels, the weights of convolutions, the map that each node
// writes and the gradient of a map after each share that is added. Sums, statistics, the inside of
// a gate, features and dparams stay double. (In serving the fast executor rounds less: a batch norm
// is folded into the weights before they are rounded, and one map is written for several nodes.)
ak_naive *ak_naive_new(const ak_graph *graph, int batch, bool bf16);
void ak_naive_free(ak_naive *naive);

// features (batch, graph.features). The stages from `batch_from` on (0: the stem, AK_NAIVE_RUNNING:
// none) use the batch's statistics, those before use `stats`. The statistics used are kept in the
// object for backward and written to `used` (graph.stats, mean and biased variance; may be NULL).
void ak_naive_forward(ak_naive *naive, double *features, double *used, const uint8_t *pixels,
                      const double *params, const float *stats, int batch_from);

// dparams (graph.params) is overwritten with the gradient that dfeatures gives, after a forward;
// running statistics are constants.
void ak_naive_backward(ak_naive *naive, double *dparams, const double *dfeatures,
                       const double *params);

#endif
