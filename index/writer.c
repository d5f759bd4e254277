// The writer thread: group commit.
//
// It takes all writes that wait (queue.h; up to group_writes), applies them in one catalog
// transaction, each under a savepoint (apply.c), then, in this order: proxies are committed,
// originals written and synced, vectors laid down, the catalog committed, vectors published, and
// every write told. Before the catalog's commit nothing of the group can be seen; after it, all of
// it. fsyncs of a group: one a database, one of the incoming folder, one an original (and a
// checkpoint's now and then).
//
// A failing step takes the whole group back; what it had brought to the disk is removed at once, or
// before the next group when that fails too (clean.c).
#include "core/base/clock.h"
#include "core/base/log.h"
#include "index/alter.h"
#include "index/group.h"
#include "index/proxies.h"

#include <stdlib.h>
#include <string.h>

#define GRUMBLE_S 60 // between two log lines on the same trouble

// --- one group ---------------------------------------------------------------------------------

// What goes on when the disk is full: deletions, and a way back.
static bool frees_room(const ak_write *write)
{
    int kind = (int)write->kind;
    return kind == AK_WRITE_COLLECTION_DELETE || kind == AK_WRITE_IMAGE_DELETE ||
           kind == AK_WRITE_CHANGE_ABANDON || kind == AK_WRITE_SERVE ||
           (kind == AK_WRITE_ALTER && ((const ak_alteration *)write)->small);
}

// A change of serving generations is a group of its own: within a group they stay as they are.
static bool alone(const ak_write *write)
{
    return (int)write->kind == AK_WRITE_SERVE;
}

// Only what concerns this write alone leaves the transaction usable for the others.
static bool ends_group(const ak_store *store, ak_status status)
{
    return !ak_sql_within(store->catalog) || status == AK_DISK_FULL || status == AK_READ_ONLY ||
           status == AK_IO || status == AK_CORRUPT;
}

static ak_status apply_one(ak_group *group, ak_write *write, ak_error *err)
{
    ak_store *store = group->store;
    ak_group_mark mark = group->n;
    ak_status status = ak_sql_save(store->catalog, err);
    if (status != AK_OK)
        return status;
    write->created = write->stale = write->lagging = false;
    write->status = ak_apply(group, write, &write->error);
    if (write->status == AK_OK) {
        group->changed = true;
        return ak_sql_keep(store->catalog, err);
    }
    if (ends_group(store, write->status)) {
        *err = write->error;
        return write->status;
    }
    ak_group_back(group, mark);
    return ak_sql_undo(store->catalog, err);
}

static ak_status apply_all(ak_group *group, ak_write *first, ak_error *err)
{
    ak_error floor;
    ak_status full = ak_store_room(group->store, &floor);
    ak_status status = ak_sql_begin(group->store->catalog, AK_SQL_WRITE, err);
    for (ak_write *write = first; status == AK_OK && write; write = write->next) {
        if (full == AK_OK || frees_room(write)) {
            status = apply_one(group, write, err);
        } else {
            write->status = full;
            write->error = floor;
        }
    }
    return status;
}

// Proxies and originals, on disk before the catalog names them.
static ak_status bring(ak_group *group, ak_error *err)
{
    ak_store *store = group->store;
    ak_status status = AK_OK;
    size_t n = 0;
    if (group->n.arrivals == 0)
        return AK_OK;
    const ak_sha256 **originals = ak_alloc(group->n.arrivals, sizeof(*originals));
    if (!originals)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a group's originals");
    status = ak_sql_begin(store->proxies, AK_SQL_WRITE, err);
    if (status == AK_OK)
        status = ak_proxies_arrived(store->proxies, err); // the group before has been committed
    for (size_t i = 0; status == AK_OK && i < group->n.arrivals; i++) {
        ak_arrival *arrival = &group->arrivals[i];
        status = ak_proxies_arrive(store->proxies, arrival->sum, err);
        if (status == AK_OK && arrival->proxy.n)
            status = ak_proxies_put(store->proxies, arrival->sum, arrival->proxy, err);
    }
    if (status == AK_OK)
        status = ak_sql_commit(store->proxies, err);
    ak_sql_rollback(store->proxies);
    store->unsettled = true; // until the catalog's commit, or until it is all removed
    for (size_t i = 0; status == AK_OK && i < group->n.arrivals; i++) {
        ak_arrival *arrival = &group->arrivals[i];
        if (!arrival->original.n)
            continue;
        status = ak_blobs_put(&store->blobs, arrival->sum, arrival->original, err);
        originals[n++] = arrival->sum;
    }
    if (status == AK_OK && n)
        status = ak_blobs_settle(&store->blobs, originals, n, err);
    free(originals);
    return status;
}

// Begins the generation's batch, under the sequence that its collection has in this group.
static ak_status touch(ak_group *group, ak_generation *generation, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    int64_t sequence = 0;
    bool found = false;
    for (size_t i = 0; i < group->touched_n; i++) {
        if (group->touched[i].generation == generation)
            return AK_OK;
        if (group->touched[i].generation->collection == generation->collection)
            sequence = group->touched[i].sequence;
    }
    if (!group->touched)
        group->touched = ak_alloc(group->n.vectors, sizeof *group->touched);
    if (!group->touched)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a group's vectors");
    ak_status status = AK_OK;
    if (!sequence) {
        status = ak_sql_number(&sequence, &found, db, err,
                               "SELECT sequence FROM collections WHERE key = ?",
                               ak_int(generation->collection));
        if (status == AK_OK)
            status = ak_catalog_sequence_set(db, generation->collection, (uint64_t)++sequence, err);
    }
    if (status != AK_OK)
        return status;
    ak_vectors_begin(generation->vectors, (uint64_t)sequence);
    group->touched[group->touched_n++] = (ak_touched){generation, sequence};
    return AK_OK;
}

