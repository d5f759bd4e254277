// Generations and the table of those that serve. generation.h says who holds which reference.
#include "index/generation.h"

#include "core/base/log.h"

#include <stdlib.h>
#include <string.h>

ak_status ak_generation_new(ak_generation **out, const ak_generation_row *row, ak_error *err)
{
    *out = NULL;
    ak_generation *made = ak_alloc(1, sizeof *made);
    if (!made)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a generation");
    ak_status status = ak_vectors_new(&made->vectors, row->dims, (uint64_t)row->sequence, err);
    if (status != AK_OK) {
        free(made);
        return status;
    }
    atomic_init(&made->references, 1);
    made->key = row->key;
    made->collection = row->collection;
    made->model_key = row->model_key;
    made->dims = row->dims;
    memcpy(made->name, row->name, sizeof made->name);
    memcpy(made->model, row->model, sizeof made->model);
    pthread_mutex_init(&made->calibration_lock, NULL);
    *out = made;
    return AK_OK;
}

void ak_generation_keep(ak_generation *generation)
{
    atomic_fetch_add_explicit(&generation->references, 1, memory_order_relaxed);
}

void ak_generation_release(ak_generation *generation)
{
    if (!generation)
        return;
    ak_generations *table = generation->table;
    size_t before = atomic_fetch_sub(&generation->references, 1);
    // The table's reference may be the last one now. Whoever made the generation past meanwhile has
    // counted it in past_n before looking at the references.
    if (before == 2 && table && atomic_load(&table->past_n))
        table->idle(table->arg);
    if (before != 1)
        return;
    ak_vectors_free(generation->vectors);
    ak_calibration_release(generation->calibration);
    pthread_mutex_destroy(&generation->calibration_lock);
    free(generation);
}

const char *ak_generation_model(const ak_generation *generation)
{
    return generation->model;
}

int ak_generation_dims(const ak_generation *generation)
{
    return generation->dims;
}

// --- calibration -------------------------------------------------------------------------------

static ak_calibration *current(ak_generation *generation)
{
    pthread_mutex_lock(&generation->calibration_lock);
    ak_calibration *calibration = generation->calibration;
    if (calibration)
        atomic_fetch_add(&calibration->references, 1);
    pthread_mutex_unlock(&generation->calibration_lock);
    return calibration;
}

static void replace(ak_generation *generation)
{
    ak_error err;
    ak_calibration *made = NULL;
    if (ak_calibration_make(&made, generation->vectors, &err) != AK_OK) {
        ak_log(AK_LOG_WARN, "%s is not calibrated: %s", generation->name, err.text);
        return;
    }
    pthread_mutex_lock(&generation->calibration_lock);
    ak_calibration *old = generation->calibration;
    generation->calibration = made;
    pthread_mutex_unlock(&generation->calibration_lock);
    ak_calibration_release(old);
}

ak_calibration *ak_generation_calibration(ak_generation *generation, int64_t pictures)
{
    if (pictures < AK_CALIBRATION_PICTURES)
        return NULL;
    ak_calibration *calibration = current(generation);
    if (calibration)
        return calibration;
    replace(generation);
    return current(generation);
}

ak_status ak_generation_calibration_write(ak_buf *out, ak_generation *generation, ak_error *err)
{
    ak_calibration *calibration = current(generation);
    ak_status status = calibration ? ak_calibration_write(out, calibration, err) : AK_OK;
    ak_calibration_release(calibration);
    return status;
}

ak_status ak_generation_calibration_read(ak_generation *generation, ak_bytes bytes, ak_error *err)
{
    ak_calibration *made = NULL;
    ak_status status = ak_calibration_read(&made, bytes, err);
    ak_calibration_release(generation->calibration);
    generation->calibration = made; // nobody shares the generation yet
    return status;
}

void ak_generation_recalibrate(ak_generation *generation)
{
    ak_calibration *calibration = current(generation);
    if (!calibration)
        return; // made when it is first asked for
    ak_vectors_sizes sizes = ak_vectors_size(generation->vectors);
    if (ak_calibration_old(calibration, sizes.main + sizes.tail - sizes.dead))
        replace(generation);
    ak_calibration_release(calibration);
}

// --- the table ---------------------------------------------------------------------------------

