// Jobs: long work that was asked for, is answered with 202, and goes on behind.
//
// A job is kept in the store from its 202 on, so it outlives the process: what had begun is taken
// up again at the next start. A kind has one runner thread that does its jobs in turn. Progress
// lives in memory; it is told to listeners four times a second and kept once a second, changes of
// state at once.
//
// All functions may be called from any thread, except those marked as the runner's.
#ifndef AK_SERVER_JOBS_H
#define AK_SERVER_JOBS_H

#include "index/jobs.h"

#include <jansson.h>
#include <stdatomic.h>

typedef struct ak_server ak_server;
typedef struct ak_jobs ak_jobs;
typedef struct ak_job ak_job;

typedef struct ak_job_kind {
    const char *name;
    bool alone; // one at a time: while one is queued or running another is AK_CONFLICT
    // Does the job, or goes on with it, on the runner. It looks at ak_job_stop all the time. When
    // that is set it cleans up if ak_job_cancelled, else leaves things so that they can go on, and
    // returns AK_SHUTTING_DOWN. AK_OK: succeeded. Else it failed, with err as the reason.
    ak_status (*run)(ak_job *job, ak_error *err);
} ak_job_kind;

extern const ak_job_kind ak_job_training, ak_job_promotion;

// Reads what has not ended. Nothing runs before ak_jobs_start.
ak_status ak_jobs_open(ak_jobs **out, ak_server *server, ak_error *err);
ak_status ak_jobs_start(ak_jobs *jobs, ak_error *err);
// Interrupts what runs (it goes on at the next start), and ends all streams of events.
void ak_jobs_stop(ak_jobs *jobs);
void ak_jobs_free(ak_jobs *jobs); // after the network has stopped; NULL is fine

// A new job. request and result (what is known at its start) are JSON objects, borrowed. *answer:
// the job as JSON, the caller's; with an Idempotency-Key that was used before, the first answer.
// key NULL: none; its `answer` is filled in here. AK_CONFLICT, AK_KEY_REUSED, AK_OVERLOADED.
ak_status ak_jobs_add(json_t **answer, ak_jobs *jobs, const ak_job_kind *kind, json_t *request,
                      json_t *result, ak_job_key *key, ak_error *err);

// Asks it to stop. *answer: the job, the caller's, "cancelled" when nothing had begun. AK_CONFLICT
// when it has ended otherwise. kind NULL: any.
ak_status ak_jobs_cancel(json_t **answer, ak_jobs *jobs, const ak_job_kind *kind, const char *id,
                         ak_error *err);

// The job as JSON, the caller's, with its report as "report" where that is asked for. tag: changes
// with it. AK_NOT_FOUND, also for one of another kind (NULL: any).
ak_status ak_jobs_get(json_t **out, char tag[64], ak_jobs *jobs, const ak_job_kind *kind,
                      const char *id, bool report, ak_error *err);

// A page of jobs as a JSON array, newest first; *before is the key to go on before, INT64_MAX at
// the first call, and 0 after the last page.
ak_status ak_jobs_list(json_t **out, int64_t *before, ak_jobs *jobs, const ak_job_kind *kind,
                       size_t limit, ak_error *err);

// Whether one is queued or running.
bool ak_jobs_busy(ak_jobs *jobs, const ak_job_kind *kind);

// --- the runner's ------------------------------------------------------------------------------

ak_server *ak_job_server(const ak_job *job);
const char *ak_job_id(const ak_job *job);
const atomic_bool *ak_job_stop(const ak_job *job); // set when cancelled or the server stops
bool ak_job_cancelled(ak_job *job);
bool ak_job_closing(const ak_job *job);    // the server stops
json_t *ak_job_request(const ak_job *job); // a copy, the caller's; NULL out of memory
json_t *ak_job_result(const ak_job *job);  // likewise; what ak_job_keep last kept

// left_s: seconds to go, when the work itself knows; -1: from the rate. note: more about it, shown
// as "progress" until the next call and kept nowhere; borrowed, NULL: nothing.
void ak_job_progress(ak_job *job, int64_t done, int64_t total, double left_s, const json_t *note);

// Keeps what the job has found so far, and the report unless it is NULL, and tells the listeners.
// result is borrowed.
ak_status ak_job_keep(ak_job *job, json_t *result, const json_t *report, ak_error *err);

#endif
