// filler->lock guards `wanted`; a leaf. What is missing is listed in the catalog, so that a wake
// that is lost by a crash is made up for by the look at the start.
#include "server/filler.h"

#include "core/base/log.h"
#include "server/daemon.h"
#include "server/reembed.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SETTLE_MS 500 // more may come: they are embedded together
#define AGAIN_S   60  // a look without a wake
#define RETRY_S   10  // after a failure: what is missing is not found until then

struct ak_filler {
    ak_server *server;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool wanted;
    bool failed; // the last look; of the thread alone
    atomic_bool stop;
};

static void wait_ms(ak_filler *f, long ms, bool until_wanted)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&f->lock);
    while (!atomic_load(&f->stop) && !(until_wanted && f->wanted))
        if (pthread_cond_timedwait(&f->wake, &f->lock, &until) != 0)
            break;
    if (until_wanted)
        f->wanted = false;
    pthread_mutex_unlock(&f->lock);
}

// False: it goes no further for now.
static bool fill_one(ak_filler *f)
{
    ak_error err;
    char model[AK_NAME_MAX + 1];
    bool found = false;
    ak_status status = ak_store_lagging(model, &found, f->server->store, &err);
    ak_reembed what = {.model = model, .stop = &f->stop};
    if (status == AK_OK && found)
        status = ak_reembed_run(f->server, &what, &err);
    f->failed = status != AK_OK && status != AK_SHUTTING_DOWN;
    if (f->failed)
        ak_log(AK_LOG_WARN, "vectors of a model that is kept are still missing: %s", err.text);
    return status == AK_OK && found;
}

static void *run(void *arg)
{
    ak_filler *f = arg;
    pthread_setname_np(pthread_self(), "akin-filler");
    while (!atomic_load(&f->stop)) {
        while (fill_one(f))
            continue;
        wait_ms(f, (f->failed ? RETRY_S : AGAIN_S) * 1000, true);
        wait_ms(f, SETTLE_MS, false);
    }
    return NULL;
}

ak_status ak_filler_start(ak_filler **out, ak_server *server, ak_error *err)
{
    *out = NULL;
    ak_filler *f = calloc(1, sizeof *f);
    if (!f)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the filler");
    f->server = server;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&f->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&f->lock, NULL);
    int failed = pthread_create(&f->thread, NULL, run, f);
    if (failed) {
        free(f);
        return ak_fail_errno(err, failed, "cannot start the filler's thread");
    }
    *out = f;
    return AK_OK;
}

void ak_filler_wake(ak_filler *f)
{
    pthread_mutex_lock(&f->lock);
    f->wanted = true;
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
}

void ak_filler_stop(ak_filler *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    atomic_store(&f->stop, true);
    pthread_cond_signal(&f->wake);
    pthread_mutex_unlock(&f->lock);
    pthread_join(f->thread, NULL);
    pthread_cond_destroy(&f->wake);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
