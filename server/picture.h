// One picture from its bytes to a network input, under the caps and the budget of decoded bytes.
#ifndef AK_SERVER_PICTURE_H
#define AK_SERVER_PICTURE_H

#include "index/store.h"
#include "server/batcher.h"

#include <pthread.h>

typedef struct ak_server ak_server;

// Bytes that may be taken and are given back; taking waits.
typedef struct {
    pthread_mutex_t lock; // guards left
    pthread_cond_t freed;
    size_t left, most;
} ak_budget;

void ak_budget_init(ak_budget *budget, size_t bytes);
void ak_budget_clear(ak_budget *budget);

// Zero-initialise; clear with ak_picture_clear. `bytes` is borrowed.
typedef struct {
    ak_bytes bytes;
    ak_image_info info;
    ak_buf proxy;
    uint8_t *input;
    float *vector; // (dims) room for the batcher's answer
    ak_embed embed;
} ak_picture;

// Reads the header: AK_NOT_AN_IMAGE, AK_BROKEN_IMAGE, AK_IMAGE_TOO_LARGE.
ak_status ak_picture_peek(ak_picture *picture, const ak_server *server, ak_error *err);

// Decodes, makes the proxy and the network's input; on a worker, waits for its share of the
// budget. Needs info. AK_INTERNAL when the generation's model is not the loaded one. Afterwards
// picture->embed lacks only done().
ak_status ak_picture_prepare(ak_picture *picture, ak_server *server,
                             const ak_generation *generation, ak_error *err);
void ak_picture_clear(ak_picture *picture);

#endif
