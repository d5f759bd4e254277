// What deletions and changes of generation leave behind: images of dropped collections, pictures
// without an image, vectors that nothing needs, and the list of what must go from the proxies and
// the originals.
#include "index/catalog.h"

#include <stdlib.h>
#include <string.h>

ak_status ak_catalog_purge(bool *more, ak_sql *db, size_t limit, ak_error *err)
{
    int64_t key = 0;
    *more = false;
    ak_status status = ak_sql_number(
        &key, more, db, err, "SELECT key FROM collections WHERE name IS NULL ORDER BY key LIMIT 1");
    if (status != AK_OK || !*more)
        return status;
    status = ak_sql_run(db, err,
                        "INSERT OR IGNORE INTO unused (picture) SELECT DISTINCT picture FROM "
                        "(SELECT picture FROM images WHERE collection = ? ORDER BY id LIMIT ?)",
                        ak_int(key), ak_int((int64_t)limit));
    if (status == AK_OK)
        status = ak_sql_run(db, err,
                            "DELETE FROM images WHERE key IN (SELECT key FROM images WHERE "
                            "collection = ? ORDER BY id LIMIT ?)",
                            ak_int(key), ak_int((int64_t)limit));
    if (status != AK_OK || ak_sql_changes(db) > 0)
        return status;
    return ak_sql_run(db, err, "DELETE FROM collections WHERE key = ?", ak_int(key));
}

static ak_status sums(ak_sha256 **out, size_t *n, ak_sql *db, const char *text, size_t limit,
                      ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    *n = 0;
    *out = ak_alloc(limit, sizeof **out);
    if (!*out)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu sums", limit);
    ak_status status = ak_sql_query(&rows, db, err, text, ak_int((int64_t)limit));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        ak_bytes sum = ak_sql_bytes(rows, 0);
        if (sum.n == sizeof **out)
            memcpy(&(*out)[(*n)++], sum.at, sum.n);
    }
    ak_sql_end(rows);
    return status;
}

ak_status ak_catalog_unused(ak_sha256 **out, size_t *n, ak_sql *db, size_t limit, ak_error *err)
{
    return sums(out, n, db,
                "SELECT p.sha256 FROM unused u JOIN pictures p ON p.key = u.picture ORDER BY "
                "u.picture LIMIT ?",
                limit, err);
}

ak_status ak_catalog_picture_trim(ak_sql *db, const ak_sha256 *sum, ak_error *err)
{
    int64_t key = 0, shown = 0;
    bool found = false;
    ak_arg arg = ak_blob(sum->at, sizeof sum->at);
    ak_status status =
        ak_sql_number(&key, &found, db, err, "SELECT key FROM pictures WHERE sha256 = ?", arg);
    if (status != AK_OK || !found)
        return status;
    status = ak_sql_run(db, err, "DELETE FROM unused WHERE picture = ?", ak_int(key));
    if (status == AK_OK)
        status = ak_sql_run(db, err,
                            "DELETE FROM missing WHERE picture = ?1 AND model IN (SELECT key FROM "
                            "models) AND model NOT IN (SELECT model FROM needs WHERE picture = ?1)",
                            ak_int(key));
    if (status == AK_OK)
        status = ak_sql_run(db, err,
                            "DELETE FROM vectors WHERE picture = ?1 AND model NOT IN (SELECT model "
                            "FROM needs WHERE picture = ?1)",
                            ak_int(key));
    if (status == AK_OK)
        status = ak_sql_number(&shown, &found, db, err, "SELECT 1 FROM images WHERE picture = ?",
                               ak_int(key));
    if (status != AK_OK || found)
        return status;
    status = ak_sql_run(db, err, "DELETE FROM pictures WHERE key = ?", ak_int(key));
    if (status == AK_OK)
        status = ak_sql_run(db, err, "INSERT OR IGNORE INTO dropped (sha256) VALUES (?)", arg);
    return status;
}

// The pictures of one generation, by ascending key: `swept` says how far it has come.
static ak_status sweep(ak_sql *db, int64_t generation, int64_t collection, int64_t swept,
                       size_t limit, ak_error *err)
{
    int64_t last = 0;
    bool found = false;
    ak_status status = ak_sql_number(
        &last, &found, db, err,
        "SELECT max(picture) FROM (SELECT picture FROM images INDEXED BY images_by_picture WHERE "
        "collection = ? AND picture > ? ORDER BY picture LIMIT ?)",
        ak_int(collection), ak_int(swept), ak_int((int64_t)limit));
    if (status != AK_OK)
        return status;
    if (last == 0)
        return ak_sql_run(db, err, "DELETE FROM generations WHERE key = ?", ak_int(generation));
    status =
        ak_sql_run(db, err,
                   "INSERT OR IGNORE INTO unused (picture) SELECT picture FROM images INDEXED "
                   "BY images_by_picture WHERE collection = ? AND picture > ? AND picture <= ?",
                   ak_int(collection), ak_int(swept), ak_int(last));
    if (status == AK_OK)
        status = ak_sql_run(db, err, "UPDATE generations SET swept = ? WHERE key = ?", ak_int(last),
                            ak_int(generation));
    return status;
}

ak_status ak_catalog_sweep(bool *more, ak_sql *db, size_t limit,
                           bool (*held)(void *arg, int64_t generation), void *arg, ak_error *err)
{
    ak_rows *rows = NULL;
    bool row = false, found = false;
    int64_t generation = 0, collection = 0, swept = 0;
    ak_status status = ak_sql_query(
        &rows, db, err,
        "SELECT g.key, g.collection, g.swept FROM generations g JOIN collections c ON c.key = "
        "g.collection WHERE c.name IS NOT NULL AND g.key IS NOT c.serving_generation AND g.key IS "
        "NOT c.retained_generation AND g.key IS NOT c.coming_generation ORDER BY g.key");
    while (status == AK_OK && !found && (status = ak_sql_next(rows, &row, err)) == AK_OK && row) {
        generation = ak_sql_int(rows, 0);
        collection = ak_sql_int(rows, 1);
        swept = ak_sql_int(rows, 2);
        found = !held(arg, generation);
    }
    ak_sql_end(rows);
    *more = status == AK_OK && found;
    return *more ? sweep(db, generation, collection, swept, limit, err) : status;
}

ak_status ak_catalog_dropped(ak_sha256 **out, size_t *n, ak_sql *db, size_t limit, ak_error *err)
{
    return sums(out, n, db, "SELECT sha256 FROM dropped LIMIT ?", limit, err);
}

ak_status ak_catalog_dropped_done(ak_sql *db, const ak_sha256 *sum, ak_error *err)
{
    return ak_sql_run(db, err, "DELETE FROM dropped WHERE sha256 = ?",
                      ak_blob(sum->at, sizeof sum->at));
}
