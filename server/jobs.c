// The list of jobs, their runners, and the teller (server/jobs.h says what a job is).
//
// jobs->lock guards the list and what is in it; it is held for moments, never over a commit. A job
// leaves the list when it has ended; listeners keep it until they have told so.
#include "server/jobs_inside.h"

#include "core/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TELL_S     0.25 // between two events of one job's progress
#define KEEP_S     1.0  // between two writes of it
#define SAMPLE_S   1.0  // over which a rate is taken
#define SMOOTH     0.3  // share of the newest sample in the rate
#define EVENT_GAP  1000 // numbers left free after a restart: more than can have been lost
#define KEEP_TRIES 10   // of an end that cannot be written
#define LIST_LIMIT 1000

static const ak_job_kind *const kinds[AK_JOB_KINDS] = {&ak_job_training, &ak_job_promotion};

// --- in memory ---------------------------------------------------------------------------------

static void replace(char **text, char *with)
{
    free(*text);
    *text = with;
}

static char *copy(const char *text)
{
    return ak_strndup(text, strlen(text));
}

static ak_job *job_new(ak_jobs *jobs, const ak_job_kind *kind, ak_job_record *record)
{
    ak_job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    job->jobs = jobs;
    job->kind = kind;
    job->record = *record;
    *record = (ak_job_record){0};
    job->references = 1;
    job->left_s = -1;
    return job;
}

void ak_job_release(ak_job *job)
{
    if (--job->references)
        return;
    ak_job_record_clear(&job->record);
    json_decref(job->note);
    free(job);
}

static void append(ak_jobs *jobs, ak_job *job)
{
    *jobs->last = job;
    jobs->last = &job->next;
}

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

static ak_job *find(ak_jobs *jobs, const ak_job_kind *kind, const char *id)
{
    for (ak_job *job = jobs->first; job; job = job->next)
        if (strcmp(job->record.id, id) == 0 && (!kind || job->kind == kind))
            return job;
    return NULL;
}

// Tells the listeners at once; under the lock.
static void tell(ak_job *job)
{
    job->record.event++;
    job->told_due = false;
    ak_events_tell(job->jobs, job);
}

// --- running -----------------------------------------------------------------------------------

