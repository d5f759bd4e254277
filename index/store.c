// Opening, closing, and the reads of the store. inside.h says what is in it and who owns what.
#include "index/store.h"

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "index/inside.h"
#include "index/migrate.h"
#include "index/proxies.h"
#include "index/valid.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PATH_ROOM    120 // bytes that the longest name within the data folder takes
#define BLOB_MOST    (SIZE_MAX / 4)
#define LOCK_LOOK_US 10000

// --- opening and closing -----------------------------------------------------------------------

// The number of the process that holds the lock, as the lock file has it; "" when it has none.
static void read_holder(char *text, size_t room, int fd)
{
    ssize_t n = pread(fd, text, room - 1, 0);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
}

// Whose holder is gone is about to be free: a process that was killed while it started another left
// it the lock, until that one ends or becomes its program.
static bool lock_is_left_over(const char *holder)
{
    pid_t pid = (pid_t)strtol(holder, NULL, 10);
    return pid <= 0 || (kill(pid, 0) != 0 && errno == ESRCH);
}

static ak_status lock_folder(ak_store *store, ak_error *err)
{
    char path[PATH_MAX], text[32];
    double until = ak_clock_s() + store->options.lock_wait_s;
    snprintf(path, sizeof path, "%s/lock", store->data);
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (store->lock_fd < 0)
        return ak_fail_errno(err, errno, "cannot open %s", path);
    while (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return ak_fail_errno(err, errno, "cannot lock %s", path);
        read_holder(text, sizeof text, store->lock_fd);
        if (!lock_is_left_over(text) || ak_clock_s() >= until)
            return ak_fail(err, AK_CONFLICT, "%s is in use by another process (%s)", store->data,
                           text[0] ? text : "unknown");
        usleep(LOCK_LOOK_US);
    }
    // For the message above alone; a full disk need not stop us here.
    int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    if (ftruncate(store->lock_fd, 0) != 0 || pwrite(store->lock_fd, text, (size_t)n, 0) != n)
        ak_log(AK_LOG_DEBUG, "the lock file does not name this process");
    return AK_OK;
}

static ak_status open_database(ak_sql **out, ak_store *store, const char *name,
                               const ak_migrations *migrations, ak_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", store->data, name);
    ak_status status = ak_sql_open(out, store->files, path, AK_SQL_WRITE, err);
    return status == AK_OK ? ak_migrate(*out, migrations, err) : status;
}

static ak_status open_folder(ak_store *store, ak_error *err)
{
    static const char *const names[] = {"", "/models", "/cache"};
    ak_status status = AK_OK;
    for (size_t i = 0; status == AK_OK && i < 3; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s%s", store->data, names[i]);
        status = ak_folder_make(path, err);
    }
    if (status == AK_OK)
        status = lock_folder(store, err);
    if (status == AK_OK)
        status = ak_sql_files_new(&store->files, &store->disk, err);
    if (status == AK_OK)
        status = open_database(&store->catalog, store, "catalog.db", &ak_catalog_migrations, err);
    if (status == AK_OK)
        status = open_database(&store->proxies, store, "proxies.db", &ak_proxies_migrations, err);
    if (status == AK_OK)
        status = ak_catalog_store_id(store->id, store->catalog, err);
    if (status == AK_OK)
        status = ak_blobs_open(&store->blobs, store->data, &store->disk, err);
    if (status == AK_OK) // the names of what was just made
        status = ak_disk_sync_folder(&store->disk, store->data, err);
    return status;
}

static ak_store *store_new(const char *location, const ak_store_options *options)
{
    ak_store *store = ak_alloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->data = ak_strndup(location, strlen(location));
    store->options = options ? *options : AK_STORE_OPTIONS_DEFAULT;
    store->lock_fd = -1;
    store->sweep_due = true;
    ak_queue_init(&store->queue, store->options.write_queue);
    pthread_mutex_init(&store->fold_lock, NULL);
    pthread_cond_init(&store->fold_wanted, NULL);
    pthread_mutex_init(&store->folding, NULL);
    ak_pins_init(&store->pins);
    ak_generations_init(&store->generations, ak_writer_sweep, store);
    return store;
}

ak_status ak_store_open(ak_store **out, const char *location, const ak_store_options *options,
                        ak_error *err)
{
    *out = NULL;
    if (strlen(location) == 0 || strlen(location) > PATH_MAX - PATH_ROOM)
        return ak_fail(err, AK_BAD_VALUE, "the path of the data has %zu bytes; 1 to %d",
                       strlen(location), PATH_MAX - PATH_ROOM);
    ak_store *store = store_new(location, options);
    if (!store || !store->data) {
        ak_store_close(store);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a store");
    }
    if (store->options.readers < 1 || store->options.group_writes < 1 ||
        store->options.write_queue < 1) {
        ak_store_close(store);
        return ak_fail(err, AK_BAD_VALUE,
                       "a store needs a reader, a queue and a group of 1 or more");
    }
    ak_status status = open_folder(store, err);
    if (status == AK_OK)
        status = ak_clean_arrivals(store, err);
    if (status == AK_OK)
        status = ak_clean_incoming(store, err);
    if (status == AK_OK)
        status = ak_models_clean_files(store, err);
    if (status == AK_OK)
        status = ak_load_generations(store, err);
    if (status == AK_OK)
        status = ak_readers_open(&store->readers, store->files, store->data,
                                 (size_t)store->options.readers, err);
    if (status == AK_OK)
        status = ak_folder_start(store, err);
    if (status == AK_OK)
        status = ak_writer_start(store, err);
    if (status != AK_OK) {
        ak_store_close(store);
        return status;
    }
    ak_folder_wake(store);
    *out = store;
    return AK_OK;
}

