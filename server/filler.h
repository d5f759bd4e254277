// The filler: a thread that gives later pictures the vectors that retained models lack of them, and
// the model that a collection was rolled back to.
#ifndef AK_SERVER_FILLER_H
#define AK_SERVER_FILLER_H

#include "core/base/error.h"

typedef struct ak_server ak_server;
typedef struct ak_filler ak_filler;

ak_status ak_filler_start(ak_filler **out, ak_server *server, ak_error *err);
void ak_filler_wake(ak_filler *filler); // something is missing; any thread, never waits
void ak_filler_stop(ak_filler *filler); // within a batch; NULL is fine

#endif
