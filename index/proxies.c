// Statements on proxies.db.
#include "index/proxies.h"

#include <string.h>

ak_status ak_proxies_put(ak_sql *db, const ak_sha256 *sum, ak_bytes jpeg, ak_error *err)
{
    return ak_sql_run(db, err, "INSERT OR REPLACE INTO proxies (sha256, jpeg) VALUES (?, ?)",
                      ak_blob(sum->at, sizeof sum->at), ak_blob(jpeg.at, jpeg.n));
}

ak_status ak_proxies_remove(ak_sql *db, const ak_sha256 *sum, ak_error *err)
{
    return ak_sql_run(db, err, "DELETE FROM proxies WHERE sha256 = ?",
                      ak_blob(sum->at, sizeof sum->at));
}

ak_status ak_proxies_read(ak_buf *out, bool *found, ak_sql *db, const ak_sha256 *sum, ak_error *err)
{
    ak_rows *rows = NULL;
    ak_status status = ak_sql_query(&rows, db, err, "SELECT jpeg FROM proxies WHERE sha256 = ?",
                                    ak_blob(sum->at, sizeof sum->at));
    *found = false;
    if (status == AK_OK)
        status = ak_sql_next(rows, found, err);
    if (status == AK_OK && *found) {
        ak_bytes jpeg = ak_sql_bytes(rows, 0);
        if (!ak_buf_append(out, jpeg.at, jpeg.n))
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a proxy of %zu bytes", jpeg.n);
    }
    ak_sql_end(rows);
    return status;
}

ak_status ak_proxies_arrive(ak_sql *db, const ak_sha256 *sum, ak_error *err)
{
    return ak_sql_run(db, err, "INSERT OR IGNORE INTO arriving (sha256) VALUES (?)",
                      ak_blob(sum->at, sizeof sum->at));
}

ak_status ak_proxies_arriving(ak_sha256 **sums, size_t *n, ak_sql *db, ak_error *err)
{
    ak_rows *rows = NULL;
    int64_t most = 0;
    bool more = false;
    *n = 0;
    *sums = NULL;
    ak_status status = ak_sql_number(&most, &more, db, err, "SELECT count(*) FROM arriving");
    if (status != AK_OK || most == 0)
        return status;
    *sums = ak_alloc((size_t)most, sizeof **sums);
    if (!*sums)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %lld sums", (long long)most);
    status = ak_sql_query(&rows, db, err, "SELECT sha256 FROM arriving LIMIT ?", ak_int(most));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        ak_bytes sum = ak_sql_bytes(rows, 0);
        if (sum.n == sizeof **sums)
            memcpy(&(*sums)[(*n)++], sum.at, sum.n);
    }
    ak_sql_end(rows);
    return status;
}

ak_status ak_proxies_arrived(ak_sql *db, ak_error *err)
{
    return ak_sql_run(db, err, "DELETE FROM arriving");
}
