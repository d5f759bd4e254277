// All trained numbers lie in one array, encoder | head | class proxies, and so do gradients,
// momenta and averages; all statistics in another, encoder | head.
#include "core/learn/trainer.h"

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/learn/optimiser.h"
#include "core/nn/checkpoint.h"
#include "core/nn/dnn.h"
#include "core/objective/objective.h"
#include "core/views/loader.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BN_SHARE 0.1f // of a batch in the running statistics

const ak_recipe ak_recipe_default = {
    .net = {{1, 1, 1, 1}, 1.0f, 2, 2},
    .head_hidden = 512,
    .head_out = 128,
    .views = AK_VIEW_RECIPE_DEFAULT,
    .batch = 128,
    .side = 64,
    .late_side = 96,
    .late_from = 0.8,
    .proxy_tau = 0.05f,
    .proxy_smoothing = 0.1f,
    .proxy_weight = 1.0f,
    .contrast_tau = 0.2f,
    .contrast_weight = 0.5f,
    .rate = 0.15f,
    .momentum = 0.9f,
    .decay = 5e-4f,
    .warm_up = 0.02,
    .average = 0.999f,
    .seed = 1,
    .threads = 2,
    .bf16 = true,
};

struct ak_trainer {
    ak_recipe recipe;
    const ak_pictures *pictures;
    ak_graph graph;
    ak_head head;
    ak_dnn *dnn;
    ak_loader *loader;
    int side;
    size_t params, stats, proxies_at; // lengths; where the proxies begin
    float *p, *average, *g;           // (params)
    float *running, *running_average; // (stats)
    ak_optimiser *optimiser;
    float *features, *dfeatures, *dother; // (2 batch, features)
    float *z, *dz;                        // (2 batch, head out)
    float *work;
    uint64_t step;
    double seconds;
    double loss, proxy_loss, contrast_loss;
    uint64_t last_views;
    double last_seconds;
};

static size_t rows(const ak_trainer *t)
{
    return 2 * t->recipe.batch;
}

static double progress_of(const ak_trainer *t)
{
    double views = (double)t->step * (double)rows(t);
    double by_views = t->recipe.views_total ? views / (double)t->recipe.views_total : 0;
    double by_time = t->recipe.minutes > 0 ? t->seconds / (60 * t->recipe.minutes) : 0;
    double progress = by_views > by_time ? by_views : by_time;
    return progress < 1 ? progress : 1;
}

// The optimiser over all tensors: encoder, head, proxies.
static ak_status make_optimiser(ak_trainer *t, ak_error *err)
{
    const ak_recipe *r = &t->recipe;
    const ak_optimiser_settings settings = {.kind = AK_SGD,
                                            .rate = (double)r->rate,
                                            .momentum = (double)r->momentum,
                                            .decay = (double)r->decay,
                                            .warm_up = r->warm_up};
    ak_range tensors[2 * AK_RANGES_MAX + 1];
    size_t n = ak_graph_ranges(tensors, &t->graph), encoder = n;
    n += ak_head_ranges(tensors + n, &t->head);
    for (size_t i = encoder; i < n; i++)
        tensors[i].start += t->graph.params;
    tensors[n++] = (ak_range){t->proxies_at, t->params - t->proxies_at, true};
    return ak_optimiser_new(&t->optimiser, &settings, tensors, n, t->params, err);
}

static ak_status use_side(ak_trainer *t, int side, ak_error *err)
{
    ak_status status = ak_resnet_graph(&t->graph, &t->recipe.net, side, err);
    if (status != AK_OK)
        return status;
    ak_dnn_free(t->dnn);
    t->dnn = NULL;
    t->side = side;
    ak_dnn_type type = t->recipe.bf16 && ak_dnn_has_bf16() ? AK_DNN_BF16 : AK_DNN_F32;
    return ak_dnn_new(&t->dnn, &t->graph, (int)rows(t),
                      (ak_dnn_options){.mode = AK_DNN_TRAIN, .type = type}, err);
}