void ak_store_close(ak_store *store)
{
    if (!store)
        return;
    ak_writer_stop(store);
    ak_folder_stop(store);
    ak_readers_close(&store->readers);
    ak_sql_close(store->catalog);
    ak_sql_close(store->proxies);
    ak_sql_files_free(store->files);
    ak_blobs_close(&store->blobs);
    ak_generations_clear(&store->generations);
    ak_pins_clear(&store->pins);
    ak_queue_clear(&store->queue);
    pthread_mutex_destroy(&store->fold_lock);
    pthread_cond_destroy(&store->fold_wanted);
    pthread_mutex_destroy(&store->folding);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store->data);
    free(store);
}

// --- generations and collections ---------------------------------------------------------------

ak_status ak_store_generation(ak_generation **out, ak_store *store, const char *collection,
                              ak_error *err)
{
    *out = ak_generations_named(&store->generations, collection);
    return *out ? AK_OK
                : ak_fail(err, AK_UNKNOWN_COLLECTION, "there is no collection \"%.80s\"",
                          collection);
}

ak_status ak_store_collection(ak_collection *out, ak_store *store, const char *name, ak_error *err)
{
    ak_reader *reader = NULL;
    *out = (ak_collection){0};
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_catalog_collection_read(out, reader->catalog, name, err);
    ak_reader_give(&store->readers, reader);
    return status;
}

static ak_status check_limit(size_t limit, size_t most, ak_error *err)
{
    return limit >= 1 && limit <= most
               ? AK_OK
               : ak_fail(err, AK_BAD_VALUE, "limit is %zu; 1 to %zu", limit, most);
}

ak_status ak_store_collections(ak_collection **items, size_t *n, bool *more, ak_store *store,
                               const char *after, size_t limit, ak_error *err)
{
    ak_reader *reader = NULL;
    *items = NULL;
    *n = 0;
    *more = false;
    ak_status status = check_limit(limit, AK_LIST_MAX, err);
    if (status == AK_OK)
        status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_catalog_collections(items, n, more, reader->catalog, after, limit, err);
    ak_reader_give(&store->readers, reader);
    if (status != AK_OK) {
        for (size_t i = 0; i < *n; i++)
            ak_collection_clear(&(*items)[i]);
        free(*items);
        *items = NULL;
        *n = 0;
    }
    return status;
}

// --- images ------------------------------------------------------------------------------------

