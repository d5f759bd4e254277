// The archive is read in batches, bounded by pictures and by bytes; a batch is decoded by all
// threads, one picture each at a time, and then embedded by all threads together. So the same
// pictures are always embedded in the same batches, and nothing waits in queues.
#include "core/eval/embed_set.h"

#include "core/base/archive.h"
#include "core/eval/histogram.h"
#include "core/image/phash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH       AK_EMBED_BATCH
#define BATCH_BYTES ((size_t)64 << 20) // a batch is closed when its files reach this
// Decoded at twice the size of a proxy at least, as proxies are made.
#define ALTER_SIDE (2 * AK_PROXY_SIDE)

typedef struct {
    char *name;
    ak_buf bytes;
    bool chosen;      // to be altered
    ak_status status; // of the file; AK_OK: it is described, with all its altered copies
    char reason[sizeof((ak_error *)0)->text];
} item;

// Room for what a batch's pictures look like before they are embedded.
typedef struct {
    uint8_t *inputs[AK_EMBED_SET_MODELS]; // each (count, input bytes)
    float *histograms;                    // (count, AK_HISTOGRAM_BINS)
    uint64_t *hashes;                     // (count)
} stage;

// Everything that one call holds.
typedef struct {
    const ak_embed_options *options;
    ak_embed_set *set;
    ak_embedder *embedders[AK_EMBED_SET_MODELS];
    item *items;             // (BATCH)
    stage pictures, altered; // (BATCH), (BATCH * alterations)
    size_t n;                // items of this batch
    size_t seen;
} work;

static ak_status no_memory(ak_error *err)
{
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to embed the pictures");
}

static ak_status each_name(const char *path, bool (*take)(void *arg, const char *name), void *arg,
                           ak_error *err)
{
    ak_archive *archive = NULL;
    ak_entry entry;
    bool more = true;
    // A limit of 0 bytes: every file is "too large", and so none is read.
    ak_status status = ak_archive_open(&archive, path, 0, err);
    while (status == AK_OK) {
        status = ak_archive_next(archive, &entry, &more, err);
        if (status != AK_OK || !more)
            break;
        if (!take(arg, entry.name))
            status = no_memory(err);
    }
    ak_archive_close(archive);
    return status;
}

static bool count_name(void *arg, const char *name)
{
    (void)name;
    ++*(size_t *)arg;
    return true;
}

ak_status ak_embed_set_count(size_t *n, const char *path, ak_error *err)
{
    *n = 0;
    return each_name(path, count_name, n, err);
}

typedef struct {
    ak_buf *ranks;
    uint64_t seed;
} ranking;

static bool rank_name(void *arg, const char *name)
{
    const ranking *r = arg;
    uint64_t rank = ak_alter_rank(r->seed, name);
    return ak_buf_append(r->ranks, &rank, sizeof rank);
}

ak_status ak_embed_set_ranks(ak_buf *ranks, const char *path, uint64_t seed, ak_error *err)
{
    ranking r = {ranks, seed};
    return each_name(path, rank_name, &r, err);
}

static bool stage_init(stage *s, const ak_embed_options *o, size_t count)
{
    bool enough = true;
    for (size_t m = 0; m < o->model_count; m++)
        enough &= !!(s->inputs[m] = ak_alloc(count, ak_model_input_bytes(o->models[m])));
    if (o->histograms)
        enough &= !!(s->histograms = ak_alloc(count, AK_HISTOGRAM_BINS * sizeof *s->histograms));
    if (o->hashes)
        enough &= !!(s->hashes = ak_alloc(count, sizeof *s->hashes));
    return enough;
}

static void stage_clear(stage *s)
{
    for (size_t m = 0; m < AK_EMBED_SET_MODELS; m++)
        free(s->inputs[m]);
    free(s->histograms);
    free(s->hashes);
}

