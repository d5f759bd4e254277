// One picture from its bytes to a network input, under the caps and the budget of decoded bytes.
#ifndef AK_SERVER_PICTURE_H
#define AK_SERVER_PICTURE_H

#include "index/store.h"
#include "server/encoders.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct ak_server ak_server;

// Bytes that may be taken and are given back; taking waits.
typedef struct {
    pthread_mutex_t lock; // guards left
    pthread_cond_t freed;
    size_t left, most;
} ak_budget;

void ak_budget_init(ak_budget *budget, size_t bytes);
void ak_budget_clear(ak_budget *budget);

typedef struct ak_picture ak_picture;

// What one model makes of a picture.
typedef struct {
    ak_picture *picture;
    ak_encoder *encoder; // held
    uint8_t *input;
    float *vector; // (dims) room for the batcher's answer
    ak_embed embed;
} ak_embedding;

// Zero-initialise; clear with ak_picture_clear. `bytes` is borrowed. It must not be moved.
struct ak_picture {
    ak_bytes bytes;
    ak_image_info info;
    ak_buf proxy;
    ak_embedding by[AK_UPLOAD_MODELS];
    size_t n;
    atomic_size_t waiting; // embeddings under way
    void (*done)(ak_picture *picture);
};

// Reads the header: AK_NOT_AN_IMAGE, AK_BROKEN_IMAGE, AK_IMAGE_TOO_LARGE.
ak_status ak_picture_peek(ak_picture *picture, const ak_server *server, ak_error *err);

// Decodes, makes the proxy and the inputs of the models' networks; on a worker, waits for its share
// of the budget. Needs info.
ak_status ak_picture_prepare(ak_picture *picture, ak_server *server, const ak_wanted *models,
                             ak_error *err);
// Hands the inputs to the batchers; done() comes once, on a batcher's thread, and must not block.
void ak_picture_embed(ak_picture *picture, void (*done)(ak_picture *picture));
// How it went: AK_OK, and the vectors are there; or the first failure.
ak_status ak_picture_embedded(const ak_picture *picture, ak_error *err);
void ak_picture_clear(ak_picture *picture);

#endif
