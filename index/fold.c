// The fold thread: new main indexes, their cache files, and calibrations, for all generations.
//
// It wakes when the writer asks and every TICK_S; `folding` makes a round exclusive, so that a test
// may run one itself. Failures are logged; the old main goes on serving.
#include "core/base/log.h"
#include "index/cache.h"
#include "index/inside.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TICK_S 10

void ak_folder_cache_path(char out[], size_t size, const ak_store *store, int64_t generation)
{
    snprintf(out, size, "%s/cache/%lld.main", store->data, (long long)generation);
}

// The fold thread may be writing the file this moment: it looks at `dropped` when it has.
void ak_folder_drop_cache(ak_store *store, ak_generation *generation)
{
    char path[4096];
    ak_folder_cache_path(path, sizeof path, store, generation->key);
    if (unlink(path) != 0 && errno != ENOENT)
        ak_log(AK_LOG_WARN, "the index of %s cannot be removed", generation->name);
}

static void write_cache(ak_store *store, ak_generation *generation, bool all)
{
    char path[4096];
    ak_error err;
    ak_cache_key key = {store->id, generation->model, generation->key, generation->dims};
    ak_folder_cache_path(path, sizeof path, store, generation->key);
    ak_main *main = ak_vectors_main(generation->vectors);
    // A small index is read from the catalog as fast; an old file must not keep what was deleted.
    bool wanted = main && (all || main->n >= AK_FOLD_ROWS);
    atomic_store(&generation->cache_due, false);
    if (wanted && ak_cache_write(path, &key, main, &store->disk, &err) != AK_OK) {
        ak_log(AK_LOG_WARN, "the index of %s is not kept on disk: %s", generation->name, err.text);
        wanted = false;
    }
    if (!wanted || atomic_load(&generation->dropped))
        ak_folder_drop_cache(store, generation);
    ak_main_release(main);
}

static void visit(ak_store *store, ak_generation *generation, bool all)
{
    ak_error err;
    if (all || ak_vectors_fold_due(generation->vectors)) {
        if (ak_vectors_fold(generation->vectors, &err) == AK_OK)
            atomic_store(&generation->cache_due, true);
        else
            ak_log(AK_LOG_ERROR, "the index of %s is not renewed: %s", generation->name, err.text);
    }
    if (atomic_load(&generation->cache_due))
        write_cache(store, generation, all);
    ak_generation_recalibrate(generation);
}

void ak_folder_round(ak_store *store, bool all)
{
    pthread_mutex_lock(&store->folding);
    ak_generation *generation;
    for (size_t i = 0; (generation = ak_generations_at(&store->generations, i)); i++) {
        visit(store, generation, all);
        ak_generation_release(generation);
    }
    pthread_mutex_unlock(&store->folding);
}

static void *run(void *arg)
{
    ak_store *store = arg;
    pthread_mutex_lock(&store->fold_lock);
    while (!store->fold_stop) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += TICK_S;
        int rc = 0;
        while (!store->fold_asked && !store->fold_stop && rc == 0)
            rc = pthread_cond_timedwait(&store->fold_wanted, &store->fold_lock, &until);
        if (store->fold_stop)
            break;
        store->fold_asked = false;
        pthread_mutex_unlock(&store->fold_lock);
        ak_folder_round(store, false);
        pthread_mutex_lock(&store->fold_lock);
    }
    pthread_mutex_unlock(&store->fold_lock);
    return NULL;
}

ak_status ak_folder_start(ak_store *store, ak_error *err)
{
    int rc = pthread_create(&store->folder, NULL, run, store);
    if (rc != 0)
        return ak_fail_errno(err, rc, "cannot start the fold thread");
    pthread_setname_np(store->folder, "akin-fold");
    store->folder_runs = true;
    return AK_OK;
}

void ak_folder_stop(ak_store *store)
{
    if (!store->folder_runs)
        return;
    pthread_mutex_lock(&store->fold_lock);
    store->fold_stop = true;
    pthread_cond_signal(&store->fold_wanted);
    pthread_mutex_unlock(&store->fold_lock);
    pthread_join(store->folder, NULL);
    store->folder_runs = false;
}

void ak_folder_wake(ak_store *store)
{
    pthread_mutex_lock(&store->fold_lock);
    store->fold_asked = true;
    pthread_cond_signal(&store->fold_wanted);
    pthread_mutex_unlock(&store->fold_lock);
}
