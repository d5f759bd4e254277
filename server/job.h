// A job in memory: its record, who holds it, how it goes on; and a job as JSON.
//
// It knows nothing of the list that it stands in (server/jobs.h) and of who listens to it
// (server/events.c). The list's lock guards it: once it is in the list, all of this is called and
// read under jobs->lock, except what never changes (jobs, kind, the record's id) and `stop`. The
// runner alone replaces the record's texts, so it may read them without.
#ifndef AK_SERVER_JOB_H
#define AK_SERVER_JOB_H

#include "index/jobs.h"

#include <jansson.h>
#include <stdatomic.h>

typedef struct ak_jobs ak_jobs;
typedef struct ak_job_kind ak_job_kind;

typedef struct ak_job ak_job;
struct ak_job {
    ak_jobs *jobs; // whose it is
    const ak_job_kind *kind;
    atomic_bool stop;
    ak_job_record record;
    size_t references;       // the list's, and one a listener
    json_t *note;            // NULL: none
    bool taken, ended;       // has a runner, or needs none; has left the list
    bool told_due, keep_due; // progress that no listener, that not the store has seen
    double kept_s, left_s, rate, sampled_s;
    int64_t sampled_done;
    ak_job *next; // in the list
};

// With one reference, the caller's. Takes the record over, which is empty then; NULL out of memory:
// it has not.
ak_job *ak_job_new(ak_jobs *jobs, const ak_job_kind *kind, ak_job_record *record);
void ak_job_hold(ak_job *job);    // one reference more
void ak_job_release(ak_job *job); // one less; without any it is freed

// In the list that begins with `first`, borrowed. kind NULL: any. NULL: there is none.
ak_job *ak_job_find(ak_job *first, const ak_job_kind *kind, const char *id);

void ak_job_begin(ak_job *job); // it runs; since now, unless it had begun before

// done of total at now_s (ak_clock_s). left_s: seconds to go; -1: from the rate. Listeners and the
// store are due to hear of it.
void ak_job_advance(ak_job *job, int64_t done, int64_t total, double left_s, double now_s);

// The caller's; NULL out of memory.
json_t *ak_job_json(const ak_job *job);
json_t *ak_job_record_json(const ak_job_record *record); // of one that does not run

#endif
