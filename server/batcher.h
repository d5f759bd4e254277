// One thread that owns the embedder: inputs from any thread in, descriptors out, in batches.
#ifndef AK_SERVER_BATCHER_H
#define AK_SERVER_BATCHER_H

#include "core/describe/model.h"

typedef struct ak_batcher ak_batcher;

// One input on its way. The submitter owns it and everything in it until done().
typedef struct ak_embed ak_embed;
struct ak_embed {
    const uint8_t *input; // ak_model_input_bytes
    float *vector;        // (dims), filled when status is AK_OK
    ak_status status;
    ak_error error;
    void (*done)(ak_embed *embed); // on the batcher's thread; must not block
    ak_embed *next;
};

typedef struct {
    ak_precision precision;
    int threads;      // OpenMP's; 0: all cores
    unsigned wait_us; // how long a batch waits for expected pictures after its first input
} ak_batcher_options;

// Returns at once; the thread makes the embedder and warms it up. model is borrowed.
ak_status ak_batcher_start(ak_batcher **out, const ak_model *model,
                           const ak_batcher_options *options, ak_error *err);

// AK_OK when warm; AK_OVERLOADED while warming up; what went wrong otherwise. Any thread.
ak_status ak_batcher_ready(ak_batcher *batcher, ak_error *err);

// Bounded by its callers: requests and pictures in flight are. Any thread.
void ak_batcher_submit(ak_batcher *batcher, ak_embed *embed);

// Pictures that are on their way to a submit: a batch waits for them, up to wait_us. Each is taken
// back by ak_batcher_prepared, after its submit or when there will be none. Any thread.
void ak_batcher_expect(ak_batcher *batcher, size_t pictures);
void ak_batcher_prepared(ak_batcher *batcher);

void ak_batcher_stop(ak_batcher *batcher); // runs what was submitted; NULL is fine

#endif
