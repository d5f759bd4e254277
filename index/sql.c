// The one file that calls SQLite.
//
// Threads: a connection is used by one thread at a time (opened without SQLite's own mutex); the
// files object is shared, its tables are made under `lock` when a file is first opened. Rows and
// statements belong to their connection.
#include "index/sql.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUSY_MS    10000
#define STATEMENTS 96 // kept a connection; there are about seventy texts

// --- files -------------------------------------------------------------------------------------
// A VFS that is SQLite's own but for two methods of its files. SQLite has a constant method table
// for each way of locking; `tables` holds a copy of each with write and sync replaced.

typedef struct {
    sqlite3_io_methods methods; // first: a file's pMethods is a hooked table
    const sqlite3_io_methods *real;
    ak_disk *disk;
} hooked;

struct ak_sql_files {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    ak_disk *disk;
    pthread_mutex_t lock;
    hooked tables[6];
    char name[40];
};

static int fault(int errnum, int otherwise)
{
    return errnum == ENOSPC || errnum == EDQUOT  ? SQLITE_FULL
           : errnum == EROFS || errnum == EACCES ? SQLITE_READONLY
                                                 : otherwise;
}

static int hooked_write(sqlite3_file *file, const void *at, int n, sqlite3_int64 offset)
{
    const hooked *table = (const hooked *)(const void *)file->pMethods;
    int errnum = ak_disk_ask(table->disk, AK_DISK_WRITE);
    return errnum ? fault(errnum, SQLITE_IOERR_WRITE) : table->real->xWrite(file, at, n, offset);
}

static int hooked_sync(sqlite3_file *file, int flags)
{
    const hooked *table = (const hooked *)(const void *)file->pMethods;
    int errnum = ak_disk_ask(table->disk, AK_DISK_SYNC);
    return errnum ? fault(errnum, SQLITE_IOERR_FSYNC) : table->real->xSync(file, flags);
}

static int hooked_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
    ak_sql_files *files = vfs->pAppData;
    int rc = files->real->xOpen(files->real, name, file, flags, out);
    if (rc != SQLITE_OK || !file->pMethods)
        return rc;
    pthread_mutex_lock(&files->lock);
    for (size_t i = 0; i < sizeof files->tables / sizeof *files->tables; i++) {
        hooked *table = &files->tables[i];
        if (table->real && table->real != file->pMethods)
            continue;
        if (!table->real) {
            table->methods = *file->pMethods;
            table->methods.xWrite = hooked_write;
            table->methods.xSync = hooked_sync;
            table->disk = files->disk;
            table->real = file->pMethods;
        }
        file->pMethods = &table->methods;
        break;
    }
    pthread_mutex_unlock(&files->lock);
    return rc;
}

ak_status ak_sql_files_new(ak_sql_files **out, ak_disk *disk, ak_error *err)
{
    *out = NULL;
    ak_sql_files *files = ak_alloc(1, sizeof *files);
    if (!files || sqlite3_initialize() != SQLITE_OK) {
        free(files);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to start SQLite");
    }
    files->real = sqlite3_vfs_find(NULL);
    files->disk = disk;
    pthread_mutex_init(&files->lock, NULL);
    snprintf(files->name, sizeof files->name, "akin-%p", (void *)files);
    files->vfs = *files->real;
    files->vfs.pNext = NULL;
    files->vfs.zName = files->name;
    files->vfs.pAppData = files;
    files->vfs.xOpen = hooked_open;
    if (sqlite3_vfs_register(&files->vfs, 0) != SQLITE_OK) {
        pthread_mutex_destroy(&files->lock);
        free(files);
        return ak_fail(err, AK_INTERNAL, "SQLite does not take the file layer");
    }
    *out = files;
    return AK_OK;
}

void ak_sql_files_free(ak_sql_files *files)
{
    if (!files)
        return;
    sqlite3_vfs_unregister(&files->vfs);
    pthread_mutex_destroy(&files->lock);
    free(files);
}

// --- connections -------------------------------------------------------------------------------

struct ak_rows {
    sqlite3_stmt *stmt;
    ak_sql *db;
    const char *text; // as SQLite keeps it
    bool busy, kept;
};

struct ak_sql {
    sqlite3 *handle;
    ak_disk *disk;
    ak_rows statements[STATEMENTS];
    size_t n;
};

