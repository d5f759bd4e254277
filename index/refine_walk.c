// The walk over all pictures that a run may see. Pages of pictures are read within one state of the
// catalog each; what a page holds is copied, so that no reader is kept while a picture is taken.
#include "index/inside.h"
#include "index/jobs.h"
#include "index/proxies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 256 // pictures

typedef struct {
    ak_refine_picture picture;
    char collection[AK_NAME_MAX + 1];
    char *album, *caption;
    char *tags[AK_TAGS_MAX];
    size_t tags_n;
    int64_t image; // that speaks for it
} page_item;

typedef struct {
    page_item *items;
    size_t n;
} page;

static void page_clear(page *p)
{
    for (size_t i = 0; i < p->n; i++) {
        page_item *item = &p->items[i];
        free(item->album);
        free(item->caption);
        for (size_t k = 0; k < item->tags_n; k++)
            free(item->tags[k]);
        *item = (page_item){0};
    }
    p->n = 0;
}

static char *copy(const char *text)
{
    return text ? ak_strndup(text, strlen(text)) : NULL;
}

static bool is_inside(const ak_refine_walk *walk, const char *name)
{
    for (size_t i = 0; i < walk->n; i++)
        if (strcmp(walk->inside[i], name) == 0)
            return true;
    return false;
}

// One more image of a picture: the first inside one speaks for it, else the first of all.
static ak_status see_image(page *p, ak_rows *rows, const ak_refine_walk *walk, ak_error *err)
{
    int64_t key = ak_sql_int(rows, 0);
    const char *name = ak_sql_text(rows, 2);
    double yardstick = (double)ak_sql_int(rows, 3) / 1e6;
    bool inside = is_inside(walk, name);
    page_item *item = p->n ? &p->items[p->n - 1] : NULL;
    bool fresh = !item || item->picture.key != key;
    if (fresh) {
        item = &p->items[p->n++];
        ak_bytes sum = ak_sql_bytes(rows, 1);
        item->picture.key = key;
        item->picture.trained = ak_sql_int(rows, 7) != 0;
        memcpy(&item->picture.sha256, sum.at, AK_SHA256_BYTES);
    }
    if (yardstick > item->picture.yardstick)
        item->picture.yardstick = yardstick;
    if (!fresh && (item->picture.inside || !inside))
        return AK_OK;
    free(item->album);
    free(item->caption);
    const char *album = ak_sql_text(rows, 5), *caption = ak_sql_text(rows, 6);
    item->album = copy(album);
    item->caption = copy(caption);
    item->picture.inside = inside;
    item->image = ak_sql_int(rows, 4);
    snprintf(item->collection, sizeof item->collection, "%s", name);
    if ((album && !item->album) || (caption && !item->caption))
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a picture's texts");
    return AK_OK;
}

static ak_status see_tags(page_item *item, ak_sql *db, ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    ak_status status = ak_sql_query(
        &rows, db, err, "SELECT tag FROM tags WHERE image = ? ORDER BY position LIMIT ?",
        ak_int(item->image), ak_int(AK_TAGS_MAX));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        if (!(item->tags[item->tags_n] = copy(ak_sql_text(rows, 0))))
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a tag");
        else
            item->tags_n++;
    }
    ak_sql_end(rows);
    return status;
}

static ak_status read_page(page *p, int64_t *after, ak_store *store, const ak_refine_walk *walk,
                           ak_error *err)
{
    ak_reader *reader = NULL;
    ak_rows *rows = NULL;
    bool more = false;
    page_clear(p);
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_sql_query(
            &rows, reader->catalog, err,
            "WITH RECURSIVE line(id) AS (VALUES (?3) UNION SELECT m.parent FROM models m JOIN line "
            "l "
            "ON m.id = l.id WHERE m.parent <> '') SELECT i.picture, p.sha256, c.name, c.yardstick, "
            "i.key, i.album, i.caption, EXISTS (SELECT 1 FROM trained t WHERE t.sha256 = p.sha256 "
            "AND t.model IN (SELECT id FROM line)) FROM images i JOIN pictures p ON p.key = "
            "i.picture JOIN collections c ON c.key = i.collection WHERE i.picture IN (SELECT key "
            "FROM pictures WHERE key > ?1 ORDER BY key LIMIT ?2) AND c.name IS NOT NULL AND "
            "c.refine = 1 ORDER BY i.picture, i.key",
            ak_int(*after), ak_int(PAGE), ak_text(walk->model));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more)
        status = see_image(p, rows, walk, err);
    ak_sql_end(rows);
    for (size_t i = 0; status == AK_OK && i < p->n; i++)
        status = see_tags(&p->items[i], reader->catalog, err);
    // A page may be empty though others follow: its pictures are of other collections.
    bool found = false;
    int64_t last = 0;
    if (status == AK_OK)
        status =
            ak_sql_number(&last, &found, reader->catalog, err,
                          "SELECT max(key) FROM (SELECT key FROM pictures WHERE key > ?1 ORDER "
                          "BY key LIMIT ?2)",
                          ak_int(*after), ak_int(PAGE));
    ak_reader_give(&store->readers, reader);
    *after = last > *after ? last : INT64_MAX;
    return status;
}

static ak_status read_proxy(ak_buf *out, bool *found, ak_store *store, const ak_sha256 *sum,
                            ak_error *err)
{
    ak_reader *reader = NULL;
    out->n = 0;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_proxies_read(out, found, reader->proxies, sum, err);
    ak_reader_give(&store->readers, reader);
    return status;
}

ak_status ak_store_refine_walk(ak_store *store, const ak_refine_walk *walk, ak_error *err)
{
    page p = {.items = ak_alloc(PAGE, sizeof *p.items)};
    ak_buf proxy = {0};
    int64_t after = 0;
    if (!p.items)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a page of pictures");
    ak_status status = read_page(&p, &after, store, walk, err);
    while (status == AK_OK && after != INT64_MAX) {
        for (size_t i = 0; status == AK_OK && i < p.n; i++) {
            page_item *item = &p.items[i];
            ak_refine_picture *picture = &item->picture;
            bool found = false;
            picture->collection = item->collection;
            picture->album = item->album;
            picture->caption = item->caption;
            picture->tags = (const char *const *)item->tags;
            picture->tags_n = item->tags_n;
            if (!walk->want(walk->arg, picture))
                continue;
            status = read_proxy(&proxy, &found, store, &picture->sha256, err);
            picture->proxy = ak_buf_bytes(&proxy);
            if (status == AK_OK && found)
                status = walk->take(walk->arg, picture, err);
        }
        if (status == AK_OK)
            status = read_page(&p, &after, store, walk, err);
    }
    page_clear(&p);
    free(p.items);
    ak_buf_clear(&proxy);
    return status;
}
