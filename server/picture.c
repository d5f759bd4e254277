// Workers enter; budget->lock guards the bytes that are left and is a leaf.
#include "server/picture.h"

#include "server/daemon.h"

#include <stdlib.h>
#include <string.h>

void ak_budget_init(ak_budget *budget, size_t bytes)
{
    pthread_mutex_init(&budget->lock, NULL);
    pthread_cond_init(&budget->freed, NULL);
    budget->left = budget->most = bytes;
}

void ak_budget_clear(ak_budget *budget)
{
    pthread_cond_destroy(&budget->freed);
    pthread_mutex_destroy(&budget->lock);
}

// Takes bytes, or all of the budget for what is larger than it. Who holds some never waits for
// more, so everyone gets a turn.
static size_t budget_take(ak_budget *budget, size_t bytes)
{
    size_t take = bytes < budget->most ? bytes : budget->most;
    pthread_mutex_lock(&budget->lock);
    while (budget->left < take)
        pthread_cond_wait(&budget->freed, &budget->lock);
    budget->left -= take;
    pthread_mutex_unlock(&budget->lock);
    return take;
}

static void budget_give(ak_budget *budget, size_t bytes)
{
    pthread_mutex_lock(&budget->lock);
    budget->left += bytes;
    pthread_cond_broadcast(&budget->freed);
    pthread_mutex_unlock(&budget->lock);
}

ak_status ak_picture_peek(ak_picture *p, const ak_server *server, ak_error *err)
{
    ak_image_limits limits = ak_server_picture_limits(server);
    return ak_image_peek(&p->info, p->bytes, &limits, err);
}

static ak_status take_encoder(ak_embedding *by, ak_server *server, const char *model, ak_error *err)
{
    ak_status status = ak_encoder_take(&by->encoder, server->encoders, model, err);
    if (status != AK_OK)
        return status;
    const ak_model *taken = ak_encoder_model(by->encoder);
    by->input = ak_alloc(ak_model_input_bytes(taken), 1);
    by->vector = ak_alloc((size_t)ak_model_dims(taken), sizeof *by->vector);
    if (!by->input || !by->vector)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a picture's descriptor");
    by->embed.input = by->input;
    by->embed.vector = by->vector;
    return AK_OK;
}

ak_status ak_picture_prepare(ak_picture *p, ak_server *server, const ak_wanted *models,
                             ak_error *err)
{
    ak_image_limits limits = ak_server_picture_limits(server);
    ak_image pixels = {0};
    ak_status status = AK_OK;
    while (status == AK_OK && p->n < models->n) {
        ak_embedding *by = &p->by[p->n];
        by->picture = p;
        status = take_encoder(by, server, models->ids[p->n++], err);
    }
    if (status != AK_OK)
        return status;
    // The decoder's bound of 4 bytes a pixel, and 3 for the pixels themselves.
    size_t taken =
        budget_take(&server->decoded, (size_t)p->info.width * (size_t)p->info.height * 7);
    status = ak_proxy_make(&pixels, &p->proxy, p->bytes, &limits, err);
    budget_give(&server->decoded, taken);
    for (size_t i = 0; status == AK_OK && i < p->n; i++)
        status = ak_model_prepare(p->by[i].input, ak_encoder_model(p->by[i].encoder), &pixels, err);
    ak_image_clear(&pixels);
    return status;
}

static void embedded(ak_embed *embed)
{
    ak_embedding *by = (ak_embedding *)((char *)embed - offsetof(ak_embedding, embed));
    ak_picture *p = by->picture;
    if (atomic_fetch_sub(&p->waiting, 1) == 1)
        p->done(p);
}

void ak_picture_embed(ak_picture *p, void (*done)(ak_picture *picture))
{
    size_t n = p->n; // p may be over after the last submit
    p->done = done;
    atomic_init(&p->waiting, n);
    for (size_t i = 0; i < n; i++) {
        p->by[i].embed.done = embedded;
        ak_batcher_submit(ak_encoder_batcher(p->by[i].encoder), &p->by[i].embed);
    }
}

ak_status ak_picture_embedded(const ak_picture *p, ak_error *err)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->by[i].embed.status == AK_OK)
            continue;
        *err = p->by[i].embed.error;
        return p->by[i].embed.status;
    }
    return AK_OK;
}

void ak_picture_clear(ak_picture *p)
{
    ak_buf_clear(&p->proxy);
    for (size_t i = 0; i < p->n; i++) {
        free(p->by[i].input);
        free(p->by[i].vector);
        ak_encoder_release(p->by[i].encoder);
        p->by[i] = (ak_embedding){0};
    }
    p->n = 0;
}
