// The queue of writes: they wait here for the one thread that carries them out.
//
// It keeps their order, wakes whom they concern and hands their answers back; what a write does is
// nobody's business here. Writes are borrowed from submit to done(). `lock` is a leaf: nothing is
// called under it but `alone`.
#ifndef AK_INDEX_QUEUE_H
#define AK_INDEX_QUEUE_H

#include "index/store.h"

#include <pthread.h>

typedef struct {
    size_t most;          // that may wait
    pthread_mutex_t lock; // guards what follows
    pthread_cond_t filled;
    ak_write *first, *last; // linked by `next`
    size_t n;
    bool nudged, closed;
} ak_queue;

void ak_queue_init(ak_queue *queue, size_t most);
void ak_queue_clear(ak_queue *queue); // nobody uses it any more

// --- any thread ----------------------------------------------------------------------------------

// As ak_store_submit and ak_store_write, which are these two.
ak_status ak_queue_submit(ak_queue *queue, ak_write *write, ak_error *err);
ak_status ak_queue_write(ak_queue *queue, ak_write *write, ak_error *err);

void ak_queue_nudge(ak_queue *queue); // the taker wakes although no write waits
void ak_queue_close(ak_queue *queue); // what waits is still taken, nothing more comes in

// --- the taker's thread --------------------------------------------------------------------------

// Waits for writes, a nudge or the end, and detaches the oldest writes, `most` at most, linked by
// `next`; *first is NULL when none waits. One that is `alone` is not taken with others. *nudged:
// set when there was a nudge; set already, there is no waiting. False: closed, and nothing is left.
bool ak_queue_take(ak_write **first, ak_queue *queue, size_t most,
                   bool (*alone)(const ak_write *write), bool *nudged);

// Calls done() of each that was taken, with its own failure, or that of all (status, err).
void ak_queue_answer(ak_write *first, ak_status status, const ak_error *err);

#endif
