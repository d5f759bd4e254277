// The table of objectives. This file alone is not built twice.
#include "core/objective/anchor.h"

#include <string.h>

#define FIELD(name, least, most, help)                                                             \
    {                                                                                              \
#name, AK_FIELD_DOUBLE, offsetof(ak_objective_params, name), least, most, help, NULL       \
    }

const ak_field ak_objective_fields[] = {
    FIELD(tau, 0.001, 10, "temperature"),
    FIELD(margin, 0, 4, "of distances between unit vectors"),
    FIELD(q, 1e-9, 1, "how much noise is forgiven; 0 would be nt_xent"),
    FIELD(lambda, 1e-6, 10, "weight of the denominator"),
    FIELD(prior, 0, 0.9, "share of the negatives that are false"),
    FIELD(smoothing, 0, 0.9, "of labels: this much is spread over all classes"),
    {0},
};

#define ANCHOR(name) .anchor = name, .anchor_f64 = name##_f64

const ak_objective ak_objectives[] = {
    {.name = "nt_xent",
     .about = "SimCLR: the other view among all others of the batch",
     .defaults = {.tau = 0.2},
     .uses = AK_USES_TAU,
     ANCHOR(ak_nt_xent)},
    {.name = "info_nce",
     .about = "MoCo: the momentum encoder's view among those of a queue",
     .defaults = {.tau = 0.2},
     .uses = AK_USES_TAU,
     .queue = true,
     .one_sided = true,
     ANCHOR(ak_info_nce)},
    {.name = "byol",
     .about = "predicts the target of the other view; no negatives",
     .one_sided = true,
     ANCHOR(ak_byol)},
    {.name = "triplet",
     .about = "farthest positive and nearest negative of the batch, a margin apart",
     .defaults = {.margin = 0.2},
     .uses = AK_USES_MARGIN,
     .labels = true,
     ANCHOR(ak_triplet)},
    {.name = "siamese",
     .about = "positives together, negatives a margin apart, over all pairs",
     .defaults = {.margin = 1},
     .uses = AK_USES_MARGIN,
     .across = true,
     ANCHOR(ak_siamese)},
    {.name = "sup_con",
     .about = "all of the anchor's class among all others of the batch (L_out)",
     .defaults = {.tau = 0.1},
     .uses = AK_USES_TAU,
     .labels = true,
     ANCHOR(ak_sup_con)},
    {.name = "proxy_softmax",
     .about = "the class among learned vectors, one a class",
     .defaults = {.tau = 0.1},
     .uses = AK_USES_TAU | AK_USES_SMOOTHING,
     .labels = true,
     .proxies = true,
     ANCHOR(ak_proxy_softmax)},
    {.name = "dcl",
     .about = "nt_xent without the positive in the denominator",
     .defaults = {.tau = 0.1},
     .uses = AK_USES_TAU,
     ANCHOR(ak_dcl)},
    {.name = "rince",
     .about = "nt_xent that forgives noisy pairs",
     .defaults = {.tau = 0.5, .q = 0.5, .lambda = 0.05},
     .uses = AK_USES_TAU | AK_USES_Q | AK_USES_LAMBDA,
     ANCHOR(ak_rince)},
    {.name = "debiased",
     .about = "nt_xent that allows for false negatives",
     .defaults = {.tau = 0.5, .prior = 0.1},
     .uses = AK_USES_TAU | AK_USES_PRIOR,
     ANCHOR(ak_debiased)},
    {0},
};

const ak_objective *ak_objective_find(const char *name)
{
    for (const ak_objective *o = ak_objectives; o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

ak_objective_shape ak_objective_shape_of(const ak_objective *o, size_t n, size_t queued,
                                         size_t classes)
{
    if (o->proxies)
        return (ak_objective_shape){2 * n, classes, classes};
    if (o->one_sided)
        return (ak_objective_shape){2 * n, 1 + (o->queue ? queued : 0),
                                    2 * n + (o->queue ? queued : 0)};
    if (o->across)
        return (ak_objective_shape){n, n, 0};
    return (ak_objective_shape){2 * n, 2 * n, 0};
}

size_t ak_objective_work(const ak_objective *o, size_t n, size_t d, size_t queued, size_t classes)
{
    ak_objective_shape shape = ak_objective_shape_of(o, n, queued, classes);
    size_t rows = 2 * n + shape.others; // unit vectors, their gradients, their norms
    return shape.anchors * shape.candidates + 2 * rows * d + rows + shape.anchors;
}
