// Reading a run's folder. Nothing that a table says is believed before its sum is.
#include "core/refine/rundir_inside.h"

#include "core/base/file.h"
#include "core/describe/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *ak_rundir_path(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

ak_status ak_rundir_write(const char *folder, const char *name, ak_bytes bytes, ak_error *err)
{
    char *path = ak_rundir_path(folder, name);
    ak_status status = path ? ak_file_replace(path, bytes, err)
                            : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %s", name);
    free(path);
    return status;
}

ak_status ak_rundir_read(ak_buf *out, const char *folder, const char *name, ak_error *err)
{
    char *path = ak_rundir_path(folder, name);
    ak_status status = path ? ak_file_read(out, path, AK_MODEL_FILE_LIMIT, err)
                            : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %s", name);
    free(path);
    return status;
}

static bool is_there(const char *folder, const char *name)
{
    char *path = ak_rundir_path(folder, name);
    bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

// --- run.json
// -------------------------------------------------------------------------------------

static ak_status read_collections(ak_run *run, const json_t *list, ak_error *err)
{
    size_t n = json_array_size(list);
    if (n == 0 || n > AK_RUN_COLLECTIONS_MAX)
        return ak_fail(err, AK_CORRUPT, "it is for %zu collections", n);
    run->collections = ak_alloc(n, sizeof *run->collections);
    if (!run->collections)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu collections", n);
    run->collections_n = n;
    for (size_t i = 0; i < n; i++) {
        ak_run_collection *c = &run->collections[i];
        const json_t *from = json_array_get(list, i);
        const char *name = json_string_value(json_object_get(from, "name"));
        if (!name)
            return ak_fail(err, AK_CORRUPT, "collection %zu has no name", i);
        snprintf(c->name, sizeof c->name, "%s", name);
        c->inside = json_is_true(json_object_get(from, "inside"));
        c->images = (uint64_t)json_integer_value(json_object_get(from, "images"));
        c->threshold = json_number_value(json_object_get(from, "threshold"));
    }
    return AK_OK;
}

static ak_status read_run(ak_run *run, const char *folder, ak_error *err)
{
    ak_buf bytes = {0};
    json_error_t why = {.text = "it is too large"};
    ak_status status = ak_rundir_read(&bytes, folder, RUN_FILE, err);
    json_t *object = status == AK_OK && bytes.n <= RUN_LIMIT
                         ? json_loadb((const char *)bytes.at, bytes.n, 0, &why)
                         : NULL;
    if (status == AK_OK && !object)
        status = ak_fail(err, AK_CORRUPT, "line %d: %s", why.line, why.text);
    if (status != AK_OK)
        goto done;
    json_int_t version = json_integer_value(json_object_get(object, "version"));
    const char *id = json_string_value(json_object_get(object, "id"));
    const char *promote = json_string_value(json_object_get(object, "promote"));
    if (version != RUN_VERSION) {
        status = ak_fail(err, AK_BAD_VALUE, "the run has version %lld; this Akin reads %d",
                         (long long)version, RUN_VERSION);
        goto done;
    }
    run->budget_s = json_number_value(json_object_get(object, "budget_s"));
    if (!id || !promote || !(run->budget_s > 0)) {
        status = ak_fail(err, AK_CORRUPT, "id, promote or budget_s is missing");
        goto done;
    }
    snprintf(run->id, sizeof run->id, "%s", id);
    run->ask = strcmp(promote, "ask") == 0;
    run->seed = (uint64_t)json_integer_value(json_object_get(object, "seed"));
    run->same_score = json_number_value(json_object_get(object, "same_score"));
    run->recipe = ak_refine_recipe_default;
    status = ak_refine_recipe_read(&run->recipe, json_object_get(object, "recipe"), err);
    if (status == AK_OK)
        status = read_collections(run, json_object_get(object, "collections"), err);
done:
    if (status != AK_OK)
        status = ak_fail_within(err, "%s/%s", folder, RUN_FILE);
    json_decref(object);
    ak_buf_clear(&bytes);
    return status;
}

// --- tables
// ---------------------------------------------------------------------------------------

// The lines of a table whose last one is right about them: rows, an array of n objects.
static ak_status read_table(json_t ***rows, size_t *n, ak_sha256 *of, const char *folder,
                            const char *name, size_t most, ak_error *err)
{
    ak_buf bytes = {0};
    json_t *end = NULL, **all = NULL;
    size_t from = 0, count = 0;
    *rows = NULL;
    *n = 0;
    ak_status status = ak_rundir_read(&bytes, folder, name, err);
    if (status != AK_OK)
        goto done;
    const char *text = (const char *)bytes.at;
    if (bytes.n < 2 || text[bytes.n - 1] != '\n') {
        status = ak_fail(err, AK_CORRUPT, "it is cut short");
        goto done;
    }
    const char *last = memrchr(text, '\n', bytes.n - 1);
    last = last ? last + 1 : text;
    end = json_loadb(last, (size_t)(text + bytes.n - last), 0, NULL);
    const char *sum = json_string_value(json_object_get(end, "rows_sha256"));
    json_int_t stated = json_integer_value(json_object_get(end, "rows"));
    ak_sha256 said, is = ak_sha256_of((ak_bytes){bytes.at, (size_t)(last - text)});
    *of = is;
    if (!sum || !ak_sha256_parse(&said, sum, strlen(sum)) || memcmp(&is, &said, sizeof is) != 0 ||
        stated < 0 || (size_t)stated > most) {
        status = ak_fail(err, AK_CORRUPT, "its sum does not match: it is cut short or damaged");
        goto done;
    }
    all = ak_alloc((size_t)stated + 1, sizeof *all);
    if (!all) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %lld rows", (long long)stated);
        goto done;
    }
    while (text + from < last && count < (size_t)stated) {
        const char *stop = memchr(text + from, '\n', bytes.n - from);
        size_t length = (size_t)(stop - text) - from;
        if (!(all[count] = json_loadb(text + from, length, 0, NULL))) {
            status = ak_fail(err, AK_CORRUPT, "row %zu is no JSON", count + 1);
            goto done;
        }
        from += length + 1;
        count++;
    }
    if (count != (size_t)stated)
        status =
            ak_fail(err, AK_CORRUPT, "it has %zu rows and says %lld", count, (long long)stated);
done:
    if (status == AK_OK) {
        *rows = all;
        *n = count;
    } else {
        for (size_t i = 0; i < count; i++)
            json_decref(all[i]);
        free(all);
        ak_fail_within(err, "%s/%s", folder, name);
    }
    json_decref(end);
    ak_buf_clear(&bytes);
    return status;
}

