// Images, read: by id, by picture, as whole records, in lists. Records own their texts.
#include "index/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ak_status one_row(ak_image_row *out, bool *found, ak_rows *rows, ak_error *err)
{
    ak_status status = ak_sql_next(rows, found, err);
    if (status == AK_OK && *found) {
        ak_bytes sum = ak_sql_bytes(rows, 3);
        out->key = ak_sql_int(rows, 0);
        out->picture = ak_sql_int(rows, 1);
        out->version = ak_sql_int(rows, 2);
        if (sum.n != sizeof out->sha256)
            return ak_fail(err, AK_CORRUPT, "a picture's sum has %zu bytes", sum.n);
        memcpy(&out->sha256, sum.at, sum.n);
    }
    return status;
}

ak_status ak_catalog_image(ak_image_row *out, bool *found, ak_sql *db, int64_t collection,
                           const char *id, ak_error *err)
{
    ak_rows *rows = NULL;
    *found = false;
    ak_status status = ak_sql_query(&rows, db, err,
                                    "SELECT i.key, i.picture, i.version, p.sha256 FROM images i "
                                    "JOIN pictures p ON p.key = i.picture WHERE i.collection = ? "
                                    "AND i.id = ?",
                                    ak_int(collection), ak_text(id));
    if (status == AK_OK)
        status = one_row(out, found, rows, err);
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_image_of(ak_image_row *out, bool *found, ak_sql *db, int64_t collection,
                              int64_t picture, ak_error *err)
{
    ak_rows *rows = NULL;
    *found = false;
    ak_status status = ak_sql_query(&rows, db, err,
                                    "SELECT i.key, i.picture, i.version, p.sha256 FROM images i "
                                    "JOIN pictures p ON p.key = i.picture WHERE i.picture = ? AND "
                                    "i.collection = ? ORDER BY i.key LIMIT 1",
                                    ak_int(picture), ak_int(collection));
    if (status == AK_OK)
        status = one_row(out, found, rows, err);
    ak_sql_end(rows);
    return status;
}

// --- whole records -----------------------------------------------------------------------------

#define RECORDS                                                                                    \
    "SELECT i.key, i.id, i.name, i.album, i.caption, i.taken_at, i.metadata, p.sha256, p.width, "  \
    "p.height, p.format, p.bytes, i.created_at, i.updated_at, i.version FROM images i JOIN "       \
    "pictures p ON p.key = i.picture WHERE "

void ak_image_record_clear(ak_image_record *record)
{
    free(record->name);
    free(record->album);
    free(record->caption);
    free(record->metadata);
    for (size_t i = 0; i < record->tag_count; i++)
        free(record->tags[i]);
    free(record->tags);
    *record = (ak_image_record){0};
}

static ak_status no_memory(ak_error *err)
{
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an image's record");
}

static bool copy(char **out, ak_rows *rows, int column)
{
    const char *text = ak_sql_text(rows, column);
    *out = text ? ak_strndup(text, strlen(text)) : NULL;
    return *out || !text;
}

static ak_format format_of(const char *name)
{
    for (ak_format f = AK_FORMAT_JPEG; f <= AK_FORMAT_WEBP; f++)
        if (name && strcmp(name, ak_format_name(f)) == 0)
            return f;
    return AK_FORMAT_NONE;
}

static ak_status read_tags(ak_image_record *out, ak_sql *db, int64_t image, ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    char *tags[AK_TAGS_MAX];
    size_t n = 0;
    ak_status status = ak_sql_query(
        &rows, db, err, "SELECT tag FROM tags WHERE image = ? ORDER BY position", ak_int(image));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        if (n == AK_TAGS_MAX)
            break;
        if (copy(&tags[n], rows, 0))
            n++;
        else
            status = no_memory(err);
    }
    ak_sql_end(rows);
    out->tags = n ? ak_alloc(n, sizeof *out->tags) : NULL;
    if (n && !out->tags) {
        while (n)
            free(tags[--n]);
        return no_memory(err);
    }
    if (n)
        memcpy(out->tags, tags, n * sizeof *tags);
    out->tag_count = n;
    return status;
}

