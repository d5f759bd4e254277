// A run's process, over crashes: started again from its checkpoint, slowed down while requests come
// in, and kept from pictures that are deleted meanwhile.
#include "server/training.h"

#include "core/base/log.h"
#include "core/refine/rundir.h"
#include "server/daemon.h"
#include "server/refine_worker.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define QUIET_S     2.0 // without requests, after which it gets all threads again
#define REMOVALS_S  1.0 // between two looks at what was deleted
#define REMOVALS_N  256 // taken out at once
#define WAIT_MOST_S 60  // between a crash and the next try

typedef struct {
    ak_job *job;
    ak_server *server;
    const char *command, *folder;
    int told_threads; // -1: nothing yet
    unsigned long asked;
    double asked_s, removals_s;
    ak_error gone; // why it cannot go on
} run;

// --- threads -----------------------------------------------------------------------------------

static int threads_now(run *r)
{
    const ak_server_options *o = r->server->options;
    unsigned long asked = atomic_load(&r->server->pictures_asked);
    double now = ak_clock_s();
    if (asked != r->asked) {
        r->asked = asked;
        r->asked_s = now;
    }
    if (r->asked_s && now - r->asked_s < QUIET_S)
        return (int)o->refine_busy_threads;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return o->refine_threads ? (int)o->refine_threads : cores > 0 ? (int)cores : 1;
}

static void tell_threads(run *r, ak_worker *worker)
{
    int threads = threads_now(r);
    if (threads == r->told_threads)
        return;
    if (threads == 0)
        ak_worker_say(worker, "{\"pause\": true}");
    else
        ak_worker_say(worker, "{\"threads\": %d}", threads);
    if (threads && r->told_threads == 0)
        ak_worker_say(worker, "{\"pause\": false}");
    r->told_threads = threads;
}

// --- deletions ---------------------------------------------------------------------------------

static bool any_collection(run *r)
{
    json_t *request = ak_job_request(r->job), *name;
    size_t i;
    bool any = false;
    json_array_foreach(json_object_get(request, "collections"), i, name)
    {
        ak_collection c = {0};
        any = any || ak_store_collection(&c, r->server->store, json_string_value(name), NULL) !=
                         AK_UNKNOWN_COLLECTION;
        ak_collection_clear(&c);
    }
    json_decref(request);
    return any;
}

// Takes deleted pictures out of the folder, and sees whether there is still somebody to train for.
// True when there were some.
static bool remove_deleted(run *r)
{
    ak_store *store = r->server->store;
    ak_error err = {0};
    size_t n = 0, all = 0;
    ak_sha256 *sums = ak_alloc(REMOVALS_N, sizeof *sums);
    ak_status status = sums ? AK_OK : ak_fail(&err, AK_OUT_OF_MEMORY, "no memory for sums");
    while (status == AK_OK &&
           (status = ak_store_removals(sums, &n, store, REMOVALS_N, &err)) == AK_OK && n) {
        status = ak_rundir_remove(r->folder, sums, n, &err);
        if (status == AK_OK)
            status = ak_store_removals_done(store, sums, n, &err);
        all += n;
    }
    free(sums);
    if (status != AK_OK) // again in a second
        ak_log(AK_LOG_ERROR, "deleted pictures are still in %s: %s", r->folder, err.text);
    if (!any_collection(r)) // its pictures may be others' too, and stay
        ak_fail(&r->gone, AK_CONFLICT, "the run's collections have been deleted");
    return all > 0;
}

// --- the process -------------------------------------------------------------------------------

// Progress as whole numbers: counts where it counts, else thousandths.
static void on_line(void *arg, json_t *line)
{
    run *r = arg;
    json_t *left = json_object_get(line, "seconds_left"), *total = json_object_get(line, "total");
    json_t *share = json_object_get(line, "progress");
    json_int_t done = json_integer_value(json_object_get(line, "done"));
    json_int_t all = json_integer_value(total);
    if (json_is_number(share) && json_number_value(share) >= 0 && json_number_value(share) <= 1) {
        done = (json_int_t)(json_number_value(share) * 1000);
        all = 1000;
    } else if (!json_is_integer(total) || done < 0 || done > all) {
        return;
    }
    ak_job_progress(r->job, done, all, json_is_number(left) ? json_number_value(left) : -1, line);
}

static bool on_tick(void *arg, ak_worker *worker)
{
    run *r = arg;
    double now = ak_clock_s();
    tell_threads(r, worker);
    if (now - r->removals_s < REMOVALS_S)
        return false;
    r->removals_s = now;
    // A worker drops them at its next step; a gate has read what it judges, and begins anew.
    bool removed = remove_deleted(r);
    return r->gone.status != AK_OK || (removed && strcmp(r->command, "gate") == 0);
}

static bool wait_for(const atomic_bool *stop, int seconds)
{
    for (int i = 0; i < 10 * seconds && !atomic_load(stop); i++)
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    return !atomic_load(stop);
}

// Counts the crash, and waits. False: it has crashed too often, or is to stop.
static bool try_again(run *r, json_t *result, ak_error *err)
{
    const ak_server_options *o = r->server->options;
    json_int_t crashes = json_integer_value(json_object_get(result, "restarts")) + 1;
    if ((uint64_t)crashes > o->refine_restarts) {
        char text[sizeof err->text];
        memcpy(text, err->text, sizeof text);
        ak_fail(err, AK_INTERNAL, "%.300s; this was try %lld, after which the run is given up",
                text, (long long)crashes);
        return false;
    }
    ak_log(AK_LOG_WARN, "job %s: %s; it is started again", ak_job_id(r->job), err->text);
    json_object_set_new(result, "restarts", json_integer(crashes));
    if (ak_job_keep(r->job, result, NULL, err) != AK_OK)
        return false;
    int seconds = crashes > 6 ? WAIT_MOST_S : 1 << (crashes - 1);
    return wait_for(ak_job_stop(r->job), seconds < WAIT_MOST_S ? seconds : WAIT_MOST_S);
}

ak_status ak_refine_run(ak_job *job, const char *command, const char *folder, json_t *result,
                        ak_error *err)
{
    ak_server *server = ak_job_server(job);
    run r = {.job = job, .server = server, .command = command, .folder = folder};
    const ak_worker_options options = {
        .program = server->options->refine_program,
        .command = command,
        .folder = folder,
        .option = strcmp(command, "refine") == 0 ? "--with-parent" : "--progress",
        .memory_bytes = server->options->refine_memory,
        .nice = (int)server->options->refine_nice,
        .silence_s = (double)server->options->refine_silence_s,
        .stop = ak_job_stop(job),
        .line = on_line,
        .tick = on_tick,
        .arg = &r,
    };
    r.asked = atomic_load(&server->pictures_asked);
    for (;;) {
        r.told_threads = -1;
        remove_deleted(&r); // what went while nothing ran
        if (r.gone.status != AK_OK)
            break;
        switch (ak_worker_run(&options, err)) {
        case AK_WORKER_DONE:
            return AK_OK;
        case AK_WORKER_STOPPED:
            return ak_fail(err, AK_SHUTTING_DOWN, "the run was stopped");
        case AK_WORKER_FAILED:
            return err->status;
        case AK_WORKER_AGAIN:
            break;
        case AK_WORKER_CRASHED:
            if (!try_again(&r, result, err))
                return atomic_load(ak_job_stop(job))
                           ? ak_fail(err, AK_SHUTTING_DOWN, "the run was stopped")
                           : err->status;
            break;
        }
    }
    *err = r.gone;
    return err->status;
}
