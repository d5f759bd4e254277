// Trained numbers lie in one array, encoder | head; so do gradients, momenta and averages.
#include "core/refine/tune.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/learn/optimiser.h"
#include "core/nn/checkpoint.h"
#include "core/nn/dnn.h"
#include "core/nn/head.h"
#include "core/refine/smoothing.h"
#include "core/refine/tune_loss.h"
#include "core/views/loader.h"

#include <jansson.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define SMOOTH 0.9 // share of the past in the losses that are told
#define SETTLE 32  // steps before a loss counts as risen
#define RISE   0.1 // a loss counts as no less, for being four times what it was

struct ak_tuner {
    ak_tune_options options;
    ak_model_parts parts;
    ak_graph graph;
    ak_mixture mixture;
    ak_sampler sampler;
    ak_loader *loader;
    ak_dnn *student, *teacher;
    ak_tune_loss *loss;
    size_t rows, params; // views a step; lengths
    ak_optimiser *optimiser;
    ak_optimiser_settings settings;
    float *p, *average, *g; // (params)
    float *x, *t, *dx;      // (rows, features)
    uint64_t step;
    double seconds;
    double first; // loss of the first step
    ak_tune_progress told;
};

static double progress_of(const ak_tuner *t)
{
    uint64_t steps = t->options.recipe->train.steps;
    double by_steps = steps ? (double)t->step / (double)steps : 0;
    double by_time = t->seconds / t->options.budget_s;
    return fmin(1, fmax(by_steps, by_time));
}

// Networks and loader, for the threads that there are and the place in the run.
static ak_status begin(ak_tuner *t, ak_error *err)
{
    const ak_refine_recipe *recipe = t->options.recipe;
    ak_dnn_type type = ak_dnn_has_bf16() ? AK_DNN_BF16 : AK_DNN_F32;
    ak_loader_free(t->loader);
    ak_dnn_free(t->student);
    ak_dnn_free(t->teacher);
    t->loader = NULL;
    t->student = t->teacher = NULL;
    omp_set_num_threads(t->options.threads);
    ak_dnn_options student = {
        .mode = AK_DNN_TUNE, .type = type, .frozen_stages = recipe->train.frozen_stages};
    ak_dnn_options teacher = {.mode = AK_DNN_SERVE, .type = type};
    ak_status status = ak_dnn_new(&t->student, &t->graph, (int)t->rows, student, err);
    if (status == AK_OK)
        status = ak_dnn_new(&t->teacher, &t->graph, (int)t->rows, teacher, err);
    if (status == AK_OK)
        status = ak_dnn_load(t->teacher, t->parts.params, t->parts.stats, err);
    if (status != AK_OK)
        return status;
    ak_view_plan views = AK_VIEW_PLAN_DEFAULT;
    views.first = views.second = recipe->views;
    ak_loader_options loader = {.pictures = &t->options.set->pictures,
                                .plan = views,
                                .side = recipe->train.side,
                                .batch = t->rows / 2,
                                .seed = t->options.seed,
                                .first = t->step,
                                .threads = t->options.threads,
                                .sampler = &t->sampler};
    return ak_loader_new(&t->loader, &loader, err);
}

// The incumbent's features of all whole pictures, for what is around them.
static ak_status look_around(ak_tuner *t, ak_error *err)
{
    const ak_pictures *pictures = &t->options.set->pictures;
    const size_t f = t->graph.features, side = (size_t)t->options.recipe->train.side;
    const size_t bytes = 3 * side * side;
    uint8_t *inputs = ak_alloc(t->rows, bytes);
    float *x = ak_alloc(pictures->n + t->rows, f * sizeof *x); // the last batch may hang over
    ak_status status =
        inputs && x ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for neighbourhoods");
    for (size_t first = 0; first < pictures->n && status == AK_OK; first += t->rows) {
        for (size_t i = 0; i < t->rows && first + i < pictures->n && status == AK_OK; i++)
            status = ak_image_square(inputs + i * bytes, (int)side,
                                     &pictures->items[first + i].image, err);
        if (status == AK_OK)
            status = ak_dnn_forward(t->teacher, x + first * f, inputs, err);
    }
    if (status == AK_OK)
        status = ak_tune_loss_look_around(t->loss, x, err);
    free(inputs);
    free(x);
    return status;
}

