#include "core/views/decode.h"

#include "core/base/archive.h"

#include <stdlib.h>
#include <string.h>

#define ENTRY_LIMIT ((size_t)64 << 20)
#define BATCH       1024 // entries decoded together

ak_bytes ak_class_of(const char *name)
{
    const char *slash = strchr(name, '/');
    return (ak_bytes){(const uint8_t *)name, slash ? (size_t)(slash - name) : 0};
}

ak_status ak_class_number(uint32_t *number, char ***classes, size_t *n, ak_bytes class,
                          ak_error *err)
{
    const char *name = (const char *)class.at;
    // Entries of a class lie together: look from the end.
    for (size_t i = *n; i > 0; i--)
        if (strncmp((*classes)[i - 1], name, class.n) == 0 && (*classes)[i - 1][class.n] == 0) {
            *number = (uint32_t)(i - 1);
            return AK_OK;
        }
    char **grown = realloc(*classes, (*n + 1) * sizeof *grown);
    if (grown)
        *classes = grown;
    char *copy = ak_strndup(name, class.n);
    if (!grown || !copy) {
        free(copy);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the names of classes");
    }
    grown[*n] = copy;
    *number = (uint32_t)(*n)++;
    return AK_OK;
}

ak_status ak_decode_kept(ak_image *image, ak_bytes file, int keep_side, ak_error *err)
{
    ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    ak_status status = ak_image_decode(image, file, keep_side, &limits, err);
    int shorter = image->width < image->height ? image->width : image->height;
    if (status != AK_OK || shorter <= keep_side)
        return status;
    ak_image whole = *image;
    *image = (ak_image){0};
    int w = (int)((int64_t)whole.width * keep_side / shorter);
    int h = (int)((int64_t)whole.height * keep_side / shorter);
    status = ak_image_resize(image, &whole, w, h, err);
    ak_image_clear(&whole);
    return status;
}

typedef struct {
    ak_buf bytes;
    char *name;
    ak_image image;
    ak_error why;
} entry;

// Up to BATCH entries; *more is false when the archive has no others.
static ak_status read_batch(entry *entries, size_t *n, ak_archive *archive, bool *more,
                            ak_error *err)
{
    for (*n = 0; *n < BATCH;) {
        ak_entry in;
        ak_status status = ak_archive_next(archive, &in, more, err);
        if (status != AK_OK || !*more)
            return status;
        entry *e = &entries[(*n)++];
        e->why.status = in.status;
        if (in.status != AK_OK)
            ak_fail(&e->why, in.status, "%s", in.reason);
        e->name = ak_strndup(in.name, strlen(in.name));
        if (!e->name || !ak_buf_append(&e->bytes, in.bytes.at, in.bytes.n))
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the entries of the archive");
    }
    return AK_OK;
}

static void clear(entry *e)
{
    ak_buf_clear(&e->bytes);
    ak_image_clear(&e->image);
    free(e->name);
    *e = (entry){0};
}

ak_status ak_decode_all(const char *path, int keep_side, const ak_decode_sink *sink, ak_error *err)
{
    ak_archive *archive = NULL;
    bool more = true;
    entry *entries = ak_alloc(BATCH, sizeof *entries);
    ak_status status = entries ? ak_archive_open(&archive, path, ENTRY_LIMIT, err)
                               : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to read %s", path);
    while (status == AK_OK && more) {
        size_t n;
        status = read_batch(entries, &n, archive, &more, err);
        if (status == AK_OK) {
#pragma omp parallel for schedule(dynamic, 8)
            for (size_t i = 0; i < n; i++)
                if (entries[i].why.status == AK_OK)
                    ak_decode_kept(&entries[i].image, ak_buf_bytes(&entries[i].bytes), keep_side,
                                   &entries[i].why);
        }
        for (size_t i = 0; i < n; i++) {
            entry *e = &entries[i];
            if (status == AK_OK && e->why.status == AK_OK)
                status = sink->take(sink->arg, e->name, &e->image, err);
            else if (status == AK_OK)
                status = sink->refuse(sink->arg, e->name, e->why.text, err);
            clear(e);
        }
    }
    ak_archive_close(archive);
    free(entries);
    return status;
}
