// A run's folder from tars and a model, for experiments and tests: what the daemon does from its
// store.
#include "cli/refine.h"

#include "core/base/archive.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/describe/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((size_t)64 << 20)
#define LINES_MAX  1000000

// Lines of a file of tab-separated fields, sorted by the first.
typedef struct {
    ak_buf text;
    char **lines; // (n) borrowed from text; tabs and ends are zeros
    size_t n;
} table;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static ak_status table_read(table *t, const char *path, ak_error *err)
{
    ak_status status = ak_file_read(&t->text, path, FILE_LIMIT, err);
    if (status == AK_OK && !ak_buf_append(&t->text, "\n", 2))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %s", path);
    t->lines = status == AK_OK ? ak_alloc(LINES_MAX, sizeof *t->lines) : NULL;
    if (status == AK_OK && !t->lines)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %s", path);
    if (status != AK_OK)
        return status;
    for (char *at = (char *)t->text.at, *end; (end = strchr(at, '\n')) && t->n < LINES_MAX;
         at = end + 1) {
        *end = 0;
        for (char *tab = at; (tab = strchr(tab, '\t'));)
            *tab++ = 0;
        if (*at)
            t->lines[t->n++] = at;
    }
    qsort(t->lines, t->n, sizeof *t->lines, by_name);
    return AK_OK;
}

static void table_clear(table *t)
{
    ak_buf_clear(&t->text);
    free(t->lines);
}

static const char *field(const char *line, int i)
{
    while (i-- > 0)
        line += strlen(line) + 1;
    return line;
}

// All second fields of the lines of that name, joined.
static const char *captions_of(ak_buf *out, const table *t, const char *name)
{
    char **at = t->n ? bsearch(&name, t->lines, t->n, sizeof *t->lines, by_name) : NULL;
    out->n = 0;
    while (at && at > t->lines && strcmp(at[-1], name) == 0)
        at--;
    for (; at && at < t->lines + t->n && strcmp(*at, name) == 0; at++) {
        ak_buf_append(out, field(*at, 1), strlen(field(*at, 1)));
        ak_buf_append(out, " ", 1);
    }
    return out->n && ak_buf_append(out, "", 1) ? (const char *)out->at : NULL;
}

// --- pictures
// ---------------------------------------------------------------------------------------

typedef struct {
    ak_rundir_maker *maker;
    const ak_run *run;
    const table *captions;
    bool trained;
    table names; // of pictures, for feedback: lines of name, hexadecimal sum
    size_t refused;
    bool full;
} making;

static ak_status count(uint64_t *n, const char *path, ak_error *err)
{
    ak_archive *archive;
    ak_entry entry;
    bool more = true;
    ak_status status = ak_archive_open(&archive, path, FILE_LIMIT, err);
    while (status == AK_OK && more) {
        status = ak_archive_next(archive, &entry, &more, err);
        *n += status == AK_OK && more;
    }
    if (status == AK_OK || archive)
        ak_archive_close(archive);
    return status;
}

static ak_status remember(making *m, const char *name, const ak_sha256 *sum, ak_error *err)
{
    char hex[AK_SHA256_HEX + 1];
    ak_sha256_hex(hex, sum);
    ak_buf *text = &m->names.text;
    if (ak_buf_append(text, name, strlen(name)) && ak_buf_append(text, "\t", 1) &&
        ak_buf_append(text, hex, AK_SHA256_HEX) && ak_buf_append(text, "\n", 1))
        return AK_OK;
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for names");
}

static ak_status add_entry(making *m, const ak_entry *entry, size_t collection, ak_error *err)
{
    const ak_run_collection *c = &m->run->collections[collection];
    const ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    ak_image pixels = {0};
    ak_buf proxy = {0}, caption = {0};
    ak_error why = {0};
    if (entry->status != AK_OK ||
        ak_proxy_make(&pixels, &proxy, entry->bytes, &limits, &why) != AK_OK) {
        ak_log(AK_LOG_WARN, "left out %s: %s", entry->name,
               entry->status != AK_OK ? entry->reason : why.text);
        m->refused++;
        return AK_OK;
    }
    ak_run_picture p = {.sha256 = ak_sha256_of(entry->bytes),
                        .collection = collection,
                        .trained = m->trained && !c->inside,
                        .caption = captions_of(&caption, m->captions, entry->name)};
    p.role = ak_role_of(&p.sha256, c->threshold, c->inside, p.trained);
    ak_status status = ak_rundir_add(m->maker, &p, ak_buf_bytes(&proxy), &m->full, err);
    if (status == AK_OK)
        status = remember(m, entry->name, &p.sha256, err);
    ak_image_clear(&pixels);
    ak_buf_clear(&proxy);
    ak_buf_clear(&caption);
    return status;
}

static ak_status add_pictures(making *m, const char *path, size_t collection, ak_error *err)
{
    ak_archive *archive = NULL;
    ak_entry entry;
    bool more = true;
    ak_status status = ak_archive_open(&archive, path, FILE_LIMIT, err);
    while (status == AK_OK && more && !m->full) {
        status = ak_archive_next(archive, &entry, &more, err);
        if (status == AK_OK && more)
            status = add_entry(m, &entry, collection, err);
    }
    ak_archive_close(archive);
    return status;
}

static bool sum_of(ak_sha256 *sum, const table *names, const char *name)
{
    char **at = names->n ? bsearch(&name, names->lines, names->n, sizeof *at, by_name) : NULL;
    return at && ak_sha256_parse(sum, field(*at, 1), AK_SHA256_HEX);
}

