// The pool of read connections.
#include "index/readers.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

ak_status ak_readers_open(ak_readers *readers, ak_sql_files *files, const char *data, size_t n,
                          ak_error *err)
{
    char path[PATH_MAX];
    ak_status status = AK_OK;
    *readers = (ak_readers){0};
    pthread_mutex_init(&readers->lock, NULL);
    pthread_cond_init(&readers->returned, NULL);
    readers->all = ak_alloc(n, sizeof *readers->all);
    readers->idle = ak_alloc(n, sizeof *readers->idle);
    if (!readers->all || !readers->idle)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu readers", n);
    for (; status == AK_OK && readers->n < n; readers->n++) {
        ak_reader *reader = &readers->all[readers->n];
        snprintf(path, sizeof path, "%s/catalog.db", data);
        status = ak_sql_open(&reader->catalog, files, path, AK_SQL_READ, err);
        snprintf(path, sizeof path, "%s/proxies.db", data);
        if (status == AK_OK)
            status = ak_sql_open(&reader->proxies, files, path, AK_SQL_READ, err);
        readers->idle[readers->n_idle++] = reader;
    }
    return status;
}

void ak_readers_close(ak_readers *readers)
{
    for (size_t i = 0; i < readers->n; i++) {
        ak_sql_close(readers->all[i].catalog);
        ak_sql_close(readers->all[i].proxies);
    }
    if (readers->all || readers->idle) {
        pthread_mutex_destroy(&readers->lock);
        pthread_cond_destroy(&readers->returned);
    }
    free(readers->all);
    free(readers->idle);
    *readers = (ak_readers){0};
}

static void put_back(ak_readers *readers, ak_reader *reader)
{
    pthread_mutex_lock(&readers->lock);
    readers->idle[readers->n_idle++] = reader;
    pthread_cond_signal(&readers->returned);
    pthread_mutex_unlock(&readers->lock);
}

ak_status ak_reader_take(ak_reader **out, ak_readers *readers, ak_error *err)
{
    pthread_mutex_lock(&readers->lock);
    while (readers->n_idle == 0)
        pthread_cond_wait(&readers->returned, &readers->lock);
    ak_reader *reader = readers->idle[--readers->n_idle];
    pthread_mutex_unlock(&readers->lock);
    ak_status status = ak_sql_begin(reader->catalog, AK_SQL_READ, err);
    *out = status == AK_OK ? reader : NULL;
    if (status != AK_OK)
        put_back(readers, reader);
    return status;
}

void ak_reader_give(ak_readers *readers, ak_reader *reader)
{
    if (!reader)
        return;
    ak_sql_rollback(reader->catalog); // nothing was written: this only ends the snapshot
    put_back(readers, reader);
}
