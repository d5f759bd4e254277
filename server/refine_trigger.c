#include "server/refine_trigger.h"

#include "core/base/log.h"
#include "server/daemon.h"
#include "server/training.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUNS_SEEN   8    // of the past, for the refusals in a row
#define DRIFT_LEAST 200  // new vectors, and old ones
#define DRIFT_MOST  2000 // of each

struct ak_refine_trigger {
    ak_server *server;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    pthread_t thread;
    int from, to; // the window, in minutes of the day
    double started_s;
    // The last run whose end was seen, and when that was by the monotonic clock.
    bool looked;
    char seen[AK_ULID_TEXT];
    double seen_s;
};

// --- the rules ---------------------------------------------------------------------------------

double ak_refine_back_off(int refusals, double first_s)
{
    static const double times[] = {0, 1, 4, 24};
    return first_s * times[refusals < 3 ? refusals : 3];
}

bool ak_refine_window_read(int *from, int *to, const char *text)
{
    int h, m, h2, m2, n = 0;
    *from = *to = 0;
    if (!*text)
        return true;
    if (sscanf(text, "%2d:%2d-%2d:%2d%n", &h, &m, &h2, &m2, &n) != 4 || text[n] || h < 0 ||
        h > 23 || h2 < 0 || h2 > 24 || m < 0 || m > 59 || m2 < 0 || m2 > 59 || h2 * 60 + m2 > 1440)
        return false;
    *from = h * 60 + m;
    *to = h2 * 60 + m2;
    return true;
}

bool ak_refine_window_holds(int from, int to, int64_t ms)
{
    int64_t day = 24 * 60, minute = ((ms / 60000) % day + day) % day;
    if (from == to)
        return true;
    return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

double ak_refine_elapsed(int64_t ended_ms, int64_t now_ms, double lived_s)
{
    return ended_ms <= now_ms ? (double)(now_ms - ended_ms) / 1000 : lived_s;
}

// --- looking -----------------------------------------------------------------------------------

typedef struct {
    double elapsed_s; // since the last run ended; < 0: there was none
    int refusals;     // in a row, the newest first
} past;

// An end in the future was written by a clock that has been set back since. It counts from the
// start of this process, and is kept so, or every restart would begin the wait anew.
static ak_status mend_end(const ak_job_record *run, ak_store *store, int64_t ended_ms,
                          ak_error *err)
{
    ak_job_record whole = {0}; // a list leaves the report out
    ak_status status = ak_store_job(&whole, store, run->id, err);
    whole.ended_at = ended_ms;
    if (status == AK_OK)
        status = ak_store_job_set(store, &whole, err);
    ak_job_record_clear(&whole);
    return status;
}

// Seconds since a run ended that is seen for the first time. Of what ended before the first look
// the wall clock is asked, and never again.
static double first_seen(ak_refine_trigger *t, const ak_job_record *run, ak_error *err)
{
    int64_t now = ak_clock_ms();
    double lived = ak_clock_s() - t->started_s;
    if (t->looked)
        return 0;
    if (run->ended_at > now)
        mend_end(run, t->server->store, now - (int64_t)(lived * 1000), err);
    return ak_refine_elapsed(run->ended_at, now, lived);
}

static ak_status look_back(past *p, ak_refine_trigger *t, ak_error *err)
{
    ak_job_record *runs = NULL;
    size_t n = 0;
    bool more;
    *p = (past){.elapsed_s = -1};
    ak_status status = ak_store_jobs(&runs, &n, &more, t->server->store, ak_job_training.name,
                                     false, INT64_MAX, RUNS_SEEN, err);
    bool row = true;
    for (size_t i = 0; status == AK_OK && i < n; i++) {
        json_t *result = json_loads(runs[i].result, 0, NULL);
        const char *decision = json_string_value(json_object_get(result, "decision"));
        row = row && ((decision && strcmp(decision, "refused") == 0) ||
                      strcmp(runs[i].state, "failed") == 0);
        p->refusals += row;
        json_decref(result);
    }
    if (status == AK_OK && n && runs[0].ended_at != AK_TIME_NONE) {
        double now = ak_clock_s();
        if (strcmp(t->seen, runs[0].id) != 0) {
            t->seen_s = now - first_seen(t, &runs[0], err);
            snprintf(t->seen, sizeof t->seen, "%s", runs[0].id);
        }
        p->elapsed_s = now - t->seen_s;
    }
    t->looked = t->looked || status == AK_OK;
    for (size_t i = 0; i < n; i++)
        ak_job_record_clear(&runs[i]);
    free(runs);
    return status;
}

static bool loaded(const ak_server_options *o)
{
    double load;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (getloadavg(&load, 1) != 1 || cores < 1)
        return false;
    return load * 100 > (double)o->refine_load * (double)cores;
}

// Why a run is due, or NULL.
static const char *due(ak_refine_trigger *t, const past *p, ak_error *err)
{
    const ak_server_options *o = t->server->options;
    ak_refine_facts *facts = NULL;
    size_t n = 0;
    int64_t news = 0, pictures = 0;
    const char *why = NULL;
    if (ak_store_refine_facts(&facts, &n, t->server->store, err) != AK_OK)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        news += facts[i].refine ? facts[i].news : 0;
        pictures += facts[i].refine ? facts[i].pictures : 0;
    }
    if (pictures < AK_TRAINING_LEAST || news == 0)
        goto done;
    if ((uint64_t)news >= o->refine_pictures)
        why = "pictures";
    else if (o->refine_every_h &&
             (p->elapsed_s < 0 || p->elapsed_s >= (double)o->refine_every_h * 3600))
        why = "schedule";
    for (size_t i = 0; !why && i < n; i++) {
        double drift = 0;
        if (facts[i].refine && facts[i].news >= DRIFT_LEAST &&
            ak_store_drift(&drift, t->server->store, facts[i].name, DRIFT_LEAST, DRIFT_MOST, err) ==
                AK_OK &&
            drift * 1000 >= (double)o->refine_drift)
            why = "drift";
    }
done:
    free(facts);
    return why;
}

