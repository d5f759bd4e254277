// Cleaning: what a failed group or a crash left half done, and what deletions left behind.
//
// On the writer thread, or before it runs. The order is always: the catalog forgets first, then the
// proxy and the file go. What must go is listed in a table (`arriving`, `unused`, `dropped`) before
// it is touched, so that a crash in between is finished at the next start.
#include "index/inside.h"
#include "index/proxies.h"

#include <stdlib.h>

#define STEP 256 // pictures of one step; twice as many images of a dropped collection

static ak_status settle(ak_store *store, const ak_sha256 *sum, ak_error *err)
{
    ak_picture_row picture = {0};
    bool found = false;
    ak_status status = ak_catalog_picture(&picture, &found, store->catalog, sum, err);
    if (status == AK_OK && !found)
        status = ak_proxies_remove(store->proxies, sum, err);
    if (status == AK_OK && !picture.original)
        status = ak_blobs_remove(&store->blobs, sum, err);
    return status;
}

ak_status ak_clean_arrivals(ak_store *store, ak_error *err)
{
    ak_sha256 *sums = NULL;
    size_t n = 0;
    ak_status status = ak_proxies_arriving(&sums, &n, store->proxies, err);
    // A commit that failed at its fsync may stand in the log all the same, to be found after a
    // power cut: another commit takes its place there before its proxies go.
    if (status == AK_OK && store->unsettled)
        status = ak_sql_begin(store->catalog, AK_SQL_WRITE, err);
    if (status == AK_OK && store->unsettled) {
        status = ak_sql_run(store->catalog, err, "UPDATE store SET settled = settled + 1");
        if (status == AK_OK)
            status = ak_sql_commit(store->catalog, err);
    }
    if (status == AK_OK && n)
        status = ak_sql_begin(store->proxies, AK_SQL_WRITE, err);
    for (size_t i = 0; status == AK_OK && i < n; i++)
        status = settle(store, &sums[i], err);
    if (status == AK_OK && n)
        status = ak_proxies_arrived(store->proxies, err);
    if (status == AK_OK && n)
        status = ak_sql_commit(store->proxies, err);
    if (status == AK_OK)
        store->unsettled = false;
    ak_sql_rollback(store->proxies);
    ak_sql_rollback(store->catalog);
    free(sums);
    return status;
}

static ak_status keeps_original(void *arg, const ak_sha256 *sum, bool *is)
{
    ak_store *store = arg;
    ak_picture_row picture = {0};
    bool found = false;
    ak_status status = ak_catalog_picture(&picture, &found, store->catalog, sum, NULL);
    *is = found && picture.original;
    return status;
}

ak_status ak_clean_incoming(ak_store *store, ak_error *err)
{
    return ak_blobs_recover(&store->blobs, keeps_original, store, err);
}

// --- after deletions ---------------------------------------------------------------------------

// A generation that a request still looks at keeps its vectors.
static bool held(void *arg, int64_t generation)
{
    ak_store *store = arg;
    return ak_generations_held(&store->generations, generation);
}

// The catalog's part. Pictures that an upload has pinned stay listed.
static ak_status forget(ak_store *store, bool *more, ak_error *err)
{
    ak_sha256 *sums = NULL;
    size_t n = 0, claimed = 0;
    bool purging = false, sweeping = false;
    ak_status status = ak_sql_begin(store->catalog, AK_SQL_WRITE, err);
    if (status == AK_OK)
        status = ak_catalog_purge(&purging, store->catalog, 2 * STEP, err);
    if (status == AK_OK)
        status = ak_catalog_unused(&sums, &n, store->catalog, STEP, err);
    for (size_t i = 0; status == AK_OK && i < n; i++) {
        if (!ak_pins_claim(&store->pins, &sums[i]))
            continue;
        claimed++;
        status = ak_catalog_picture_trim(store->catalog, &sums[i], err);
    }
    if (status == AK_OK && n < STEP)
        status = ak_catalog_sweep(&sweeping, store->catalog, 2 * STEP, held, store, err);
    if (status == AK_OK && (purging || claimed || sweeping))
        status = ak_sql_commit(store->catalog, err);
    ak_sql_rollback(store->catalog);
    *more = purging || sweeping || (n == STEP && claimed);
    free(sums);
    return status;
}

static ak_status remove_dropped(ak_store *store, bool *more, ak_error *err)
{
    ak_sha256 *sums = NULL;
    size_t n = 0;
    ak_status status = ak_catalog_dropped(&sums, &n, store->catalog, STEP, err);
    if (status != AK_OK || n == 0)
        goto done;
    status = ak_sql_begin(store->proxies, AK_SQL_WRITE, err);
    for (size_t i = 0; status == AK_OK && i < n; i++)
        status = settle(store, &sums[i], err); // what was stored again meanwhile stays
    if (status == AK_OK)
        status = ak_sql_commit(store->proxies, err);
    if (status == AK_OK)
        status = ak_sql_begin(store->catalog, AK_SQL_WRITE, err);
    for (size_t i = 0; status == AK_OK && i < n; i++)
        status = ak_catalog_dropped_done(store->catalog, &sums[i], err);
    if (status == AK_OK)
        status = ak_sql_commit(store->catalog, err);
    *more = *more || n == STEP;
done:
    ak_sql_rollback(store->proxies);
    ak_sql_rollback(store->catalog);
    free(sums);
    return status;
}

ak_status ak_clean_step(ak_store *store, bool *more, ak_error *err)
{
    *more = false;
    ak_generations_reap(&store->generations);
    ak_status status = forget(store, more, err);
    if (status == AK_OK)
        status = remove_dropped(store, more, err);
    if (status == AK_OK && !*more)
        status = ak_models_clean_step(store, more, err);
    ak_pins_release(&store->pins);
    return status;
}
