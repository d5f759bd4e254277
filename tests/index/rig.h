// What the tests of index/ share: folders of their own, pictures made of a number, short writes.
#ifndef AK_TESTS_INDEX_RIG_H
#define AK_TESTS_INDEX_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/base/log.h"
#include "core/base/random.h"
#include "index/inside.h"
#include "index/store.h"

#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DIMS  256
#define MODEL "m1"

static inline char *rig_folder(void)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    assert_true(asprintf(&path, "%s/akin-index-XXXXXX", base ? base : "/tmp") > 0);
    assert_non_null(mkdtemp(path));
    return path;
}

static inline int rig_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static inline void rig_remove(char *folder)
{
    nftw(folder, rig_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
}

#define rig_ok(status, err) rig_ok_at(status, err, __FILE__, __LINE__)
static inline void rig_ok_at(ak_status status, const ak_error *err, const char *file, int line)
{
    if (status == AK_OK)
        return;
    print_error("%s:%d: %s: %s\n", file, line, ak_status_code(status), err->text);
    fail();
}

// The store of a folder, with a model and a collection "c".
static inline ak_store *rig_open_with(const char *folder, const ak_store_options *options)
{
    ak_store *store = NULL;
    ak_error err = {0};
    rig_ok(ak_store_open(&store, folder, options, &err), &err);
    ak_model_facts facts = {.id = MODEL, .dims = DIMS, .state = AK_MODEL_IMPORTED};
    rig_ok(ak_store_model_add(store, &facts, (ak_bytes){(const uint8_t *)"weights", 7}, &err),
           &err);
    ak_write write = {.kind = AK_WRITE_COLLECTION_PUT, .collection = "c", .keep_original = -1};
    rig_ok(ak_store_write(store, &write, &err), &err);
    ak_collection_clear(&write.collection_out);
    return store;
}

static inline ak_store *rig_open(const char *folder)
{
    // No floor: the tests say when a disk is full.
    ak_store_options options = AK_STORE_OPTIONS_DEFAULT;
    options.disk_floor = 0;
    return rig_open_with(folder, &options);
}

// For tests of many pictures: a file each is slow on many disks.
static inline void rig_keep_no_originals(ak_store *store)
{
    ak_write write = {.kind = AK_WRITE_COLLECTION_PUT, .collection = "c", .keep_original = 0};
    ak_error err = {0};
    rig_ok(ak_store_write(store, &write, &err), &err);
    ak_collection_clear(&write.collection_out);
}

static inline ak_generation *rig_generation(ak_store *store)
{
    ak_generation *generation = NULL;
    ak_error err = {0};
    rig_ok(ak_store_generation(&generation, store, "c", &err), &err);
    return generation;
}

// --- pictures of a number ----------------------------------------------------------------------

typedef struct {
    ak_write write;
    char original[2000], proxy[3000], id[AK_ID_MAX + 1];
    float vector[DIMS];
} rig_upload;

static inline void rig_vector(float vector[DIMS], uint32_t number)
{
    ak_random random = ak_random_stream(77, number, 0, 0);
    double squares = 0;
    for (int i = 0; i < DIMS; i++) {
        vector[i] = (float)ak_random_normal(&random);
        squares += (double)vector[i] * vector[i];
    }
    for (int i = 0; i < DIMS; i++)
        vector[i] = (float)(vector[i] / sqrt(squares));
}

static inline void rig_bytes(char *out, size_t n, const char *what, uint32_t number)
{
    memset(out, (int)('a' + number % 26), n);
    snprintf(out, n, "%s %u", what, number);
}

// id NULL: the store makes one.
static inline void rig_fill(rig_upload *upload, ak_write_kind kind, const char *id, uint32_t number)
{
    *upload = (rig_upload){0};
    rig_bytes(upload->original, sizeof upload->original, "original", number);
    rig_bytes(upload->proxy, sizeof upload->proxy, "proxy", number);
    rig_vector(upload->vector, number);
    if (id)
        snprintf(upload->id, sizeof upload->id, "%s", id);
    upload->write = (ak_write){
        .kind = kind,
        .collection = "c",
        .id = id ? upload->id : NULL,
        .info = {.format = AK_FORMAT_JPEG, .width = 640, .height = 480, .orientation = 1},
        .original = {(const uint8_t *)upload->original, sizeof upload->original},
        .proxy = {(const uint8_t *)upload->proxy, sizeof upload->proxy},
        .vectors = {{MODEL, upload->vector, DIMS}},
        .vector_count = 1,
    };
    upload->write.sha256 = ak_sha256_of(upload->write.original);
}

static inline ak_sha256 rig_sum(uint32_t number)
{
    rig_upload upload;
    rig_fill(&upload, AK_WRITE_IMAGE_ADD, NULL, number);
    return upload.write.sha256;
}

// One upload, waited for. `created` and `id_out` may be NULL.
static inline ak_status rig_put(ak_store *store, ak_write_kind kind, const char *id,
                                uint32_t number, bool *created, char *id_out)
{
    rig_upload *upload = malloc(sizeof *upload);
    rig_fill(upload, kind, id, number);
    ak_status status = ak_store_write(store, &upload->write, NULL);
    if (created)
        *created = upload->write.created;
    if (id_out)
        strcpy(id_out, upload->write.record.id);
    ak_image_record_clear(&upload->write.record);
    free(upload);
    return status;
}

static inline ak_status rig_add(ak_store *store, const char *id, uint32_t number)
{
    return rig_put(store, AK_WRITE_IMAGE_ADD, id, number, NULL, NULL);
}

static inline ak_status rig_delete(ak_store *store, const char *id)
{
    ak_write write = {.kind = AK_WRITE_IMAGE_DELETE, .collection = "c", .id = id};
    return ak_store_write(store, &write, NULL);
}

// Many uploads at once, ids "PREFIXnumber", waited for all together; each must succeed.
static inline void rig_wait(ak_write *write)
{
    atomic_fetch_sub((atomic_int *)write->arg, 1);
}

static inline void rig_add_many(ak_store *store, const char *prefix, uint32_t first, uint32_t n)
{
    enum { AT_ONCE = 256 };
    rig_upload *uploads = calloc(AT_ONCE, sizeof *uploads);
    ak_error err = {0};
    for (uint32_t done = 0; done < n;) {
        uint32_t now = n - done < AT_ONCE ? n - done : AT_ONCE;
        atomic_int waiting = (int)now;
        for (uint32_t i = 0; i < now; i++) {
            char id[64];
            snprintf(id, sizeof id, "%s%u", prefix, first + done + i);
            rig_fill(&uploads[i], AK_WRITE_IMAGE_ADD, id, first + done + i);
            uploads[i].write.done = rig_wait;
            uploads[i].write.arg = &waiting;
            rig_ok(ak_store_submit(store, &uploads[i].write, &err), &err);
        }
        while (atomic_load(&waiting))
            usleep(200);
        for (uint32_t i = 0; i < now; i++) {
            rig_ok(uploads[i].write.status, &uploads[i].write.error);
            ak_image_record_clear(&uploads[i].write.record);
        }
        done += now;
    }
    free(uploads);
}

static inline ak_hits rig_search(ak_store *store, const float *query, size_t limit)
{
    ak_hits hits;
    ak_error err = {0};
    ak_generation *generation = rig_generation(store);
    ak_search search = {.query = query, .limit = limit, .min_score = -INFINITY};
    rig_ok(ak_store_search(&hits, store, generation, &search, &err), &err);
    ak_generation_release(generation);
    return hits;
}

static inline ak_collection rig_collection(ak_store *store)
{
    ak_collection collection;
    ak_error err = {0};
    rig_ok(ak_store_collection(&collection, store, "c", &err), &err);
    return collection;
}

// The catalog's count of something; reads through a connection of its own.
static inline int64_t rig_count(ak_store *store, bool proxies, const char *text)
{
    int64_t n = -1;
    bool found;
    ak_reader *reader = NULL;
    ak_error err = {0};
    rig_ok(ak_reader_take(&reader, &store->readers, &err), &err);
    rig_ok(ak_sql_number(&n, &found, proxies ? reader->proxies : reader->catalog, &err, text),
           &err);
    ak_reader_give(&store->readers, reader);
    return n;
}

// Waits, up to a minute, until the count is `wanted`: cleaning is the writer's, after the
// answer.
static inline void rig_until(ak_store *store, bool proxies, const char *text, int64_t wanted)
{
    for (int i = 0; i < 30000 && rig_count(store, proxies, text) != wanted; i++)
        usleep(2000);
    assert_int_equal(rig_count(store, proxies, text), wanted);
}

// Files below the folder's `blobs`.
static inline int *rig_file_count(void)
{
    static int n;
    return &n;
}

static inline int rig_count_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)path, (void)st, (void)ftw;
    *rig_file_count() += flag == FTW_F;
    return 0;
}

static inline int rig_blobs(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/blobs", folder);
    *rig_file_count() = 0;
    nftw(path, rig_count_one, 16, FTW_PHYS);
    return *rig_file_count();
}

#endif