static bool read_sum(ak_sha256 *out, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && ak_sha256_parse(out, text, strlen(text));
}

static bool read_role(ak_role *out, const char *name)
{
    for (int i = 0; name && i < AK_ROLES; i++)
        if (strcmp(name, ak_role_name((ak_role)i)) == 0) {
            *out = (ak_role)i;
            return true;
        }
    return false;
}

static bool read_picture(ak_rundir *r, size_t i, json_t *row, uint64_t file_bytes)
{
    ak_run_picture *p = &r->pictures[i];
    place *where = &r->inside->places[i];
    const json_t *tags = json_object_get(row, "tags");
    json_int_t collection = json_integer_value(json_object_get(row, "collection"));
    json_int_t at = json_integer_value(json_object_get(row, "at"));
    json_int_t bytes = json_integer_value(json_object_get(row, "bytes"));
    if (!read_sum(&p->sha256, row, "sha256") || !read_sum(&where->sum, row, "proxy_sha256") ||
        !read_role(&p->role, json_string_value(json_object_get(row, "role"))) || collection < 0 ||
        (size_t)collection >= r->run.collections_n || at < 0 || bytes < 1 ||
        (size_t)bytes > AK_RUN_PROXY_MAX || (uint64_t)at + (uint64_t)bytes > file_bytes)
        return false;
    p->collection = (size_t)collection;
    where->at = (uint64_t)at;
    where->bytes = (uint64_t)bytes;
    p->trained = json_is_true(json_object_get(row, "trained"));
    p->album = json_string_value(json_object_get(row, "album"));
    p->caption = json_string_value(json_object_get(row, "caption"));
    if (!p->album && !p->caption && !tags)
        return true;
    r->inside->texts[i] = json_incref(row);
    size_t n = json_array_size(tags);
    const char **list = n ? ak_alloc(n, sizeof *list) : NULL;
    for (size_t k = 0; k < n && list; k++) {
        const char *tag = json_string_value(json_array_get(tags, k));
        if (tag)
            list[p->tags_n++] = tag;
    }
    p->tags = r->inside->tags[i] = list;
    return !n || list;
}

