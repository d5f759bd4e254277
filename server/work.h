// The workers: a bounded queue of requests, and the pictures and loose ends that requests make.
//
//   requests    from the network threads; those that wait or are worked on are counted together
//   pictures    parts of uploads; each takes one of a fixed number of slots when it starts and
//               gives it back at its commit, so what is decoded but not yet stored is bounded
//   loose ends  short continuations (build an answer after a commit); they go first
//
// Requests and pictures take turns, so searches go on while a large upload is worked through.
#ifndef AK_SERVER_WORK_H
#define AK_SERVER_WORK_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct ak_work ak_work;

typedef struct ak_task ak_task;
struct ak_task {
    void (*run)(ak_task *task); // on a worker; the task may be freed in it
    ak_task *next;
};

// requests: how many may wait or be worked on; slots: pictures between decoding and commit.
ak_status ak_work_start(ak_work **out, size_t threads, size_t requests, size_t slots,
                        ak_error *err);
void ak_work_stop(ak_work *work); // runs what is queued, then ends; NULL is fine

// Whether one more request would be taken; any thread.
bool ak_work_has_room(ak_work *work);

// Whether there is a request or picture that waits or is worked on; any thread.
bool ak_work_busy(ak_work *work);

// False when the queue is full. A taken request counts until ak_work_request_done.
bool ak_work_request(ak_work *work, ak_task *task);
void ak_work_request_done(ak_work *work);

void ak_work_picture(ak_work *work, ak_task *task);
void ak_work_picture_done(ak_work *work);

void ak_work_finish(ak_work *work, ak_task *task);

#endif