static ak_status read_record(ak_image_record *out, ak_rows *rows, ak_sql *db, ak_error *err)
{
    ak_bytes sum = ak_sql_bytes(rows, 7);
    *out = (ak_image_record){
        .taken_at = ak_sql_is_null(rows, 5) ? AK_TIME_NONE : ak_sql_int(rows, 5),
        .width = (int)ak_sql_int(rows, 8),
        .height = (int)ak_sql_int(rows, 9),
        .format = format_of(ak_sql_text(rows, 10)),
        .bytes = (uint64_t)ak_sql_int(rows, 11),
        .created_at = ak_sql_int(rows, 12),
        .updated_at = ak_sql_int(rows, 13),
        .version = ak_sql_int(rows, 14),
    };
    if (sum.n == sizeof out->sha256)
        memcpy(&out->sha256, sum.at, sum.n);
    snprintf(out->id, sizeof out->id, "%s", ak_sql_text(rows, 1));
    if (!copy(&out->name, rows, 2) || !copy(&out->album, rows, 3) ||
        !copy(&out->caption, rows, 4) || !copy(&out->metadata, rows, 6))
        return no_memory(err);
    return read_tags(out, db, ak_sql_int(rows, 0), err);
}

ak_status ak_catalog_record(ak_image_record *out, ak_sql *db, int64_t image, ak_error *err)
{
    ak_rows *rows = NULL;
    bool found = false;
    *out = (ak_image_record){0};
    ak_status status = ak_sql_query(&rows, db, err, RECORDS "i.key = ?", ak_int(image));
    if (status == AK_OK)
        status = ak_sql_next(rows, &found, err);
    if (status == AK_OK)
        status = found ? read_record(out, rows, db, err)
                       : ak_fail(err, AK_UNKNOWN_IMAGE, "the image is gone");
    ak_sql_end(rows);
    if (status != AK_OK)
        ak_image_record_clear(out);
    return status;
}

ak_status ak_catalog_images(ak_image_record **items, size_t *n, bool *more, ak_sql *db,
                            int64_t collection, ak_order order, const ak_position *after,
                            size_t limit, ak_error *err)
{
    static const char *const texts[][2] = {
        [AK_ORDER_CREATED] = {RECORDS "i.collection = ? ORDER BY i.created_at, i.id LIMIT ?",
                              RECORDS "i.collection = ?1 AND (i.created_at, i.id) > (?3, ?4) ORDER "
                                      "BY i.created_at, i.id LIMIT ?2"},
        [AK_ORDER_CREATED_DESC] = {RECORDS "i.collection = ? ORDER BY i.created_at DESC, i.id DESC "
                                           "LIMIT ?",
                                   RECORDS "i.collection = ?1 AND (i.created_at, i.id) < (?3, ?4) "
                                           "ORDER BY i.created_at DESC, i.id DESC LIMIT ?2"},
        [AK_ORDER_ID] = {RECORDS "i.collection = ? ORDER BY i.id LIMIT ?",
                         RECORDS "i.collection = ?1 AND i.id > ?4 AND ?3 IS NOT NULL ORDER BY i.id "
                                 "LIMIT ?2"},
    };
    ak_rows *rows = NULL;
    ak_status status = AK_OK;
    *n = 0;
    *items = ak_alloc(limit, sizeof **items);
    if (!*items)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu images", limit);
    if (after)
        status =
            ak_sql_query(&rows, db, err, texts[order][1], ak_int(collection),
                         ak_int((int64_t)limit + 1), ak_int(after->created_at), ak_text(after->id));
    else
        status = ak_sql_query(&rows, db, err, texts[order][0], ak_int(collection),
                              ak_int((int64_t)limit + 1));
    while (status == AK_OK && (status = ak_sql_next(rows, more, err)) == AK_OK && *more) {
        if (*n == limit)
            break;
        status = read_record(&(*items)[*n], rows, db, err);
        ++*n; // also a half-read one: the caller clears it
    }
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_check(ak_sql *db, int64_t collection, const ak_sha256 *sum, size_t i,
                           void (*found)(void *arg, size_t i, const char *id), void *arg,
                           ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    ak_status status = ak_sql_query(&rows, db, err,
                                    "SELECT i.id FROM pictures p JOIN images i ON i.picture = "
                                    "p.key WHERE p.sha256 = ? AND i.collection = ? ORDER BY i.key",
                                    ak_blob(sum->at, sizeof sum->at), ak_int(collection));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more)
        found(arg, i, ak_sql_text(rows, 0));
    ak_sql_end(rows);
    return status;
}