static int by_sum(const void *a, const void *b, void *arg)
{
    const ak_rundir *r = arg;
    return memcmp(&r->pictures[*(const uint32_t *)a].sha256,
                  &r->pictures[*(const uint32_t *)b].sha256, sizeof(ak_sha256));
}

static ino_t inode_of(const char *folder, const char *name)
{
    struct stat st = {0};
    char *path = ak_rundir_path(folder, name);
    if (path && stat(path, &st) != 0)
        st.st_ino = 0;
    free(path);
    return st.st_ino;
}

bool ak_rundir_changed(const ak_rundir *r)
{
    return inode_of(r->folder, TABLE_FILE) != r->inside->inode;
}

static ak_status read_pictures(ak_rundir *r, ak_error *err)
{
    struct ak_rundir_inside *in = r->inside;
    json_t **rows;
    size_t n;
    struct stat st;
    char *path = ak_rundir_path(r->folder, PICTURES_FILE);
    in->fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ak_status status =
        in->fd >= 0 && fstat(in->fd, &st) == 0
            ? AK_OK
            : ak_fail_errno(err, errno, "cannot read %s/%s", r->folder, PICTURES_FILE);
    free(path);
    in->inode = inode_of(r->folder, TABLE_FILE); // before it is read: a change meanwhile is noticed
    if (status == AK_OK)
        status = read_table(&rows, &n, &r->table, r->folder, TABLE_FILE, AK_RUN_PICTURES_MAX, err);
    if (status != AK_OK)
        return status;
    r->pictures = ak_alloc(n + 1, sizeof *r->pictures);
    in->places = ak_alloc(n + 1, sizeof *in->places);
    in->texts = ak_alloc(n + 1, sizeof *in->texts);
    in->tags = ak_alloc(n + 1, sizeof *in->tags);
    in->sorted = ak_alloc(n + 1, sizeof *in->sorted);
    if (!r->pictures || !in->places || !in->texts || !in->tags || !in->sorted)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu pictures", n);
    else
        r->pictures_n = n;
    for (size_t i = 0; i < n; i++) {
        if (status == AK_OK && !read_picture(r, i, rows[i], (uint64_t)st.st_size))
            status = ak_fail(err, AK_CORRUPT,
                             "%s/%s: row %zu names no picture that %s holds (it has %lld bytes)",
                             r->folder, TABLE_FILE, i + 1, PICTURES_FILE, (long long)st.st_size);
        if (status == AK_OK)
            in->sorted[i] = (uint32_t)i;
        json_decref(rows[i]);
    }
    free(rows);
    if (status == AK_OK)
        qsort_r(in->sorted, n, sizeof *in->sorted, by_sum, r);
    return status;
}