// The i-th place of the stage from an encoded picture. Any thread, each at its own place.
static ak_status stage_put(stage *s, size_t i, const ak_embed_options *o, ak_bytes file,
                           ak_error *err)
{
    ak_image pixels = {0};
    ak_buf jpeg = {0};
    ak_status status = ak_proxy_make(&pixels, &jpeg, file, &AK_IMAGE_LIMITS_DEFAULT, err);
    for (size_t m = 0; m < o->model_count && status == AK_OK; m++)
        status = ak_model_prepare(s->inputs[m] + i * ak_model_input_bytes(o->models[m]),
                                  o->models[m], &pixels, err);
    if (status == AK_OK && o->histograms)
        ak_histogram_make(s->histograms + i * AK_HISTOGRAM_BINS, &pixels);
    if (status == AK_OK && o->hashes)
        status = ak_phash(&s->hashes[i], &pixels, err);
    ak_buf_clear(&jpeg);
    ak_image_clear(&pixels);
    return status;
}

static void stage_move(stage *s, size_t to, size_t from, size_t n, const ak_embed_options *o)
{
    if (to == from)
        return;
    for (size_t m = 0; m < o->model_count; m++) {
        size_t bytes = ak_model_input_bytes(o->models[m]);
        memmove(s->inputs[m] + to * bytes, s->inputs[m] + from * bytes, n * bytes);
    }
    if (o->histograms)
        memmove(s->histograms + to * AK_HISTOGRAM_BINS, s->histograms + from * AK_HISTOGRAM_BINS,
                n * AK_HISTOGRAM_BINS * sizeof *s->histograms);
    if (o->hashes)
        memmove(s->hashes + to, s->hashes + from, n * sizeof *s->hashes);
}

// *at grown to count items of size bytes; false: out of memory, *at is as it was.
static bool grow(void *at, size_t count, size_t size)
{
    size_t bytes;
    void *old, *new;
    memcpy(&old, at, sizeof old);
    if (!ak_mul(&bytes, count, size) || !(new = realloc(old, bytes)))
        return false;
    memcpy(at, &new, sizeof new);
    return true;
}

static bool rows_reserve(ak_embed_rows *rows, size_t more, const ak_embed_options *o)
{
    if (rows->n + more <= rows->capacity)
        return true;
    size_t capacity = rows->capacity * 2 > rows->n + more ? rows->capacity * 2 : rows->n + more;
    for (size_t m = 0; m < o->model_count; m++)
        if (!grow(&rows->descriptors[m], capacity,
                  (size_t)ak_model_dims(o->models[m]) * sizeof(float)))
            return false;
    if (o->histograms && !grow(&rows->histograms, capacity, AK_HISTOGRAM_BINS * sizeof(float)))
        return false;
    if (o->hashes && !grow(&rows->hashes, capacity, sizeof *rows->hashes))
        return false;
    rows->capacity = capacity;
    return true;
}

// Appends the first n of the stage, embedded.
static ak_status rows_append(ak_embed_rows *rows, const stage *s, size_t n, work *w, ak_error *err)
{
    const ak_embed_options *o = w->options;
    if (!n)
        return AK_OK;
    if (!rows_reserve(rows, n, o))
        return no_memory(err);
    for (size_t m = 0; m < o->model_count; m++) {
        float *out = rows->descriptors[m] + rows->n * (size_t)ak_model_dims(o->models[m]);
        ak_status status = ak_embedder_run(out, w->embedders[m], s->inputs[m], n, err);
        if (status != AK_OK)
            return status;
    }
    if (o->histograms)
        memcpy(rows->histograms + rows->n * AK_HISTOGRAM_BINS, s->histograms,
               n * AK_HISTOGRAM_BINS * sizeof *s->histograms);
    if (o->hashes)
        memcpy(rows->hashes + rows->n, s->hashes, n * sizeof *s->hashes);
    rows->n += n;
    return AK_OK;
}

