// Vectors of another model for the pictures that need them, from their proxies, in the background.
#ifndef AK_SERVER_REEMBED_H
#define AK_SERVER_REEMBED_H

#include "core/base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ak_server ak_server;

typedef struct {
    const char *model;
    const char *const *collections; // (n) that change to the model
    size_t n;                       // 0: no change begins; what the model lacks is filled in
    bool promote;                   // them, at the end
    // Called between batches on the caller's thread: pictures embedded, and how many in all.
    void (*progress)(void *arg, int64_t done, int64_t total); // NULL: none
    void *arg;
    const atomic_bool *stop; // NULL: goes to its end
} ak_reembed;

// Blocks until all is embedded, and promoted when that was asked for; the work is done on threads
// of low priority, in small batches, and waits for requests. Vectors that are there are not made
// again, so that a pass that ended early goes on where it was. AK_SHUTTING_DOWN after *stop: the
// change stays begun, and who does not go on with it calls ak_store_change_abandon.
ak_status ak_reembed_run(ak_server *server, const ak_reembed *what, ak_error *err);

#endif
