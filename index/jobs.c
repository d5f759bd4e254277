// Jobs in the catalog: kept, read, listed, forgotten.
#include "index/jobs.h"

#include "index/alter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ak_job_record_clear(ak_job_record *record)
{
    free(record->request);
    free(record->result);
    free(record->report);
    free(record->error);
    *record = (ak_job_record){0};
}

static ak_arg time_arg(int64_t ms)
{
    return ms == AK_TIME_NONE ? ak_null() : ak_int(ms);
}

// --- writing -----------------------------------------------------------------------------------

typedef struct {
    const ak_job_record *record;
    const ak_job_key *key;
    size_t keep;
} adding;

static ak_status add(ak_sql *db, void *arg, ak_error *err)
{
    const adding *a = arg;
    const ak_job_record *r = a->record;
    int64_t now = ak_clock_ms();
    ak_status status = ak_sql_run(
        db, err,
        "INSERT INTO jobs (id, kind, state, done, total, event, request, result, "
        "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ak_text(r->id), ak_text(r->kind), ak_text(r->state), ak_int(r->done), ak_int(r->total),
        ak_int(r->event), ak_text(r->request), ak_text(r->result), ak_int(r->created_at));
    if (status == AK_OK)
        status = ak_sql_run(db, err,
                            "DELETE FROM jobs WHERE ended_at IS NOT NULL AND key <= (SELECT key "
                            "FROM jobs WHERE ended_at IS NOT NULL ORDER BY key DESC LIMIT 1 "
                            "OFFSET ?)",
                            ak_int((int64_t)a->keep));
    if (status != AK_OK || !a->key)
        return status;
    // A key from the future, after the clock was set back, counts as from now.
    status = ak_sql_run(db, err, "UPDATE job_keys SET created_at = ?1 WHERE created_at > ?1",
                        ak_int(now));
    if (status == AK_OK)
        status = ak_sql_run(db, err, "DELETE FROM job_keys WHERE created_at < ?",
                            ak_int(now - AK_JOB_KEY_MS));
    if (status == AK_OK)
        status = ak_sql_run(db, err,
                            "INSERT INTO job_keys (key, request, answer, created_at) VALUES "
                            "(?, ?, ?, ?)",
                            ak_text(a->key->key), ak_blob(&a->key->request, AK_SHA256_BYTES),
                            ak_text(a->key->answer), ak_int(now));
    return status;
}

ak_status ak_store_job_add(ak_store *store, const ak_job_record *record, const ak_job_key *key,
                           size_t keep, ak_error *err)
{
    return ak_store_alter(store, add, &(adding){record, key, keep}, false, err);
}

static ak_status set(ak_sql *db, void *arg, ak_error *err)
{
    const ak_job_record *r = arg;
    ak_status status =
        ak_sql_run(db, err,
                   "UPDATE jobs SET state = ?, done = ?, total = ?, event = ?, result = ?, "
                   "report = ?, error = ?, started_at = ?, ended_at = ? WHERE id = ?",
                   ak_text(r->state), ak_int(r->done), ak_int(r->total), ak_int(r->event),
                   ak_text(r->result), ak_text(r->report), ak_text(r->error),
                   time_arg(r->started_at), time_arg(r->ended_at), ak_text(r->id));
    if (status == AK_OK && r->ended_at != AK_TIME_NONE)
        status = ak_sql_run(db, err,
                            "DELETE FROM run_removals WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE "
                            "kind = 'training' AND ended_at IS NULL)");
    return status;
}

ak_status ak_store_job_set(ak_store *store, const ak_job_record *record, ak_error *err)
{
    return ak_store_alter(store, set, (void *)(uintptr_t)record, true, err);
}

static ak_status count(ak_sql *db, void *arg, ak_error *err)
{
    const ak_job_record *r = arg;
    return ak_sql_run(db, err,
                      "UPDATE jobs SET done = ?, total = ?, event = ? WHERE id = ? AND ended_at IS "
                      "NULL",
                      ak_int(r->done), ak_int(r->total), ak_int(r->event), ak_text(r->id));
}

ak_status ak_store_job_count(ak_store *store, const ak_job_record *record, ak_error *err)
{
    return ak_store_alter(store, count, (void *)(uintptr_t)record, true, err);
}

static ak_status cancel(ak_sql *db, void *arg, ak_error *err)
{
    return ak_sql_run(db, err, "UPDATE jobs SET cancel = 1 WHERE id = ? AND ended_at IS NULL",
                      ak_text(arg));
}

ak_status ak_store_job_cancel(ak_store *store, const char *id, ak_error *err)
{
    return ak_store_alter(store, cancel, (void *)(uintptr_t)id, true, err);
}

