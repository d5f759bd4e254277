// Making a run's folder. The tables are kept in memory and written by the commit; the proxies are
// streamed. Order of the commit: proxies synced, tables, then run.json, which makes it a run.
#include "core/refine/rundir_inside.h"

#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 131072 // of the set of sums: a power of two, over twice the pictures

_Static_assert(SLOTS > 2 * AK_RUN_PICTURES_MAX, "the set of sums stays half empty");

struct ak_rundir_maker {
    char *folder;
    const ak_run *run;
    FILE *pictures;
    uint64_t bytes;
    ak_buf rows, pairs;
    size_t n, pairs_n, roles[AK_ROLES];
    bool incumbent;
    ak_sha256 *seen; // (SLOTS) open addressing; a sum of zeros is an empty slot
};

// --- lines
// ----------------------------------------------------------------------------------------

static ak_status put_line(ak_buf *out, json_t *line, ak_error *err)
{
    char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
    bool ok = text && ak_buf_append(out, text, strlen(text)) && ak_buf_append(out, "\n", 1);
    free(text);
    json_decref(line);
    return ok ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a table of the run");
}

// Cut between two characters; what is no UTF-8 is left out.
static json_t *text_json(const char *text)
{
    size_t n = strlen(text);
    if (n > AK_RUN_TEXT_MAX) {
        n = AK_RUN_TEXT_MAX;
        while (n && ((uint8_t)text[n] & 0xc0) == 0x80)
            n--;
    }
    json_t *value = json_stringn(text, n);
    return value ? value : json_null();
}

// A line of a table, with its end of line.
static ak_status put_row(ak_buf *out, const ak_run_picture *p, const place *where, ak_error *err)
{
    char sum[AK_SHA256_HEX + 1], proxy[AK_SHA256_HEX + 1];
    ak_sha256_hex(sum, &p->sha256);
    ak_sha256_hex(proxy, &where->sum);
    json_t *row = json_pack("{s:s, s:I, s:s, s:b, s:I, s:I, s:s}", "sha256", sum, "collection",
                            (json_int_t)p->collection, "role", ak_role_name(p->role), "trained",
                            p->trained, "at", (json_int_t)where->at, "bytes",
                            (json_int_t)where->bytes, "proxy_sha256", proxy);
    if (row && p->album)
        json_object_set_new(row, "album", text_json(p->album));
    if (row && p->caption)
        json_object_set_new(row, "caption", text_json(p->caption));
    if (row && p->tags_n) {
        json_t *tags = json_array();
        for (size_t i = 0; i < p->tags_n && i < AK_RUN_TAGS_MAX; i++)
            json_array_append_new(tags, text_json(p->tags[i]));
        json_object_set_new(row, "tags", tags);
    }
    return put_line(out, row, err);
}

static ak_status put_pair(ak_buf *out, const ak_run_pair *pair, ak_error *err)
{
    char query[AK_SHA256_HEX + 1], result[AK_SHA256_HEX + 1];
    ak_sha256_hex(query, &pair->query);
    ak_sha256_hex(result, &pair->result);
    return put_line(
        out,
        json_pack("{s:s, s:s, s:b}", "query", query, "result", result, "similar", pair->similar),
        err);
}

// Writes a table with its last line.
static ak_status put_table(const char *folder, const char *name, ak_buf *rows, size_t n,
                           ak_error *err)
{
    char sum[AK_SHA256_HEX + 1];
    ak_sha256 of = ak_sha256_of(ak_buf_bytes(rows));
    ak_sha256_hex(sum, &of);
    ak_status status =
        put_line(rows, json_pack("{s:I, s:s}", "rows", (json_int_t)n, "rows_sha256", sum), err);
    return status == AK_OK ? ak_rundir_write(folder, name, ak_buf_bytes(rows), err) : status;
}

// --- the maker
// ------------------------------------------------------------------------------------

