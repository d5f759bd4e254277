#include "cli/watch.h"

#include "core/base/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LINE_MOST ((size_t)4 << 20)
#define TRIES     30 // streams that end early, in a row

typedef struct {
    ak_buf line;
    char event[16];
    json_t *end;    // the job, once it has ended
    char stage[64]; // what the bar is of
    ak_progress bar;
    bool silent, drawn, heard;
} watching;

static void draw(watching *w, const json_t *job)
{
    const json_t *more = json_object_get(job, "progress"), *loss = json_object_get(more, "loss");
    const char *stage = json_string_value(json_object_get(job, "stage"));
    char extra[64] = "";
    const char *phase = json_string_value(json_object_get(more, "phase"));
    char now[sizeof w->stage];
    stage = stage ? stage : json_string_value(json_object_get(job, "kind"));
    snprintf(now, sizeof now, "%.24s%s%.24s", stage ? stage : "", phase ? ": " : "",
             phase ? phase : "");
    if (!w->drawn || strcmp(w->stage, now) != 0) {
        if (w->drawn)
            ak_progress_clear(&w->bar);
        memcpy(w->stage, now, sizeof w->stage);
        ak_progress_init(&w->bar, w->stage, 0, w->silent ? AK_PROGRESS_SILENT : AK_PROGRESS_AUTO);
        w->drawn = true;
    }
    if (json_is_number(loss))
        snprintf(extra, sizeof extra, "loss %.3f", json_number_value(loss));
    ak_progress_total(&w->bar, (size_t)json_integer_value(json_object_get(job, "total")));
    ak_progress_update(&w->bar, (size_t)json_integer_value(json_object_get(job, "done")), extra);
}

static void take_line(watching *w, const char *line)
{
    if (sscanf(line, "event: %15s", w->event) == 1 || strncmp(line, "data: ", 6) != 0)
        return;
    json_t *job = json_loads(line + 6, 0, NULL);
    if (!job)
        return;
    w->heard = true;
    draw(w, job);
    if (strcmp(w->event, "end") == 0 && !w->end)
        w->end = json_incref(job);
    json_decref(job);
}

static bool hear(void *arg, ak_bytes part)
{
    watching *w = arg;
    while (part.n) {
        const uint8_t *end = memchr(part.at, '\n', part.n);
        size_t n = end ? (size_t)(end - part.at) : part.n;
        if (w->line.n + n > LINE_MOST || !ak_buf_append(&w->line, part.at, n))
            return false;
        if (end) {
            if (!ak_buf_append(&w->line, "", 1))
                return false;
            take_line(w, (const char *)w->line.at);
            w->line.n = 0;
            n++;
        }
        part.at += n;
        part.n -= n;
    }
    return true;
}

ak_status ak_watch_job(json_t **job, ak_client *client, const char *id, bool silent, ak_error *err)
{
    watching w = {.silent = silent};
    ak_reply reply = {0};
    char *path = NULL;
    ak_status status = AK_OK;
    if (asprintf(&path, "/v1/jobs/%s/events", id) < 0)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a request");
    const ak_call call = {.method = "GET", .path = path, .hear = hear, .arg = &w};
    for (int tries = 0; !w.end && tries < TRIES; tries++) {
        w.heard = false;
        w.line.n = 0;
        status = ak_client_call(&reply, client, &call, err);
        if (reply.http >= 400 && reply.http != 503)
            break;
        if (w.heard)
            tries = 0;
        if (!w.end) // the server stops, or starts anew
            nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    }
    if (w.drawn)
        ak_progress_clear(&w.bar);
    if (w.end)
        status = AK_OK;
    else if (status == AK_OK)
        status = ak_fail(err, AK_IO, "the events of job %s end before the job does", id);
    *job = w.end;
    ak_reply_clear(&reply);
    ak_buf_clear(&w.line);
    free(path);
    return status;
}
