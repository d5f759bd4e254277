// The pictures that a run trains on, decoded, and those that are kept from training.
//
// A cluster of near-duplicates is a unit: it is trained on whole or kept whole. Yardsticks and what
// is near them are not here at all.
#ifndef AK_REFINE_RUN_SET_H
#define AK_REFINE_RUN_SET_H

#include "core/refine/plan.h"
#include "core/views/pictures.h"

// Pictures of one cluster, as places in `members`.
typedef struct {
    uint32_t first, count;
    bool fresh; // one of them is new to training; else the unit is replay
} ak_run_unit;

// What two of the pictures have to do with each other, as places in `pictures`.
typedef struct {
    uint32_t a, b;
} ak_run_couple;

typedef struct {
    ak_pictures pictures; // to train on; label: place of their unit
    uint32_t *rows;       // (pictures.n) as indices into the run's pictures
    ak_run_unit *units;   // (units_n) fresh ones first
    size_t units_n, fresh_n;
    uint32_t *members;           // (pictures.n) places in `pictures`, unit by unit
    uint32_t *held;              // (held_n) pictures kept from training, as indices into the run's
    size_t held_n, held_fresh_n; // fresh ones first
    ak_run_couple *similar, *different,
        *noisy; // feedback; and pairs of one album, tag or neighbourhood
    size_t similar_n, different_n, noisy_n;
} ak_run_set;

// keep_side: px of the shorter side that pictures are kept with. AK_CONFLICT when fewer than
// `least` units are left.
ak_status ak_run_set_load(ak_run_set *set, const ak_rundir *rundir, const ak_plan *plan,
                          int keep_side, size_t least, const ak_watch *watch, ak_error *err);
void ak_run_set_clear(ak_run_set *set);

#endif