static ak_status fail(ak_error *err, ak_sql *db, int rc, const char *what)
{
    ak_status status = AK_INTERNAL;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        status = AK_DISK_FULL;
        break;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        status = AK_READ_ONLY;
        break;
    case SQLITE_IOERR: {
        int errnum = db && db->handle ? sqlite3_system_errno(db->handle) : 0;
        status = rc == SQLITE_IOERR_NOMEM               ? AK_OUT_OF_MEMORY
                 : errnum == ENOSPC || errnum == EDQUOT ? AK_DISK_FULL
                                                        : AK_IO;
        break;
    }
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        status = AK_CORRUPT;
        break;
    case SQLITE_NOMEM:
        status = AK_OUT_OF_MEMORY;
        break;
    case SQLITE_BUSY:
        status = AK_OVERLOADED;
        break;
    }
    return ak_fail(err, status, "%.200s: %s", what,
                   db && db->handle ? sqlite3_errmsg(db->handle) : sqlite3_errstr(rc));
}

ak_status ak_sql_open(ak_sql **out, ak_sql_files *files, const char *path, ak_sql_mode mode,
                      ak_error *err)
{
    ak_status status = AK_OK;
    *out = NULL;
    ak_sql *db = ak_alloc(1, sizeof *db);
    if (!db)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to open %s", path);
    db->disk = files->disk;
    int flags =
        mode == AK_SQL_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    int rc = sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, files->name);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(db->handle, 1);
        sqlite3_busy_timeout(db->handle, BUSY_MS);
        rc = sqlite3_exec(db->handle,
                          mode == AK_SQL_WRITE ? "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                                                 "PRAGMA foreign_keys=ON; PRAGMA secure_delete=ON;"
                                               : "PRAGMA query_only=ON;",
                          NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        status = fail(err, db, rc, path);
        ak_sql_close(db);
        return status;
    }
    *out = db;
    return AK_OK;
}

void ak_sql_close(ak_sql *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < db->n; i++)
        sqlite3_finalize(db->statements[i].stmt);
    sqlite3_close_v2(db->handle);
    free(db);
}

// --- statements --------------------------------------------------------------------------------