// A reader, with the collection and the image looked up in its state.
static ak_status look_up(ak_reader **reader, ak_image_row *image, ak_store *store,
                         const char *collection, const char *id, ak_error *err)
{
    ak_collection_row row;
    bool found = false;
    ak_status status = ak_reader_take(reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_catalog_collection(&row, (*reader)->catalog, collection, err);
    if (status == AK_OK)
        status = ak_catalog_image(image, &found, (*reader)->catalog, row.key, id, err);
    if (status == AK_OK && !found)
        status = ak_fail(err, AK_UNKNOWN_IMAGE, "there is no image \"%.128s\" in \"%s\"", id,
                         collection);
    return status;
}

ak_status ak_store_image(ak_image_record *out, ak_store *store, const char *collection,
                         const char *id, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_image_row image;
    *out = (ak_image_record){0};
    ak_status status = look_up(&reader, &image, store, collection, id, err);
    if (status == AK_OK)
        status = ak_catalog_record(out, reader->catalog, image.key, err);
    ak_reader_give(&store->readers, reader);
    return status;
}

ak_status ak_store_images(ak_image_record **items, size_t *n, bool *more, ak_store *store,
                          const char *collection, ak_order order, const ak_position *after,
                          size_t limit, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_collection_row row;
    *items = NULL;
    *n = 0;
    *more = false;
    ak_status status = check_limit(limit, AK_LIST_MAX, err);
    if (status == AK_OK)
        status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_catalog_collection(&row, reader->catalog, collection, err);
    if (status == AK_OK)
        status =
            ak_catalog_images(items, n, more, reader->catalog, row.key, order, after, limit, err);
    ak_reader_give(&store->readers, reader);
    if (status != AK_OK) {
        for (size_t i = 0; i < *n; i++)
            ak_image_record_clear(&(*items)[i]);
        free(*items);
        *items = NULL;
        *n = 0;
    }
    return status;
}

ak_status ak_store_check(ak_store *store, const char *collection, const ak_sha256 *sums, size_t n,
                         void (*found)(void *arg, size_t i, const char *id), void *arg,
                         ak_error *err)
{
    ak_reader *reader = NULL;
    ak_collection_row row;
    if (n > AK_CHECK_MAX)
        return ak_fail(err, AK_BAD_VALUE, "%zu sums; at most %d", n, AK_CHECK_MAX);
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_catalog_collection(&row, reader->catalog, collection, err);
    for (size_t i = 0; status == AK_OK && i < n; i++)
        status = ak_catalog_check(reader->catalog, row.key, &sums[i], i, found, arg, err);
    ak_reader_give(&store->readers, reader);
    return status;
}

ak_status ak_store_proxy(ak_buf *out, ak_store *store, const char *collection, const char *id,
                         ak_error *err)
{
    ak_reader *reader = NULL;
    ak_image_row image;
    bool found = false;
    ak_status status = look_up(&reader, &image, store, collection, id, err);
    if (status == AK_OK)
        status = ak_proxies_read(out, &found, reader->proxies, &image.sha256, err);
    // Only a picture that was deleted since the state was taken has none.
    if (status == AK_OK && !found)
        status = ak_fail(err, AK_UNKNOWN_IMAGE, "the image \"%.128s\" has just been deleted", id);
    ak_reader_give(&store->readers, reader);
    return status;
}

ak_status ak_store_original(ak_buf *out, ak_store *store, const char *collection, const char *id,
                            ak_error *err)
{
    ak_reader *reader = NULL;
    ak_image_row image;
    ak_picture_row picture = {0};
    bool found = false;
    ak_status status = look_up(&reader, &image, store, collection, id, err);
    if (status == AK_OK)
        status = ak_catalog_picture(&picture, &found, reader->catalog, &image.sha256, err);
    ak_reader_give(&store->readers, reader);
    if (status == AK_OK && !picture.original)
        return ak_fail(err, AK_NOT_FOUND, "the original of \"%.128s\" is not kept", id);
    if (status == AK_OK)
        status = ak_blobs_read(out, &store->blobs, &image.sha256, BLOB_MOST, err);
    return status;
}

ak_status ak_store_vector(float *out, ak_store *store, ak_generation *generation, const char *id,
                          ak_error *err)
{
    ak_reader *reader = NULL;
    ak_image_row image;
    bool found = false;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_catalog_image(&image, &found, reader->catalog, generation->collection, id, err);
    if (status == AK_OK && found)
        status = ak_catalog_vector(out, &found, reader->catalog, generation->model_key,
                                   image.picture, generation->dims, err);
    if (status == AK_OK && !found)
        status = ak_fail(err, AK_UNKNOWN_IMAGE, "there is no image \"%.128s\" in \"%s\"", id,
                         generation->name);
    ak_reader_give(&store->readers, reader);
    return status;
}

// --- pictures ----------------------------------------------------------------------------------

ak_status ak_store_wanted(ak_wanted *out, ak_store *store, ak_generation *generation,
                          const ak_sha256 *sha256, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_rows *rows = NULL;
    bool more = false;
    out->n = 0;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_sql_query(
            &rows, reader->catalog, err,
            "SELECT m.id FROM collections c JOIN generations g ON g.key IN (c.serving_generation, "
            "c.coming_generation) JOIN models m ON m.key = g.model WHERE c.key = ?1 AND NOT EXISTS "
            "(SELECT 1 FROM pictures p JOIN vectors v ON v.picture = p.key AND v.model = m.key "
            "WHERE p.sha256 = ?2) ORDER BY g.key IS c.coming_generation",
            ak_int(generation->collection), ak_blob(sha256->at, sizeof sha256->at));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more &&
           out->n < AK_UPLOAD_MODELS)
        snprintf(out->ids[out->n++], sizeof *out->ids, "%s", ak_sql_text(rows, 0));
    ak_sql_end(rows);
    ak_reader_give(&store->readers, reader);
    return status;
}

ak_status ak_store_picture_proxy(ak_buf *out, ak_store *store, const ak_sha256 *sum, ak_error *err)
{
    ak_reader *reader = NULL;
    bool found = false;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_proxies_read(out, &found, reader->proxies, sum, err);
    ak_reader_give(&store->readers, reader);
    return status == AK_OK && !found ? ak_fail(err, AK_NOT_FOUND, "the picture has been deleted")
                                     : status;
}

ak_status ak_store_pin(ak_store *store, const ak_sha256 *sha256, ak_error *err)
{
    return ak_pins_add(&store->pins, sha256, err);
}

void ak_store_unpin(ak_store *store, const ak_sha256 *sha256)
{
    if (ak_pins_remove(&store->pins, sha256))
        ak_writer_sweep(store);
}
