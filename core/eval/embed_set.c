// The archive is read in batches, bounded by pictures and by bytes; a batch is decoded by all
// threads, one picture each at a time, and then embedded by all threads together. So the same
// pictures are always embedded in the same batches, and nothing waits in queues.
#include "core/eval/embed_set.h"

#include "core/base/archive.h"
#include "core/eval/histogram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH       AK_EMBED_BATCH
#define BATCH_BYTES ((size_t)64 << 20) // a batch is closed when its files reach this

typedef struct {
    char *name;
    ak_buf bytes;
    ak_status status; // of the file; AK_OK: its inputs and histogram are ready
    char reason[sizeof((ak_error *)0)->text];
    uint8_t *inputs[AK_EMBED_SET_MODELS]; // borrowed from work.inputs
    float histogram[AK_HISTOGRAM_BINS];
} item;

// Everything that one run holds.
typedef struct {
    const ak_embed_options *options;
    ak_embed_set *set;
    size_t capacity; // rows that the set has room for
    ak_embedder *embedders[AK_EMBED_SET_MODELS];
    uint8_t *inputs[AK_EMBED_SET_MODELS]; // (BATCH, input bytes)
    item *items;                          // (BATCH)
    size_t n;                             // items of this batch
    size_t seen;
} work;

static ak_status no_memory(ak_error *err)
{
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to embed the pictures");
}

ak_status ak_embed_set_count(size_t *n, const char *path, ak_error *err)
{
    ak_archive *archive = NULL;
    ak_entry entry;
    bool more = true;
    *n = 0;
    // A limit of 0 bytes: every file is "too large", and so none is read.
    ak_status status = ak_archive_open(&archive, path, 0, err);
    while (status == AK_OK) {
        status = ak_archive_next(archive, &entry, &more, err);
        if (status != AK_OK || !more)
            break;
        ++*n;
    }
    ak_archive_close(archive);
    return status;
}

static ak_status work_init(work *w, ak_embed_set *set, const ak_embed_options *options,
                           ak_error *err)
{
    *w = (work){.options = options, .set = set};
    w->items = ak_alloc(BATCH, sizeof *w->items);
    if (!w->items)
        return no_memory(err);
    for (size_t m = 0; m < options->model_count; m++) {
        const ak_model *model = options->models[m];
        ak_status status = ak_embedder_new(&w->embedders[m], model, options->precision, err);
        if (status != AK_OK)
            return status;
        w->inputs[m] = ak_alloc(BATCH, ak_model_input_bytes(model));
        if (!w->inputs[m])
            return no_memory(err);
    }
    return AK_OK;
}

static void work_clear(work *w)
{
    for (size_t m = 0; m < AK_EMBED_SET_MODELS; m++) {
        free(w->inputs[m]);
        ak_embedder_free(w->embedders[m]);
    }
    for (size_t i = 0; w->items && i < BATCH; i++) {
        free(w->items[i].name);
        ak_buf_clear(&w->items[i].bytes);
    }
    free(w->items);
}

// Fills the batch; *more is false when the archive ended.
static ak_status read_batch(work *w, ak_archive *archive, bool *more, ak_error *err)
{
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
        snprintf(it->reason, sizeof it->reason, "%s", entry.reason);
        if (!it->name ||
            (!entry.status && !ak_buf_append(&it->bytes, entry.bytes.at, entry.bytes.n)))
            return no_memory(err);
        bytes += entry.bytes.n;
    }
    return AK_OK;
}

static void decode(work *w, size_t i)
{
    item *it = &w->items[i];
    ak_image pixels = {0};
    ak_buf jpeg = {0};
    ak_error err = {0};
    if (it->status != AK_OK)
        return;
    it->status =
        ak_proxy_make(&pixels, &jpeg, ak_buf_bytes(&it->bytes), &AK_IMAGE_LIMITS_DEFAULT, &err);
    for (size_t m = 0; m < w->options->model_count && it->status == AK_OK; m++) {
        const ak_model *model = w->options->models[m];
        it->inputs[m] = w->inputs[m] + i * ak_model_input_bytes(model);
        it->status = ak_model_prepare(it->inputs[m], model, &pixels, &err);
    }
    if (it->status == AK_OK && w->options->histograms)
        ak_histogram_make(it->histogram, &pixels);
    if (it->status != AK_OK)
        snprintf(it->reason, sizeof it->reason, "%s", err.text);
    ak_buf_clear(&jpeg);
    ak_image_clear(&pixels);
}

