// `lock` guards the list and the encoders' counts, and is a leaf; `loading` is held while a model
// is read and its batcher started, so that no model is loaded twice.
#include "server/encoders.h"

#include "core/base/log.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct ak_encoder {
    ak_encoders *owner;
    ak_model *model;
    ak_batcher *batcher;
    size_t references; // of holders; the list has none
    uint64_t used;     // when it was last taken, by the owner's clock
    bool first;        // of the start
    ak_encoder *next;
};

struct ak_encoders {
    ak_store *store;
    ak_batcher_options options;
    char base[AK_NAME_MAX + 1];
    size_t most;
    pthread_mutex_t loading, lock;
    ak_encoder *list;
    size_t n;
    uint64_t clock;
};

static void encoder_free(ak_encoder *e)
{
    if (!e)
        return;
    ak_batcher_stop(e->batcher);
    ak_model_free(e->model);
    free(e);
}

static ak_encoder *find(ak_encoders *all, const char *model)
{
    ak_encoder *e = all->list;
    while (e && strcmp(ak_model_id(e->model), model) != 0)
        e = e->next;
    return e;
}

// Takes it out of the list. Under the lock.
static void unlink_encoder(ak_encoders *all, ak_encoder *e)
{
    ak_encoder **at = &all->list;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    all->n--;
}

static bool idle(const ak_encoders *all, const ak_encoder *e)
{
    return e->references == 0 && strcmp(ak_model_id(e->model), all->base) != 0;
}

// One that is there, with a reference.
static ak_encoder *take_loaded(ak_encoders *all, const char *model)
{
    pthread_mutex_lock(&all->lock);
    ak_encoder *e = find(all, model);
    if (e) {
        e->references++;
        e->used = ++all->clock;
    }
    pthread_mutex_unlock(&all->lock);
    return e;
}

// Room for one more: the idle one that was used the longest ago goes.
static ak_status make_room(ak_encoders *all, const char *model, ak_error *err)
{
    ak_encoder *oldest = NULL;
    pthread_mutex_lock(&all->lock);
    bool full = all->n >= all->most;
    for (ak_encoder *e = all->list; full && e; e = e->next)
        if (idle(all, e) && (!oldest || e->used < oldest->used))
            oldest = e;
    if (oldest)
        unlink_encoder(all, oldest);
    pthread_mutex_unlock(&all->lock);
    encoder_free(oldest);
    return !full || oldest ? AK_OK
                           : ak_fail(err, AK_OVERLOADED,
                                     "model %.64s is not loaded, and the %zu that may be are in "
                                     "use; try again",
                                     model, all->most);
}

static ak_status load(ak_encoder **out, ak_encoders *all, const char *model, ak_error *err)
{
    ak_buf file = {0};
    ak_encoder *e = ak_alloc(1, sizeof *e);
    ak_status status =
        e ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for model %.64s", model);
    if (status == AK_OK)
        status = ak_store_model_read(&file, all->store, model, err);
    if (status == AK_OK)
        status = ak_model_read(&e->model, ak_buf_bytes(&file), err);
    ak_buf_clear(&file);
    if (status == AK_OK)
        status = ak_batcher_start(&e->batcher, e->model, &all->options, err);
    if (status != AK_OK) {
        encoder_free(e);
        return status;
    }
    e->owner = all;
    e->references = 1;
    pthread_mutex_lock(&all->lock);
    e->used = ++all->clock;
    e->next = all->list;
    all->list = e;
    all->n++;
    pthread_mutex_unlock(&all->lock);
    *out = e;
    return AK_OK;
}

ak_status ak_encoder_take(ak_encoder **out, ak_encoders *all, const char *model, ak_error *err)
{
    *out = take_loaded(all, model);
    if (*out)
        return AK_OK;
    pthread_mutex_lock(&all->loading);
    ak_status status = AK_OK;
    *out = take_loaded(all, model); // somebody has loaded it meanwhile
    if (!*out)
        status = make_room(all, model, err);
    if (!*out && status == AK_OK)
        status = load(out, all, model, err);
    pthread_mutex_unlock(&all->loading);
    return status;
}

