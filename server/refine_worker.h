// A process of its own for training or judging: `akin refine RUNDIR`, `akin gate RUNDIR`.
//
// It is started niced, SCHED_IDLE where that is allowed, in a process group of its own, with a
// limit on its memory and as the kernel's first choice when memory runs out. It ends with the
// daemon: the kernel kills it with the thread that started it, and its standard input is a pipe
// whose end it watches.
//
// On its standard output it writes a JSON object a line, as cli/refine.c says: "phase" with "done"
// and "total", or "progress" (0 to 1), and "seconds_left"; {"phase": "failed", "code", "detail"}
// before it gives up. A line that is none is passed over. It reads orders from its standard input:
//   {"threads": 2}   {"pause": true}   {"pause": false}
// SIGTERM: it ends within a second, else it is killed. Ending with 0 is success; a failure that
// more memory, room or luck may mend, a signal, or silence, is a crash: it is to be started again,
// and goes on from its checkpoint.
#ifndef AK_SERVER_REFINE_WORKER_H
#define AK_SERVER_REFINE_WORKER_H

#include "core/base/error.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ak_worker ak_worker;

typedef struct {
    const char *program; // "/proc/self/exe"
    const char *command; // "refine", "gate"
    const char *folder;
    const char *option;    // one more argument; NULL: none
    uint64_t memory_bytes; // of its own, writable
    int nice;              // 0 to 19; 20: SCHED_IDLE, where that is allowed
    double silence_s;      // without a word for so long it is held to hang, and killed
    const atomic_bool *stop;
    void (*line)(void *arg, json_t *object); // borrowed
    // Called five times a second; may use ak_worker_say. True: it is to be ended and started again.
    bool (*tick)(void *arg, ak_worker *worker);
    void *arg;
} ak_worker_options;

typedef enum {
    AK_WORKER_DONE,
    AK_WORKER_STOPPED, // *stop was set
    AK_WORKER_AGAIN,   // tick said so
    AK_WORKER_CRASHED, // err says how
    AK_WORKER_FAILED,  // for good: err is what it said, or why it could not be started
} ak_worker_end;

// Runs one process to its end, on the caller's thread.
ak_worker_end ak_worker_run(const ak_worker_options *options, ak_error *err);

// A line to the worker, printf-like, without its end. What does not fit into the pipe is dropped:
// who does not read has no use for it.
void ak_worker_say(ak_worker *worker, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
