// The list of jobs in memory and its lock, for jobs.c, jobs_run.c and events.c.
#ifndef AK_SERVER_JOBS_INSIDE_H
#define AK_SERVER_JOBS_INSIDE_H

#include "server/daemon.h"
#include "server/job.h"

#include <pthread.h>

#define AK_JOB_KINDS 2

typedef struct ak_listener ak_listener;

typedef struct {
    ak_jobs *jobs;
    const ak_job_kind *kind;
    pthread_t thread;
    bool runs;
} ak_job_runner;

struct ak_jobs {
    ak_server *server;
    pthread_mutex_t adding; // held from the check of a new job to its place in the list
    pthread_mutex_t lock;   // guards what follows, and the jobs in the list
    pthread_cond_t changed;
    ak_job *first, **last; // that have not ended, oldest first
    ak_listener *listeners;
    size_t listener_count;
    bool closing;
    ak_job_runner runners[AK_JOB_KINDS];
    pthread_t teller; // tells and keeps progress, and lets streams be heard of
    bool teller_runs;
};

// jobs_run.c. The end of a job in the list, kept and told; not under the lock.
void ak_job_end(ak_job *job, const char *state, const char *error);

// events.c, under the lock.
void ak_events_tell(ak_jobs *jobs, const ak_job *job); // to who listens to it; NULL: to all
void ak_events_beat(ak_jobs *jobs, double now_s);      // to who has heard nothing for long

#endif
