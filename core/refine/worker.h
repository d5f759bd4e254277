// The worker: a refinement run from its folder to its candidate.
//
//   prepare  near-duplicates and roles (the plan), pictures decoded
//   train    core/refine/tune.h, for the run's budget
//   choose   core/refine/interpolate.h
//   done     candidate.model and trained.json lie in the folder
//
// Started again after a stop, a crash or a kill it goes on from its last checkpoint, and has
// nothing to do once the candidate is there. Pictures that are removed meanwhile are dropped at the
// next checkpoint. One thread calls it; it uses as many OpenMP threads as it is told.
#ifndef AK_REFINE_WORKER_H
#define AK_REFINE_WORKER_H

#include "core/refine/interpolate.h"
#include "core/refine/tune.h"

typedef enum { AK_WORK_PREPARE, AK_WORK_TRAIN, AK_WORK_CHOOSE, AK_WORK_DONE } ak_work_phase;

const char *ak_work_name(ak_work_phase phase);

typedef struct {
    ak_work_phase phase;
    size_t done, total;        // PREPARE: pictures; CHOOSE: models
    size_t roles[AK_ROLES];    // once they are known
    size_t clustered;          // pictures that are near-duplicates of another
    bool resumed;              // TRAIN began from a checkpoint
    uint64_t saved_step;       // of the last checkpoint
    ak_tune_progress training; // TRAIN
    ak_interpolation chosen;   // DONE
    char candidate[AK_MODEL_ID_HEX + 1];
} ak_work_progress;

typedef struct {
    int threads; // at least 1
    bool pause;  // the state is saved, then nothing is computed until it is over
    bool stop;   // the state is saved, then the worker returns AK_SHUTTING_DOWN
} ak_work_orders;

// Both are called between steps and between blocks of pictures, several times a second.
typedef struct {
    void (*tell)(void *arg, const ak_work_progress *progress);
    // wait: nothing is to be done until the orders change; may return sooner.
    void (*orders)(void *arg, ak_work_orders *orders, bool wait);
    void *arg;
} ak_work_host;

ak_status ak_work(const char *folder, const ak_work_host *host, ak_error *err);

#endif
