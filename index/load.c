// The vectors of a generation as the catalog has them: of every collection at the start, from the
// index file where its rows are still what the catalog says; and of one that is to serve, aside.
//
// ak_load_generations runs before any other thread. A generation that is loaded aside belongs to
// its caller; the writer thread brings it up to date once more before it serves.
#include "core/base/log.h"
#include "index/cache.h"
#include "index/inside.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The rows of a collection by ascending image key. The caller frees *out.
static ak_status list_rows(ak_row **out, size_t *n, ak_sql *db, int64_t collection, ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    size_t capacity = 0;
    *out = NULL;
    *n = 0;
    ak_status status = ak_sql_query(&rows, db, err,
                                    "SELECT i.key, i.picture, p.sha256 FROM images i JOIN pictures "
                                    "p ON p.key = i.picture WHERE i.collection = ?",
                                    ak_int(collection));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        if (*n == capacity) {
            capacity = capacity ? 2 * capacity : 1024;
            ak_row *grown = realloc(*out, capacity * sizeof *grown);
            if (!grown) {
                status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu images", capacity);
                break;
            }
            *out = grown;
        }
        ak_row *row = &(*out)[(*n)++];
        *row = (ak_row){.image = ak_sql_int(rows, 0), .picture = ak_sql_int(rows, 1)};
        ak_bytes sum = ak_sql_bytes(rows, 2);
        if (sum.n >= sizeof row->sha_head)
            memcpy(&row->sha_head, sum.at, sizeof row->sha_head);
    }
    ak_sql_end(rows);
    return status;
}

static int by_image(const void *a, const void *b)
{
    const ak_row *x = a, *y = b;
    return x->image < y->image ? -1 : x->image > y->image;
}

static ak_status append(ak_generation *generation, ak_sql *db, const ak_row *row, float *vector,
                        size_t *missing, ak_error *err)
{
    bool found = false;
    ak_status status = ak_catalog_vector(vector, &found, db, generation->model_key, row->picture,
                                         generation->dims, err);
    if (status == AK_OK && found)
        status = ak_vectors_append(generation->vectors, row, vector, err);
    *missing += !found;
    return status;
}

// The rows that the generation holds, `held`, become those that the catalog has, `rows`; both by
// ascending image.
static ak_status merge(ak_renewal *out, ak_generation *generation, ak_sql *db, const ak_row *rows,
                       size_t n, const ak_row *held, size_t held_n, ak_error *err)
{
    ak_status status = AK_OK;
    float *vector = ak_alloc((size_t)generation->dims, sizeof *vector);
    if (!vector)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a vector");
    for (size_t i = 0, at = 0; status == AK_OK && (i < n || at < held_n);) {
        bool gone = at < held_n && (i == n || held[at].image < rows[i].image);
        bool both = !gone && at < held_n && held[at].image == rows[i].image;
        bool same = both && memcmp(&held[at], &rows[i], sizeof *rows) == 0;
        if (gone || (both && !same))
            status = ak_vectors_remove(generation->vectors, held[at].image, err);
        if (status == AK_OK && !gone && !same) {
            status = append(generation, db, &rows[i], vector, &out->missing, err);
            out->fresh++;
        }
        at += gone || both;
        i += !gone;
    }
    free(vector);
    return status;
}

ak_status ak_load_renew(ak_renewal *out, ak_generation *generation, ak_sql *db, uint64_t sequence,
                        ak_error *err)
{
    ak_row *rows = NULL, *held = NULL;
    size_t held_n = 0;
    *out = (ak_renewal){0};
    ak_status status = list_rows(&rows, &out->rows, db, generation->collection, err);
    if (status == AK_OK)
        status = ak_vectors_rows(&held, &held_n, generation->vectors, err);
    if (status == AK_OK) {
        if (out->rows)
            qsort(rows, out->rows, sizeof *rows, by_image);
        ak_vectors_begin(generation->vectors, sequence);
        status = merge(out, generation, db, rows, out->rows, held, held_n, err);
        ak_vectors_publish(generation->vectors); // after a failure nobody will look at it
    }
    free(rows);
    free(held);
    return status;
}

