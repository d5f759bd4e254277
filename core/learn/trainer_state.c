// The state of a run as a checkpoint: its recipe and place as JSON, its numbers as tensors.
#include "core/learn/trainer_inside.h"
#include "core/nn/checkpoint.h"

#include <jansson.h>
#include <string.h>

typedef struct {
    const char *name;
    float *at;
    size_t n;
} tensor;

#define TENSORS_MAX 10

static size_t tensors_of(tensor out[TENSORS_MAX], const ak_trainer *t)
{
    size_t n = 0;
    const char *name;
    out[n++] = (tensor){"parameters", t->p, t->params};
    float *state;
    for (size_t i = 0; (state = ak_optimiser_state(t->optimiser, i, &name)); i++)
        out[n++] = (tensor){name, state, t->params};
    out[n++] = (tensor){"average", t->average, t->params};
    out[n++] = (tensor){"statistics", t->running, t->stats};
    out[n++] = (tensor){"average statistics", t->running_average, t->stats};
    if (t->target) {
        ak_target_state target = ak_target_state_of(t->target);
        out[n++] = (tensor){"momentum encoder", target.params, target.params_n};
        out[n++] = (tensor){"queue", target.queue, target.queue_n};
    }
    return n;
}

// What must be equal for a state to go on: everything but how the model will describe, the length
// of the run and the threads.
static json_t *identity(const ak_trainer *t)
{
    json_t *recipe = ak_recipe_write(&t->recipe);
    json_object_del(recipe, "describe");
    return json_pack("{s:s, s:o, s:I, s:I}", "kind", "training state", "recipe", recipe, "pictures",
                     (json_int_t)t->pictures->n, "classes", (json_int_t)t->pictures->classes_n);
}

static json_t *place_of(const ak_trainer *t)
{
    json_t *terms = json_array();
    for (size_t i = 0; i < t->recipe.terms_n; i++)
        json_array_append_new(terms, json_real(t->term_loss[i]));
    uint64_t queue = t->target ? *ak_target_state_of(t->target).place : 0;
    return json_pack("{s:I, s:f, s:f, s:o, s:I}", "step", (json_int_t)t->step, "seconds",
                     t->seconds, "loss", t->loss, "terms", terms, "queue", (json_int_t)queue);
}

ak_status ak_trainer_save(ak_buf *out, const ak_trainer *t, ak_error *err)
{
    json_t *config = identity(t);
    bool whole = config && json_object_set_new(config, "place", place_of(t)) == 0;
    char *text = whole ? json_dumps(config, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(config);
    if (!text)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a checkpoint");
    ak_checkpoint c = {.config = {(const uint8_t *)text, strlen(text)}};
    tensor tensors[TENSORS_MAX];
    size_t n = tensors_of(tensors, t);
    for (size_t i = 0; i < n; i++)
        ak_checkpoint_add(&c, tensors[i].name, tensors[i].at, tensors[i].n, AK_TENSOR_F32);
    ak_status status = ak_checkpoint_write(out, &c, err);
    free(text);
    return status;
}

// The first member, by its path, that two recipes differ in.
static bool differs(char path[128], const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)a, key, value)
    {
        const json_t *other = json_object_get(b, key);
        size_t n = strlen(path);
        if (json_equal(value, other))
            continue;
        snprintf(path + n, 128 - n, "%s%s", n ? "." : "", key);
        return !json_is_object(value) || !json_is_object(other) || differs(path, value, other);
    }
    return false;
}

static ak_status check_identity(const ak_trainer *t, const json_t *config, ak_error *err)
{
    json_t *ours = identity(t);
    // As it reads back from a file, so that both have the same decimals.
    char *text = json_dumps(ours, JSON_COMPACT | JSON_REAL_PRECISION(17)), path[128] = "";
    json_t *read = text ? json_loads(text, 0, NULL) : NULL;
    ak_status status = AK_OK;
    if (!read)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to compare recipes");
    else if (differs(path, read, config))
        status = ak_fail(err, AK_BAD_VALUE,
                         "the state to resume from has another %s; give the same recipe and data, "
                         "or another --out",
                         path);
    free(text);
    json_decref(read);
    json_decref(ours);
    return status;
}

static void restore_place(ak_trainer *t, const json_t *place)
{
    t->step = (uint64_t)json_integer_value(json_object_get(place, "step"));
    t->seconds = json_number_value(json_object_get(place, "seconds"));
    t->loss = json_number_value(json_object_get(place, "loss"));
    for (size_t i = 0; i < t->recipe.terms_n; i++)
        t->term_loss[i] = json_number_value(json_array_get(json_object_get(place, "terms"), i));
    if (t->target) {
        uint64_t at = (uint64_t)json_integer_value(json_object_get(place, "queue"));
        *ak_target_state_of(t->target).place =
            t->recipe.momentum.queue ? at % t->recipe.momentum.queue : 0;
    }
    t->last_views = t->step * 2 * t->batch;
    t->last_seconds = t->seconds;
}

ak_status ak_trainer_restore(ak_trainer *t, ak_bytes file, ak_error *err)
{
    ak_checkpoint c;
    ak_status status = ak_checkpoint_read(&c, file, err);
    if (status != AK_OK)
        return status;
    tensor tensors[TENSORS_MAX];
    size_t n = tensors_of(tensors, t);
    json_t *config = json_loadb((const char *)c.config.at, c.config.n, 0, NULL);
    status = check_identity(t, config, err);
    for (size_t i = 0; i < n && status == AK_OK; i++)
        status = ak_checkpoint_expect(&c, tensors[i].name, tensors[i].n, err);
    for (size_t i = 0; i < n && status == AK_OK; i++)
        status = ak_checkpoint_floats(tensors[i].at, &c, tensors[i].name, tensors[i].n, err);
    if (status == AK_OK) {
        restore_place(t, json_object_get(config, "place"));
        status = ak_trainer_begin(t, err);
    }
    json_decref(config);
    return status;
}