static int wanted_side(const ak_trainer *t)
{
    return progress_of(t) >= t->recipe.late_from ? t->recipe.late_side : t->recipe.side;
}

// The loader and the network for the place in the run.
static ak_status begin(ak_trainer *t, ak_error *err)
{
    ak_status status = use_side(t, wanted_side(t), err);
    ak_loader_free(t->loader);
    t->loader = NULL;
    ak_loader_options options = {.pictures = t->pictures,
                                 .plan = AK_VIEW_PLAN_DEFAULT,
                                 .side = t->side,
                                 .batch = t->recipe.batch,
                                 .seed = t->recipe.seed,
                                 .first = t->step,
                                 .threads = t->recipe.threads};
    options.plan.first = options.plan.second = t->recipe.views;
    return status == AK_OK ? ak_loader_new(&t->loader, &options, err) : status;
}

static void init(ak_trainer *t)
{
    uint64_t seed = t->recipe.seed;
    ak_graph_init(t->p, t->running, &t->graph, seed);
    ak_head_init(t->p + t->graph.params, t->running + t->graph.stats, &t->head, seed);
    ak_random r = ak_random_stream(seed, 0x9012, 0, 0);
    for (size_t i = t->proxies_at; i < t->params; i++)
        t->p[i] = (float)(ak_random_normal(&r) / sqrt((double)t->head.in));
    memcpy(t->average, t->p, t->params * sizeof *t->p);
    memcpy(t->running_average, t->running, t->stats * sizeof *t->running);
}

static ak_status check_recipe(const ak_recipe *r, ak_error *err)
{
    if (r->views_total == 0 && !(r->minutes > 0))
        return ak_fail(err, AK_BAD_VALUE, "a run needs a length: --views or --minutes");
    if (r->batch < 2 || r->batch > 4096)
        return ak_fail(err, AK_BAD_VALUE, "a batch of %zu pictures; 2 to 4096 are possible",
                       r->batch);
    if (!(r->proxy_tau > 0) || !(r->contrast_tau > 0))
        return ak_fail(err, AK_BAD_VALUE, "a temperature of 0; it must be above");
    if (!(r->rate > 0) || r->rate > 100)
        return ak_fail(err, AK_BAD_VALUE, "a rate of %g; above 0 and at most 100 are possible",
                       (double)r->rate);
    return AK_OK;
}

ak_status ak_trainer_new(ak_trainer **out, const ak_pictures *pictures, const ak_recipe *recipe,
                         ak_error *err)
{
    *out = NULL;
    ak_status status = check_recipe(recipe, err);
    if (status != AK_OK)
        return status;
    ak_trainer *t = calloc(1, sizeof *t);
    if (!t)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a trainer");
    t->recipe = *recipe;
    t->pictures = pictures;
    status = ak_resnet_graph(&t->graph, &recipe->net, recipe->side, err);
    if (status != AK_OK)
        goto done;
    size_t n = rows(t), f = t->graph.features;
    t->head = (ak_head){f, recipe->head_hidden, recipe->head_out, 2, false};
    t->proxies_at = t->graph.params + ak_head_params(&t->head);
    t->params = t->proxies_at + pictures->classes_n * f;
    t->stats = t->graph.stats + ak_head_stats(&t->head);
    size_t work = ak_objective_work(ak_objective_find("proxy_softmax"), recipe->batch, f, 0,
                                    pictures->classes_n);
    size_t contrast =
        ak_objective_work(ak_objective_find("nt_xent"), recipe->batch, t->head.out, 0, 0) +
        ak_head_work(&t->head, n);
    float **arrays[] = {&t->p,        &t->average,   &t->g,      &t->running, &t->running_average,
                        &t->features, &t->dfeatures, &t->dother, &t->z,       &t->dz,
                        &t->work};
    size_t lengths[] = {t->params,
                        t->params,
                        t->params,
                        t->stats,
                        t->stats,
                        n * f,
                        n * f,
                        n * f,
                        n * t->head.out,
                        n * t->head.out,
                        work > contrast ? work : contrast};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        if (!(*arrays[i] = ak_alloc(lengths[i], sizeof(float)))) {
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu parameters", t->params);
            goto done;
        }
    status = make_optimiser(t, err);
    if (status != AK_OK)
        goto done;
    init(t);
    status = begin(t, err);
done:
    if (status != AK_OK) {
        ak_trainer_free(t);
        return status;
    }
    *out = t;
    return AK_OK;
}

