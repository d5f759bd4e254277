// The definition of the network in plain loops: what dnn.c must compute, for tests.
#ifndef AK_NN_NAIVE_H
#define AK_NN_NAIVE_H

#include "core/nn/graph.h"

typedef struct ak_naive ak_naive;

ak_naive *ak_naive_new(const ak_graph *graph, int batch); // NULL out of memory
void ak_naive_free(ak_naive *naive);

// features (batch, graph.features). train: batch statistics, kept in the object for backward and
// written to batch_stats (graph.stats, mean and biased variance; may be NULL); else `stats`.
void ak_naive_forward(ak_naive *naive, double *features, double *batch_stats, const uint8_t *pixels,
                      const double *params, const float *stats, bool train);

// dparams (graph.params) is overwritten with the gradient that dfeatures gives, after forward with
// train.
void ak_naive_backward(ak_naive *naive, double *dparams, const double *dfeatures,
                       const double *params);

#endif