static ak_rows *prepare(ak_sql *db, const char *text, int *rc)
{
    for (size_t i = 0; i < db->n; i++) {
        ak_rows *kept = &db->statements[i];
        if (!kept->busy && strcmp(kept->text, text) == 0)
            return kept;
    }
    sqlite3_stmt *stmt = NULL;
    *rc = sqlite3_prepare_v3(db->handle, text, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
    if (*rc != SQLITE_OK)
        return NULL;
    bool kept = db->n < STATEMENTS;
    ak_rows *rows = kept ? &db->statements[db->n] : ak_alloc(1, sizeof *rows);
    if (!rows) {
        sqlite3_finalize(stmt);
        *rc = SQLITE_NOMEM;
        return NULL;
    }
    db->n += kept;
    *rows = (ak_rows){.stmt = stmt, .db = db, .text = sqlite3_sql(stmt), .kept = kept};
    return rows;
}

static int bind(sqlite3_stmt *stmt, const ak_arg *args)
{
    int rc = SQLITE_OK;
    for (int i = 1; rc == SQLITE_OK && args->kind != AK_ARG_END; i++, args++) {
        switch (args->kind) {
        case AK_ARG_INT:
            rc = sqlite3_bind_int64(stmt, i, args->number);
            break;
        case AK_ARG_TEXT:
            rc = sqlite3_bind_text(stmt, i, args->at, -1, SQLITE_STATIC);
            break;
        case AK_ARG_BYTES:
            rc = sqlite3_bind_blob64(stmt, i, args->at ? args->at : "", args->n, SQLITE_STATIC);
            break;
        default:
            rc = sqlite3_bind_null(stmt, i);
        }
    }
    return rc;
}

ak_status ak_sql_query_args(ak_rows **out, ak_sql *db, const char *text, const ak_arg *args,
                            ak_error *err)
{
    int rc = SQLITE_OK;
    *out = NULL;
    ak_rows *rows = prepare(db, text, &rc);
    if (!rows)
        return fail(err, db, rc, text);
    rows->busy = true;
    rc = bind(rows->stmt, args);
    if (rc != SQLITE_OK) {
        ak_sql_end(rows);
        return fail(err, db, rc, text);
    }
    *out = rows;
    return AK_OK;
}

ak_status ak_sql_next(ak_rows *rows, bool *more, ak_error *err)
{
    int rc = sqlite3_step(rows->stmt);
    *more = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? AK_OK : fail(err, rows->db, rc, rows->text);
}

void ak_sql_end(ak_rows *rows)
{
    if (!rows)
        return;
    if (!rows->kept) {
        sqlite3_finalize(rows->stmt);
        free(rows);
        return;
    }
    sqlite3_reset(rows->stmt);
    sqlite3_clear_bindings(rows->stmt);
    rows->busy = false;
}

ak_status ak_sql_run_args(ak_sql *db, const char *text, const ak_arg *args, ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    ak_status status = ak_sql_query_args(&rows, db, text, args, err);
    if (status == AK_OK)
        status = ak_sql_next(rows, &more, err);
    ak_sql_end(rows);
    return status;
}

ak_status ak_sql_number_args(int64_t *n, bool *found, ak_sql *db, const char *text,
                             const ak_arg *args, ak_error *err)
{
    ak_rows *rows = NULL;
    *found = false;
    ak_status status = ak_sql_query_args(&rows, db, text, args, err);
    if (status == AK_OK)
        status = ak_sql_next(rows, found, err);
    if (status == AK_OK && *found)
        *n = ak_sql_int(rows, 0);
    ak_sql_end(rows);
    return status;
}

bool ak_sql_is_null(ak_rows *rows, int column)
{
    return sqlite3_column_type(rows->stmt, column) == SQLITE_NULL;
}

int64_t ak_sql_int(ak_rows *rows, int column)
{
    return sqlite3_column_int64(rows->stmt, column);
}

const char *ak_sql_text(ak_rows *rows, int column)
{
    return (const char *)sqlite3_column_text(rows->stmt, column);
}

ak_bytes ak_sql_bytes(ak_rows *rows, int column)
{
    const uint8_t *at = sqlite3_column_blob(rows->stmt, column);
    return (ak_bytes){at, at ? (size_t)sqlite3_column_bytes(rows->stmt, column) : 0};
}

int64_t ak_sql_last_key(ak_sql *db)
{
    return sqlite3_last_insert_rowid(db->handle);
}

int64_t ak_sql_changes(ak_sql *db)
{
    return sqlite3_changes64(db->handle);
}

// --- transactions ------------------------------------------------------------------------------

ak_status ak_sql_script(ak_sql *db, const char *text, ak_error *err)
{
    int rc = sqlite3_exec(db->handle, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? AK_OK : fail(err, db, rc, "a script");
}

ak_status ak_sql_begin(ak_sql *db, ak_sql_mode mode, ak_error *err)
{
    return mode == AK_SQL_WRITE ? ak_sql_run(db, err, "BEGIN IMMEDIATE")
                                : ak_sql_run(db, err, "BEGIN");
}

ak_status ak_sql_commit(ak_sql *db, ak_error *err)
{
    ak_status status = AK_OK;
    int errnum = ak_disk_ask(db->disk, AK_DISK_COMMIT);
    if (errnum)
        status = ak_fail_errno(err, errnum, "cannot commit");
    else
        status = ak_sql_run(db, err, "COMMIT");
    if (status != AK_OK)
        ak_sql_rollback(db);
    return status;
}

void ak_sql_rollback(ak_sql *db)
{
    if (ak_sql_within(db))
        ak_sql_run(db, NULL, "ROLLBACK");
}

bool ak_sql_within(ak_sql *db)
{
    return !sqlite3_get_autocommit(db->handle);
}

ak_status ak_sql_save(ak_sql *db, ak_error *err)
{
    return ak_sql_run(db, err, "SAVEPOINT one");
}

ak_status ak_sql_keep(ak_sql *db, ak_error *err)
{
    return ak_sql_run(db, err, "RELEASE one");
}

ak_status ak_sql_undo(ak_sql *db, ak_error *err)
{
    ak_status status = ak_sql_run(db, err, "ROLLBACK TO one");
    return status == AK_OK ? ak_sql_run(db, err, "RELEASE one") : status;
}