void ak_encoder_keep(ak_encoder *e)
{
    pthread_mutex_lock(&e->owner->lock);
    e->references++;
    pthread_mutex_unlock(&e->owner->lock);
}

void ak_encoder_release(ak_encoder *e)
{
    if (!e)
        return;
    pthread_mutex_t *lock = &e->owner->lock;
    pthread_mutex_lock(lock);
    e->references--;
    pthread_mutex_unlock(lock);
}

const ak_model *ak_encoder_model(const ak_encoder *e)
{
    return e->model;
}

ak_batcher *ak_encoder_batcher(const ak_encoder *e)
{
    return e->batcher;
}

// --- all of them -------------------------------------------------------------------------------

static ak_status open_first(ak_encoders *all, const char *model, ak_error *err)
{
    ak_encoder *e = NULL;
    ak_status status = ak_encoder_take(&e, all, model, err);
    if (status != AK_OK)
        return status;
    e->first = true;
    ak_encoder_release(e);
    return AK_OK;
}

static void clear_models(ak_model_record *models, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ak_model_record_clear(&models[i]);
    free(models);
}

ak_status ak_encoders_open(ak_encoders **out, ak_store *store, const ak_batcher_options *options,
                           size_t most, ak_error *err)
{
    ak_model_record *models = NULL;
    size_t n = 0;
    *out = NULL;
    ak_encoders *all = ak_alloc(1, sizeof *all);
    if (!all)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the encoders");
    all->store = store;
    all->options = *options;
    all->most = most;
    pthread_mutex_init(&all->loading, NULL);
    pthread_mutex_init(&all->lock, NULL);
    ak_status status = ak_store_base_model(all->base, store, err);
    if (status == AK_OK)
        status = open_first(all, all->base, err);
    if (status == AK_OK)
        status = ak_store_models(&models, &n, store, err);
    for (size_t i = 0; status == AK_OK && i < n && all->n < most; i++)
        if (models[i].state == AK_MODEL_SERVING)
            status = open_first(all, models[i].id, err);
    clear_models(models, n);
    if (status != AK_OK) {
        ak_encoders_close(all);
        return status;
    }
    *out = all;
    return AK_OK;
}

void ak_encoders_close(ak_encoders *all)
{
    if (!all)
        return;
    while (all->list) {
        ak_encoder *e = all->list;
        unlink_encoder(all, e);
        encoder_free(e);
    }
    pthread_mutex_destroy(&all->loading);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

ak_status ak_encoders_ready(ak_encoders *all, ak_error *err)
{
    ak_status status = AK_OK;
    pthread_mutex_lock(&all->lock);
    for (ak_encoder *e = all->list; status == AK_OK && e; e = e->next)
        if (e->first)
            status = ak_batcher_ready(e->batcher, err);
    pthread_mutex_unlock(&all->lock);
    return status;
}

const char *ak_encoders_base(const ak_encoders *all)
{
    return all->base;
}

static bool serves(const ak_model_record *models, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(models[i].id, id) == 0)
            return models[i].state == AK_MODEL_SERVING;
    return false;
}

void ak_encoders_trim(ak_encoders *all)
{
    ak_error err;
    ak_model_record *models = NULL;
    ak_encoder *freed = NULL;
    size_t n = 0;
    if (ak_store_models(&models, &n, all->store, &err) != AK_OK) {
        ak_log(AK_LOG_WARN, "models that serve nothing stay loaded: %s", err.text);
        return;
    }
    pthread_mutex_lock(&all->lock);
    for (ak_encoder *e = all->list, *next; e; e = next) {
        next = e->next;
        if (!idle(all, e) || serves(models, n, ak_model_id(e->model)))
            continue;
        unlink_encoder(all, e);
        e->next = freed;
        freed = e;
    }
    pthread_mutex_unlock(&all->lock);
    clear_models(models, n);
    while (freed) {
        ak_encoder *next = freed->next;
        encoder_free(freed);
        freed = next;
    }
    malloc_trim(0); // a network of some 130 MiB went; malloc alone gives it back late or never
}
