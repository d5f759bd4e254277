// Jobs over HTTP, and what all requests share that make one.
#include "server/jobs_api.h"

#include "server/condition.h"
#include "server/daemon.h"
#include "server/handlers.h"

#include <stdlib.h>
#include <string.h>

#define KEY_MAX 128 // characters of an Idempotency-Key

ak_status ak_job_key_read(ak_job_key *key, bool *given, ak_request *r, ak_error *err)
{
    const char *text = r->headers.idempotency_key;
    ak_buf all = {0};
    *given = text != NULL;
    if (!text)
        return AK_OK;
    size_t n = strlen(text);
    bool good = n >= 1 && n <= KEY_MAX;
    for (size_t i = 0; i < n && good; i++)
        good = text[i] >= ' ' && text[i] < 127;
    if (!good)
        return ak_fail(err, AK_BAD_VALUE,
                       "the Idempotency-Key has %zu bytes; 1 to %d printable characters", n,
                       KEY_MAX);
    bool room = true;
    for (size_t i = 0; i < r->segment_count; i++)
        room = room && ak_buf_append(&all, "/", 1) &&
               ak_buf_append(&all, r->segments[i], strlen(r->segments[i]));
    room = room && ak_buf_append(&all, "\n", 1) && ak_buf_append(&all, r->body.at, r->body.n);
    key->key = text;
    key->request = ak_sha256_of(ak_buf_bytes(&all));
    ak_buf_clear(&all);
    return room ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a request's key");
}

void ak_job_accepted(ak_request *r, const char *folder, json_t *job)
{
    ak_respond_header(r, "Location", "%s/%s", folder,
                      json_string_value(json_object_get(job, "id")));
    ak_respond_json(r, 202, job);
    ak_request_finish(r);
}

void ak_jobs_answer_list(ak_request *r, const ak_job_kind *kind)
{
    ak_error err = {0};
    ak_position after = {.created_at = INT64_MAX};
    json_t *items = NULL;
    int64_t limit;
    char list[32], next[AK_CURSOR_MAX];
    const char *cursor = ak_request_query(r, "cursor");
    snprintf(list, sizeof list, "jobs/%s", kind ? kind->name : "");
    if (ak_request_number(&limit, r, "limit", 100, 1, AK_LIST_MAX, &err) != AK_OK ||
        (cursor && ak_cursor_read(&after, &r->server->cursor_key, list, cursor, &err) != AK_OK) ||
        ak_jobs_list(&items, &after.created_at, r->server->jobs, kind, (size_t)limit, &err) !=
            AK_OK) {
        ak_request_fail(r, &err);
        return;
    }
    bool more = after.created_at != 0;
    if (more)
        ak_cursor_write(next, &r->server->cursor_key, list, &after);
    ak_respond_json(r, 200,
                    json_pack("{s:o, s:s?}", "items", items, "next_cursor", more ? next : NULL));
    ak_request_finish(r);
}

void ak_jobs_answer_one(ak_request *r, const ak_job_kind *kind, bool report)
{
    ak_error err = {0};
    json_t *job = NULL;
    char tag[64];
    if (ak_jobs_get(&job, tag, r->server->jobs, kind, r->params[0], report, &err) != AK_OK) {
        ak_request_fail(r, &err);
        return;
    }
    if (ak_condition_unchanged(r, tag))
        json_decref(job);
    else
        ak_respond_json(r, 200, job);
    ak_request_finish(r);
}

// 202 while it is being stopped, 200 when it is cancelled already.
void ak_jobs_answer_cancel(ak_request *r, const ak_job_kind *kind)
{
    ak_error err = {0};
    json_t *job = NULL;
    if (ak_jobs_cancel(&job, r->server->jobs, kind, r->params[0], &err) != AK_OK) {
        ak_request_fail(r, &err);
        return;
    }
    const char *state = json_string_value(json_object_get(job, "state"));
    ak_respond_json(r, strcmp(state, "cancelled") == 0 ? 200 : 202, job);
    ak_request_finish(r);
}

void ak_handle_jobs(ak_request *r)
{
    ak_jobs_answer_list(r, NULL);
}

void ak_handle_job_get(ak_request *r)
{
    ak_jobs_answer_one(r, NULL, false);
}

void ak_handle_job_cancel(ak_request *r)
{
    ak_jobs_answer_cancel(r, NULL);
}

void ak_handle_job_report(ak_request *r)
{
    ak_error err = {0};
    json_t *job = NULL;
    char tag[64];
    if (ak_jobs_get(&job, tag, r->server->jobs, NULL, r->params[0], true, &err) != AK_OK)
        goto failed;
    json_t *report = json_object_get(job, "report");
    if (!report) {
        ak_fail(&err, AK_NOT_FOUND, "job %.40s has no report%s", r->params[0],
                json_is_null(json_object_get(job, "ended_at")) ? " yet" : "");
        goto failed;
    }
    ak_respond_json(r, 200, json_incref(report));
    json_decref(job);
    ak_request_finish(r);
    return;
failed:
    json_decref(job);
    ak_request_fail(r, &err);
}