static void rows_clear(ak_embed_rows *rows)
{
    for (size_t m = 0; m < AK_EMBED_SET_MODELS; m++)
        free(rows->descriptors[m]);
    free(rows->histograms);
    free(rows->hashes);
}

static ak_status work_init(work *w, ak_embed_set *set, const ak_embed_options *options,
                           ak_error *err)
{
    *w = (work){.options = options, .set = set};
    for (size_t m = 0; m < options->model_count; m++) {
        ak_status status =
            ak_embedder_new(&w->embedders[m], options->models[m], options->precision, err);
        if (status != AK_OK)
            return status;
    }
    w->items = ak_alloc(BATCH, sizeof *w->items);
    if (!w->items || !stage_init(&w->pictures, options, BATCH) ||
        (options->alteration_count &&
         !stage_init(&w->altered, options, BATCH * options->alteration_count)))
        return no_memory(err);
    return AK_OK;
}

static void work_clear(work *w)
{
    for (size_t i = 0; w->items && i < BATCH; i++) {
        free(w->items[i].name);
        ak_buf_clear(&w->items[i].bytes);
    }
    free(w->items);
    stage_clear(&w->pictures);
    stage_clear(&w->altered);
    for (size_t m = 0; m < AK_EMBED_SET_MODELS; m++)
        ak_embedder_free(w->embedders[m]);
}

// Fills the batch; *more is false when the archive ended.
static ak_status read_batch(work *w, ak_archive *archive, bool *more, ak_error *err)
{
    const ak_embed_options *o = w->options;
    ak_entry entry;
    size_t bytes = 0;
    for (w->n = 0; w->n < BATCH && bytes < BATCH_BYTES; w->n++) {
        ak_status status = ak_archive_next(archive, &entry, more, err);
        if (status != AK_OK || !*more)
            return status;
        item *it = &w->items[w->n];
        free(it->name);
        it->name = ak_strndup(entry.name, strlen(entry.name));
        it->bytes.n = 0;
        it->status = entry.status;
        it->chosen = o->alteration_count && ak_alter_rank(o->seed, entry.name) <= o->alter_rank;
        snprintf(it->reason, sizeof it->reason, "%s", entry.reason);
        if (!it->name ||
            (!entry.status && !ak_buf_append(&it->bytes, entry.bytes.at, entry.bytes.n)))
            return no_memory(err);
        bytes += entry.bytes.n;
    }
    return AK_OK;
}

// All altered copies of the i-th picture of the batch.
static ak_status alter(work *w, size_t i, ak_error *err)
{
    const ak_embed_options *o = w->options;
    const item *it = &w->items[i];
    ak_image picture = {0};
    ak_buf file = {0};
    ak_status status = ak_image_decode(&picture, ak_buf_bytes(&it->bytes), ALTER_SIDE,
                                       &AK_IMAGE_LIMITS_DEFAULT, err);
    for (size_t a = 0; a < o->alteration_count && status == AK_OK; a++) {
        file.n = 0;
        status = ak_alter(&file, &picture, o->alterations[a], o->seed, it->name, err);
        if (status == AK_OK)
            status =
                stage_put(&w->altered, i * o->alteration_count + a, o, ak_buf_bytes(&file), err);
    }
    ak_buf_clear(&file);
    ak_image_clear(&picture);
    return status;
}

static void decode(work *w, size_t i)
{
    item *it = &w->items[i];
    ak_error err = {0};
    if (it->status != AK_OK)
        return;
    it->status = stage_put(&w->pictures, i, w->options, ak_buf_bytes(&it->bytes), &err);
    if (it->status == AK_OK && it->chosen)
        it->status = alter(w, i, &err);
    if (it->status != AK_OK)
        snprintf(it->reason, sizeof it->reason, "%s", err.text);
}

