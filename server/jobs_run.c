// The threads of jobs: a runner for each kind, and the teller; and what a job says while it runs.
// server/jobs.c has the list and its lock.
#include "server/jobs_inside.h"

#include "core/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TELL_S  0.25 // between two events of one job's progress
#define KEEP_S  1.0  // between two writes of it
#define AGAIN_S 1    // between two tries to write an end

static void unlink_job(ak_jobs *jobs, ak_job *job)
{
    ak_job **at = &jobs->first;
    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (!job->next)
        jobs->last = at;
    job->next = NULL;
}

// Tells the listeners at once; under the lock.
static void tell(ak_job *job)
{
    job->record.event++;
    job->told_due = false;
    ak_events_tell(job->jobs, job);
}

// --- running -----------------------------------------------------------------------------------

// The end, kept and told. On a disk that is full it is tried until it can be kept: a job that was
// forgotten here would run for ever in the catalog. If the server stops first, the job goes on at
// the next start.
void ak_job_end(ak_job *job, const char *state, const char *error)
{
    ak_jobs *jobs = job->jobs;
    ak_error err = {0};
    pthread_mutex_lock(&jobs->lock);
    ak_job_record ended = job->record; // the texts stay the job's
    pthread_mutex_unlock(&jobs->lock);
    snprintf(ended.state, sizeof ended.state, "%s", state);
    ended.ended_at = ak_clock_ms();
    ended.error = error ? ak_strndup(error, strlen(error)) : NULL;
    ended.event += 2; // progress may be told once more meanwhile
    ak_status status = ak_store_job_set(jobs->server->store, &ended, &err);
    if (status != AK_OK)
        ak_log(AK_LOG_ERROR, "job %s: its end cannot be kept yet: %s", job->record.id, err.text);
    while (status != AK_OK && !ak_job_closing(job)) {
        nanosleep(&(struct timespec){.tv_sec = AGAIN_S}, NULL);
        status = ak_store_job_set(jobs->server->store, &ended, &err);
    }
    ak_log(AK_LOG_INFO, "job %s (%s): %s%s%s", job->record.id, job->record.kind, state,
           error ? ": " : "", error ? error : "");
    pthread_mutex_lock(&jobs->lock);
    job->record = ended;
    job->ended = true;
    unlink_job(jobs, job);
    ak_events_tell(jobs, job);
    ak_job_release(job);
    pthread_mutex_unlock(&jobs->lock);
}

static void run_job(ak_job *job)
{
    ak_jobs *jobs = job->jobs;
    ak_error err = {0};
    pthread_mutex_lock(&jobs->lock);
    ak_job_begin(job);
    tell(job);
    pthread_mutex_unlock(&jobs->lock);
    ak_status status = ak_store_job_set(jobs->server->store, &job->record, &err);
    if (status == AK_OK || ak_job_cancelled(job)) // what was cancelled cleans up in any case
        status = job->kind->run(job, &err);
    if (status == AK_OK)
        ak_job_end(job, "succeeded", NULL);
    else if (ak_job_cancelled(job))
        ak_job_end(job, "cancelled", NULL);
    else if (status != AK_SHUTTING_DOWN || !ak_job_closing(job))
        ak_job_end(job, "failed", err.text);
}

static ak_job *next_of(ak_jobs *jobs, const ak_job_kind *kind)
{
    for (ak_job *job = jobs->first; job; job = job->next)
        if (job->kind == kind && !job->taken)
            return job;
    return NULL;
}

