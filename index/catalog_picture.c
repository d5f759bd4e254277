// Pictures and their vectors.
#include "core/base/clock.h"
#include "index/catalog.h"

#include <string.h>

ak_status ak_catalog_picture(ak_picture_row *out, bool *found, ak_sql *db, const ak_sha256 *sum,
                             ak_error *err)
{
    ak_rows *rows = NULL;
    *found = false;
    ak_status status =
        ak_sql_query(&rows, db, err, "SELECT key, original FROM pictures WHERE sha256 = ?",
                     ak_blob(sum->at, sizeof sum->at));
    if (status == AK_OK)
        status = ak_sql_next(rows, found, err);
    if (status == AK_OK && *found)
        *out = (ak_picture_row){ak_sql_int(rows, 0), ak_sql_int(rows, 1) != 0};
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_picture_insert(int64_t *key, ak_sql *db, const ak_sha256 *sum,
                                    const ak_image_info *info, uint64_t bytes, bool original,
                                    ak_error *err)
{
    ak_status status =
        ak_sql_run(db, err,
                   "INSERT INTO pictures (sha256, bytes, format, width, height, original, "
                   "created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   ak_blob(sum->at, sizeof sum->at), ak_int((int64_t)bytes),
                   ak_text(ak_format_name(info->format)), ak_int(info->width), ak_int(info->height),
                   ak_int(original), ak_int(ak_clock_ms()));
    *key = ak_sql_last_key(db);
    return status;
}

ak_status ak_catalog_picture_keeps(ak_sql *db, int64_t picture, ak_error *err)
{
    return ak_sql_run(db, err, "UPDATE pictures SET original = 1 WHERE key = ?", ak_int(picture));
}

ak_status ak_catalog_vector_insert(ak_sql *db, int64_t model, int64_t picture, const float *vector,
                                   int dims, ak_error *err)
{
    ak_status status =
        ak_sql_run(db, err, "INSERT INTO vectors (model, picture, vector) VALUES (?, ?, ?)",
                   ak_int(model), ak_int(picture), ak_blob(vector, (size_t)dims * sizeof *vector));
    return status == AK_OK
               ? ak_sql_run(db, err, "DELETE FROM missing WHERE model = ? AND picture = ?",
                            ak_int(model), ak_int(picture))
               : status;
}

ak_status ak_catalog_vector(float *out, bool *found, ak_sql *db, int64_t model, int64_t picture,
                            int dims, ak_error *err)
{
    ak_rows *rows = NULL;
    *found = false;
    ak_status status =
        ak_sql_query(&rows, db, err, "SELECT vector FROM vectors WHERE picture = ? AND model = ?",
                     ak_int(picture), ak_int(model));
    if (status == AK_OK)
        status = ak_sql_next(rows, found, err);
    if (status == AK_OK && *found) {
        ak_bytes bytes = ak_sql_bytes(rows, 0);
        if (bytes.n != (size_t)dims * sizeof *out)
            status = ak_fail(err, AK_CORRUPT, "a vector has %zu bytes, not %zu", bytes.n,
                             (size_t)dims * sizeof *out);
        else if (out)
            memcpy(out, bytes.at, bytes.n);
    }
    ak_sql_end(rows);
    return status;
}
