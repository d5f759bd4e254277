// Worker threads and their three queues (server/work.h says what each is for).
//
// work->lock guards every member below it. It is a leaf: no task runs under it.
#include "server/work.h"

#include <omp.h>
#include <pthread.h>
#include <stdlib.h>

typedef struct {
    ak_task *first, **last;
} queue;

struct ak_work {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    queue requests, pictures, ends;
    size_t request_limit, request_count; // counts those being worked on, too
    size_t slots, slot_count;            // free ones, all
    bool picture_turn, stopping;
    size_t thread_count;
    pthread_t *threads;
};

static void queue_init(queue *q)
{
    q->first = NULL;
    q->last = &q->first;
}

static void push(queue *q, ak_task *task)
{
    task->next = NULL;
    *q->last = task;
    q->last = &task->next;
}

static ak_task *pop(queue *q)
{
    ak_task *task = q->first;
    q->first = task->next;
    if (!q->first)
        q->last = &q->first;
    return task;
}

// The next task under the lock, or NULL when none may start now.
static ak_task *next_task(ak_work *w)
{
    if (w->ends.first)
        return pop(&w->ends);
    bool picture = w->pictures.first && w->slots > 0;
    if (picture && (w->picture_turn || !w->requests.first)) {
        w->picture_turn = false;
        // Taken here, in queue order: a part that waits for an earlier one of its request must
        // never hold the slot that the earlier one needs.
        w->slots--;
        return pop(&w->pictures);
    }
    if (!w->requests.first)
        return NULL;
    w->picture_turn = true;
    return pop(&w->requests);
}

static void *work_main(void *arg)
{
    ak_work *w = arg;
    pthread_setname_np(pthread_self(), "akin-worker");
    omp_set_num_threads(1); // teams belong to the batcher alone
    pthread_mutex_lock(&w->lock);
    for (;;) {
        ak_task *task = next_task(w);
        if (task) {
            pthread_mutex_unlock(&w->lock);
            task->run(task);
            pthread_mutex_lock(&w->lock);
        } else if (w->stopping) {
            break;
        } else {
            pthread_cond_wait(&w->wake, &w->lock);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

ak_status ak_work_start(ak_work **out, size_t threads, size_t requests, size_t slots, ak_error *err)
{
    *out = NULL;
    ak_work *w = calloc(1, sizeof *w);
    if (w)
        w->threads = calloc(threads, sizeof *w->threads);
    if (!w || !w->threads) {
        free(w);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu workers", threads);
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    queue_init(&w->requests);
    queue_init(&w->pictures);
    queue_init(&w->ends);
    w->request_limit = requests;
    w->slots = w->slot_count = slots;
    for (; w->thread_count < threads; w->thread_count++) {
        int failed = pthread_create(&w->threads[w->thread_count], NULL, work_main, w);
        if (failed) {
            ak_fail_errno(err, failed, "cannot start worker thread %zu", w->thread_count);
            ak_work_stop(w);
            return err->status;
        }
    }
    *out = w;
    return AK_OK;
}

bool ak_work_busy(ak_work *w)
{
    pthread_mutex_lock(&w->lock);
    bool busy = w->request_count || w->pictures.first || w->slots < w->slot_count;
    pthread_mutex_unlock(&w->lock);
    return busy;
}

void ak_work_stop(ak_work *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->wake);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->thread_count; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w->threads);
    free(w);
}

bool ak_work_has_room(ak_work *w)
{
    pthread_mutex_lock(&w->lock);
    bool room = w->request_count < w->request_limit;
    pthread_mutex_unlock(&w->lock);
    return room;
}

bool ak_work_request(ak_work *w, ak_task *task)
{
    pthread_mutex_lock(&w->lock);
    bool room = w->request_count < w->request_limit;
    if (room) {
        w->request_count++;
        push(&w->requests, task);
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return room;
}

void ak_work_request_done(ak_work *w)
{
    pthread_mutex_lock(&w->lock);
    w->request_count--;
    pthread_mutex_unlock(&w->lock);
}

void ak_work_picture(ak_work *w, ak_task *task)
{
    pthread_mutex_lock(&w->lock);
    push(&w->pictures, task);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void ak_work_picture_done(ak_work *w)
{
    pthread_mutex_lock(&w->lock);
    w->slots++;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void ak_work_finish(ak_work *w, ak_task *task)
{
    pthread_mutex_lock(&w->lock);
    push(&w->ends, task);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}