ak_status ak_tuner_new(ak_tuner **out, const ak_tune_options *options, ak_error *err)
{
    *out = NULL;
    ak_tuner *t = calloc(1, sizeof *t);
    if (!t)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a trainer");
    const ak_refine_recipe *recipe = options->recipe;
    t->options = *options;
    t->parts = ak_model_parts_of(options->incumbent);
    t->mixture = ak_mixture_of(options->set, (size_t)recipe->train.batch, recipe->train.couples,
                               recipe->train.replay);
    t->rows = 2 * ak_mixture_pictures(&t->mixture);
    ak_status status = ak_resnet_graph(&t->graph, &t->parts.net, recipe->train.side, err);
    if (status == AK_OK)
        status = ak_sampling_new(&t->sampler, options->set, &t->mixture, options->seed, err);
    if (status == AK_OK)
        status = ak_tune_loss_new(&t->loss, &t->parts, t->graph.features, options->set,
                                  options->plan, recipe, &t->mixture, err);
    if (status != AK_OK)
        goto done;
    size_t head = ak_head_params(&t->parts.head), f = t->rows * t->graph.features;
    t->params = t->graph.params + head;
    float **arrays[] = {&t->p, &t->average, &t->g, &t->x, &t->t, &t->dx};
    size_t lengths[] = {t->params, t->params, t->params, f, f, f};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        if (!(*arrays[i] = ak_alloc(lengths[i], sizeof(float)))) {
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu parameters", t->params);
            goto done;
        }
    memcpy(t->p, t->parts.params, t->graph.params * sizeof *t->p);
    memcpy(t->p + t->graph.params, t->parts.head_params, head * sizeof *t->p);
    memcpy(t->average, t->p, t->params * sizeof *t->p);
    ak_range all = {.start = 0, .count = t->params};
    ak_optimiser_settings sgd = {.kind = AK_SGD,
                                 .rate = (double)recipe->train.rate,
                                 .momentum = (double)recipe->train.momentum,
                                 .clip = (double)recipe->train.clip,
                                 .warm_up = recipe->train.warm_up,
                                 .schedule = AK_COSINE};
    t->settings = sgd;
    status = ak_optimiser_new(&t->optimiser, &sgd, &all, 1, t->params, err);
    if (status == AK_OK)
        status = begin(t, err);
    if (status == AK_OK && recipe->train.neighbourhoods > 0 &&
        options->set->pictures.n >= AK_SMOOTHING_LEAST)
        status = look_around(t, err);
done:
    if (status == AK_OK)
        *out = t;
    else
        ak_tuner_free(t);
    return status;
}

void ak_tuner_free(ak_tuner *t)
{
    if (!t)
        return;
    ak_loader_free(t->loader);
    if (t->sampler.free)
        ak_sampler_clear(&t->sampler);
    ak_dnn_free(t->student);
    ak_dnn_free(t->teacher);
    ak_tune_loss_free(t->loss);
    ak_optimiser_free(t->optimiser);
    float *arrays[] = {t->p, t->average, t->g, t->x, t->t, t->dx};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(t);
}

static void smooth(double *told, double now, bool first)
{
    *told = first ? now : SMOOTH * *told + (1 - SMOOTH) * now;
}

static void tell(ak_tuner *t, double loss, const ak_tune_terms *terms, double gradient)
{
    ak_tune_progress *p = &t->told;
    bool first = p->step == 0;
    smooth(&p->loss, loss, first);
    smooth(&p->contrast, terms->contrast, first);
    smooth(&p->features, terms->features, first);
    smooth(&p->relations, terms->relations, first);
    smooth(&p->feedback, terms->feedback, first);
    smooth(&p->noisy, terms->noisy, first);
    smooth(&p->neighbourhoods, terms->neighbourhoods, first);
    p->gradient = gradient;
    p->masked = ak_tune_loss_masked(t->loss);
}

// A network that is farther from what it is to learn than it was has been thrown away.
static ak_status has_risen(ak_tuner *t, double loss, ak_error *err)
{
    if (t->step == 0)
        t->first = loss; // by the incumbent's weights
    if (t->step < SETTLE || t->told.loss <= t->first + 3 * fmax(fabs(t->first), RISE))
        return AK_OK;
    return ak_fail(err, AK_BAD_VALUE,
                   "the loss rose from %.3f to %.3f in %llu steps; lower recipe.train.rate (%g)",
                   t->first, t->told.loss, (unsigned long long)t->step,
                   (double)t->options.recipe->train.rate);
}

ak_status ak_tuner_step(ak_tuner *t, bool *more, ak_error *err)
{
    const ak_refine_recipe *recipe = t->options.recipe;
    *more = progress_of(t) < 1;
    if (!*more)
        return AK_OK;
    double began = ak_clock_s();
    const ak_batch *batch = ak_loader_next(t->loader);
    ak_status status = ak_dnn_load(t->student, t->p, t->parts.stats, err);
    if (status == AK_OK)
        status = ak_dnn_forward(t->teacher, t->t, batch->views, err);
    if (status == AK_OK)
        status = ak_dnn_forward(t->student, t->x, batch->views, err);
    if (status != AK_OK)
        return status;
    ak_tune_terms terms;
    double loss = ak_tune_loss_run(t->loss, &terms, t->dx, t->g + t->graph.params,
                                   t->p + t->graph.params, t->x, t->t, batch->chosen);
    status = ak_dnn_backward(t->student, t->g, t->dx, err);
    if (status != AK_OK)
        return status;
    double progress = progress_of(t);
    double gradient =
        ak_optimiser_step(t->optimiser, t->p, t->average, t->g, t->step,
                          ak_optimiser_rate(&t->settings, progress), (double)recipe->train.average);
    if (!isfinite(loss) || !isfinite(gradient))
        return ak_fail(err, AK_BAD_VALUE,
                       "the loss is no longer finite after %llu steps; lower recipe.train.rate "
                       "(%g)",
                       (unsigned long long)t->step, (double)recipe->train.rate);
    tell(t, loss, &terms, gradient);
    status = has_risen(t, loss, err);
    if (status != AK_OK)
        return status;
    t->step++;
    t->told.step = t->step;
    t->seconds += ak_clock_s() - began;
    *more = progress_of(t) < 1;
    return AK_OK;
}

