// Changes of the catalog alone, as functions: what needs no vectors, proxies or files.
#ifndef AK_INDEX_ALTER_H
#define AK_INDEX_ALTER_H

#include "index/inside.h"

// A write of this kind is the first member of an ak_alteration.
#define AK_WRITE_ALTER 99

typedef struct {
    ak_write write;
    ak_status (*apply)(ak_sql *db, void *arg, ak_error *err); // writer thread, in a savepoint
    void *arg;
    bool small; // is taken even from what the disk's floor keeps free: ends of jobs
} ak_alteration;

// Hands it to the writer and waits for the commit.
ak_status ak_store_alter(ak_store *store, ak_status (*apply)(ak_sql *db, void *arg, ak_error *err),
                         void *arg, bool small, ak_error *err);

#endif
