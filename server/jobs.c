// The list of jobs: what is asked of it. server/job.h has what is in it, server/jobs_run.c does the
// jobs.
//
// jobs->lock guards the list and what is in it; it is held for moments, never over a commit. A job
// leaves the list when it has ended; listeners keep it until they have told so.
#include "server/jobs_inside.h"

#include "core/base/log.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_GAP  1000 // numbers left free after a restart: more than can have been lost
#define LIST_LIMIT 1000

static const ak_job_kind *const kinds[AK_JOB_KINDS] = {&ak_job_training, &ak_job_promotion};

static void append(ak_jobs *jobs, ak_job *job)
{
    *jobs->last = job;
    jobs->last = &job->next;
}

// --- opening and closing ------------------------------------------------------------------------

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
        ak_job *job = ak_job_new(jobs, kind, &items[i]);
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
    for (size_t i = 0; i < AK_JOB_KINDS; i++)
        jobs->runners[i] = (ak_job_runner){.jobs = jobs, .kind = kinds[i]};
    if (take_up(jobs, err) != AK_OK) {
        ak_jobs_free(jobs);
        return err->status;
    }
    *out = jobs;
    return AK_OK;
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
        *answer = ak_job_record_json(&record);
    text = *answer ? json_dumps(*answer, JSON_COMPACT) : NULL;
    job = text ? ak_job_new(jobs, kind, &record) : NULL;
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
    ak_job *job = ak_job_find(jobs->first, kind, id);
    if (job)
        ak_job_hold(job);
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
        ak_job_end(job, "cancelled", NULL);
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
    ak_job *job = ak_job_find(jobs->first, kind, id);
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
    if (status == AK_OK && !(*out = ak_job_record_json(&record)))
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
        const ak_job *live = ak_job_find(jobs->first, NULL, items[i].id);
        json_array_append_new(*out, live ? ak_job_json(live) : ak_job_record_json(&items[i]));
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
