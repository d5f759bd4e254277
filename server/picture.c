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

ak_status ak_picture_prepare(ak_picture *p, ak_server *server, const ak_generation *generation,
                             ak_error *err)
{
    if (strcmp(ak_generation_model(generation), ak_model_id(server->model)) != 0)
        return ak_fail(err, AK_INTERNAL,
                       "the collection is served by model %s, which is not loaded",
                       ak_generation_model(generation));
    ak_image_limits limits = ak_server_picture_limits(server);
    ak_image pixels = {0};
    p->input = ak_alloc(ak_model_input_bytes(server->model), 1);
    p->vector = ak_alloc((size_t)ak_model_dims(server->model), sizeof *p->vector);
    if (!p->input || !p->vector)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a picture's descriptor");
    // The decoder's bound of 4 bytes a pixel, and 3 for the pixels themselves.
    size_t taken =
        budget_take(&server->decoded, (size_t)p->info.width * (size_t)p->info.height * 7);
    ak_status status = ak_proxy_make(&pixels, &p->proxy, p->bytes, &limits, err);
    budget_give(&server->decoded, taken);
    if (status == AK_OK)
        status = ak_model_prepare(p->input, server->model, &pixels, err);
    ak_image_clear(&pixels);
    p->embed.input = p->input;
    p->embed.vector = p->vector;
    return status;
}

void ak_picture_clear(ak_picture *p)
{
    ak_buf_clear(&p->proxy);
    free(p->input);
    free(p->vector);
    p->input = NULL;
    p->vector = NULL;
}