// The end, kept and told. The writer may be in trouble (a disk that fails): then a few more tries.
static void end_job(ak_job *job, const char *state, const char *error)
{
    ak_jobs *jobs = job->jobs;
    ak_error err = {0};
    pthread_mutex_lock(&jobs->lock);
    ak_job_record ended = job->record; // the texts stay the job's
    pthread_mutex_unlock(&jobs->lock);
    snprintf(ended.state, sizeof ended.state, "%s", state);
    ended.ended_at = ak_clock_ms();
    ended.error = error ? copy(error) : NULL;
    ended.event += 2; // progress may be told once more meanwhile
    ak_status status = ak_store_job_set(jobs->server->store, &ended, &err);
    for (int i = 0; status != AK_OK && status != AK_SHUTTING_DOWN && i < KEEP_TRIES; i++) {
        ak_log(AK_LOG_ERROR, "job %s: its end cannot be kept: %s", job->record.id, err.text);
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
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

static bool closing(ak_jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    bool closes = jobs->closing;
    pthread_mutex_unlock(&jobs->lock);
    return closes;
}

static void run_job(ak_job *job)
{
    ak_jobs *jobs = job->jobs;
    ak_error err = {0};
    pthread_mutex_lock(&jobs->lock);
    snprintf(job->record.state, sizeof job->record.state, "running");
    if (job->record.started_at == AK_TIME_NONE)
        job->record.started_at = ak_clock_ms();
    tell(job);
    pthread_mutex_unlock(&jobs->lock);
    ak_status status = ak_store_job_set(jobs->server->store, &job->record, &err);
    if (status == AK_OK || ak_job_cancelled(job)) // what was cancelled cleans up in any case
        status = job->kind->run(job, &err);
    if (status == AK_OK)
        end_job(job, "succeeded", NULL);
    else if (ak_job_cancelled(job))
        end_job(job, "cancelled", NULL);
    else if (status != AK_SHUTTING_DOWN || !closing(jobs))
        end_job(job, "failed", err.text);
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

// --- opening and stopping ------------------------------------------------------------------------

static const ak_job_kind *kind_named(const char *name)
{
    for (size_t i = 0; i < AK_JOB_KINDS; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

// Jobs that had not ended, oldest first.
static ak_status take_up(ak_jobs *jobs, ak_error *err)
{
    ak_job_record *items = NULL;
    size_t n = 0;
    bool more;
    ak_status status = ak_store_jobs(&items, &n, &more, jobs->server->store, NULL, true, INT64_MAX,
                                     LIST_LIMIT, err);
    for (size_t i = n; status == AK_OK && i-- > 0;) {
        const ak_job_kind *kind = kind_named(items[i].kind);
        bool cancel = items[i].cancel;
        if (!kind) // of a newer Akin's
            continue;
        items[i].event += EVENT_GAP;
        ak_job *job = job_new(jobs, kind, &items[i]);
        if (!job) {
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu jobs", n);
            break;
        }
        atomic_store(&job->stop, cancel);
        append(jobs, job);
        ak_log(AK_LOG_INFO, "job %s (%s) goes on", job->record.id, kind->name);
    }
    for (size_t i = 0; i < n; i++)
        ak_job_record_clear(&items[i]);
    free(items);
    return status;
}

ak_status ak_jobs_open(ak_jobs **out, ak_server *server, ak_error *err)
{
    *out = NULL;
    ak_jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for jobs");
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&jobs->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&jobs->adding, NULL);
    pthread_mutex_init(&jobs->lock, NULL);
    jobs->server = server;
    jobs->last = &jobs->first;
    if (take_up(jobs, err) != AK_OK) {
        ak_jobs_free(jobs);
        return err->status;
    }
    *out = jobs;
    return AK_OK;
}

ak_status ak_jobs_start(ak_jobs *jobs, ak_error *err)
{
    int failed = pthread_create(&jobs->teller, NULL, teller_main, jobs);
    jobs->teller_runs = !failed;
    for (size_t i = 0; !failed && i < AK_JOB_KINDS; i++) {
        ak_job_runner *runner = &jobs->runners[i];
        *runner = (ak_job_runner){.jobs = jobs, .kind = kinds[i]};
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
    for (size_t i = 0; i < AK_JOB_KINDS; i++)
        if (jobs->runners[i].runs)
            pthread_join(jobs->runners[i].thread, NULL);
    if (jobs->teller_runs)
        pthread_join(jobs->teller, NULL);
    jobs->teller_runs = false;
    memset(jobs->runners, 0, sizeof jobs->runners);
}

void ak_jobs_free(ak_jobs *jobs)
{
    if (!jobs)
        return;
    for (ak_job *job = jobs->first, *next; job; job = next) {
        next = job->next;
        ak_job_release(job);
    }
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->adding);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

// --- adding ------------------------------------------------------------------------------------

static ak_status check_room(ak_jobs *jobs, const ak_job_kind *kind, ak_error *err)
{
    size_t n = 0, most = (size_t)jobs->server->options->jobs_open;
    ak_status status = AK_OK;
    pthread_mutex_lock(&jobs->lock);
    for (const ak_job *job = jobs->first; status == AK_OK && job; job = job->next, n++)
        if (kind->alone && job->kind == kind)
            status = ak_fail(err, AK_CONFLICT, "a %s is %s already, job %s; one at a time",
                             kind->name, job->record.state, job->record.id);
    if (status == AK_OK && jobs->closing)
        status = ak_fail(err, AK_SHUTTING_DOWN, "the server is stopping");
    if (status == AK_OK && n >= most)
        status = ak_fail(err, AK_OVERLOADED, "%zu jobs wait or run, as many as may", n);
    pthread_mutex_unlock(&jobs->lock);
    return status;
}

static ak_status add(json_t **answer, ak_jobs *jobs, const ak_job_kind *kind, json_t *request,
                     json_t *result, ak_job_key *key, ak_error *err)
{
    ak_store *store = jobs->server->store;
    char *text = NULL;
    ak_job *job = NULL;
    ak_status status = check_room(jobs, kind, err);
    if (status != AK_OK)
        return status;
    ak_job_record record = {.request = json_dumps(request, JSON_COMPACT),
                            .result = json_dumps(result, JSON_COMPACT),
                            .event = 1,
                            .created_at = ak_clock_ms(),
                            .started_at = AK_TIME_NONE,
                            .ended_at = AK_TIME_NONE};
    ak_ulid(record.id);
    snprintf(record.kind, sizeof record.kind, "%s", kind->name);
    snprintf(record.state, sizeof record.state, "queued");
    if (record.request && record.result)
        *answer = ak_job_record_json(&record, -1, -1);
    text = *answer ? json_dumps(*answer, JSON_COMPACT) : NULL;
    job = text ? job_new(jobs, kind, &record) : NULL;
    if (!job) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a job");
        goto done;
    }
    if (key)
        key->answer = text;
    status =
        ak_store_job_add(store, &job->record, key, (size_t)jobs->server->options->jobs_kept, err);
    pthread_mutex_lock(&jobs->lock);
    if (status == AK_OK) {
        append(jobs, job);
        pthread_cond_broadcast(&jobs->changed);
    } else {
        ak_job_release(job);
    }
    pthread_mutex_unlock(&jobs->lock);
done:
    if (status != AK_OK) {
        json_decref(*answer);
        *answer = NULL;
    }
    ak_job_record_clear(&record);
    free(text);
    return status;
}

ak_status ak_jobs_add(json_t **answer, ak_jobs *jobs, const ak_job_kind *kind, json_t *request,
                      json_t *result, ak_job_key *key, ak_error *err)
{
    char *first = NULL;
    ak_status status = AK_OK;
    *answer = NULL;
    pthread_mutex_lock(&jobs->adding);
    if (key)
        status = ak_store_job_answer(&first, jobs->server->store, key, err);
    if (status == AK_OK && first)
        *answer = json_loads(first, 0, NULL);
    if (status == AK_OK && !*answer)
        status = add(answer, jobs, kind, request, result, key, err);
    pthread_mutex_unlock(&jobs->adding);
    free(first);
    return status;
}

// --- cancelling --------------------------------------------------------------------------------

static ak_status refuse_cancel(const ak_job_record *record, ak_error *err)
{
    if (strcmp(record->state, "cancelled") == 0)
        return AK_OK;
    return ak_fail(err, AK_CONFLICT, "job %s has %s; there is nothing to cancel", record->id,
                   record->state);
}

ak_status ak_jobs_cancel(json_t **answer, ak_jobs *jobs, const ak_job_kind *kind, const char *id,
                         ak_error *err)
{
    char tag[64];
    *answer = NULL;
    pthread_mutex_lock(&jobs->lock);
    ak_job *job = find(jobs, kind, id);
    if (job)
        job->references++;
    pthread_mutex_unlock(&jobs->lock);
    if (!job) {
        ak_job_record record;
        ak_status status = ak_store_job(&record, jobs->server->store, id, err);
        if (status == AK_OK)
            status = refuse_cancel(&record, err);
        ak_job_record_clear(&record);
        return status == AK_OK ? ak_jobs_get(answer, tag, jobs, kind, id, false, err) : status;
    }
    // Kept before it is done: a cancel that was answered holds after a crash, too.
    ak_status status = ak_store_job_cancel(jobs->server->store, id, err);
    pthread_mutex_lock(&jobs->lock);
    if (status == AK_OK && job->ended)
        status = refuse_cancel(&job->record, err);
    bool unbegun =
        status == AK_OK && !job->ended && !job->taken && job->record.started_at == AK_TIME_NONE;
    if (status == AK_OK) {
        job->record.cancel = true;
        atomic_store(&job->stop, true);
    }
    if (unbegun)
        job->taken = true; // nobody else's now
    pthread_mutex_unlock(&jobs->lock);
    if (unbegun)
        end_job(job, "cancelled", NULL);
    pthread_mutex_lock(&jobs->lock);
    if (status == AK_OK)
        *answer = ak_job_json(job);
    ak_job_release(job);
    pthread_mutex_unlock(&jobs->lock);
    if (status == AK_OK && !*answer)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a job");
    return status;
}

// --- looking -----------------------------------------------------------------------------------

ak_status ak_jobs_get(json_t **out, char tag[64], ak_jobs *jobs, const ak_job_kind *kind,
                      const char *id, bool report, ak_error *err)
{
    ak_job_record record = {0};
    *out = NULL;
    pthread_mutex_lock(&jobs->lock);
    ak_job *job = find(jobs, kind, id);
    if (job) {
        *out = ak_job_json(job);
        snprintf(tag, 64, "%lld.%lld", (long long)job->record.event, (long long)job->record.done);
        if (*out && report && job->record.report)
            json_object_set_new(*out, "report", json_loads(job->record.report, 0, NULL));
    }
    pthread_mutex_unlock(&jobs->lock);
    if (job)
        return *out ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a job");
    ak_status status = ak_store_job(&record, jobs->server->store, id, err);
    if (status == AK_OK && kind && strcmp(record.kind, kind->name) != 0)
        status = ak_fail(err, AK_NOT_FOUND, "there is no %s \"%.40s\"", kind->name, id);
    if (status == AK_OK && !(*out = ak_job_record_json(&record, -1, -1)))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a job");
    if (status == AK_OK && report && record.report)
        json_object_set_new(*out, "report", json_loads(record.report, 0, NULL));
    snprintf(tag, 64, "%lld.%lld", (long long)record.event, (long long)record.done);
    ak_job_record_clear(&record);
    return status;
}

ak_status ak_jobs_list(json_t **out, int64_t *before, ak_jobs *jobs, const ak_job_kind *kind,
                       size_t limit, ak_error *err)
{
    ak_job_record *items = NULL;
    size_t n = 0;
    bool more = false;
    *out = json_array();
    ak_status status = ak_store_jobs(&items, &n, &more, jobs->server->store,
                                     kind ? kind->name : NULL, false, *before, limit, err);
    pthread_mutex_lock(&jobs->lock);
    for (size_t i = 0; status == AK_OK && i < n; i++) {
        const ak_job *live = find(jobs, NULL, items[i].id);
        json_array_append_new(*out,
                              live ? ak_job_json(live) : ak_job_record_json(&items[i], -1, -1));
    }
    pthread_mutex_unlock(&jobs->lock);
    *before = more && n ? items[n - 1].key : 0;
    for (size_t i = 0; i < n; i++)
        ak_job_record_clear(&items[i]);
    free(items);
    if (status != AK_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

bool ak_jobs_busy(ak_jobs *jobs, const ak_job_kind *kind)
{
    bool busy = false;
    pthread_mutex_lock(&jobs->lock);
    for (const ak_job *job = jobs->first; job; job = job->next)
        busy = busy || job->kind == kind;
    pthread_mutex_unlock(&jobs->lock);
    return busy;
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
    if (done < job->sampled_done || !job->sampled_s) { // another stage, or the first call
        job->rate = 0;
        job->sampled_s = now;
        job->sampled_done = done;
    } else if (now - job->sampled_s >= SAMPLE_S) {
        double rate = (double)(done - job->sampled_done) / (now - job->sampled_s);
        job->rate = job->rate > 0 ? job->rate + SMOOTH * (rate - job->rate) : rate;
        job->sampled_s = now;
        job->sampled_done = done;
    }
    job->record.done = done;
    job->record.total = total;
    job->left_s = left_s;
    job->told_due = job->keep_due = true;
    old = job->note;
    job->note = fresh;
    pthread_mutex_unlock(&job->jobs->lock);
    json_decref(old);
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