void ak_trainer_free(ak_trainer *t)
{
    if (!t)
        return;
    ak_loader_free(t->loader);
    ak_dnn_free(t->dnn);
    ak_optimiser_free(t->optimiser);
    float *arrays[] = {t->p,        t->average,   t->g,      t->running, t->running_average,
                       t->features, t->dfeatures, t->dother, t->z,       t->dz,
                       t->work};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(t);
}

// features -> losses; dfeatures and the gradients of head and proxies.
static void objectives(ak_trainer *t, const uint32_t *labels, double *proxy, double *contrast)
{
    const ak_recipe *r = &t->recipe;
    size_t n = rows(t), f = t->graph.features, d = t->head.out;
    size_t count = t->params - t->proxies_at;
    const ak_pairs views = {.n = r->batch,
                            .d = f,
                            .a = t->features,
                            .b = t->features + r->batch * f,
                            .proxies = t->p + t->proxies_at,
                            .classes = t->pictures->classes_n,
                            .labels = labels};
    ak_pair_gradients to_views = {t->dfeatures, t->dfeatures + r->batch * f, t->g + t->proxies_at};
    const ak_objective_params by_class = {.tau = (double)r->proxy_tau,
                                          .smoothing = (double)r->proxy_smoothing};
    *proxy =
        ak_objective_run(&to_views, ak_objective_find("proxy_softmax"), &by_class, &views, t->work);
    for (size_t i = 0; i < n * f; i++)
        t->dfeatures[i] *= r->proxy_weight;
    for (size_t i = 0; i < count; i++)
        t->g[t->proxies_at + i] *= r->proxy_weight;

    float *left = t->work, *scratch = left + ak_head_work(&t->head, n);
    float *params = t->p + t->graph.params;
    ak_head_forward(t->z, &t->head, params, t->features, n, left);
    ak_head_stats_update(t->running + t->graph.stats, &t->head, left, n, BN_SHARE);
    const ak_pairs pairs = {.n = r->batch, .d = d, .a = t->z, .b = t->z + r->batch * d};
    ak_pair_gradients to_pairs = {t->dz, t->dz + r->batch * d, NULL};
    const ak_objective_params by_view = {.tau = (double)r->contrast_tau};
    *contrast =
        ak_objective_run(&to_pairs, ak_objective_find("nt_xent"), &by_view, &pairs, scratch);
    for (size_t i = 0; i < n * d; i++)
        t->dz[i] *= r->contrast_weight;
    ak_head_backward(t->dother, t->g + t->graph.params, &t->head, params, t->dz, t->features, n,
                     left);
    for (size_t i = 0; i < n * f; i++)
        t->dfeatures[i] += t->dother[i];
}

