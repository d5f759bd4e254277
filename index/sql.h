// SQLite: connections, statements, values. The one door to its API.
//
// A connection belongs to one thread at a time. Its statements are prepared once and kept; a text
// is looked up by its contents, so texts are literals and values are bound, never pasted in.
//
// Errors: a full disk is AK_DISK_FULL, a file or folder that cannot be written AK_READ_ONLY, a
// damaged file AK_CORRUPT, a failed read or write AK_IO, the rest AK_INTERNAL.
#ifndef AK_INDEX_SQL_H
#define AK_INDEX_SQL_H

#include "index/disk.h"

typedef struct ak_sql_files ak_sql_files;
typedef struct ak_sql ak_sql;
typedef struct ak_rows ak_rows;

// How connections reach their files: every write, fsync and commit asks `disk` first. One for all
// connections of a folder; freed after the last of them is closed.
ak_status ak_sql_files_new(ak_sql_files **out, ak_disk *disk, ak_error *err);
void ak_sql_files_free(ak_sql_files *files);

typedef enum { AK_SQL_READ, AK_SQL_WRITE } ak_sql_mode;

// WRITE makes the file when it is missing, in WAL mode with synchronous=FULL and foreign keys.
ak_status ak_sql_open(ak_sql **out, ak_sql_files *files, const char *path, ak_sql_mode mode,
                      ak_error *err);
void ak_sql_close(ak_sql *db); // NULL is fine

// A value for a `?`. Text and bytes are borrowed until the statement has run, or ak_sql_end.
typedef struct {
    enum { AK_ARG_END, AK_ARG_NULL, AK_ARG_INT, AK_ARG_TEXT, AK_ARG_BYTES } kind;
    int64_t number;
    const void *at;
    size_t n;
} ak_arg;

static inline ak_arg ak_int(int64_t number)
{
    return (ak_arg){.kind = AK_ARG_INT, .number = number};
}

static inline ak_arg ak_text(const char *text) // NULL is SQL's NULL
{
    return (ak_arg){.kind = text ? AK_ARG_TEXT : AK_ARG_NULL, .at = text};
}

static inline ak_arg ak_blob(const void *at, size_t n)
{
    return (ak_arg){.kind = AK_ARG_BYTES, .at = at, .n = n};
}

static inline ak_arg ak_null(void)
{
    return (ak_arg){.kind = AK_ARG_NULL};
}

#define AK_ARGS(...) ((const ak_arg[]){__VA_ARGS__ __VA_OPT__(, ){AK_ARG_END, 0, NULL, 0}})

// ak_sql_run(db, err, "DELETE FROM t WHERE key = ?", ak_int(key)): a statement without rows.
#define ak_sql_run(db, err, text, ...) ak_sql_run_args(db, text, AK_ARGS(__VA_ARGS__), err)
ak_status ak_sql_run_args(ak_sql *db, const char *text, const ak_arg *args, ak_error *err);

// ak_sql_query(&rows, db, err, "SELECT ..", ..), then ak_sql_next while *more, then ak_sql_end,
// also after an error (rows is then NULL, which is fine).
#define ak_sql_query(rows, db, err, text, ...)                                                     \
    ak_sql_query_args(rows, db, text, AK_ARGS(__VA_ARGS__), err)
ak_status ak_sql_query_args(ak_rows **rows, ak_sql *db, const char *text, const ak_arg *args,
                            ak_error *err);
ak_status ak_sql_next(ak_rows *rows, bool *more, ak_error *err);
void ak_sql_end(ak_rows *rows);

// ak_sql_number(&n, &found, db, err, "SELECT ..", ..): the first column of the first row.
#define ak_sql_number(n, found, db, err, text, ...)                                                \
    ak_sql_number_args(n, found, db, text, AK_ARGS(__VA_ARGS__), err)
ak_status ak_sql_number_args(int64_t *n, bool *found, ak_sql *db, const char *text,
                             const ak_arg *args, ak_error *err);

// Columns of the current row; text and bytes are borrowed until the next ak_sql_next or ak_sql_end.
bool ak_sql_is_null(ak_rows *rows, int column);
int64_t ak_sql_int(ak_rows *rows, int column);
const char *ak_sql_text(ak_rows *rows, int column); // NULL for SQL's NULL
ak_bytes ak_sql_bytes(ak_rows *rows, int column);

int64_t ak_sql_last_key(ak_sql *db); // of the last INSERT
int64_t ak_sql_changes(ak_sql *db);  // rows that the last statement changed

ak_status ak_sql_script(ak_sql *db, const char *text, ak_error *err); // many statements, no values

// A transaction. READ sees one state from its first statement to its end.
ak_status ak_sql_begin(ak_sql *db, ak_sql_mode mode, ak_error *err);
ak_status ak_sql_commit(ak_sql *db, ak_error *err); // after a failure it is rolled back
void ak_sql_rollback(ak_sql *db);                   // fine when there is none
bool ak_sql_within(ak_sql *db); // false also when SQLite ended it by itself, as on a full disk

// One change within a transaction that can be taken back alone.
ak_status ak_sql_save(ak_sql *db, ak_error *err);
ak_status ak_sql_keep(ak_sql *db, ak_error *err);
ak_status ak_sql_undo(ak_sql *db, ak_error *err);

#endif
