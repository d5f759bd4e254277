// A job as JSON: the same everywhere, what it has found beside what all jobs have.
#include "server/jobs_inside.h"

#include <math.h>

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

json_t *ak_job_record_json(const ak_job_record *record, double rate, double left_s)
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

double ak_job_left(const ak_job *job)
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
    json_t *object = ak_job_record_json(&job->record, job->ended || !job->taken ? -1 : job->rate,
                                        ak_job_left(job));
    if (object && job->note && !job->ended)
        json_object_set_new(object, "progress", json_deep_copy(job->note));
    return object;
}