void ak_tuner_progress(ak_tune_progress *out, const ak_tuner *t)
{
    *out = t->told;
    out->step = t->step;
    out->views = t->step * t->rows;
    out->seconds = t->seconds;
    out->progress = progress_of(t);
    out->seconds_left =
        out->progress > 0 ? t->seconds * (1 / out->progress - 1) : t->options.budget_s;
}

ak_status ak_tuner_threads(ak_tuner *t, int threads, ak_error *err)
{
    if (threads == t->options.threads)
        return AK_OK;
    t->options.threads = threads;
    return begin(t, err);
}

void ak_tuner_result(const float **params, const float **head, const ak_tuner *t)
{
    *params = t->average;
    *head = t->average + t->graph.params;
}

// --- the state
// --------------------------------------------------------------------------------------

// What a state must agree with: recipe and incumbent; the pictures may have become fewer.
static void key_of(char out[AK_SHA256_HEX + 1], const ak_tuner *t)
{
    json_t *recipe = ak_refine_recipe_write(t->options.recipe);
    char *text = json_dumps(recipe, JSON_COMPACT | JSON_SORT_KEYS);
    ak_buf bytes = {0};
    if (text)
        ak_buf_append(&bytes, text, strlen(text));
    const char *id = ak_model_id(t->options.incumbent);
    ak_buf_append(&bytes, id, strlen(id));
    ak_buf_append(&bytes, &t->options.seed, sizeof t->options.seed);
    ak_sha256 sum = ak_sha256_of(ak_buf_bytes(&bytes));
    ak_sha256_hex(out, &sum);
    ak_buf_clear(&bytes);
    free(text);
    json_decref(recipe);
}

ak_status ak_tuner_save(ak_buf *out, const ak_tuner *t, ak_error *err)
{
    char key[AK_SHA256_HEX + 1];
    key_of(key, t);
    json_t *config =
        json_pack("{s:s, s:s, s:I, s:f, s:f}", "kind", "refinement", "key", key, "step",
                  (json_int_t)t->step, "seconds", t->seconds, "first", t->first);
    char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
    json_decref(config);
    if (!text)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a state");
    ak_checkpoint c = {.config = {(const uint8_t *)text, strlen(text)}};
    ak_checkpoint_add(&c, "parameters", t->p, t->params, AK_TENSOR_F32);
    ak_checkpoint_add(&c, "average", t->average, t->params, AK_TENSOR_F32);
    const char *name;
    float *state;
    for (size_t i = 0; (state = ak_optimiser_state(t->optimiser, i, &name)); i++)
        ak_checkpoint_add(&c, name, state, t->params, AK_TENSOR_F32);
    ak_status status = ak_checkpoint_write(out, &c, err);
    free(text);
    return status;
}

ak_status ak_tuner_restore(ak_tuner *t, ak_bytes file, ak_error *err)
{
    char key[AK_SHA256_HEX + 1];
    ak_checkpoint c;
    ak_status status = ak_checkpoint_read(&c, file, err);
    if (status != AK_OK)
        return status;
    json_t *config = json_loadb((const char *)c.config.at, c.config.n, 0, NULL);
    const char *is = json_string_value(json_object_get(config, "key"));
    key_of(key, t);
    if (!is || strcmp(is, key) != 0)
        status = ak_fail(err, AK_BAD_VALUE, "the state is of another recipe, seed or incumbent");
    uint64_t step = (uint64_t)json_integer_value(json_object_get(config, "step"));
    double seconds = json_number_value(json_object_get(config, "seconds"));
    const json_t *loss = json_object_get(config, "first");
    double first = json_number_value(loss);
    if (status == AK_OK && !json_is_number(loss))
        status = ak_fail(err, AK_BAD_VALUE, "the state does not say at which loss the run began");
    json_decref(config);
    if (status == AK_OK)
        status = ak_checkpoint_floats(t->p, &c, "parameters", t->params, err);
    const char *name;
    float *state;
    for (size_t i = 0; status == AK_OK && (state = ak_optimiser_state(t->optimiser, i, &name)); i++)
        status = ak_checkpoint_floats(state, &c, name, t->params, err);
    if (status == AK_OK)
        status = ak_checkpoint_floats(t->average, &c, "average", t->params, err);
    if (status != AK_OK)
        return status;
    t->step = step;
    t->seconds = seconds;
    t->first = first;
    return begin(t, err);
}
