// While tars are added a picture's label is an index into the classes in the order of their first
// sight; ak_pictures_index renumbers by name, so that the order of the tars does not matter.
#include "core/views/pictures.h"

#include "core/base/archive.h"
#include "core/base/log.h"

#include <stdlib.h>
#include <string.h>

#define ENTRY_LIMIT ((size_t)64 << 20)
#define BATCH       1024 // entries decoded together

static ak_status class_of(uint32_t *label, ak_pictures *set, const char *name, ak_error *err)
{
    const char *slash = strchr(name, '/');
    size_t n = slash ? (size_t)(slash - name) : 0;
    // Entries of a class lie together: look from the end.
    for (size_t i = set->classes_n; i > 0; i--)
        if (strncmp(set->classes[i - 1], name, n) == 0 && set->classes[i - 1][n] == 0) {
            *label = (uint32_t)(i - 1);
            return AK_OK;
        }
    char **grown = realloc(set->classes, (set->classes_n + 1) * sizeof *grown);
    if (grown)
        set->classes = grown;
    char *copy = ak_strndup(name, n);
    if (!grown || !copy) {
        free(copy);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the names of classes");
    }
    set->classes[set->classes_n] = copy;
    *label = (uint32_t)set->classes_n++;
    return AK_OK;
}

typedef struct {
    ak_buf bytes;
    char *name;
    uint32_t label;
    ak_image image;
    ak_error why;
} entry;

static void decode(entry *e, int keep_side)
{
    ak_image whole = {0};
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    if (e->why.status != AK_OK ||
        ak_image_decode(&whole, ak_buf_bytes(&e->bytes), keep_side, &limits, &e->why) != AK_OK)
        return;
    int shorter = whole.width < whole.height ? whole.width : whole.height;
    if (shorter <= keep_side) {
        e->image = whole;
        return;
    }
    int w = (int)((int64_t)whole.width * keep_side / shorter);
    int h = (int)((int64_t)whole.height * keep_side / shorter);
    ak_image_resize(&e->image, &whole, w, h, &e->why);
    ak_image_clear(&whole);
}

static ak_status take(ak_pictures *set, entry *entries, size_t n, size_t memory_limit,
                      ak_error *err)
{
    for (size_t i = 0; i < n; i++) {
        entry *e = &entries[i];
        if (!e->image.rgb) {
            ak_log(AK_LOG_WARN, "skipped %s: %s", e->name, e->why.text);
            set->refused++;
            continue;
        }
        set->bytes += (size_t)e->image.width * (size_t)e->image.height * 3;
        if (set->bytes > memory_limit)
            return ak_fail(err, AK_OUT_OF_MEMORY,
                           "the decoded pictures need more than the %zu MiB allowed; give more "
                           "with --memory or fewer packs",
                           memory_limit >> 20);
        if (set->n == set->capacity) {
            size_t capacity = set->capacity ? 2 * set->capacity : 4096;
            ak_picture *grown = realloc(set->items, capacity * sizeof *grown);
            if (!grown)
                return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu pictures", capacity);
            set->items = grown;
            set->capacity = capacity;
        }
        set->items[set->n++] = (ak_picture){e->image, e->label};
        e->image = (ak_image){0};
    }
    return AK_OK;
}

ak_status ak_pictures_add(ak_pictures *set, const char *path, int keep_side, size_t memory_limit,
                          ak_error *err)
{
    ak_archive *archive = NULL;
    bool more = true;
    entry *entries = ak_alloc(BATCH, sizeof *entries);
    ak_status status = entries ? ak_archive_open(&archive, path, ENTRY_LIMIT, err)
                               : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to read %s", path);
    while (status == AK_OK && more) {
        size_t n = 0;
        while (n < BATCH) {
            ak_entry in;
            status = ak_archive_next(archive, &in, &more, err);
            if (status != AK_OK || !more)
                break;
            entry *e = &entries[n++];
            e->why.status = in.status;
            if (in.status != AK_OK)
                ak_fail(&e->why, in.status, "%s", in.reason);
            e->name = ak_strndup(in.name, strlen(in.name));
            if (!e->name || !ak_buf_append(&e->bytes, in.bytes.at, in.bytes.n)) {
                status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the entries of %s", path);
                break;
            }
            status = class_of(&e->label, set, e->name, err);
            if (status != AK_OK)
                break;
        }
        if (status == AK_OK) {
#pragma omp parallel for schedule(dynamic, 8)
            for (size_t i = 0; i < n; i++)
                decode(&entries[i], keep_side);
            status = take(set, entries, n, memory_limit, err);
        }
        for (size_t i = 0; i < n; i++) {
            ak_buf_clear(&entries[i].bytes);
            ak_image_clear(&entries[i].image);
            free(entries[i].name);
            entries[i] = (entry){0};
        }
    }
    ak_archive_close(archive);
    free(entries);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

ak_status ak_pictures_index(ak_pictures *set, ak_error *err)
{
    if (set->n == 0)
        return ak_fail(err, AK_BAD_VALUE, "there is no readable picture in the data");
    char **seen = ak_alloc(set->classes_n, sizeof *seen);
    uint32_t *number = ak_alloc(set->classes_n, sizeof *number);
    if (!seen || !number) {
        free(seen);
        free(number);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu classes", set->classes_n);
    }
    memcpy(seen, set->classes, set->classes_n * sizeof *seen);
    qsort(set->classes, set->classes_n, sizeof *set->classes, by_name);
    for (size_t i = 0; i < set->classes_n; i++) {
        char **at = bsearch(&seen[i], set->classes, set->classes_n, sizeof *seen, by_name);
        number[i] = (uint32_t)(at - set->classes);
    }
    for (size_t i = 0; i < set->n; i++)
        set->items[i].label = number[set->items[i].label];
    free(seen);
    free(number);
    return AK_OK;
}

void ak_pictures_clear(ak_pictures *set)
{
    for (size_t i = 0; i < set->n; i++)
        ak_image_clear(&set->items[i].image);
    for (size_t i = 0; i < set->classes_n; i++)
        free(set->classes[i]);
    free(set->items);
    free(set->classes);
    *set = (ak_pictures){0};
}
