// Pins and claims. Every function takes the lock for itself.
#include "index/pins.h"

#include <stdlib.h>
#include <string.h>

void ak_pins_init(ak_pins *pins)
{
    *pins = (ak_pins){0};
    pthread_mutex_init(&pins->lock, NULL);
    pthread_cond_init(&pins->released, NULL);
}

void ak_pins_clear(ak_pins *pins)
{
    pthread_mutex_destroy(&pins->lock);
    pthread_cond_destroy(&pins->released);
    free(pins->items);
}

static ak_pin *find(ak_pins *pins, const ak_sha256 *sum)
{
    for (size_t i = 0; i < pins->n; i++)
        if (memcmp(&pins->items[i].sum, sum, sizeof *sum) == 0)
            return &pins->items[i];
    return NULL;
}

static ak_pin *find_or_make(ak_pins *pins, const ak_sha256 *sum)
{
    ak_pin *pin = find(pins, sum);
    if (pin)
        return pin;
    if (pins->n == pins->capacity) {
        size_t capacity = pins->capacity ? 2 * pins->capacity : 64;
        ak_pin *more = realloc(pins->items, capacity * sizeof *more);
        if (!more)
            return NULL;
        pins->items = more;
        pins->capacity = capacity;
    }
    pin = &pins->items[pins->n++];
    *pin = (ak_pin){.sum = *sum};
    return pin;
}

ak_status ak_pins_add(ak_pins *pins, const ak_sha256 *sum, ak_error *err)
{
    pthread_mutex_lock(&pins->lock);
    ak_pin *pin;
    while ((pin = find(pins, sum)) && pin->claimed)
        pthread_cond_wait(&pins->released, &pins->lock);
    pin = find_or_make(pins, sum);
    if (pin)
        pin->pins++;
    pthread_mutex_unlock(&pins->lock);
    return pin ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to pin a picture");
}

bool ak_pins_remove(ak_pins *pins, const ak_sha256 *sum)
{
    bool wanted = false;
    pthread_mutex_lock(&pins->lock);
    ak_pin *pin = find(pins, sum);
    if (pin && --pin->pins == 0) {
        wanted = pin->wanted;
        *pin = pins->items[--pins->n];
    }
    pthread_mutex_unlock(&pins->lock);
    return wanted;
}

bool ak_pins_claim(ak_pins *pins, const ak_sha256 *sum)
{
    pthread_mutex_lock(&pins->lock);
    ak_pin *pin = find_or_make(pins, sum);
    bool free_to_go = pin && pin->pins == 0;
    if (free_to_go)
        pin->claimed = true;
    else if (pin)
        pin->wanted = true;
    pthread_mutex_unlock(&pins->lock);
    return free_to_go;
}

void ak_pins_release(ak_pins *pins)
{
    pthread_mutex_lock(&pins->lock);
    for (size_t i = pins->n; i-- > 0;)
        if (pins->items[i].claimed)
            pins->items[i] = pins->items[--pins->n];
    pthread_cond_broadcast(&pins->released);
    pthread_mutex_unlock(&pins->lock);
}