ak_status ak_load_aside(ak_generation **out, const ak_generation_row *row, ak_sql *db,
                        ak_error *err)
{
    ak_buf calibration = {0};
    ak_renewal renewal;
    ak_generation_row empty = *row;
    empty.sequence--; // what is loaded is a batch whose sequence is the catalog's
    ak_status status = ak_generation_new(out, &empty, err);
    if (status == AK_OK)
        status = ak_catalog_calibration(&calibration, db, row->key, err);
    if (status == AK_OK)
        status = ak_generation_calibration_read(*out, ak_buf_bytes(&calibration), err);
    if (status == AK_OK)
        status = ak_load_renew(&renewal, *out, db, (uint64_t)row->sequence, err);
    if (status == AK_OK)
        status = ak_vectors_fold((*out)->vectors, err);
    ak_buf_clear(&calibration);
    if (status == AK_OK)
        atomic_store(&(*out)->cache_due, true); // once it serves
    if (status != AK_OK) {
        ak_generation_release(*out);
        *out = NULL;
    }
    return status;
}

// At the start: what the index file holds, made to be what the catalog says.
static ak_status load(ak_store *store, ak_generation *generation, uint64_t sequence, ak_error *err)
{
    char path[PATH_MAX];
    ak_main *main = NULL;
    ak_renewal renewal;
    ak_error why;
    ak_status status = AK_OK;
    ak_cache_key key = {store->id, generation->model, generation->key, generation->dims};
    ak_folder_cache_path(path, sizeof path, store, generation->key);
    ak_status cached = ak_cache_read(&main, path, &key, &why);
    if (cached == AK_OK)
        status = ak_vectors_adopt(generation->vectors, main, err);
    if (status == AK_OK)
        status = ak_load_renew(&renewal, generation, store->catalog, sequence, err);
    if (status != AK_OK)
        return status;
    if (cached != AK_OK && cached != AK_NOT_FOUND)
        ak_log(AK_LOG_WARN, "the index file of %s is rebuilt: %s", generation->name, why.text);
    if (renewal.missing)
        ak_log(AK_LOG_WARN, "%zu images of %s have no vector of %s and cannot be found yet",
               renewal.missing, generation->name, generation->model);
    if (renewal.fresh < renewal.rows)
        ak_log(AK_LOG_INFO, "%s: %zu vectors from the index file, %zu from the catalog",
               generation->name, renewal.rows - renewal.fresh, renewal.fresh);
    else if (renewal.rows >= AK_FOLD_ROWS)
        ak_log(AK_LOG_INFO, "%s: %zu vectors from the catalog, its index is built",
               generation->name, renewal.rows);
    return AK_OK;
}

// Index files of generations that are gone.
static void remove_strays(ak_store *store)
{
    char folder[PATH_MAX], path[PATH_MAX + 256];
    snprintf(folder, sizeof folder, "%s/cache", store->data);
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        char *end = entry->d_name;
        long long key = strtoll(entry->d_name, &end, 10);
        if (end == entry->d_name)
            continue;
        bool known = false;
        for (size_t i = 0; i < store->generations.n; i++)
            known = known || store->generations.items[i]->key == key;
        if (known && strcmp(end, ".main") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    closedir(dir);
}

ak_status ak_load_generations(ak_store *store, ak_error *err)
{
    ak_generation_row *rows = NULL;
    size_t n = 0;
    ak_status status = ak_catalog_generations(&rows, &n, store->catalog, AK_ROLE_SERVING, 0, err);
    if (status == AK_OK && !ak_generations_reserve(&store->generations, n + 1))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu collections", n);
    for (size_t i = 0; status == AK_OK && i < n; i++) {
        ak_generation *generation = NULL;
        uint64_t sequence = (uint64_t)rows[i].sequence--; // what is loaded is a batch under it
        status = ak_generation_new(&generation, &rows[i], err);
        if (status == AK_OK)
            status = load(store, generation, sequence, err);
        if (status == AK_OK)
            ak_generations_add(&store->generations, generation);
        ak_generation_release(generation);
    }
    free(rows);
    if (status == AK_OK)
        remove_strays(store);
    return status;
}
