// What people say of pairs of images.
#include "index/alter.h"
#include "index/catalog.h"
#include "index/jobs.h"

#include <string.h>

typedef struct {
    const char *collection, *query, *result;
    bool similar;
} judgement;

static ak_status find(int64_t *image, int64_t *picture, ak_sql *db, const judgement *j,
                      const char *id, ak_error *err)
{
    ak_collection_row row;
    ak_image_row found_image = {0};
    bool found = false;
    ak_status status = ak_catalog_collection(&row, db, j->collection, err);
    if (status == AK_OK)
        status = ak_catalog_image(&found_image, &found, db, row.key, id, err);
    if (status == AK_OK && !found)
        return ak_fail(err, AK_UNKNOWN_IMAGE, "there is no image \"%.128s\" in \"%s\"", id,
                       j->collection);
    *image = found_image.key;
    *picture = found_image.picture;
    return status;
}

static ak_status judge(ak_sql *db, void *arg, ak_error *err)
{
    const judgement *j = arg;
    int64_t query = 0, result = 0, shown = 0, found = 0;
    ak_status status = find(&query, &shown, db, j, j->query, err);
    if (status == AK_OK)
        status = find(&result, &found, db, j, j->result, err);
    if (status == AK_OK && shown == found)
        return ak_fail(err, AK_BAD_VALUE,
                       "\"%.128s\" and \"%.128s\" show the same picture; judge two different ones",
                       j->query, j->result);
    if (status == AK_OK)
        status =
            ak_sql_run(db, err,
                       "INSERT INTO feedback (query, result, similar, created_at) VALUES "
                       "(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET similar = ?3, created_at = "
                       "?4",
                       ak_int(query), ak_int(result), ak_int(j->similar), ak_int(ak_clock_ms()));
    return status;
}

ak_status ak_store_feedback(ak_store *store, const char *collection, const char *query,
                            const char *result, bool similar, ak_error *err)
{
    return ak_store_alter(store, judge, &(judgement){collection, query, result, similar}, false,
                          err);
}

ak_status ak_store_feedback_each(ak_store *store,
                                 ak_status (*pair)(void *arg, const ak_sha256 *query,
                                                   const ak_sha256 *result, bool similar,
                                                   ak_error *err),
                                 void *arg, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_rows *rows = NULL;
    bool more = false;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_sql_query(&rows, reader->catalog, err,
                              "SELECT a.sha256, b.sha256, f.similar FROM feedback f JOIN images q "
                              "ON q.key = f.query JOIN images r ON r.key = f.result JOIN pictures "
                              "a ON a.key = q.picture JOIN pictures b ON b.key = r.picture JOIN "
                              "collections c ON c.key = q.collection WHERE c.refine = 1 AND "
                              "c.name IS NOT NULL ORDER BY f.query, f.result");
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        ak_sha256 query, result;
        ak_bytes a = ak_sql_bytes(rows, 0), b = ak_sql_bytes(rows, 1);
        memcpy(&query, a.at, sizeof query);
        memcpy(&result, b.at, sizeof result);
        status = pair(arg, &query, &result, ak_sql_int(rows, 2) != 0, err);
    }
    ak_sql_end(rows);
    ak_reader_give(&store->readers, reader);
    return status;
}