static ak_status read_pairs(ak_rundir *r, ak_error *err)
{
    json_t **rows;
    size_t n;
    ak_sha256 sum;
    ak_status status = read_table(&rows, &n, &sum, r->folder, PAIRS_FILE, AK_RUN_PAIRS_MAX, err);
    if (status != AK_OK)
        return status;
    r->pairs = ak_alloc(n + 1, sizeof *r->pairs);
    if (!r->pairs)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu pairs", n);
    for (size_t i = 0; i < n; i++) {
        if (status == AK_OK && (!read_sum(&r->pairs[i].query, rows[i], "query") ||
                                !read_sum(&r->pairs[i].result, rows[i], "result")))
            status = ak_fail(err, AK_CORRUPT, "%s/%s: row %zu names no two pictures", r->folder,
                             PAIRS_FILE, i + 1);
        if (status == AK_OK)
            r->pairs[i].similar = json_is_true(json_object_get(rows[i], "similar"));
        json_decref(rows[i]);
    }
    free(rows);
    r->pairs_n = status == AK_OK ? n : 0;
    return status;
}

ak_status ak_rundir_open(ak_rundir **out, const char *folder, ak_error *err)
{
    *out = NULL;
    if (!is_there(folder, RUN_FILE))
        return ak_fail(err, AK_NOT_FOUND, "%s holds no run: there is no %s in it", folder,
                       RUN_FILE);
    ak_rundir *r = calloc(1, sizeof *r);
    struct ak_rundir_inside *in = calloc(1, sizeof *in);
    ak_status status = AK_OK;
    if (r && in) {
        r->inside = in;
        in->fd = -1;
        in = NULL;
        r->folder = ak_strndup(folder, strlen(folder));
    }
    free(in);
    if (!r || !r->inside || !r->folder)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to read %s", folder);
    if (status == AK_OK)
        status = read_run(&r->run, folder, err);
    if (status == AK_OK)
        status = read_pictures(r, err);
    if (status == AK_OK)
        status = read_pairs(r, err);
    if (status == AK_OK)
        *out = r;
    else
        ak_rundir_close(r);
    return status;
}

void ak_rundir_close(ak_rundir *r)
{
    if (!r)
        return;
    struct ak_rundir_inside *in = r->inside;
    for (size_t i = 0; i < r->pictures_n; i++) {
        json_decref(in->texts[i]);
        free(in->tags[i]);
    }
    if (in) {
        if (in->fd >= 0)
            close(in->fd);
        free(in->places);
        free(in->texts);
        free(in->tags);
        free(in->sorted);
        free(in);
    }
    free(r->pictures);
    free(r->pairs);
    free(r->run.collections);
    free(r->folder);
    free(r);
}

ak_status ak_rundir_proxy(ak_buf *out, const ak_rundir *r, size_t i, ak_error *err)
{
    const place *where = &r->inside->places[i];
    size_t start = out->n;
    if (!ak_buf_reserve(out, where->bytes))
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a proxy");
    for (uint64_t done = 0; done < where->bytes;) {
        ssize_t got = pread(r->inside->fd, out->at + start + done, where->bytes - done,
                            (off_t)(where->at + done));
        if (got <= 0)
            return ak_fail_errno(err, got < 0 ? errno : EIO, "cannot read picture %zu of %s", i,
                                 r->folder);
        done += (uint64_t)got;
    }
    ak_sha256 is = ak_sha256_of((ak_bytes){out->at + start, where->bytes});
    if (memcmp(&is, &where->sum, sizeof is) == 0) {
        out->n += where->bytes;
        return AK_OK;
    }
    if (out->at[start] == 0)
        return ak_fail(err, AK_NOT_FOUND, "picture %zu of %s was removed", i, r->folder);
    return ak_fail(err, AK_CORRUPT, "%s/%s: picture %zu is damaged: its sum does not match",
                   r->folder, PICTURES_FILE, i);
}

ptrdiff_t ak_rundir_find(const ak_rundir *r, const ak_sha256 *sum)
{
    size_t low = 0, high = r->pictures_n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = memcmp(&r->pictures[r->inside->sorted[middle]].sha256, sum, sizeof *sum);
        if (order == 0)
            return (ptrdiff_t)r->inside->sorted[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}