static ak_status add_feedback(making *m, const char *path, ak_error *err)
{
    table pairs = {0}, names = m->names;
    ak_status status = table_read(&pairs, path, err);
    names.lines = ak_alloc(LINES_MAX, sizeof *names.lines);
    names.n = 0;
    if (status == AK_OK && !names.lines)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for names");
    for (size_t at = 0; status == AK_OK && at < names.text.n && names.n < LINES_MAX;) {
        char *line = (char *)names.text.at + at;
        char *end = memchr(line, '\n', names.text.n - at);
        *strchr(line, '\t') = *end = 0;
        names.lines[names.n++] = line;
        at = (size_t)(end + 1 - (char *)names.text.at);
    }
    if (status == AK_OK)
        qsort(names.lines, names.n, sizeof *names.lines, by_name);
    for (size_t i = 0; i < pairs.n && status == AK_OK; i++) {
        const char *a = pairs.lines[i], *b = field(a, 1), *verdict = field(a, 2);
        ak_run_pair pair = {.similar = strcmp(verdict, "similar") == 0};
        if (!pair.similar && strcmp(verdict, "different") != 0)
            status = ak_fail(err, AK_BAD_VALUE, "%s: \"%s\" is neither similar nor different", path,
                             verdict);
        else if (sum_of(&pair.query, &names, a) && sum_of(&pair.result, &names, b))
            status = ak_rundir_pair(m->maker, &pair, err);
    }
    free(names.lines);
    table_clear(&pairs);
    return status;
}

// --- the run
// ----------------------------------------------------------------------------------------

// "train.rate=0.01"
static ak_status change(ak_refine_recipe *recipe, const char *text, ak_error *err)
{
    const char *dot = strchr(text, '.'), *is = strchr(text, '=');
    if (!dot || !is || dot > is)
        return ak_fail(err, AK_BAD_VALUE, "--set is \"%s\"; it must be as train.rate=0.01", text);
    json_t *value = json_loads(is + 1, JSON_DECODE_ANY, NULL);
    char *group = ak_strndup(text, (size_t)(dot - text));
    char *key = ak_strndup(dot + 1, (size_t)(is - dot - 1));
    json_t *object = group && key
                         ? json_pack("{s:{s:o}}", group, key, value ? value : json_string(is + 1))
                         : NULL;
    ak_status status = object ? ak_refine_recipe_read(recipe, object, err)
                              : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the recipe");
    json_decref(object);
    free(group);
    free(key);
    return status;
}

static ak_status lay_out(ak_run *run, ak_run_collection *collections, const ak_refine_make *make,
                         ak_error *err)
{
    uint64_t n = 0;
    ak_status status = count(&n, make->data, err);
    for (size_t i = 0; i < make->more.n && status == AK_OK; i++)
        status = count(&n, make->more.at[i], err);
    collections[0] =
        (ak_run_collection){.inside = true, .images = n, .threshold = ak_yardstick_threshold(1, n)};
    snprintf(collections[0].name, sizeof collections[0].name, "%s", make->data);
    for (size_t i = 0; i < make->old.n && status == AK_OK; i++) {
        ak_run_collection *c = &collections[i + 1];
        n = 0;
        status = count(&n, make->old.at[i], err);
        *c = (ak_run_collection){.images = n, .threshold = ak_yardstick_threshold(1, n)};
        snprintf(c->name, sizeof c->name, "%s", make->old.at[i]);
    }
    *run = (ak_run){.id = "made-by-hand",
                    .seed = (uint64_t)make->seed,
                    .budget_s = make->budget_s,
                    .same_score = make->same_score,
                    .collections = collections,
                    .collections_n = 1 + make->old.n};
    if (status == AK_OK)
        status = ak_refine_recipe_named(&run->recipe, make->recipe, err);
    for (size_t i = 0; i < make->changes.n && status == AK_OK; i++)
        status = change(&run->recipe, make->changes.at[i], err);
    return status;
}

ak_status ak_refine_make_folder(const char *folder, const ak_refine_make *make, ak_error *err)
{
    ak_run run;
    table captions = {0};
    ak_buf model = {0};
    making m = {.run = &run, .captions = &captions, .trained = make->trained};
    ak_run_collection *collections = make->old.n < AK_RUN_COLLECTIONS_MAX
                                         ? ak_alloc(1 + make->old.n, sizeof *collections)
                                         : NULL;
    ak_status status = collections ? lay_out(&run, collections, make, err)
                                   : ak_fail(err, AK_BAD_VALUE, "%zu other collections; at most %d",
                                             make->old.n, AK_RUN_COLLECTIONS_MAX - 1);
    if (status == AK_OK)
        status = ak_file_read(&model, make->model, AK_MODEL_FILE_LIMIT, err);
    if (status == AK_OK && make->captions)
        status = table_read(&captions, make->captions, err);
    if (status == AK_OK)
        status = ak_rundir_begin(&m.maker, folder, &run, err);
    if (status == AK_OK)
        status = ak_rundir_incumbent(m.maker, ak_buf_bytes(&model), err);
    if (status == AK_OK)
        status = add_pictures(&m, make->data, 0, err);
    for (size_t i = 0; i < make->more.n && status == AK_OK; i++)
        status = add_pictures(&m, make->more.at[i], 0, err);
    for (size_t i = 0; i < make->old.n && status == AK_OK; i++)
        status = add_pictures(&m, make->old.at[i], i + 1, err);
    if (status == AK_OK && make->feedback)
        status = add_feedback(&m, make->feedback, err);
    if (status == AK_OK)
        status = ak_rundir_commit(m.maker, err);
    else
        ak_rundir_abandon(m.maker);
    table_clear(&captions);
    ak_buf_clear(&m.names.text);
    ak_buf_clear(&model);
    free(collections);
    return status;
}