ak_status ak_rundir_delete(const char *folder, ak_error *err)
{
    DIR *d = opendir(folder);
    if (!d)
        return errno == ENOENT ? AK_OK : ak_fail_errno(err, errno, "cannot open %s", folder);
    // First what makes it a run: a deletion that is cut short leaves none.
    if (unlinkat(dirfd(d), RUN_FILE, 0) != 0 && errno != ENOENT) {
        ak_status status = ak_fail_errno(err, errno, "cannot remove %s/%s", folder, RUN_FILE);
        closedir(d);
        return status;
    }
    ak_status status = AK_OK;
    for (struct dirent *e; status == AK_OK && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            unlinkat(dirfd(d), e->d_name, 0) != 0 && errno != ENOENT)
            status = ak_fail_errno(err, errno, "cannot remove %s/%s", folder, e->d_name);
    closedir(d);
    if (status == AK_OK && rmdir(folder) != 0 && errno != ENOENT)
        status = ak_fail_errno(err, errno, "cannot remove %s", folder);
    return status;
}

static void maker_free(ak_rundir_maker *m)
{
    if (m->pictures)
        fclose(m->pictures);
    ak_buf_clear(&m->rows);
    ak_buf_clear(&m->pairs);
    free(m->seen);
    free(m->folder);
    free(m);
}

void ak_rundir_abandon(ak_rundir_maker *m)
{
    ak_error ignored;
    if (!m)
        return;
    if (m->pictures) // else the folder may be another's
        ak_rundir_delete(m->folder, &ignored);
    maker_free(m);
}

static ak_status check_run(const ak_run *run, ak_error *err)
{
    if (!(run->budget_s > 0))
        return ak_fail(err, AK_BAD_VALUE, "a budget of %g seconds; it must be above 0",
                       run->budget_s);
    if (run->collections_n == 0 || run->collections_n > AK_RUN_COLLECTIONS_MAX)
        return ak_fail(err, AK_BAD_VALUE, "a run for %zu collections; 1 to %d are possible",
                       run->collections_n, AK_RUN_COLLECTIONS_MAX);
    return AK_OK;
}

ak_status ak_rundir_begin(ak_rundir_maker **out, const char *folder, const ak_run *run,
                          ak_error *err)
{
    *out = NULL;
    ak_status status = check_run(run, err);
    if (status != AK_OK)
        return status;
    char *path = ak_rundir_path(folder, RUN_FILE), *pictures = NULL;
    ak_rundir_maker *m = calloc(1, sizeof *m);
    if (!path || !m) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a run");
        goto done;
    }
    m->run = run;
    m->folder = ak_strndup(folder, strlen(folder));
    m->seen = ak_alloc(SLOTS, sizeof *m->seen);
    pictures = ak_rundir_path(folder, PICTURES_FILE);
    if (!m->folder || !m->seen || !pictures) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a run");
        goto done;
    }
    if (access(path, F_OK) == 0) {
        status = ak_fail(err, AK_CONFLICT, "%s holds a run already", folder);
        goto done;
    }
    status = ak_rundir_delete(folder, err);
    if (status == AK_OK)
        status = ak_folder_make(folder, err);
    if (status == AK_OK && !(m->pictures = fopen(pictures, "we")))
        status = ak_fail_errno(err, errno, "cannot write %s", pictures);
done:
    free(path);
    free(pictures);
    if (status == AK_OK)
        *out = m;
    else if (m)
        maker_free(m);
    return status;
}

ak_status ak_rundir_incumbent(ak_rundir_maker *m, ak_bytes model, ak_error *err)
{
    m->incumbent = true;
    return ak_rundir_write(m->folder, AK_RUN_INCUMBENT, model, err);
}

// Whether the sum is new; it is taken in then.
static bool is_new(ak_rundir_maker *m, const ak_sha256 *sum)
{
    static const ak_sha256 none;
    size_t slot;
    memcpy(&slot, sum->at, sizeof slot);
    for (slot &= SLOTS - 1; memcmp(&m->seen[slot], &none, sizeof none) != 0;
         slot = (slot + 1) & (SLOTS - 1))
        if (memcmp(&m->seen[slot], sum, sizeof *sum) == 0)
            return false;
    m->seen[slot] = *sum;
    return true;
}

