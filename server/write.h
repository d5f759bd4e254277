// A request that ends in one write to the store: handed in without a worker waiting for its commit.
#ifndef AK_SERVER_WRITE_H
#define AK_SERVER_WRITE_H

#include "index/store.h"
#include "server/request.h"

// Fill `write` (kind, collection, id, ...), then ak_writing_submit. `then` is called on a worker
// with write's answer in it (status, error, record ...), answers and finishes the request; the
// state is freed after it.
typedef struct ak_writing ak_writing;
struct ak_writing {
    ak_task task;
    ak_request *request;
    ak_write write;
    char if_match[24];
    void (*then)(ak_writing *w);
    void (*clear)(ak_writing *w); // frees what the handler put beside; NULL: nothing
    void *beside;
};

// NULL: no memory, and the request was failed.
ak_writing *ak_writing_new(ak_request *r, ak_write_kind kind, void (*then)(ak_writing *w));
void ak_writing_submit(ak_writing *w);
void ak_writing_free(ak_writing *w); // before the submit only

#endif
