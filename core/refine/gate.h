// The gate: whether a candidate may serve instead of the incumbent.
//
// A pure function of the run's folder: yardsticks, a sample to search among, both models, the seed.
// The same folder gives the same verdict, bit for bit, on the same machine with the same number of
// threads. Measured are
//   parts     two crops of a yardstick that hardly overlap find each other (mAP; R@1 is told)
//   neighbourhoods  two such crops have the same pictures around them (core/refine/measure.h)
//   copies    copies of families that no recipe trains on find their picture (R@1, together and
//   each)
//   meaning   yardsticks find what shares feedback, a tag, an album, a caption's word (mAP)
//   old       parts on the yardsticks of collections outside the run (mAP)
//   health    effective rank, dead dimensions; churn of the ten nearest is told
// The primary measure must gain, and its lower bound be above 0; no other's lower bound may fall
// under its margin (bounds: core/refine/bootstrap.h).
#ifndef AK_REFINE_GATE_H
#define AK_REFINE_GATE_H

#include "core/refine/embed.h"

#include <jansson.h>

#define AK_GATE_YARDSTICKS_MAX 2000 // of the run's, and of the others'; those with the least u
#define AK_GATE_ROWS           24

typedef struct {
    char measure[32];
    bool primary, decides; // a row that does not decide is told alone
    bool passed;
    double incumbent, candidate, low, high; // the bounds are those of candidate - incumbent
    double margin;                          // low must be at least minus this
    size_t pictures;                        // that it was measured on
} ak_gate_row;

typedef struct {
    bool passed;
    char reason[320];
    ak_gate_row rows[AK_GATE_ROWS];
    size_t rows_n;
    size_t yardsticks, old_yardsticks, pool;
    char run[AK_RUN_ID_MAX], incumbent[AK_MODEL_ID_HEX + 1], candidate[AK_MODEL_ID_HEX + 1];
    uint64_t seed, resamples;
} ak_verdict;

// AK_NOT_FOUND when there is no candidate yet.
ak_status ak_gate_judge(ak_verdict *out, const ak_rundir *rundir, const ak_watch *watch,
                        ak_error *err);

// As verdict.json has it: passed, reason, gate (the rows), and what it was measured on.
json_t *ak_verdict_json(const ak_verdict *verdict);

#endif
