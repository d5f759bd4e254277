#include "server/job.h"

#include "core/base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_S 1.0 // over which a rate is taken
#define SMOOTH   0.3 // share of the newest sample in the rate

ak_job *ak_job_new(ak_jobs *jobs, const ak_job_kind *kind, ak_job_record *record)
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

void ak_job_hold(ak_job *job)
{
    job->references++;
}

void ak_job_release(ak_job *job)
{
    if (--job->references)
        return;
    ak_job_record_clear(&job->record);
    json_decref(job->note);
    free(job);
}

ak_job *ak_job_find(ak_job *first, const ak_job_kind *kind, const char *id)
{
    for (ak_job *job = first; job; job = job->next)
        if (strcmp(job->record.id, id) == 0 && (!kind || job->kind == kind))
            return job;
    return NULL;
}

void ak_job_begin(ak_job *job)
{
    snprintf(job->record.state, sizeof job->record.state, "running");
    if (job->record.started_at == AK_TIME_NONE)
        job->record.started_at = ak_clock_ms();
}

void ak_job_advance(ak_job *job, int64_t done, int64_t total, double left_s, double now_s)
{
    if (done < job->sampled_done || !job->sampled_s) { // another stage, or the first call
        job->rate = 0;
        job->sampled_s = now_s;
        job->sampled_done = done;
    } else if (now_s - job->sampled_s >= SAMPLE_S) {
        double rate = (double)(done - job->sampled_done) / (now_s - job->sampled_s);
        job->rate = job->rate > 0 ? job->rate + SMOOTH * (rate - job->rate) : rate;
        job->sampled_s = now_s;
        job->sampled_done = done;
    }
    job->record.done = done;
    job->record.total = total;
    job->left_s = left_s;
    job->told_due = job->keep_due = true;
}

// --- as JSON: the same everywhere, what it has found beside what all jobs have -------------------

static void set_time(json_t *object, const char *key, int64_t ms)
{
    char text[AK_TIME_TEXT];
    if (ms == AK_TIME_NONE) {
        json_object_set_new(object, key, json_null());
        return;
    }
    ak_time_text(text, ms);
    json_object_set_new(object, key, json_string(text));
}

static void set_number(json_t *object, const char *key, double value, int digits)
{
    double scale = pow(10, digits);
    json_object_set_new(object, key,
                        value < 0     ? json_null()
                        : digits == 0 ? json_integer((json_int_t)ceil(value))
                                      : json_real(round(value * scale) / scale));
}

// rate and left_s < 0: not known.
static json_t *record_json(const ak_job_record *record, double rate, double left_s)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", record->id, "kind", record->kind,
                               "state", record->state, "done", (json_int_t)record->done, "total",
                               (json_int_t)record->total);
    json_t *request = json_loads(record->request, 0, NULL);
    json_t *result = json_loads(record->result, 0, NULL);
    if (object && request && result) {
        set_number(object, "rate", rate, 2);
        set_number(object, "seconds_left", left_s, 0);
        json_object_set_new(object, "error",
                            record->error ? json_string(record->error) : json_null());
        set_time(object, "created_at", record->created_at);
        set_time(object, "started_at", record->started_at);
        set_time(object, "ended_at", record->ended_at);
        json_object_set(object, "request", request);
        json_object_update_missing(object, result);
    } else {
        json_decref(object);
        object = NULL;
    }
    json_decref(request);
    json_decref(result);
    return object;
}

// Seconds to go; -1: not known.
static double left_of(const ak_job *job)
{
    const ak_job_record *r = &job->record;
    if (job->ended || !job->taken)
        return -1;
    if (job->left_s >= 0)
        return job->left_s;
    return job->rate > 0 && r->total >= r->done ? (double)(r->total - r->done) / job->rate : -1;
}

json_t *ak_job_json(const ak_job *job)
{
    double rate = job->ended || !job->taken ? -1 : job->rate;
    json_t *object = record_json(&job->record, rate, left_of(job));
    if (object && job->note && !job->ended)
        json_object_set_new(object, "progress", json_deep_copy(job->note));
    return object;
}

json_t *ak_job_record_json(const ak_job_record *record)
{
    return record_json(record, -1, -1);
}