ak_status ak_trainer_step(ak_trainer *t, bool *more, ak_error *err)
{
    *more = progress_of(t) < 1;
    if (!*more)
        return AK_OK;
    double start = ak_clock_s(), proxy, contrast;
    ak_status status = AK_OK;
    if (wanted_side(t) != t->side) {
        status = use_side(t, wanted_side(t), err);
        if (status == AK_OK)
            status = ak_loader_side(t->loader, t->side, err);
    }
    if (status != AK_OK)
        return status;
    const ak_batch *batch = ak_loader_next(t->loader);
    status = ak_dnn_load(t->dnn, t->p, NULL, err);
    if (status == AK_OK)
        status = ak_dnn_forward(t->dnn, t->features, batch->views, err);
    if (status != AK_OK)
        return status;
    objectives(t, batch->labels, &proxy, &contrast);
    double loss =
        (double)t->recipe.proxy_weight * proxy + (double)t->recipe.contrast_weight * contrast;
    if (!isfinite(loss))
        return ak_fail(err, AK_BAD_VALUE,
                       "the loss is %g at step %llu: the rate (%g) is too high or the pictures are "
                       "all alike; lower --rate",
                       loss, (unsigned long long)t->step, (double)t->recipe.rate);
    status = ak_dnn_backward(t->dnn, t->g, t->dfeatures, err);
    if (status != AK_OK)
        return status;
    ak_dnn_stats(t->running, t->dnn, BN_SHARE);
    // The average of a young run would hold on to its random start: keep less at first.
    double young = (1.0 + (double)t->step) / (10.0 + (double)t->step);
    float keep = (double)t->recipe.average < young ? t->recipe.average : (float)young;
    const ak_optimiser_settings at = {.rate = (double)t->recipe.rate, .warm_up = t->recipe.warm_up};
    ak_optimiser_step(t->optimiser, t->p, t->average, t->g, t->step,
                      ak_optimiser_rate(&at, progress_of(t)), (double)keep);
    for (size_t i = 0; i < t->stats; i++)
        t->running_average[i] = keep * t->running_average[i] + (1 - keep) * t->running[i];
    double blend = t->step < 50 ? 1.0 / (double)(t->step + 1) : 0.02;
    t->loss += blend * (loss - t->loss);
    t->proxy_loss += blend * (proxy - t->proxy_loss);
    t->contrast_loss += blend * (contrast - t->contrast_loss);
    t->step++;
    t->seconds += ak_clock_s() - start;
    return AK_OK;
}

void ak_trainer_progress(ak_train_progress *out, ak_trainer *t)
{
    double progress = progress_of(t);
    uint64_t views = t->step * rows(t);
    *out = (ak_train_progress){.step = t->step,
                               .views = views,
                               .seconds = t->seconds,
                               .progress = progress,
                               .loss = t->loss,
                               .proxy_loss = t->proxy_loss,
                               .contrast_loss = t->contrast_loss,
                               .side = t->side};
    if (t->seconds > t->last_seconds)
        out->views_per_s = (double)(views - t->last_views) / (t->seconds - t->last_seconds);
    if (progress > 0)
        out->seconds_left = t->seconds * (1 - progress) / progress;
    t->last_views = views;
    t->last_seconds = t->seconds;
}

// What must be equal for a state to go on: everything but the length of the run and the threads.
static json_t *identity(const ak_trainer *t)
{
    const ak_recipe *r = &t->recipe;
    ak_recipe clean; // padding must not count
    char hex[AK_SHA256_HEX + 1];
    memset(&clean, 0, sizeof clean);
    clean.net = r->net;
    clean.head_hidden = r->head_hidden;
    clean.head_out = r->head_out;
    clean.views = r->views;
    clean.batch = r->batch;
    clean.side = r->side;
    clean.late_side = r->late_side;
    clean.late_from = r->late_from;
    clean.proxy_tau = r->proxy_tau;
    clean.proxy_smoothing = r->proxy_smoothing;
    clean.proxy_weight = r->proxy_weight;
    clean.contrast_tau = r->contrast_tau;
    clean.contrast_weight = r->contrast_weight;
    clean.rate = r->rate;
    clean.momentum = r->momentum;
    clean.decay = r->decay;
    clean.warm_up = r->warm_up;
    clean.average = r->average;
    clean.seed = r->seed;
    clean.bf16 = r->bf16;
    ak_sha256 sum = ak_sha256_of((ak_bytes){(const uint8_t *)&clean, sizeof clean});
    ak_sha256_hex(hex, &sum);
    return json_pack("{s:s, s:s, s:I, s:I}", "kind", "training state", "recipe", hex, "pictures",
                     (json_int_t)t->pictures->n, "classes", (json_int_t)t->pictures->classes_n);
}

