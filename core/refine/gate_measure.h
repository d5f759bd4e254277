// The gate's measuring: embeds what is needed by both models, and gives every measure picture by
// picture. core/refine/gate.c draws the conclusions.
#ifndef AK_REFINE_GATE_MEASURE_H
#define AK_REFINE_GATE_MEASURE_H

#include "core/refine/plan.h"

#define AK_GATE_SERIES 16

// One measure on n pictures, the same ones by both models: value[0] incumbent, value[1] candidate.
typedef struct {
    const char *name;
    bool decides;
    size_t n;
    double *value[AK_EMBED_MODELS];
} ak_series;

typedef struct {
    ak_series at[AK_GATE_SERIES];
    size_t n;
    double rank[AK_EMBED_MODELS];
    size_t dead[AK_EMBED_MODELS];
    double churn;
    size_t yardsticks, old_yardsticks, pool;
} ak_gate_numbers;

ak_status ak_gate_measure(ak_gate_numbers *out, const ak_rundir *rundir, const ak_plan *plan,
                          const ak_model *incumbent, const ak_model *candidate,
                          const ak_watch *watch, ak_error *err);
void ak_gate_numbers_clear(ak_gate_numbers *numbers);

#endif