ak_status ak_rundir_add(ak_rundir_maker *m, const ak_run_picture *p, ak_bytes proxy, bool *full,
                        ak_error *err)
{
    *full = m->n == AK_RUN_PICTURES_MAX || m->bytes + proxy.n > AK_RUN_BYTES_MAX ||
            m->rows.n > TABLE_LIMIT - ((size_t)1 << 20);
    if (*full)
        return AK_OK;
    if (p->collection >= m->run->collections_n)
        return ak_fail(err, AK_BAD_VALUE, "a picture of collection %zu of %zu", p->collection,
                       m->run->collections_n);
    if (proxy.n == 0 || proxy.n > AK_RUN_PROXY_MAX)
        return ak_fail(err, AK_BAD_VALUE, "a proxy of %zu bytes; 1 to %zu are possible", proxy.n,
                       AK_RUN_PROXY_MAX);
    if (!is_new(m, &p->sha256))
        return AK_OK;
    place where = {m->bytes, proxy.n, ak_sha256_of(proxy)};
    if (fwrite(proxy.at, 1, proxy.n, m->pictures) != proxy.n)
        return ak_fail_errno(err, errno, "cannot write the proxies of %s", m->folder);
    m->bytes += proxy.n;
    m->n++;
    m->roles[p->role]++;
    return put_row(&m->rows, p, &where, err);
}

ak_status ak_rundir_pair(ak_rundir_maker *m, const ak_run_pair *pair, ak_error *err)
{
    if (m->pairs_n == AK_RUN_PAIRS_MAX)
        return AK_OK;
    m->pairs_n++;
    return put_pair(&m->pairs, pair, err);
}

static ak_status put_run(const ak_rundir_maker *m, ak_error *err)
{
    const ak_run *run = m->run;
    json_t *collections = json_array();
    for (size_t i = 0; i < run->collections_n; i++) {
        const ak_run_collection *c = &run->collections[i];
        json_array_append_new(
            collections, json_pack("{s:s, s:b, s:I, s:f}", "name", c->name, "inside", c->inside,
                                   "images", (json_int_t)c->images, "threshold", c->threshold));
    }
    json_t *object =
        json_pack("{s:i, s:s, s:I, s:f, s:s, s:f, s:o, s:o}", "version", RUN_VERSION, "id", run->id,
                  "seed", (json_int_t)run->seed, "budget_s", run->budget_s, "promote",
                  run->ask ? "ask" : "auto", "same_score", run->same_score, "collections",
                  collections, "recipe", ak_refine_recipe_write(&run->recipe));
    char *text = object ? json_dumps(object, JSON_INDENT(1)) : NULL;
    ak_status status =
        text ? ak_rundir_write(m->folder, RUN_FILE, (ak_bytes){(const uint8_t *)text, strlen(text)},
                               err)
             : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %s/%s", m->folder, RUN_FILE);
    json_decref(object);
    free(text);
    return status;
}

static ak_status enough(const ak_rundir_maker *m, ak_error *err)
{
    size_t train = m->roles[AK_ROLE_TRAIN] + m->roles[AK_ROLE_REPLAY];
    if (!m->incumbent)
        return ak_fail(err, AK_INTERNAL, "the run has no incumbent");
    if (m->roles[AK_ROLE_TRAIN] == 0 || train < AK_RUN_TRAIN_LEAST)
        return ak_fail(err, AK_CONFLICT,
                       "there are %zu pictures to train on, %zu of them new; at least %d are "
                       "needed, some of them new",
                       train, m->roles[AK_ROLE_TRAIN], AK_RUN_TRAIN_LEAST);
    if (m->roles[AK_ROLE_YARDSTICK] < m->run->recipe.gate.yardsticks)
        return ak_fail(
            err, AK_CONFLICT, "there are %zu pictures to measure by; at least %llu are needed",
            m->roles[AK_ROLE_YARDSTICK], (unsigned long long)m->run->recipe.gate.yardsticks);
    return AK_OK;
}

