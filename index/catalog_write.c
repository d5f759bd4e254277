// Changes of images. The counts that a collection carries are kept right in the same statements'
// transaction: images, distinct pictures, and the bytes of those.
#include "core/base/clock.h"
#include "index/catalog.h"

#include <string.h>

// After an image came to show the picture (sign 1) or ceased to (-1): the first and last image of a
// picture in the collection count the picture too.
static ak_status count(ak_sql *db, int64_t collection, int64_t picture, int sign, ak_error *err)
{
    int64_t others = 0, bytes = 0;
    bool found = false;
    ak_status status = ak_sql_number(
        &others, &found, db, err,
        "SELECT count(*) FROM (SELECT 1 FROM images WHERE picture = ? AND collection = ? LIMIT 2)",
        ak_int(picture), ak_int(collection));
    bool alone = sign > 0 ? others == 1 : others == 0;
    if (status == AK_OK && alone)
        status = ak_sql_number(&bytes, &found, db, err, "SELECT bytes FROM pictures WHERE key = ?",
                               ak_int(picture));
    if (status == AK_OK)
        status = ak_sql_run(db, err,
                            "UPDATE collections SET images = images + ?, pictures = pictures + ?, "
                            "bytes = bytes + ? WHERE key = ?",
                            ak_int(sign), ak_int(alone ? sign : 0), ak_int(sign * bytes),
                            ak_int(collection));
    return status;
}

// The writer looks whether the picture, or some of its vectors, can go.
static ak_status unused(ak_sql *db, int64_t picture, ak_error *err)
{
    return ak_sql_run(db, err, "INSERT OR IGNORE INTO unused (picture) VALUES (?)",
                      ak_int(picture));
}

static ak_status check_metadata(ak_sql *db, const ak_image_fields *fields, ak_error *err)
{
    int64_t fine = 1;
    bool found = false;
    if (!fields->set_metadata || !fields->metadata)
        return AK_OK;
    ak_status status =
        ak_sql_number(&fine, &found, db, err,
                      "SELECT CASE WHEN json_valid(?1) THEN json_type(?1) = 'object' ELSE 0 END",
                      ak_text(fields->metadata));
    if (status == AK_OK && !fine)
        return ak_fail(err, AK_BAD_VALUE, "metadata is not a JSON object");
    return status;
}

static ak_status write_tags(ak_sql *db, int64_t image, const ak_image_fields *fields, ak_error *err)
{
    ak_status status = ak_sql_run(db, err, "DELETE FROM tags WHERE image = ?", ak_int(image));
    for (size_t i = 0; status == AK_OK && i < fields->tag_count; i++) {
        bool again = false; // a tag twice is one tag
        for (size_t j = 0; j < i && !again; j++)
            again = strcmp(fields->tags[i], fields->tags[j]) == 0;
        if (!again)
            status = ak_sql_run(db, err, "INSERT INTO tags (image, position, tag) VALUES (?, ?, ?)",
                                ak_int(image), ak_int((int64_t)i), ak_text(fields->tags[i]));
    }
    return status;
}

static ak_arg time_arg(const ak_image_fields *fields)
{
    return fields->set_taken_at && fields->taken_at != AK_TIME_NONE ? ak_int(fields->taken_at)
                                                                    : ak_null();
}

ak_status ak_catalog_image_insert(int64_t *key, ak_sql *db, int64_t collection, const char *id,
                                  int64_t picture, const ak_image_fields *fields, ak_error *err)
{
    int64_t now = ak_clock_ms();
    ak_status status = check_metadata(db, fields, err);
    if (status == AK_OK)
        status = ak_sql_run(
            db, err,
            "INSERT INTO images (collection, id, picture, name, album, caption, taken_at, "
            "metadata, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            ak_int(collection), ak_text(id), ak_int(picture),
            ak_text(fields->set_name ? fields->name : NULL),
            ak_text(fields->set_album ? fields->album : NULL),
            ak_text(fields->set_caption ? fields->caption : NULL), time_arg(fields),
            ak_text(fields->set_metadata ? fields->metadata : NULL), ak_int(now), ak_int(now));
    *key = ak_sql_last_key(db);
    if (status == AK_OK && fields->set_tags && fields->tag_count)
        status = write_tags(db, *key, fields, err);
    return status == AK_OK ? count(db, collection, picture, 1, err) : status;
}

static ak_status tags_differ(bool *differ, ak_sql *db, int64_t image, const ak_image_fields *fields,
                             ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    size_t i = 0;
    *differ = false;
    ak_status status = ak_sql_query(
        &rows, db, err, "SELECT tag FROM tags WHERE image = ? ORDER BY position", ak_int(image));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        if (i >= fields->tag_count || strcmp(fields->tags[i], ak_sql_text(rows, 0)) != 0)
            *differ = true;
        i++;
    }
    ak_sql_end(rows);
    *differ = *differ || i != fields->tag_count;
    return status;
}

ak_status ak_catalog_image_change(bool *changed, ak_sql *db, int64_t image,
                                  const ak_image_fields *fields, ak_error *err)
{
    bool tags = false;
    *changed = false;
    ak_status status = check_metadata(db, fields, err);
    if (status == AK_OK && fields->set_tags)
        status = tags_differ(&tags, db, image, fields, err);
    if (status == AK_OK && tags)
        status = write_tags(db, image, fields, err);
    if (status == AK_OK)
        status = ak_sql_run(
            db, err,
            "UPDATE images SET name = iif(?2, ?3, name), album = iif(?4, ?5, album), "
            "caption = iif(?6, ?7, caption), taken_at = iif(?8, ?9, taken_at), "
            "metadata = iif(?10, ?11, metadata), updated_at = ?12, version = version + 1 "
            "WHERE key = ?1 AND (?13 OR (?2 AND name IS NOT ?3) OR (?4 AND album IS NOT ?5) OR "
            "(?6 AND caption IS NOT ?7) OR (?8 AND taken_at IS NOT ?9) OR "
            "(?10 AND metadata IS NOT ?11))",
            ak_int(image), ak_int(fields->set_name), ak_text(fields->name),
            ak_int(fields->set_album), ak_text(fields->album), ak_int(fields->set_caption),
            ak_text(fields->caption), ak_int(fields->set_taken_at), time_arg(fields),
            ak_int(fields->set_metadata), ak_text(fields->metadata), ak_int(ak_clock_ms()),
            ak_int(tags));
    *changed = status == AK_OK && ak_sql_changes(db) > 0;
    return status;
}

ak_status ak_catalog_image_show(ak_sql *db, int64_t collection, const ak_image_row *image,
                                int64_t picture, ak_error *err)
{
    ak_status status =
        ak_sql_run(db, err,
                   "UPDATE images SET picture = ?, updated_at = ?, version = version "
                   "+ 1 WHERE key = ?",
                   ak_int(picture), ak_int(ak_clock_ms()), ak_int(image->key));
    if (status == AK_OK)
        status = count(db, collection, image->picture, -1, err);
    if (status == AK_OK)
        status = count(db, collection, picture, 1, err);
    return status == AK_OK ? unused(db, image->picture, err) : status;
}

ak_status ak_catalog_image_delete(ak_sql *db, int64_t collection, const ak_image_row *image,
                                  ak_error *err)
{
    ak_status status = ak_sql_run(db, err, "DELETE FROM images WHERE key = ?", ak_int(image->key));
    if (status == AK_OK)
        status = count(db, collection, image->picture, -1, err);
    return status == AK_OK ? unused(db, image->picture, err) : status;
}
