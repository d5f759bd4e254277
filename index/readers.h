// The pool of read connections. A reader holds a catalog connection within a transaction, hence one
// state of the catalog, and a proxies connection, until it is given back. Who comes when all are
// out waits for another reader, never for the writer.
#ifndef AK_INDEX_READERS_H
#define AK_INDEX_READERS_H

#include "index/sql.h"

#include <pthread.h>

typedef struct {
    ak_sql *catalog, *proxies;
} ak_reader;

typedef struct {
    pthread_mutex_t lock; // a leaf; guards `idle` and `n_idle`
    pthread_cond_t returned;
    ak_reader *all, **idle;
    size_t n, n_idle;
} ak_readers;

ak_status ak_readers_open(ak_readers *readers, ak_sql_files *files, const char *data, size_t n,
                          ak_error *err);
void ak_readers_close(ak_readers *readers); // all are back

ak_status ak_reader_take(ak_reader **out, ak_readers *readers, ak_error *err);
void ak_reader_give(ak_readers *readers, ak_reader *reader); // NULL is fine

#endif