void ak_generations_init(ak_generations *table, void (*idle)(void *arg), void *arg)
{
    *table = (ak_generations){.idle = idle, .arg = arg};
    pthread_mutex_init(&table->lock, NULL);
}

void ak_generations_clear(ak_generations *table)
{
    for (size_t i = 0; i < table->n; i++)
        ak_generation_release(table->items[i]);
    for (size_t i = 0; i < table->past_n; i++)
        ak_generation_release(table->past[i]);
    free(table->items);
    free(table->past);
    pthread_mutex_destroy(&table->lock);
}

static bool grow(ak_generation ***items, size_t capacity)
{
    ak_generation **grown = realloc(*items, capacity * sizeof(*grown));
    *items = grown ? grown : *items;
    return grown != NULL;
}

bool ak_generations_reserve(ak_generations *table, size_t more)
{
    bool fine = true;
    pthread_mutex_lock(&table->lock);
    if (table->n + table->past_n + more > table->capacity) {
        size_t capacity = 2 * (table->n + table->past_n + more);
        fine = grow(&table->items, capacity) && grow(&table->past, capacity);
        if (fine)
            table->capacity = capacity;
    }
    pthread_mutex_unlock(&table->lock);
    return fine;
}

ak_generation *ak_generations_add(ak_generations *table, ak_generation *generation)
{
    ak_generation *before = NULL;
    ak_generation_keep(generation);
    generation->table = table;
    pthread_mutex_lock(&table->lock);
    size_t at = 0;
    while (at < table->n && table->items[at]->collection != generation->collection)
        at++;
    if (at < table->n) {
        before = table->items[at];
        table->past[table->past_n] = before; // with the reference
        atomic_fetch_add(&table->past_n, 1);
    } else {
        table->n++;
    }
    table->items[at] = generation;
    pthread_mutex_unlock(&table->lock);
    return before;
}

void ak_generations_drop(ak_generations *table, ak_generation *generation)
{
    bool here = false;
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->n && !here; i++) {
        here = table->items[i] == generation;
        if (here)
            table->items[i] = table->items[--table->n];
    }
    pthread_mutex_unlock(&table->lock);
    if (here)
        ak_generation_release(generation);
}

// Nobody takes a past one anew, so that one reference, the table's, is the last.
void ak_generations_reap(ak_generations *table)
{
    for (size_t i = 0; i < table->past_n;) {
        ak_generation *past = table->past[i];
        if (atomic_load(&past->references) != 1) {
            i++;
            continue;
        }
        pthread_mutex_lock(&table->lock);
        table->past[i] = table->past[atomic_fetch_sub(&table->past_n, 1) - 1];
        pthread_mutex_unlock(&table->lock);
        ak_generation_release(past);
    }
}

bool ak_generations_held(ak_generations *table, int64_t key)
{
    for (size_t i = 0; i < table->past_n; i++)
        if (table->past[i]->key == key)
            return true;
    return false;
}

ak_generation *ak_generations_past(ak_generations *table, int64_t collection, size_t i)
{
    for (size_t at = 0; at < table->past_n; at++)
        if (table->past[at]->collection == collection && i-- == 0)
            return table->past[at];
    return NULL;
}

ak_generation *ak_generations_named(ak_generations *table, const char *collection)
{
    ak_generation *found = NULL;
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->n && !found; i++)
        if (strcmp(table->items[i]->name, collection) == 0)
            found = table->items[i];
    if (found)
        ak_generation_keep(found);
    pthread_mutex_unlock(&table->lock);
    return found;
}

ak_generation *ak_generations_keyed(ak_generations *table, int64_t key)
{
    ak_generation *found = NULL;
    pthread_mutex_lock(&table->lock);
    for (size_t i = 0; i < table->n && !found; i++)
        if (table->items[i]->key == key)
            found = table->items[i];
    if (found)
        ak_generation_keep(found);
    pthread_mutex_unlock(&table->lock);
    return found;
}

ak_generation *ak_generations_at(ak_generations *table, size_t i)
{
    pthread_mutex_lock(&table->lock);
    ak_generation *found = i < table->n ? table->items[i] : NULL;
    if (found)
        ak_generation_keep(found);
    pthread_mutex_unlock(&table->lock);
    return found;
}