static void *runner_main(void *arg)
{
    ak_job_runner *runner = arg;
    ak_jobs *jobs = runner->jobs;
    char name[16];
    snprintf(name, sizeof name, "akin-%.10s", runner->kind->name);
    pthread_setname_np(pthread_self(), name);
    pthread_mutex_lock(&jobs->lock);
    while (!jobs->closing) {
        ak_job *job = next_of(jobs, runner->kind);
        if (!job) {
            pthread_cond_wait(&jobs->changed, &jobs->lock);
            continue;
        }
        job->taken = true;
        pthread_mutex_unlock(&jobs->lock);
        run_job(job);
        pthread_mutex_lock(&jobs->lock);
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

// --- telling -----------------------------------------------------------------------------------

static void keep_counts(ak_jobs *jobs, ak_job *job)
{
    ak_error err = {0};
    ak_job_record counts = {
        .done = job->record.done, .total = job->record.total, .event = job->record.event};
    memcpy(counts.id, job->record.id, sizeof counts.id);
    job->keep_due = false;
    job->kept_s = ak_clock_s();
    pthread_mutex_unlock(&jobs->lock);
    if (ak_store_job_count(jobs->server->store, &counts, &err) != AK_OK) // the next one may succeed
        ak_log(AK_LOG_DEBUG, "job %s: %s", counts.id, err.text);
    pthread_mutex_lock(&jobs->lock);
}

static void wait_a_little(ak_jobs *jobs)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(TELL_S * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&jobs->changed, &jobs->lock, &until);
}

static void *teller_main(void *arg)
{
    ak_jobs *jobs = arg;
    pthread_setname_np(pthread_self(), "akin-jobs");
    pthread_mutex_lock(&jobs->lock);
    while (!jobs->closing) {
        double now = ak_clock_s();
        ak_job *unkept = NULL;
        for (ak_job *job = jobs->first; job; job = job->next) {
            if (job->told_due)
                tell(job);
            if (job->keep_due && now - job->kept_s >= KEEP_S)
                unkept = job;
        }
        ak_events_beat(jobs, now);
        if (unkept)
            keep_counts(jobs, unkept);
        else if (jobs->first || jobs->listeners)
            wait_a_little(jobs);
        else
            pthread_cond_wait(&jobs->changed, &jobs->lock);
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

// --- starting and stopping ---------------------------------------------------------------------

ak_status ak_jobs_start(ak_jobs *jobs, ak_error *err)
{
    int failed = pthread_create(&jobs->teller, NULL, teller_main, jobs);
    jobs->teller_runs = !failed;
    for (size_t i = 0; !failed && i < AK_JOB_KINDS; i++) {
        ak_job_runner *runner = &jobs->runners[i];
        failed = pthread_create(&runner->thread, NULL, runner_main, runner);
        runner->runs = !failed;
    }
    return failed ? ak_fail_errno(err, failed, "cannot start the threads of jobs") : AK_OK;
}

void ak_jobs_stop(ak_jobs *jobs)
{
    if (!jobs)
        return;
    pthread_mutex_lock(&jobs->lock);
    jobs->closing = true;
    for (ak_job *job = jobs->first; job; job = job->next)
        atomic_store(&job->stop, true);
    ak_events_tell(jobs, NULL);
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
    for (size_t i = 0; i < AK_JOB_KINDS; i++) {
        if (jobs->runners[i].runs)
            pthread_join(jobs->runners[i].thread, NULL);
        jobs->runners[i].runs = false;
    }
    if (jobs->teller_runs)
        pthread_join(jobs->teller, NULL);
    jobs->teller_runs = false;
}

// --- the runner's ------------------------------------------------------------------------------

ak_server *ak_job_server(const ak_job *job)
{
    return job->jobs->server;
}

const char *ak_job_id(const ak_job *job)
{
    return job->record.id;
}

const atomic_bool *ak_job_stop(const ak_job *job)
{
    return &job->stop;
}

bool ak_job_cancelled(ak_job *job)
{
    pthread_mutex_lock(&job->jobs->lock);
    bool cancelled = job->record.cancel;
    pthread_mutex_unlock(&job->jobs->lock);
    return cancelled;
}

bool ak_job_closing(const ak_job *job)
{
    pthread_mutex_lock(&job->jobs->lock);
    bool closing = job->jobs->closing;
    pthread_mutex_unlock(&job->jobs->lock);
    return closing;
}

json_t *ak_job_request(const ak_job *job)
{
    return json_loads(job->record.request, 0, NULL);
}

json_t *ak_job_result(const ak_job *job)
{
    return json_loads(job->record.result, 0, NULL);
}

void ak_job_progress(ak_job *job, int64_t done, int64_t total, double left_s, const json_t *note)
{
    double now = ak_clock_s();
    json_t *fresh = note ? json_deep_copy(note) : NULL, *old;
    pthread_mutex_lock(&job->jobs->lock);
    ak_job_advance(job, done, total, left_s, now);
    old = job->note;
    job->note = fresh;
    pthread_mutex_unlock(&job->jobs->lock);
    json_decref(old);
}

static void replace(char **text, char *with)
{
    free(*text);
    *text = with;
}

ak_status ak_job_keep(ak_job *job, json_t *result, const json_t *report, ak_error *err)
{
    char *text = json_dumps(result, JSON_COMPACT);
    char *report_text = report ? json_dumps(report, JSON_COMPACT) : NULL;
    if (!text || (report && !report_text)) {
        free(text);
        free(report_text);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for what a job has found");
    }
    pthread_mutex_lock(&job->jobs->lock);
    replace(&job->record.result, text);
    if (report)
        replace(&job->record.report, report_text);
    tell(job);
    pthread_mutex_unlock(&job->jobs->lock);
    return ak_store_job_set(job->jobs->server->store, &job->record, err);
}
