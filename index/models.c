// Model files, data/models/ID.akin, and what the catalog says of them.
//
// The writer thread puts and removes files, so that a file and its row never cross: a file comes
// before its row is committed and goes after its row is gone. What a crash leaves without a row is
// removed at the next start. Reads come from any thread.
#include "core/base/file.h"
#include "core/base/log.h"
#include "index/inside.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MODEL_MOST ((size_t)1 << 31)
#define SUFFIX     ".akin"

typedef struct {
    const ak_model_facts *facts;
    ak_bytes file;
} addition;

typedef struct {
    const char *id, *measures;
    ak_model_state state;
} setting;

static ak_status model_path(char out[PATH_MAX], const ak_store *store, const char *id,
                            ak_error *err)
{
    if (!ak_name_valid(id, strlen(id)))
        return ak_fail(err, AK_BAD_VALUE, "\"%.80s\" cannot be a model's id", id);
    snprintf(out, PATH_MAX, "%s/models/%s" SUFFIX, store->data, id);
    return AK_OK;
}

static ak_status check_state(ak_model_state state, ak_error *err)
{
    bool fine =
        state == AK_MODEL_CANDIDATE || state == AK_MODEL_REFUSED || state == AK_MODEL_IMPORTED;
    return fine ? AK_OK
                : ak_fail(err, AK_BAD_VALUE,
                          "a model is said to be a candidate, refused or imported; the rest "
                          "follows from what it serves");
}

// --- writing -----------------------------------------------------------------------------------

ak_status ak_store_model_add(ak_store *store, const ak_model_facts *facts, ak_bytes file,
                             ak_error *err)
{
    char path[PATH_MAX];
    addition inside = {facts, file};
    ak_write write = {.kind = (ak_write_kind)AK_WRITE_MODEL_ADD, .inside = &inside};
    ak_status status = model_path(path, store, facts->id, err);
    if (status == AK_OK && facts->dims < 1)
        status = ak_fail(err, AK_BAD_VALUE, "a model of %d dimensions", facts->dims);
    if (status == AK_OK)
        status = check_state(facts->state, err);
    return status == AK_OK ? ak_queue_write(&store->queue, &write, err) : status;
}

ak_status ak_models_apply_add(ak_store *store, const ak_write *write, ak_error *err)
{
    const addition *add = write->inside;
    char path[PATH_MAX];
    ak_status status = model_path(path, store, add->facts->id, err);
    if (status == AK_OK && access(path, F_OK) != 0)
        status = ak_file_replace(path, add->file, err);
    return status == AK_OK ? ak_catalog_model_add(store->catalog, add->facts, add->file.n, err)
                           : status;
}

ak_status ak_store_model_set(ak_store *store, const char *id, ak_model_state state,
                             const char *measures, ak_error *err)
{
    setting inside = {id, measures, state};
    ak_write write = {.kind = (ak_write_kind)AK_WRITE_MODEL_SET, .inside = &inside};
    ak_status status = check_state(state, err);
    return status == AK_OK ? ak_queue_write(&store->queue, &write, err) : status;
}

ak_status ak_models_apply_set(ak_store *store, const ak_write *write, ak_error *err)
{
    const setting *set = write->inside;
    ak_model_row row;
    ak_status status = ak_catalog_model(&row, store->catalog, set->id, err);
    return status == AK_OK
               ? ak_catalog_model_set(store->catalog, row.key, set->state, set->measures, err)
               : status;
}

// --- reading -----------------------------------------------------------------------------------

static ak_status list(ak_model_record **items, size_t *n, ak_store *store, const char *id,
                      ak_error *err)
{
    ak_reader *reader = NULL;
    *items = NULL;
    *n = 0;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_catalog_models(items, n, reader->catalog, id, err);
    ak_reader_give(&store->readers, reader);
    if (status != AK_OK) {
        for (size_t i = 0; i < *n; i++)
            ak_model_record_clear(&(*items)[i]);
        free(*items);
        *items = NULL;
        *n = 0;
    }
    return status;
}

ak_status ak_store_models(ak_model_record **items, size_t *n, ak_store *store, ak_error *err)
{
    return list(items, n, store, NULL, err);
}

ak_status ak_store_model(ak_model_record *out, ak_store *store, const char *id, ak_error *err)
{
    ak_model_record *items;
    size_t n;
    *out = (ak_model_record){0};
    ak_status status = list(&items, &n, store, id, err);
    if (status == AK_OK && n == 0)
        status = ak_fail(err, AK_UNKNOWN_MODEL, "there is no model \"%.80s\"", id);
    if (status == AK_OK)
        *out = items[0];
    free(items);
    return status;
}

ak_status ak_store_model_read(ak_buf *out, ak_store *store, const char *id, ak_error *err)
{
    char path[PATH_MAX];
    ak_status status = model_path(path, store, id, err);
    if (status == AK_OK)
        status = ak_file_read(out, path, MODEL_MOST, err);
    return status == AK_NOT_FOUND || status == AK_BAD_VALUE
               ? ak_fail(err, AK_UNKNOWN_MODEL, "there is no model \"%.80s\"", id)
               : status;
}

ak_status ak_store_base_model(char id[AK_NAME_MAX + 1], ak_store *store, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_catalog_base_model(id, reader->catalog, err);
    ak_reader_give(&store->readers, reader);
    return status;
}

// --- removing ----------------------------------------------------------------------------------

ak_status ak_models_clean_step(ak_store *store, bool *more, ak_error *err)
{
    char id[AK_NAME_MAX + 1], path[PATH_MAX];
    bool found = false;
    ak_status status = ak_sql_begin(store->catalog, AK_SQL_WRITE, err);
    if (status == AK_OK)
        status =
            ak_catalog_model_spare(id, &found, store->catalog, store->options.spare_models, err);
    if (status == AK_OK && found)
        status = ak_catalog_model_drop(store->catalog, id, err);
    if (status == AK_OK && found)
        status = ak_sql_commit(store->catalog, err);
    ak_sql_rollback(store->catalog);
    if (status != AK_OK || !found)
        return status;
    *more = true;
    status = model_path(path, store, id, err);
    if (status == AK_OK && unlink(path) != 0 && errno != ENOENT)
        ak_log(AK_LOG_WARN, "the file of model %s cannot be removed: it is at the next start", id);
    return status;
}

ak_status ak_models_clean_files(ak_store *store, ak_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/models", store->data);
    DIR *dir = opendir(path);
    if (!dir)
        return ak_fail_errno(err, errno, "cannot list %s", path);
    ak_status status = AK_OK;
    for (struct dirent *entry; status == AK_OK && (entry = readdir(dir));) {
        ak_model_row row;
        size_t n = strlen(entry->d_name), suffix = sizeof SUFFIX - 1;
        bool model = n > suffix && strcmp(entry->d_name + n - suffix, SUFFIX) == 0;
        char *id = ak_strndup(entry->d_name, model ? n - suffix : n);
        if (!id)
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a file's name");
        else if (entry->d_name[0] != '.' &&
                 (!model || ak_catalog_model(&row, store->catalog, id, NULL) == AK_UNKNOWN_MODEL))
            unlinkat(dirfd(dir), entry->d_name, 0);
        free(id);
    }
    closedir(dir);
    return status;
}