static void look(ak_refine_trigger *t)
{
    const ak_server_options *o = t->server->options;
    ak_error err = {0};
    past p;
    json_t *job = NULL;
    if (ak_jobs_busy(t->server->jobs, &ak_job_training) || loaded(o) ||
        !ak_refine_window_holds(t->from, t->to, ak_clock_ms()))
        return;
    if (look_back(&p, t, &err) != AK_OK)
        goto failed;
    if (p.elapsed_s >= 0 &&
        p.elapsed_s < ak_refine_back_off(p.refusals, (double)o->refine_back_off_s))
        return;
    const char *why = due(t, &p, &err);
    if (err.status != AK_OK)
        goto failed;
    if (!why)
        return;
    const ak_training_request asked = {.seed = -1, .trigger = why};
    if (ak_training_begin(&job, t->server, &asked, NULL, &err) != AK_OK &&
        err.status != AK_CONFLICT)
        goto failed;
    if (job)
        ak_log(AK_LOG_INFO, "a training run begins: %s",
               strcmp(why, "pictures") == 0 ? "enough new pictures"
               : strcmp(why, "drift") == 0  ? "the new pictures differ from the old"
                                            : "it is time");
    json_decref(job);
    return;
failed:
    ak_log(AK_LOG_WARN, "whether a training run is due: %s", err.text);
}

// --- the thread --------------------------------------------------------------------------------

static void *trigger_main(void *arg)
{
    ak_refine_trigger *t = arg;
    pthread_setname_np(pthread_self(), "akin-refine");
    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += (time_t)t->server->options->refine_check_s;
        if (pthread_cond_timedwait(&t->wake, &t->lock, &until) == 0)
            continue; // woken to stop
        pthread_mutex_unlock(&t->lock);
        look(t);
        pthread_mutex_lock(&t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

ak_status ak_refine_trigger_start(ak_refine_trigger **out, ak_server *server, ak_error *err)
{
    const ak_server_options *o = server->options;
    int from, to;
    *out = NULL;
    if (!ak_refine_window_read(&from, &to, o->refine_window))
        return ak_fail(err, AK_BAD_VALUE,
                       "setting refine_window is \"%.32s\"; it takes hours like 22:00-06:00",
                       o->refine_window);
    if (strcmp(o->refine_promote, "auto") != 0 && strcmp(o->refine_promote, "ask") != 0)
        return ak_fail(err, AK_BAD_VALUE, "setting refine_promote is \"%.32s\"; auto or ask",
                       o->refine_promote);
    if (!o->refine_enabled || !o->refine_auto)
        return AK_OK;
    ak_refine_trigger *t = calloc(1, sizeof *t);
    if (!t)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the trigger");
    t->server = server;
    t->from = from;
    t->to = to;
    t->started_s = ak_clock_s();
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&t->lock, NULL);
    int failed = pthread_create(&t->thread, NULL, trigger_main, t);
    if (failed) {
        free(t);
        return ak_fail_errno(err, failed, "cannot start the trigger of training runs");
    }
    *out = t;
    return AK_OK;
}

void ak_refine_trigger_stop(ak_refine_trigger *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->wake);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
