// An answer that is still being made while it is sent: server-sent events.
//
// Its connection sleeps while there is nothing to send, and costs no thread. Who does not read is
// dropped by the transport after idle_s; nothing waits for it.
#ifndef AK_SERVER_STREAM_H
#define AK_SERVER_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct ak_stream ak_stream;
struct ak_stream {
    // Network thread: up to n bytes into to. 0: nothing now, to be asked again after a wake. -1:
    // that was all.
    ptrdiff_t (*read)(ak_stream *stream, char *to, size_t n);
    void (*close)(ak_stream *stream); // the last call: the connection is done with; frees it

    pthread_mutex_t lock; // the transport's from here on; a leaf
    void *connection;     // NULL: not asleep
    bool news;            // woken since it was last asked
};

void ak_stream_init(ak_stream *stream);
void ak_stream_wake(ak_stream *stream); // any thread, before close; does not block
void ak_stream_clear(ak_stream *stream);

#endif
