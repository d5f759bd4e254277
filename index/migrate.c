// Migrations, at the start, before any other thread.
#include "index/migrate.h"

#include "core/base/clock.h"
#include "core/base/hash.h"

#include <string.h>

static void checksum(char out[AK_SHA256_HEX + 1], const char *sql)
{
    ak_sha256 sum = ak_sha256_of((ak_bytes){(const uint8_t *)sql, strlen(sql)});
    ak_sha256_hex(out, &sum);
}

// *last: the number of the last step that was applied. Compares each with ours.
static ak_status verify(int *last, ak_sql *db, const ak_migrations *migrations, ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    *last = 0;
    ak_status status =
        ak_sql_query(&rows, db, err, "SELECT number, name, sha256 FROM migrations ORDER BY number");
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        int number = (int)ak_sql_int(rows, 0);
        if (number < 1 || (size_t)number > migrations->n) {
            status = ak_fail(err, AK_CONFLICT,
                             "%s was written by a newer Akin (step %d, \"%s\"); this one knows "
                             "steps up to %zu: use the newer one, or a backup",
                             migrations->what, number, ak_sql_text(rows, 1), migrations->n);
            break;
        }
        char ours[AK_SHA256_HEX + 1];
        checksum(ours, migrations->steps[number - 1].sql);
        const char *theirs = ak_sql_text(rows, 2);
        if (number != *last + 1 || !theirs || strcmp(ours, theirs) != 0) {
            status = ak_fail(err, AK_CORRUPT, "%s has step %d in another wording than this Akin's",
                             migrations->what, number);
            break;
        }
        *last = number;
    }
    ak_sql_end(rows);
    return status;
}

static ak_status apply(ak_sql *db, const ak_migration *step, ak_error *err)
{
    char sum[AK_SHA256_HEX + 1];
    checksum(sum, step->sql);
    ak_status status = ak_sql_begin(db, AK_SQL_WRITE, err);
    if (status == AK_OK)
        status = ak_sql_script(db, step->sql, err);
    if (status == AK_OK)
        status =
            ak_sql_run(db, err, "INSERT INTO migrations VALUES (?, ?, ?, ?)", ak_int(step->number),
                       ak_text(step->name), ak_text(sum), ak_int(ak_clock_ms()));
    if (status == AK_OK)
        return ak_sql_commit(db, err);
    ak_sql_rollback(db);
    return status;
}

ak_status ak_migrate(ak_sql *db, const ak_migrations *migrations, ak_error *err)
{
    int last = 0;
    ak_status status = ak_sql_run(db, err,
                                  "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY "
                                  "KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, "
                                  "applied_at INTEGER NOT NULL) STRICT");
    if (status == AK_OK)
        status = verify(&last, db, migrations, err);
    for (size_t i = (size_t)last; status == AK_OK && i < migrations->n; i++)
        status = apply(db, &migrations->steps[i], err);
    return status;
}
