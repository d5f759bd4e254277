#include "index/queue.h"

void ak_queue_init(ak_queue *queue, size_t most)
{
    *queue = (ak_queue){.most = most};
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
}

void ak_queue_clear(ak_queue *queue)
{
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->filled);
}

// --- any thread ----------------------------------------------------------------------------------

ak_status ak_queue_submit(ak_queue *queue, ak_write *write, ak_error *err)
{
    ak_status status = AK_OK;
    pthread_mutex_lock(&queue->lock);
    if (queue->closed)
        status = ak_fail(err, AK_SHUTTING_DOWN, "the store is closing");
    else if (queue->n >= queue->most)
        status =
            ak_fail(err, AK_OVERLOADED, "%zu writes wait; at most %zu may", queue->n, queue->most);
    if (status == AK_OK) {
        write->next = NULL;
        if (queue->last)
            queue->last->next = write;
        else
            queue->first = write;
        queue->last = write;
        queue->n++;
        pthread_cond_signal(&queue->filled);
    }
    pthread_mutex_unlock(&queue->lock);
    return status;
}

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool done;
} waiter;

static void wake(ak_write *write)
{
    waiter *waiting = write->arg;
    pthread_mutex_lock(&waiting->lock);
    waiting->done = true;
    pthread_cond_signal(&waiting->told);
    pthread_mutex_unlock(&waiting->lock);
}

ak_status ak_queue_write(ak_queue *queue, ak_write *write, ak_error *err)
{
    waiter waiting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    void (*done)(ak_write *) = write->done;
    void *arg = write->arg;
    write->done = wake;
    write->arg = &waiting;
    ak_status status = ak_queue_submit(queue, write, err);
    if (status == AK_OK) {
        pthread_mutex_lock(&waiting.lock);
        while (!waiting.done)
            pthread_cond_wait(&waiting.told, &waiting.lock);
        pthread_mutex_unlock(&waiting.lock);
        status = write->status;
        if (err)
            *err = write->error;
    }
    write->done = done;
    write->arg = arg;
    return status;
}

static void set(ak_queue *queue, bool *flag)
{
    pthread_mutex_lock(&queue->lock);
    *flag = true;
    pthread_cond_signal(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

void ak_queue_nudge(ak_queue *queue)
{
    set(queue, &queue->nudged);
}

void ak_queue_close(ak_queue *queue)
{
    set(queue, &queue->closed);
}

// --- the taker's thread --------------------------------------------------------------------------

bool ak_queue_take(ak_write **first, ak_queue *queue, size_t most,
                   bool (*alone)(const ak_write *write), bool *nudged)
{
    ak_write *last = NULL;
    size_t n = 0;
    pthread_mutex_lock(&queue->lock);
    while (!queue->first && !queue->closed && !queue->nudged && !*nudged)
        pthread_cond_wait(&queue->filled, &queue->lock);
    *nudged = *nudged || queue->nudged;
    queue->nudged = false;
    *first = queue->first;
    for (ak_write *write = *first; write && n < most; write = write->next) {
        if (n && (alone(write) || alone(last)))
            break;
        last = write;
        n++;
    }
    if (last) {
        queue->first = last->next;
        last->next = NULL;
    }
    if (!queue->first)
        queue->last = NULL;
    queue->n -= n;
    bool over = queue->closed && !*first;
    pthread_mutex_unlock(&queue->lock);
    return !over;
}

void ak_queue_answer(ak_write *first, ak_status status, const ak_error *err)
{
    for (ak_write *write = first, *next; write; write = next) {
        next = write->next; // done() may free the write
        if (status != AK_OK && write->status == AK_OK) {
            write->status = status;
            write->error = *err;
        }
        if (write->status != AK_OK) {
            write->created = write->lagging = false;
            ak_image_record_clear(&write->record);
            ak_collection_clear(&write->collection_out);
        }
        write->next = NULL;
        write->done(write);
    }
}