ak_status ak_rundir_commit(ak_rundir_maker *m, ak_error *err)
{
    ak_status status = enough(m, err);
    if (status == AK_OK && (fflush(m->pictures) != 0 || fsync(fileno(m->pictures)) != 0))
        status = ak_fail_errno(err, errno, "cannot write the proxies of %s", m->folder);
    if (status == AK_OK)
        status = put_table(m->folder, TABLE_FILE, &m->rows, m->n, err);
    if (status == AK_OK)
        status = put_table(m->folder, PAIRS_FILE, &m->pairs, m->pairs_n, err);
    if (status == AK_OK)
        status = put_run(m, err);
    if (status == AK_OK)
        maker_free(m);
    else
        ak_rundir_abandon(m);
    return status;
}

// --- deletion
// -------------------------------------------------------------------------------------

static ak_status overwrite(const char *folder, const ak_rundir *r, const bool *gone, ak_error *err)
{
    static const uint8_t zeros[4096];
    char *path = ak_rundir_path(folder, PICTURES_FILE);
    int fd = path ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    bool ok = fd >= 0;
    for (size_t i = 0; i < r->pictures_n && ok; i++)
        for (uint64_t done = 0; gone[i] && done < r->inside->places[i].bytes && ok;) {
            uint64_t left = r->inside->places[i].bytes - done;
            ssize_t put = pwrite(fd, zeros, left < sizeof zeros ? left : sizeof zeros,
                                 (off_t)(r->inside->places[i].at + done));
            ok = put > 0;
            done += ok ? (uint64_t)put : 0;
        }
    ok = ok && fsync(fd) == 0;
    ak_status status =
        ok ? AK_OK : ak_fail_errno(err, errno, "cannot overwrite pictures of %s", folder);
    if (fd >= 0)
        close(fd);
    free(path);
    return status;
}

// The plan holds descriptors of what is removed.
static ak_status drop_plan(const char *folder, ak_error *err)
{
    char *path = ak_rundir_path(folder, AK_RUN_PLAN);
    ak_status status = path ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a path");
    if (path && unlink(path) != 0 && errno != ENOENT)
        status = ak_fail_errno(err, errno, "cannot remove %s", path);
    free(path);
    return status;
}

// The proxies go first: what is cut short between the two has rows without pictures, and is
// finished by doing it again.
ak_status ak_rundir_remove(const char *folder, const ak_sha256 *sums, size_t n, ak_error *err)
{
    ak_rundir *r;
    ak_buf rows = {0}, pairs = {0};
    size_t rows_n = 0, pairs_n = 0, found = 0;
    ak_status status = ak_rundir_open(&r, folder, err);
    if (status != AK_OK)
        return status;
    bool *gone = ak_alloc(r->pictures_n + 1, sizeof *gone);
    if (!gone) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to remove pictures of %s", folder);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        ptrdiff_t at = ak_rundir_find(r, &sums[i]);
        if (at >= 0)
            gone[at] = true;
        found += at >= 0;
    }
    if (found == 0)
        goto done;
    status = overwrite(folder, r, gone, err);
    for (size_t i = 0; i < r->pictures_n && status == AK_OK; i++)
        if (!gone[i]) {
            status = put_row(&rows, &r->pictures[i], &r->inside->places[i], err);
            rows_n++;
        }
    for (size_t i = 0; i < r->pairs_n && status == AK_OK; i++) {
        ptrdiff_t a = ak_rundir_find(r, &r->pairs[i].query);
        ptrdiff_t b = ak_rundir_find(r, &r->pairs[i].result);
        if ((a >= 0 && gone[a]) || (b >= 0 && gone[b]))
            continue;
        status = put_pair(&pairs, &r->pairs[i], err);
        pairs_n++;
    }
    if (status == AK_OK)
        status = drop_plan(folder, err);
    if (status == AK_OK)
        status = put_table(folder, PAIRS_FILE, &pairs, pairs_n, err);
    if (status == AK_OK)
        status = put_table(folder, TABLE_FILE, &rows, rows_n, err);
done:
    ak_buf_clear(&rows);
    ak_buf_clear(&pairs);
    free(gone);
    ak_rundir_close(r);
    return status;
}
