// The plan of a run: which pictures are near-duplicates, and the roles that this leaves.
//
// Made once by whoever comes first, worker or gate, and kept in the folder; both read the same. It
// is made again when pictures were removed since.
#ifndef AK_REFINE_PLAN_H
#define AK_REFINE_PLAN_H

#include "core/refine/embed.h"

typedef struct {
    size_t n, dims;
    float *descriptors; // (n, dims) by the incumbent
    ak_role *roles;     // (n)
    uint32_t *clusters; // (n) smallest index of the cluster
    double same_score;  // the run's, or what 99.99% of random pairs stay under
    size_t counts[AK_ROLES];
} ak_plan;

// Reads the folder's plan, or makes and writes it: one embedding of every picture.
ak_status ak_plan_make(ak_plan *plan, const ak_rundir *rundir, const ak_model *incumbent,
                       const ak_watch *watch, ak_error *err);
void ak_plan_clear(ak_plan *plan);

// The rules alone, on roles by hash. In a cluster with a yardstick nothing is trained on, one
// yardstick stays (the first), and none does when something in it was trained on before.
void ak_plan_roles(ak_role *roles, const uint32_t *clusters, const ak_run_picture *pictures,
                   size_t n);

#endif
