// Pins: pictures that an upload is under way for, which must not be removed meanwhile.
//
// Any thread pins and unpins; the writer claims a picture before it removes it and releases it
// after. A pin waits while its picture is claimed (some milliseconds): when it returns, the picture
// is either gone or stays. `lock` guards the list and is a leaf.
#ifndef AK_INDEX_PINS_H
#define AK_INDEX_PINS_H

#include "core/base/error.h"
#include "core/base/hash.h"

#include <pthread.h>

typedef struct {
    ak_sha256 sum;
    int pins;
    bool claimed; // the writer is removing it
    bool wanted;  // the writer would have
} ak_pin;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t released;
    ak_pin *items; // few: one an upload under way
    size_t n, capacity;
} ak_pins;

void ak_pins_init(ak_pins *pins);
void ak_pins_clear(ak_pins *pins);

ak_status ak_pins_add(ak_pins *pins, const ak_sha256 *sum, ak_error *err);
bool ak_pins_remove(ak_pins *pins, const ak_sha256 *sum); // true: the writer waits to remove it

// False when it is pinned: it will be told by ak_pins_remove. May fail for want of memory: false.
bool ak_pins_claim(ak_pins *pins, const ak_sha256 *sum);
void ak_pins_release(ak_pins *pins); // all claims

#endif
