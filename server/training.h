// Training runs: from the request to a model that serves, or to the reason why not.
//
// A run is a job in four stages, each of which can be cut short and gone on with:
//   folder     the run's folder is written (training_folder.c)
//   training   `akin refine` proposes a candidate (refine_worker.h)
//   gate       `akin gate` judges it; the daemon only reads the verdict
//   promotion  the candidate is embedded and swapped in, where that is wanted (promotion.c)
// Its folder is data/runs/<id>. A picture that is deleted is taken out of it within seconds, and
// the folder goes with the end of the run: verdict and gate are kept with the job.
#ifndef AK_SERVER_TRAINING_H
#define AK_SERVER_TRAINING_H

#include "server/jobs.h"

#include <limits.h>

#define AK_TRAINING_LEAST 320 // pictures: 200 to train on and 40 to measure by, with some to spare

// What is asked of a run; zeros and NULLs stand for the defaults.
typedef struct {
    const char *const *collections; // (n); n 0: all that may be refined on and have one model
    size_t n;
    const char *recipe;
    double budget_s;
    const char *promote; // "auto", "ask"
    int64_t seed;        // < 0: drawn
    const char *trigger; // "hand", "pictures", "drift", "schedule"
} ak_training_request;

// Checks and makes the job. AK_CONFLICT: refinement is off, a run goes, too few pictures, several
// models. AK_BAD_VALUE: an unknown recipe. AK_UNKNOWN_COLLECTION.
ak_status ak_training_begin(json_t **answer, ak_server *server, const ak_training_request *asked,
                            ak_job_key *key, ak_error *err);

void ak_training_folder(char out[PATH_MAX], const ak_server *server, const char *id);

// training_folder.c. Writes the folder; fine when it is whole already. incumbent: the model's id.
ak_status ak_training_folder_make(ak_job *job, const char *folder, const json_t *request,
                                  const char *incumbent, ak_error *err);

// At the start: removes folders whose run has ended.
void ak_training_sweep(ak_server *server);

// refine_run.c. Runs `akin COMMAND FOLDER` to its end, starting it again after a crash; meanwhile
// takes deleted pictures out of the folder. AK_SHUTTING_DOWN: the job is to stop.
ak_status ak_refine_run(ak_job *job, const char *command, const char *folder, json_t *result,
                        ak_error *err);

// promotion.c. Embeds what is missing and makes the model serve the collections (names) that are
// there still. AK_SHUTTING_DOWN: the job is to stop; the change is abandoned if it was cancelled.
ak_status ak_promote(ak_job *job, const char *model, const json_t *collections, ak_error *err);

#endif
