// While tars are added a picture's label is an index into the classes in the order of their first
// sight; ak_pictures_index renumbers by name, so that the order of the tars does not matter.
#include "core/views/pictures.h"

#include "core/base/log.h"
#include "core/views/cache.h"
#include "core/views/decode.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    ak_pictures *set;
    const ak_pictures_options *options;
} adding;

// Takes the pixels over, or leaves them on an error.
static ak_status append(const adding *a, ak_bytes class, ak_image *image, bool mapped,
                        ak_error *err)
{
    ak_pictures *set = a->set;
    size_t bytes = (size_t)image->width * (size_t)image->height * 3;
    if (!mapped && set->bytes - set->mapped + bytes > a->options->memory_limit)
        return ak_fail(err, AK_OUT_OF_MEMORY,
                       "the decoded pictures need more than the %zu MiB allowed; give more with "
                       "--memory, or fewer packs, or keep them in files with --cache",
                       a->options->memory_limit >> 20);
    if (set->n == set->capacity) {
        size_t capacity = set->capacity ? 2 * set->capacity : 4096;
        ak_picture *grown = realloc(set->items, capacity * sizeof *grown);
        if (!grown)
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu pictures", capacity);
        set->items = grown;
        set->capacity = capacity;
    }
    uint32_t label;
    ak_status status = ak_class_number(&label, &set->classes, &set->classes_n, class, err);
    if (status != AK_OK)
        return status;
    set->items[set->n++] = (ak_picture){*image, label, mapped};
    set->bytes += bytes;
    set->mapped += mapped ? bytes : 0;
    *image = (ak_image){0};
    return AK_OK;
}

static ak_status take(void *arg, const char *name, ak_image *image, ak_error *err)
{
    return append(arg, ak_class_of(name), image, false, err);
}

static ak_status refuse(void *arg, const char *name, const char *why, ak_error *err)
{
    const adding *a = arg;
    (void)err;
    ak_log(AK_LOG_WARN, "skipped %s: %s", name, why);
    a->set->refused++;
    return AK_OK;
}

static ak_status add_cached(const adding *a, const char *path, ak_error *err)
{
    ak_pictures *set = a->set;
    struct ak_cache **grown = realloc(set->caches, (set->caches_n + 1) * sizeof(struct ak_cache *));
    if (!grown)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu caches", set->caches_n + 1);
    set->caches = grown;
    ak_cache *c;
    ak_status status = ak_cache_open(&c, a->options->cache, path, a->options->keep_side, err);
    if (status != AK_OK)
        return status;
    set->caches[set->caches_n++] = c;
    const char *what;
    for (size_t i = 0; (what = ak_cache_refused(c, i)); i++, set->refused++)
        ak_log(AK_LOG_WARN, "skipped %s", what);
    for (size_t i = 0; i < ak_cache_count(c) && status == AK_OK; i++) {
        const char *class;
        ak_image image = ak_cache_picture(c, i, &class);
        status = append(a, (ak_bytes){(const uint8_t *)class, strlen(class)}, &image, true, err);
    }
    return status;
}

ak_status ak_pictures_add(ak_pictures *set, const char *path, const ak_pictures_options *options,
                          ak_error *err)
{
    adding a = {set, options};
    struct stat st;
    if (options->cache && stat(path, &st) == 0 && S_ISREG(st.st_mode))
        return add_cached(&a, path, err);
    const ak_decode_sink sink = {take, refuse, &a};
    return ak_decode_all(path, options->keep_side, &sink, err);
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
        if (!set->items[i].mapped)
            ak_image_clear(&set->items[i].image);
    for (size_t i = 0; i < set->caches_n; i++)
        ak_cache_close(set->caches[i]);
    free(set->caches);
    for (size_t i = 0; i < set->classes_n; i++)
        free(set->classes[i]);
    free(set->items);
    free(set->classes);
    *set = (ak_pictures){0};
}
