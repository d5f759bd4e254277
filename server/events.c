// Server-sent events of jobs (HTML Living Standard, 9.2): a snapshot, progress, the end.
//
// Nothing is queued: a listener remembers the number of the last event that it was told, and when
// it can take more it is told how the job stands now. Who reads slowly misses what was in between,
// who does not read at all is the transport's to drop. Listeners are guarded by jobs->lock.
#include "server/jobs_inside.h"

#include "server/handlers.h"

#include <stdlib.h>
#include <string.h>

struct ak_listener {
    ak_stream stream; // first
    ak_jobs *jobs;
    ak_job *job;   // NULL: it had ended
    json_t *ended; // how it had
    int64_t seen;  // the last event's number
    bool begun, over;
    double heard_s; // when something was sent last
    char *text;     // being sent
    size_t n, at;
    ak_listener *next;
};

static void say(ak_listener *l, const char *event, int64_t id, const json_t *data)
{
    char *json = json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(9)), *text = NULL;
    int n = json ? asprintf(&text, "id: %lld\nevent: %s\ndata: %s\n\n", (long long)id, event, json)
                 : -1;
    free(json);
    free(l->text);
    l->text = n < 0 ? NULL : text; // out of memory: this event is missed
    l->n = n < 0 ? 0 : (size_t)n;
    l->at = 0;
    l->seen = id;
}

static void beat(ak_listener *l)
{
    free(l->text);
    l->text = strdup(": still here\n\n");
    l->n = l->text ? strlen(l->text) : 0;
    l->at = 0;
}

// The next event into l->text; nothing when there is none.
static void compose(ak_listener *l)
{
    const ak_server_options *o = l->jobs->server->options;
    ak_job *job = l->job;
    bool over = !job || job->ended;
    bool due = !l->begun || (over ? !l->over : job->record.event > l->seen);
    if (!due && ak_clock_s() - l->heard_s >= (double)o->heartbeat_s) {
        beat(l);
    } else if (due) {
        json_t *data = job ? ak_job_json(job) : json_incref(l->ended);
        const char *event = !l->begun ? "snapshot" : over ? "end" : "progress";
        // The end needs a number of its own behind a snapshot that told the same.
        int64_t id = job ? job->record.event : l->seen;
        l->over = over && l->begun;
        say(l, event, l->over ? id + 1 : id, data);
        json_decref(data);
        l->begun = true;
    }
}

static ptrdiff_t read_events(ak_stream *stream, char *to, size_t n)
{
    ak_listener *l = (ak_listener *)stream;
    ptrdiff_t got = 0;
    pthread_mutex_lock(&l->jobs->lock);
    if (l->at == l->n) {
        l->at = l->n = 0;
        if (l->over || l->jobs->closing)
            got = -1;
        else
            compose(l);
    }
    if (got == 0 && l->at < l->n) {
        got = (ptrdiff_t)(n < l->n - l->at ? n : l->n - l->at);
        memcpy(to, l->text + l->at, (size_t)got);
        l->at += (size_t)got;
        l->heard_s = ak_clock_s();
    }
    pthread_mutex_unlock(&l->jobs->lock);
    return got;
}

static void close_events(ak_stream *stream)
{
    ak_listener *l = (ak_listener *)stream;
    ak_jobs *jobs = l->jobs;
    pthread_mutex_lock(&jobs->lock);
    ak_listener **at = &jobs->listeners;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    jobs->listener_count--;
    if (l->job)
        ak_job_release(l->job);
    pthread_mutex_unlock(&jobs->lock);
    ak_stream_clear(&l->stream);
    json_decref(l->ended);
    free(l->text);
    free(l);
}

void ak_events_tell(ak_jobs *jobs, const ak_job *job)
{
    for (ak_listener *l = jobs->listeners; l; l = l->next)
        if (!job || l->job == job)
            ak_stream_wake(&l->stream);
}

void ak_events_beat(ak_jobs *jobs, double now_s)
{
    double silence = (double)jobs->server->options->heartbeat_s;
    for (ak_listener *l = jobs->listeners; l; l = l->next)
        if (now_s - l->heard_s >= silence)
            ak_stream_wake(&l->stream);
}

// --- the handler -------------------------------------------------------------------------------

static ak_status listen(ak_listener *l, ak_jobs *jobs, const char *id, ak_error *err)
{
    size_t most = (size_t)jobs->server->options->event_listeners;
    ak_job_record record = {0};
    ak_status status = AK_OK;
    // The store is asked first: a job that ends in between is found there or in the list.
    pthread_mutex_lock(&jobs->lock);
    if ((l->job = ak_job_find(jobs->first, NULL, id)))
        ak_job_hold(l->job);
    pthread_mutex_unlock(&jobs->lock);
    if (!l->job) {
        status = ak_store_job(&record, jobs->server->store, id, err);
        if (status == AK_OK && !(l->ended = ak_job_record_json(&record)))
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a job");
        l->seen = record.event;
        ak_job_record_clear(&record);
    }
    pthread_mutex_lock(&jobs->lock);
    if (status == AK_OK && jobs->listener_count >= most)
        status = ak_fail(err, AK_OVERLOADED,
                         "%zu clients listen to events, as many as may; poll "
                         "the job, or try again",
                         jobs->listener_count);
    if (status == AK_OK) {
        l->next = jobs->listeners;
        jobs->listeners = l;
        jobs->listener_count++;
        pthread_cond_broadcast(&jobs->changed); // the teller sleeps while nobody listens
    } else if (l->job) {
        ak_job_release(l->job);
    }
    pthread_mutex_unlock(&jobs->lock);
    return status;
}

void ak_handle_job_events(ak_request *r)
{
    ak_error err = {0};
    ak_jobs *jobs = r->server->jobs;
    ak_listener *l = calloc(1, sizeof *l);
    if (!l) {
        ak_fail(&err, AK_OUT_OF_MEMORY, "no memory for a listener");
        ak_request_fail(r, &err);
        return;
    }
    ak_stream_init(&l->stream);
    l->stream.read = read_events;
    l->stream.close = close_events;
    l->jobs = jobs;
    l->heard_s = ak_clock_s();
    if (listen(l, jobs, r->params[0], &err) != AK_OK) {
        ak_stream_clear(&l->stream);
        json_decref(l->ended);
        free(l);
        ak_request_fail(r, &err);
        return;
    }
    // Who has seen the end and comes again is told to stay away: 204 ends an EventSource.
    const char *last = r->headers.last_event_id;
    if (l->ended && last && strtoll(last, NULL, 10) > l->seen) {
        close_events(&l->stream);
        ak_respond_empty(r, 204);
    } else {
        ak_respond_header(r, "Cache-Control", "no-store");
        ak_respond_stream(r, "text/event-stream", &l->stream);
    }
    ak_request_finish(r);
}