// --- reading -----------------------------------------------------------------------------------

#define JOBS                                                                                       \
    "SELECT key, id, kind, state, cancel, done, total, event, request, result, error, "            \
    "created_at, "                                                                                 \
    "started_at, ended_at, "

static char *copy(const char *text)
{
    return text ? ak_strndup(text, strlen(text)) : NULL;
}

static int64_t read_time(ak_rows *rows, int column)
{
    return ak_sql_is_null(rows, column) ? AK_TIME_NONE : ak_sql_int(rows, column);
}

static ak_status read_row(ak_job_record *out, ak_rows *rows, ak_error *err)
{
    const char *report = ak_sql_text(rows, 14), *error = ak_sql_text(rows, 10);
    *out = (ak_job_record){
        .key = ak_sql_int(rows, 0),
        .cancel = ak_sql_int(rows, 4) != 0,
        .done = ak_sql_int(rows, 5),
        .total = ak_sql_int(rows, 6),
        .event = ak_sql_int(rows, 7),
        .request = copy(ak_sql_text(rows, 8)),
        .result = copy(ak_sql_text(rows, 9)),
        .error = copy(error),
        .report = copy(report),
        .created_at = ak_sql_int(rows, 11),
        .started_at = read_time(rows, 12),
        .ended_at = read_time(rows, 13),
    };
    snprintf(out->id, sizeof out->id, "%s", ak_sql_text(rows, 1));
    snprintf(out->kind, sizeof out->kind, "%s", ak_sql_text(rows, 2));
    snprintf(out->state, sizeof out->state, "%s", ak_sql_text(rows, 3));
    if (out->request && out->result && (out->error || !error) && (out->report || !report))
        return AK_OK;
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a job");
}

ak_status ak_store_job(ak_job_record *out, ak_store *store, const char *id, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_rows *rows = NULL;
    bool found = false;
    *out = (ak_job_record){0};
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_sql_query(&rows, reader->catalog, err, JOBS "report FROM jobs WHERE id = ?",
                              ak_text(id));
    if (status == AK_OK)
        status = ak_sql_next(rows, &found, err);
    if (status == AK_OK)
        status = found ? read_row(out, rows, err)
                       : ak_fail(err, AK_NOT_FOUND, "there is no job \"%.40s\"", id);
    ak_sql_end(rows);
    ak_reader_give(&store->readers, reader);
    return status;
}

ak_status ak_store_jobs(ak_job_record **items, size_t *n, bool *more, ak_store *store,
                        const char *kind, bool open, int64_t before, size_t limit, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_rows *rows = NULL;
    *n = 0;
    *more = false;
    *items = ak_alloc(limit, sizeof **items);
    if (!*items)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu jobs", limit);
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status =
            ak_sql_query(&rows, reader->catalog, err,
                         JOBS "NULL FROM jobs WHERE key < ?1 AND (?2 IS NULL OR kind = ?2) AND "
                              "(?3 = 0 OR ended_at IS NULL) ORDER BY key DESC LIMIT ?4",
                         ak_int(before), ak_text(kind), ak_int(open), ak_int((int64_t)limit + 1));
    while (status == AK_OK && (status = ak_sql_next(rows, more, err)) == AK_OK && *more) {
        if (*n == limit)
            break;
        status = read_row(&(*items)[*n], rows, err);
        ++*n;
    }
    ak_sql_end(rows);
    ak_reader_give(&store->readers, reader);
    return status;
}

ak_status ak_store_job_answer(char **answer, ak_store *store, const ak_job_key *key, ak_error *err)
{
    ak_reader *reader = NULL;
    ak_rows *rows = NULL;
    bool found = false;
    *answer = NULL;
    ak_status status = ak_reader_take(&reader, &store->readers, err);
    if (status == AK_OK)
        status = ak_sql_query(&rows, reader->catalog, err,
                              "SELECT request, answer FROM job_keys WHERE key = ? AND created_at "
                              ">= ?",
                              ak_text(key->key), ak_int(ak_clock_ms() - AK_JOB_KEY_MS));
    if (status == AK_OK)
        status = ak_sql_next(rows, &found, err);
    if (status == AK_OK && found) {
        ak_bytes sum = ak_sql_bytes(rows, 0);
        if (sum.n != AK_SHA256_BYTES || memcmp(sum.at, &key->request, sum.n) != 0)
            status = ak_fail(err, AK_KEY_REUSED,
                             "this Idempotency-Key came with another request in the last 24 hours; "
                             "take a new one");
        else if (!(*answer = copy(ak_sql_text(rows, 1))))
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an answer");
    }
    ak_sql_end(rows);
    ak_reader_give(&store->readers, reader);
    return status;
}
