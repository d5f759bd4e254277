// The vectors of every collection at the start: from the cache where its rows are still what the
// catalog says, from the catalog where not. Runs before any other thread.
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

// Rows of main that the catalog does not have die; those that it has leave `rows`.
static void compare(ak_main *main, ak_row *rows, size_t *n)
{
    size_t at = 0, kept = 0;
    for (size_t i = 0; i < *n; i++) {
        while (at < main->n && main->rows[at].image < rows[i].image)
            atomic_store(&main->died[at++], 1);
        if (at < main->n && main->rows[at].image == rows[i].image) {
            if (memcmp(&main->rows[at], &rows[i], sizeof *rows) == 0) {
                at++;
                continue;
            }
            atomic_store(&main->died[at++], 1);
        }
        rows[kept++] = rows[i];
    }
    while (at < main->n)
        atomic_store(&main->died[at++], 1);
    *n = kept;
}

static ak_status append(ak_generation *generation, ak_sql *db, const ak_row *rows, size_t n,
                        ak_error *err)
{
    ak_status status = AK_OK;
    size_t missing = 0;
    float *vector = ak_alloc((size_t)generation->dims, sizeof *vector);
    if (!vector)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a vector");
    ak_vectors_begin(generation->vectors);
    for (size_t i = 0; status == AK_OK && i < n; i++) {
        bool found = false;
        status = ak_catalog_vector(vector, &found, db, generation->model_key, rows[i].picture,
                                   generation->dims, err);
        if (status == AK_OK && found)
            status = ak_vectors_append(generation->vectors, &rows[i], vector, err);
        missing += !found;
    }
    ak_vectors_publish(generation->vectors);
    free(vector);
    if (status == AK_OK && missing)
        ak_log(AK_LOG_WARN, "%zu images of %s have no vector of %s and cannot be found", missing,
               generation->name, generation->model);
    return status;
}

static ak_status load(ak_store *store, ak_generation *generation, ak_error *err)
{
    char path[PATH_MAX];
    ak_row *rows = NULL;
    size_t n = 0, all;
    ak_main *main = NULL;
    ak_error why;
    ak_cache_key key = {store->id, generation->model, generation->key, generation->dims};
    ak_status status = list_rows(&rows, &n, store->catalog, generation->collection, err);
    if (status != AK_OK)
        goto done;
    all = n;
    if (n)
        qsort(rows, n, sizeof *rows, by_image);
    ak_folder_cache_path(path, sizeof path, store, generation->key);
    ak_status cached = ak_cache_read(&main, path, &key, &why);
    if (cached == AK_OK)
        compare(main, rows, &n);
    if (cached == AK_OK)
        status = ak_vectors_adopt(generation->vectors, main, err);
    if (status == AK_OK)
        status = append(generation, store->catalog, rows, n, err);
    if (status != AK_OK)
        goto done;
    if (cached != AK_OK && cached != AK_NOT_FOUND)
        ak_log(AK_LOG_WARN, "the index file of %s is rebuilt: %s", generation->name, why.text);
    if (n < all)
        ak_log(AK_LOG_INFO, "%s: %zu vectors from the index file, %zu from the catalog",
               generation->name, all - n, n);
    else if (all >= AK_FOLD_ROWS)
        ak_log(AK_LOG_INFO, "%s: %zu vectors from the catalog, its index is built",
               generation->name, all);
done:
    free(rows);
    return status;
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
    ak_status status = ak_catalog_generations(&rows, &n, store->catalog, err);
    if (status == AK_OK && !ak_generations_reserve(&store->generations, n + 1))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu collections", n);
    for (size_t i = 0; status == AK_OK && i < n; i++) {
        ak_generation *generation = NULL;
        rows[i].sequence--; // what is loaded is a batch whose sequence is the catalog's
        status = ak_generation_new(&generation, &rows[i], err);
        if (status == AK_OK)
            status = load(store, generation, err);
        if (status == AK_OK)
            ak_generations_add(&store->generations, generation);
        ak_generation_release(generation);
    }
    free(rows);
    if (status == AK_OK)
        remove_strays(store);
    return status;
}
