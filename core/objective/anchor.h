// The objectives from inside: each is a function of one anchor's cosines to its candidates.
//
// On entry row[k] is the cosine to candidate k; candidates that do not count (the anchor itself,
// masked ones) stand at -INFINITY. On return row[k] is the derivative of the anchor's loss with
// respect to it, 0 where it does not count. The loss is returned.
#ifndef AK_OBJECTIVE_ANCHOR_H
#define AK_OBJECTIVE_ANCHOR_H

#include "core/objective/objective.h"

struct ak_anchor {
    const ak_objective_params *params;
    size_t n;        // candidates
    size_t self;     // the candidate that is the anchor itself; n: none is
    size_t positive; // the candidate that belongs to it: its other view, target or class
    const uint32_t
        *labels; // (pairs); candidates k and k + pairs are views of one. NULL: no classes
    size_t pairs;
    uint32_t label; // the anchor's own
};

// The other view, and with classes whatever is of the anchor's.
static inline bool ak_is_positive(const ak_anchor *a, size_t k)
{
    if (k == a->self)
        return false;
    return k == a->positive ||
           (a->labels && a->labels[k < a->pairs ? k : k - a->pairs] == a->label);
}

#define AK_ANCHOR(name)                                                                            \
    double name(float *row, const ak_anchor *anchor);                                              \
    double name##_f64(double *row, const ak_anchor *anchor)

AK_ANCHOR(ak_nt_xent);
AK_ANCHOR(ak_info_nce);
AK_ANCHOR(ak_byol);
AK_ANCHOR(ak_triplet);
AK_ANCHOR(ak_siamese);
AK_ANCHOR(ak_sup_con);
AK_ANCHOR(ak_proxy_softmax);
AK_ANCHOR(ak_dcl);
AK_ANCHOR(ak_rince);
AK_ANCHOR(ak_debiased);

// What an objective's matrix of similarities is like for n pairs.
typedef struct {
    size_t anchors, candidates; // at most
    size_t others;              // rows of candidates beside a and b
} ak_objective_shape;

ak_objective_shape ak_objective_shape_of(const ak_objective *objective, size_t n, size_t queued,
                                         size_t classes);

#endif