// Vectors, under the sequence that the catalog's commit makes current.
static ak_status lay_vectors(ak_group *group, ak_error *err)
{
    ak_status status = AK_OK;
    for (size_t i = 0; status == AK_OK && i < group->n.vectors; i++) {
        ak_vector_change *change = &group->vectors[i];
        status = touch(group, change->generation, err);
        if (status != AK_OK)
            break;
        ak_vectors *vectors = change->generation->vectors;
        status = change->vector ? ak_vectors_append(vectors, &change->row, change->vector, err)
                                : ak_vectors_remove(vectors, change->row.image, err);
    }
    if (status == AK_OK && !ak_generations_reserve(&group->store->generations, group->n.serving))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for another collection");
    return status;
}

static void publish(ak_group *group)
{
    ak_store *store = group->store;
    bool due = false;
    for (size_t i = 0; i < group->touched_n; i++)
        ak_vectors_publish(group->touched[i].generation->vectors);
    for (size_t i = 0; i < group->n.serving; i++) {
        ak_serving_change *change = &group->serving[i];
        ak_generation *gone = change->generation;
        if (change->added)
            gone = ak_generations_add(&store->generations, change->generation);
        else
            ak_generations_drop(&store->generations, gone);
        if (!gone)
            continue;
        atomic_store(&gone->dropped, true);
        ak_folder_drop_cache(store, gone);
    }
    for (size_t i = 0; i < group->touched_n; i++)
        due = due || ak_vectors_fold_due(group->touched[i].generation->vectors);
    if (due)
        ak_folder_wake(store);
}

static ak_status commit(ak_group *group, ak_write *first, ak_error *err)
{
    ak_store *store = group->store;
    ak_status status = store->unsettled ? ak_clean_arrivals(store, err) : AK_OK;
    if (status == AK_OK)
        status = apply_all(group, first, err);
    if (status != AK_OK || !group->changed)
        goto done;
    status = bring(group, err);
    if (status == AK_OK)
        status = lay_vectors(group, err);
    if (status == AK_OK)
        status = ak_sql_commit(store->catalog, err);
    if (status == AK_OK) {
        store->unsettled = false;
        publish(group);
        return AK_OK;
    }
    for (size_t i = 0; i < group->touched_n; i++)
        ak_vectors_retract(group->touched[i].generation->vectors);
done:
    ak_sql_rollback(store->catalog);
    if (store->unsettled && status != AK_OK)
        ak_clean_arrivals(store, NULL); // again before the next group when it fails now
    return status;
}

static void grumble(ak_store *store, const char *what, const ak_error *err)
{
    if (store->grumble_s && ak_clock_s() - store->grumble_s < GRUMBLE_S)
        return;
    store->grumble_s = ak_clock_s();
    ak_log(AK_LOG_ERROR, "%s: %s", what, err->text);
}

static void commit_group(ak_store *store, ak_write *first)
{
    ak_error err = {AK_OK, ""};
    ak_group group = {.store = store};
    for (ak_write *write = first; write; write = write->next) {
        write->status = AK_OK;
        write->error = (ak_error){AK_OK, ""};
        write->record = (ak_image_record){0};
        write->collection_out = (ak_collection){0};
    }
    ak_status status = commit(&group, first, &err);
    if (status == AK_OK)
        store->sweep_due = store->sweep_due || group.deleted;
    else
        grumble(store, "a group of writes failed", &err);
    ak_group_clear(&group);
    ak_queue_answer(first, status, &err);
}

// --- the thread --------------------------------------------------------------------------------

static void *run(void *arg)
{
    ak_store *store = arg;
    ak_write *first;
    while (ak_queue_take(&first, &store->queue, store->options.group_writes, alone,
                         &store->sweep_due)) {
        bool more = false;
        ak_error err;
        if (first)
            commit_group(store, first);
        if (!store->sweep_due)
            continue;
        // A step that fails is tried again after the next deletion or at the next start.
        if (ak_clean_step(store, &more, &err) != AK_OK) {
            grumble(store, "deleted pictures are not removed yet", &err);
            more = false;
        }
        store->sweep_due = more;
    }
    return NULL;
}

ak_status ak_writer_start(ak_store *store, ak_error *err)
{
    int rc = pthread_create(&store->writer, NULL, run, store);
    if (rc != 0)
        return ak_fail_errno(err, rc, "cannot start the writer");
    pthread_setname_np(store->writer, "akin-writer");
    store->writer_runs = true;
    return AK_OK;
}

void ak_writer_stop(ak_store *store)
{
    if (!store->writer_runs)
        return;
    ak_queue_close(&store->queue);
    pthread_join(store->writer, NULL);
    store->writer_runs = false;
}

// --- callers -----------------------------------------------------------------------------------

ak_status ak_store_submit(ak_store *store, ak_write *write, ak_error *err)
{
    return ak_queue_submit(&store->queue, write, err);
}

ak_status ak_store_write(ak_store *store, ak_write *write, ak_error *err)
{
    return ak_queue_write(&store->queue, write, err);
}

void ak_writer_sweep(void *store)
{
    ak_queue_nudge(&((ak_store *)store)->queue);
}