// The label of the path's first folder, a new one when it was not seen yet; -1 out of memory.
// Pictures of a class mostly follow each other, so the search begins with the newest.
static int32_t label_of(ak_embed_set *set, const char *name)
{
    const char *slash = strchr(name, '/');
    size_t n = slash ? (size_t)(slash - name) : 0;
    for (size_t i = set->label_count; i-- > 0;)
        if (strlen(set->label_names[i]) == n && !memcmp(set->label_names[i], name, n))
            return (int32_t)i;
    if (!grow(&set->label_names, set->label_count + 1, sizeof *set->label_names) ||
        !(set->label_names[set->label_count] = ak_strndup(name, n)))
        return -1;
    return (int32_t)set->label_count++;
}

static bool set_reserve(ak_embed_set *set, size_t more)
{
    if (set->pictures.n + more <= set->capacity)
        return true;
    size_t capacity = set->capacity ? set->capacity * 2 : 1024;
    if (!grow(&set->names, capacity, sizeof *set->names) ||
        !grow(&set->labels, capacity, sizeof *set->labels) ||
        !grow(&set->sources, capacity, sizeof *set->sources))
        return false;
    set->capacity = capacity;
    return true;
}

// Moves the good ones together, embeds them, and appends their rows to the set.
static ak_status embed_batch(work *w, ak_error *err)
{
    const ak_embed_options *o = w->options;
    ak_embed_set *set = w->set;
    size_t before = set->pictures.n, good = 0, altered = 0;
    if (!set_reserve(set, w->n))
        return no_memory(err);
    for (size_t i = 0; i < w->n; i++) {
        const item *it = &w->items[i];
        if (it->status != AK_OK) {
            set->refused++;
            if (o->refused)
                o->refused(o->arg, it->name, it->status, it->reason);
            continue;
        }
        stage_move(&w->pictures, good, i, 1, o);
        if (it->chosen) {
            stage_move(&w->altered, altered, i * o->alteration_count, o->alteration_count, o);
            altered += o->alteration_count;
            set->sources[set->source_count++] = before + good;
        }
        good++;
    }
    ak_status status = rows_append(&set->altered, &w->altered, altered, w, err);
    if (status == AK_OK)
        status = rows_append(&set->pictures, &w->pictures, good, w, err);
    if (status != AK_OK)
        return status;
    for (size_t i = 0, row = before; i < w->n; i++) {
        item *it = &w->items[i];
        if (it->status != AK_OK)
            continue;
        set->labels[row] = label_of(set, it->name);
        if (set->labels[row] < 0)
            status = no_memory(err);
        set->names[row++] = it->name; // the set's from here on
        it->name = NULL;
    }
    w->seen += w->n;
    if (o->progress)
        o->progress(o->arg, w->seen);
    return status;
}

ak_status ak_embed_set_add(ak_embed_set *set, const char *path, const ak_embed_options *options,
                           ak_error *err)
{
    work w;
    ak_archive *archive = NULL;
    bool more = true;
    ak_status status = work_init(&w, set, options, err);
    if (status == AK_OK)
        status = ak_archive_open(&archive, path, AK_EMBED_FILE_LIMIT, err);
    while (status == AK_OK && more) {
        status = read_batch(&w, archive, &more, err);
        if (status != AK_OK || !w.n)
            break;
#pragma omp parallel for schedule(dynamic, 1)
        for (size_t i = 0; i < w.n; i++)
            decode(&w, i);
        status = embed_batch(&w, err);
    }
    ak_archive_close(archive);
    work_clear(&w);
    return status;
}

void ak_embed_set_clear(ak_embed_set *set)
{
    for (size_t i = 0; i < set->pictures.n; i++)
        free(set->names[i]);
    for (size_t i = 0; i < set->label_count; i++)
        free(set->label_names[i]);
    rows_clear(&set->pictures);
    rows_clear(&set->altered);
    free(set->names);
    free(set->labels);
    free(set->label_names);
    free(set->sources);
    *set = (ak_embed_set){0};
}