ak_status ak_trainer_save(ak_buf *out, const ak_trainer *t, ak_error *err)
{
    json_t *config = identity(t);
    ak_status status;
    if (!config || json_object_set_new(config, "step", json_integer((json_int_t)t->step)) != 0 ||
        json_object_set_new(config, "seconds", json_real(t->seconds)) != 0 ||
        json_object_set_new(config, "losses",
                            json_pack("[f, f, f]", t->loss, t->proxy_loss, t->contrast_loss)) !=
            0) {
        json_decref(config);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a checkpoint");
    }
    char *text = json_dumps(config, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(config);
    if (!text)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a checkpoint");
    ak_checkpoint c = {.config = {(const uint8_t *)text, strlen(text)}};
    ak_checkpoint_add(&c, "parameters", t->p, t->params, AK_TENSOR_F32);
    const char *name;
    const float *state;
    for (size_t i = 0; (state = ak_optimiser_state(t->optimiser, i, &name)) != NULL; i++)
        ak_checkpoint_add(&c, name, state, t->params, AK_TENSOR_F32);
    ak_checkpoint_add(&c, "average", t->average, t->params, AK_TENSOR_F32);
    ak_checkpoint_add(&c, "statistics", t->running, t->stats, AK_TENSOR_F32);
    ak_checkpoint_add(&c, "average statistics", t->running_average, t->stats, AK_TENSOR_F32);
    status = ak_checkpoint_write(out, &c, err);
    free(text);
    return status;
}

ak_status ak_trainer_restore(ak_trainer *t, ak_bytes file, ak_error *err)
{
    ak_checkpoint c;
    ak_status status = ak_checkpoint_read(&c, file, err);
    if (status != AK_OK)
        return status;
    json_t *ours = identity(t);
    json_t *config = json_loadb((const char *)c.config.at, c.config.n, 0, NULL);
    const char *key;
    json_t *value;
    json_object_foreach(ours, key, value)
    {
        if (!json_equal(value, json_object_get(config, key))) {
            status = ak_fail(err, AK_BAD_VALUE,
                             "the state to resume from has another %s; give the same options and "
                             "data, or another --out",
                             key);
            goto done;
        }
    }
    struct {
        const char *name;
        float *at;
        size_t n;
    } parts[] = {{"parameters", t->p, t->params},
                 {"average", t->average, t->params},
                 {"statistics", t->running, t->stats},
                 {"average statistics", t->running_average, t->stats}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts && status == AK_OK; i++)
        status = ak_checkpoint_floats(parts[i].at, &c, parts[i].name, parts[i].n, err);
    const char *name;
    float *state;
    for (size_t i = 0;
         status == AK_OK && (state = ak_optimiser_state(t->optimiser, i, &name)) != NULL; i++)
        status = ak_checkpoint_floats(state, &c, name, t->params, err);
    if (status == AK_OK) {
        t->step = (uint64_t)json_integer_value(json_object_get(config, "step"));
        t->seconds = json_number_value(json_object_get(config, "seconds"));
        const json_t *losses = json_object_get(config, "losses");
        t->loss = json_number_value(json_array_get(losses, 0));
        t->proxy_loss = json_number_value(json_array_get(losses, 1));
        t->contrast_loss = json_number_value(json_array_get(losses, 2));
        t->last_views = t->step * rows(t);
        t->last_seconds = t->seconds;
        status = begin(t, err);
    }
done:
    json_decref(ours);
    json_decref(config);
    return status;
}

ak_trained ak_trainer_result(const ak_trainer *t)
{
    return (ak_trained){.net = &t->recipe.net,
                        .params = t->average,
                        .stats = t->running_average,
                        .head = t->head,
                        .head_params = t->average + t->graph.params,
                        .head_stats = t->running_average + t->graph.stats};
}