static void *grown(void *at, size_t count, size_t size)
{
    size_t bytes;
    return ak_mul(&bytes, count, size) ? realloc(at, bytes) : NULL;
}

static ak_status make_room(work *w, size_t more, ak_error *err)
{
    ak_embed_set *set = w->set;
    if (set->n + more <= w->capacity)
        return AK_OK;
    size_t capacity = w->capacity ? w->capacity * 2 : 1024;
    void *at;
#define GROW(array, width)                                                                         \
    if (!(at = grown(array, capacity, (width) * sizeof *(array))))                                 \
        return no_memory(err);                                                                     \
    (array) = at
    GROW(set->names, 1);
    GROW(set->labels, 1);
    if (w->options->histograms) {
        GROW(set->histograms, AK_HISTOGRAM_BINS);
    }
    for (size_t m = 0; m < w->options->model_count; m++) {
        GROW(set->descriptors[m], (size_t)ak_model_dims(w->options->models[m]));
    }
#undef GROW
    w->capacity = capacity;
    return AK_OK;
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
    char **names = grown(set->label_names, set->label_count + 1, sizeof *names);
    if (!names)
        return -1;
    set->label_names = names;
    names[set->label_count] = ak_strndup(name, n);
    return names[set->label_count] ? (int32_t)set->label_count++ : -1;
}

// Moves the good inputs together, embeds them, and appends their rows to the set.
static ak_status embed_batch(work *w, ak_error *err)
{
    const ak_embed_options *options = w->options;
    ak_embed_set *set = w->set;
    size_t good = 0;
    ak_status status = make_room(w, w->n, err);
    if (status != AK_OK)
        return status;
    for (size_t i = 0; i < w->n; i++) {
        item *it = &w->items[i];
        if (it->status != AK_OK) {
            set->refused++;
            if (options->refused)
                options->refused(options->arg, it->name, it->status, it->reason);
            continue;
        }
        for (size_t m = 0; m < options->model_count; m++) {
            size_t bytes = ak_model_input_bytes(options->models[m]);
            if (good != i)
                memcpy(w->inputs[m] + good * bytes, it->inputs[m], bytes);
        }
        if (options->histograms)
            memcpy(set->histograms + (set->n + good) * AK_HISTOGRAM_BINS, it->histogram,
                   sizeof it->histogram);
        good++;
    }
    for (size_t m = 0; m < options->model_count && good; m++) {
        float *rows = set->descriptors[m] + set->n * (size_t)ak_model_dims(options->models[m]);
        status = ak_embedder_run(rows, w->embedders[m], w->inputs[m], good, err);
        if (status != AK_OK)
            return status;
    }
    for (size_t i = 0; i < w->n; i++) {
        item *it = &w->items[i];
        if (it->status != AK_OK)
            continue;
        int32_t label = label_of(set, it->name);
        if (label < 0)
            return no_memory(err);
        set->labels[set->n] = label;
        set->names[set->n++] = it->name;
        it->name = NULL;
    }
    w->seen += w->n;
    if (options->progress)
        options->progress(options->arg, w->seen);
    return AK_OK;
}

ak_status ak_embed_set_make(ak_embed_set *out, const char *path, const ak_embed_options *options,
                            ak_error *err)
{
    work w;
    ak_archive *archive = NULL;
    bool more = true;
    *out = (ak_embed_set){0};
    ak_status status = work_init(&w, out, options, err);
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
    if (status != AK_OK)
        ak_embed_set_clear(out);
    return status;
}

void ak_embed_set_clear(ak_embed_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        free(set->names[i]);
    for (size_t i = 0; i < set->label_count; i++)
        free(set->label_names[i]);
    for (size_t m = 0; m < AK_EMBED_SET_MODELS; m++)
        free(set->descriptors[m]);
    free(set->names);
    free(set->labels);
    free(set->label_names);
    free(set->histograms);
    *set = (ak_embed_set){0};
}
