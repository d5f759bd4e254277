// Contrastive objectives on embeddings, with their gradients: one table, one call.
//
//   const ak_objective *o = ak_objective_find("nt_xent");
//   float *work = ak_alloc(ak_objective_work(o, n, d, 0, 0), sizeof *work);
//   double loss = ak_objective_run(&gradients, o, &o->defaults, &pairs, work);
//
// Raw vectors are L2-normalised inside and gradients are with respect to the raw vectors; a row of
// zeros stays zeros and gets no gradient. Matrices are row-major, products by OpenBLAS, rows in
// parallel by OpenMP; with the same number of threads the same bits come out. Thread-safe on
// distinct arrays. The formulas are written once and built for float32 and float64 (real.h).
#ifndef AK_OBJECTIVE_OBJECTIVE_H
#define AK_OBJECTIVE_OBJECTIVE_H

#include "core/base/fields.h"

// Each objective reads some of them.
typedef struct {
    double tau;       // temperature
    double margin;    // of distances between unit vectors (triplet, siamese)
    double q, lambda; // of RINCE: how much noise is forgiven; weight of the denominator
    double prior;     // debiased: share of the negatives that are false
    double smoothing; // of labels (proxy_softmax)
} ak_objective_params;

// Which members an objective reads: bit i is the i-th of ak_objective_fields.
enum {
    AK_USES_TAU = 1 << 0,
    AK_USES_MARGIN = 1 << 1,
    AK_USES_Q = 1 << 2,
    AK_USES_LAMBDA = 1 << 3,
    AK_USES_PRIOR = 1 << 4,
    AK_USES_SMOOTHING = 1 << 5,
};

extern const ak_field ak_objective_fields[];

typedef struct ak_anchor ak_anchor; // anchor.h

// A row of the table. An objective is what an anchor is held against, and a function of the
// cosines to it.
typedef struct {
    const char *name, *about;
    ak_objective_params defaults;
    unsigned uses;               // of the parameters
    bool labels, queue, proxies; // inputs that it needs
    bool one_sided;              // reads targets, to which no gradient flows
    bool across;                 // holds a against b alone, not all 2n rows against each other
    double (*anchor)(float *row, const ak_anchor *anchor);
    double (*anchor_f64)(double *row, const ak_anchor *anchor);
} ak_objective;

extern const ak_objective ak_objectives[]; // ended by one without a name

const ak_objective *ak_objective_find(const char *name); // NULL: there is none

// Two views of n pictures, and what else the objective reads; the rest may be NULL and 0.
typedef struct {
    size_t n, d;        // pairs, dimensions
    const float *a, *b; // (n, d) raw
    // One-sided objectives hold a against target_b and b against target_a; (n, d), both or none.
    // None: byol takes b and a as they are, info_nce holds a against b alone.
    const float *target_a, *target_b;
    const float *queue; // (queued, d): the only negatives of info_nce
    size_t queued;
    const float *proxies; // (classes, d)
    size_t classes;
    const uint32_t *labels; // (n), one a pair; below classes where there are proxies
    // (2n, 2n), rows a over b; 1: these two are no negatives of each other. Such a pair is left
    // out of what nt_xent, dcl, rince, debiased (M counts the rest), sup_con and triplet look at,
    // and adds 0 to siamese's mean over all pairs. Positives stay positives. Others do not read it.
    const uint8_t *masked;
} ak_pairs;

// (n, d), (n, d), (classes, d): overwritten; dproxies is only for objectives with proxies.
typedef struct {
    float *da, *db, *dproxies;
} ak_pair_gradients;

// How many numbers of work a run needs.
size_t ak_objective_work(const ak_objective *objective, size_t n, size_t d, size_t queued,
                         size_t classes);

// The loss, a mean over anchors. n and d at least 1; the inputs that the row names must be there.
double ak_objective_run(ak_pair_gradients *out, const ak_objective *objective,
                        const ak_objective_params *params, const ak_pairs *in, float *work);

// The same in float64.
typedef struct {
    size_t n, d;
    const double *a, *b, *target_a, *target_b;
    const double *queue;
    size_t queued;
    const double *proxies;
    size_t classes;
    const uint32_t *labels;
    const uint8_t *masked;
} ak_pairs_f64;

typedef struct {
    double *da, *db, *dproxies;
} ak_pair_gradients_f64;

double ak_objective_run_f64(ak_pair_gradients_f64 *out, const ak_objective *objective,
                            const ak_objective_params *params, const ak_pairs_f64 *in,
                            double *work);

#endif
