#include "core/learn/trainer.h"

#include "core/base/clock.h"
#include "core/learn/trainer_inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double ak_trainer_place(const ak_trainer *t)
{
    double views = (double)t->step * (double)(2 * t->batch);
    double by_views = t->length.views ? views / (double)t->length.views : 0;
    double by_time = t->length.minutes > 0 ? t->seconds / (60 * t->length.minutes) : 0;
    double place = by_views > by_time ? by_views : by_time;
    return place < 1 ? place : 1;
}

static size_t append(ak_range *out, size_t n, const ak_range *ranges, size_t count, size_t start)
{
    for (size_t i = 0; i < count; i++)
        out[n++] = (ak_range){start + ranges[i].start, ranges[i].count, ranges[i].matrix};
    return n;
}

// The optimiser, for all tensors that are trained.
static ak_status make_optimiser(ak_trainer *t, ak_error *err)
{
    ak_range all[AK_RANGES_MAX + 6 * AK_HEAD_DEPTH_MAX + 1], ranges[AK_RANGES_MAX] = {{0}};
    const ak_recipe *r = &t->recipe;
    size_t n = append(all, 0, ranges, ak_graph_ranges(ranges, &t->graph), 0);
    n = append(all, n, ranges, ak_head_ranges(ranges, &r->head), t->head_at);
    if (t->proxies_at > t->predictor_at)
        n = append(all, n, ranges, ak_head_ranges(ranges, &r->predictor), t->predictor_at);
    if (t->params > t->proxies_at)
        all[n++] = (ak_range){t->proxies_at, t->params - t->proxies_at, true};
    return ak_optimiser_new(&t->optimiser, &r->optimiser, all, n, t->params, err);
}

static ak_status compile(ak_dnn **dnn, ak_graph *graph, const ak_trainer *t, int side, size_t rows,
                         ak_error *err)
{
    ak_dnn_free(*dnn);
    *dnn = NULL;
    ak_status status = ak_resnet_graph(graph, &t->recipe.net, side, err);
    ak_dnn_options options = {.mode = AK_DNN_TRAIN,
                              .type =
                                  t->recipe.bf16 && ak_dnn_has_bf16() ? AK_DNN_BF16 : AK_DNN_F32,
                              .parts = ak_ranks() > 1 ? &t->parts : NULL};
    return status == AK_OK ? ak_dnn_new(dnn, graph, (int)rows, options, err) : status;
}

static int wanted_side(const ak_trainer *t)
{
    return ak_trainer_place(t) >= t->recipe.late_from ? t->recipe.late_side : t->recipe.side;
}

// The networks for the place in the run.
static ak_status use_side(ak_trainer *t, int side, ak_error *err)
{
    const ak_small_views *small = &t->recipe.views.small;
    ak_status status = compile(&t->dnn, &t->graph, t, side, 2 * t->own, err);
    if (status == AK_OK && t->rows > 2 * t->own && !t->small_dnn)
        status = compile(&t->small_dnn, &t->small_graph, t, small->side, t->rows - 2 * t->own, err);
    if (status == AK_OK && t->target)
        status = ak_target_graph(t->target, &t->graph, err);
    t->side = side;
    return status;
}

ak_status ak_trainer_begin(ak_trainer *t, ak_error *err)
{
    ak_status status = use_side(t, wanted_side(t), err);
    ak_loader_free(t->loader);
    t->loader = NULL;
    const ak_loader_options options = {.pictures = t->pictures,
                                       .plan = t->recipe.views,
                                       .side = t->side,
                                       .batch = t->batch,
                                       .seed = t->recipe.seed,
                                       .first = t->step,
                                       .threads = t->length.threads,
                                       .sampler = t->sampler.choose ? &t->sampler : NULL,
                                       .rank = ak_rank(),
                                       .ranks = ak_ranks()};
    return status == AK_OK ? ak_loader_new(&t->loader, &options, err) : status;
}

static ak_status take_over(ak_trainer *t, const ak_trained *from, ak_error *err)
{
    ak_graph graph;
    const size_t head = ak_head_params(&from->head), head_stats = ak_head_stats(&from->head);
    ak_status status = ak_resnet_graph(&graph, from->net, t->recipe.side, err);
    if (status != AK_OK)
        return status;
    if (graph.params != t->graph.params || graph.stats != t->graph.stats ||
        head != ak_head_params(&t->recipe.head) || head_stats != ak_head_stats(&t->recipe.head))
        return ak_fail(err, AK_BAD_VALUE,
                       "the run's network has %zu parameters and its head %zu, the model's %zu and "
                       "%zu; train by the model's encoder and head",
                       t->graph.params, ak_head_params(&t->recipe.head), graph.params, head);
    memcpy(t->p, from->params, graph.params * sizeof *t->p);
    memcpy(t->p + t->head_at, from->head_params, head * sizeof *t->p);
    memcpy(t->running, from->stats, graph.stats * sizeof *t->running);
    memcpy(t->running + t->head_stat, from->head_stats, head_stats * sizeof *t->running);
    return AK_OK;
}

static ak_status init(ak_trainer *t, const ak_trained *from, ak_error *err)
{
    const ak_recipe *r = &t->recipe;
    ak_graph_init(t->p, t->running, &t->graph, r->seed);
    ak_head_init(t->p + t->head_at, t->running + t->head_stat, &r->head, r->seed);
    if (t->proxies_at > t->predictor_at)
        ak_head_init(t->p + t->predictor_at, t->running + t->predictor_stat, &r->predictor,
                     r->seed + 1);
    ak_random random = ak_random_stream(r->seed, 0x9012, 0, 0);
    for (size_t i = t->proxies_at; i < t->params; i++)
        t->p[i] = (float)(ak_random_normal(&random) / sqrt((double)t->graph.features));
    ak_status status = from ? take_over(t, from, err) : AK_OK;
    memcpy(t->average, t->p, t->params * sizeof *t->p);
    memcpy(t->running_average, t->running, t->stats * sizeof *t->running);
    return status;
}

// Where the parts lie. The class proxies live on the level that their term reads.
static void lay_out(ak_trainer *t)
{
    ak_recipe *r = &t->recipe;
    r->head.in = t->graph.features;
    r->predictor.in = r->predictor.out = r->head.out;
    r->head.parts = r->predictor.parts = ak_ranks() > 1 ? &t->parts : NULL;
    const size_t widths[AK_LEVELS] = {t->graph.features, r->head.out, r->head.out};
    bool predictor = ak_recipe_wants_predictor(r);
    t->head_at = t->graph.params;
    t->predictor_at = t->head_at + ak_head_params(&r->head);
    t->proxies_at = t->predictor_at + (predictor ? ak_head_params(&r->predictor) : 0);
    t->params = t->proxies_at;
    for (size_t i = 0; i < r->terms_n; i++)
        if (r->terms[i].objective->proxies)
            t->params += t->pictures->classes_n * widths[r->terms[i].level];
    t->head_stat = t->graph.stats;
    t->predictor_stat = t->head_stat + ak_head_stats(&r->head);
    t->stats = t->predictor_stat + (predictor ? ak_head_stats(&r->predictor) : 0);
}

static ak_status alloc(ak_trainer *t, ak_error *err)
{
    float **arrays[] = {&t->p, &t->average, &t->g, &t->running, &t->running_average, &t->small_g};
    size_t lengths[] = {t->params, t->params, t->params,
                        t->stats,  t->stats,  t->rows > 2 * t->own ? t->graph.params : 1};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        if (!(*arrays[i] = ak_alloc(lengths[i], sizeof(float))))
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu parameters", t->params);
    return make_optimiser(t, err);
}

ak_status ak_trainer_new(ak_trainer **out, const ak_pictures *pictures, const ak_recipe *recipe,
                         const ak_train_length *length, const ak_trained *from, ak_error *err)
{
    *out = NULL;
    if (length->views == 0 && !(length->minutes > 0))
        return ak_fail(err, AK_BAD_VALUE, "a run needs a length: --views or --minutes");
    ak_status status = ak_recipe_check(recipe, err);
    if (status != AK_OK)
        return status;
    ak_trainer *t = calloc(1, sizeof *t);
    if (!t)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a trainer");
    t->recipe = *recipe;
    t->length = *length;
    t->pictures = pictures;
    t->batch = recipe->batch;
    t->own = t->batch / (size_t)ak_ranks();
    t->parts = (ak_bn_parts){ak_ranks_sum_doubles, ak_ranks()};
    t->rows = t->own * (2 + (size_t)recipe->views.small.count);
    status = ak_trainer_ranks_check(t, err);
    if (status == AK_OK)
        status = ak_resnet_graph(&t->graph, &recipe->net, recipe->side, err);
    if (status == AK_OK) {
        lay_out(t);
        status = alloc(t, err);
    }
    if (status == AK_OK)
        status = ak_trainer_losses_alloc(t, err);
    if (status == AK_OK) {
        status = init(t, from, err);
        if (status == AK_OK && recipe->pictures_per_class > 0)
            status = ak_sampler_classes(&t->sampler, pictures, recipe->pictures_per_class, t->batch,
                                        recipe->seed, err);
        if (status == AK_OK && ak_recipe_wants_target(recipe))
            status = ak_target_new(&t->target, &t->recipe, &t->graph, &t->recipe.head, 2 * t->batch,
                                   t->p, err);
    }
    if (status == AK_OK)
        status = ak_trainer_begin(t, err);
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
    ak_sampler_clear(&t->sampler);
    ak_target_free(t->target);
    ak_dnn_free(t->dnn);
    ak_dnn_free(t->small_dnn);
    ak_trainer_losses_free(t);
    ak_optimiser_free(t->optimiser);
    float *arrays[] = {t->p, t->average, t->g, t->running, t->running_average, t->small_g};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(t);
}

static ak_status forward(ak_trainer *t, const ak_batch *batch, ak_error *err)
{
    float *features = t->level[AK_LEVEL_FEATURES].x;
    ak_status status = ak_dnn_load(t->dnn, t->p, NULL, err);
    if (status == AK_OK)
        status = ak_dnn_forward(t->dnn, features, batch->views, err);
    if (status == AK_OK && t->small_dnn)
        status = ak_dnn_load(t->small_dnn, t->p, NULL, err);
    if (status == AK_OK && t->small_dnn)
        status = ak_dnn_forward(t->small_dnn, features + 2 * t->own * t->graph.features,
                                batch->small, err);
    if (status == AK_OK && t->target)
        status = ak_target_forward(t->target, batch->views, t->step, err);
    return status;
}

static ak_status backward(ak_trainer *t, ak_error *err)
{
    float *gradient = t->level[AK_LEVEL_FEATURES].dx;
    ak_status status = ak_dnn_backward(t->dnn, t->g, gradient, err);
    if (status != AK_OK || !t->small_dnn)
        return status;
    status =
        ak_dnn_backward(t->small_dnn, t->small_g, gradient + 2 * t->own * t->graph.features, err);
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < t->graph.params; i++)
        t->g[i] += t->small_g[i];
    return status;
}

static void update(ak_trainer *t)
{
    // The average of a young run would hold on to its random start: keep less at first.
    double young = (1.0 + (double)t->step) / (10.0 + (double)t->step), place = ak_trainer_place(t);
    float keep = (double)t->recipe.average < young ? t->recipe.average : (float)young;
    ak_dnn_stats(t->running, t->dnn, AK_BN_SHARE);
    t->rate = ak_optimiser_rate(&t->recipe.optimiser, place);
    t->gradient =
        ak_optimiser_step(t->optimiser, t->p, t->average, t->g, t->step, t->rate, (double)keep);
    for (size_t i = 0; i < t->stats; i++)
        t->running_average[i] = keep * t->running_average[i] + (1 - keep) * t->running[i];
    if (t->target) {
        ak_target_enqueue(t->target);
        ak_target_follow(t->target, t->p, place);
    }
}

// The large views' projections. A collapse stops the run.
static ak_status measure(ak_trainer *t, ak_error *err)
{
    const ak_level_rows *z = &t->level[AK_LEVEL_PROJECTION];
    ak_status status =
        ak_measure(&t->measures, z->all_x, z->all_x + t->batch * z->d, t->batch, z->d, err);
    t->measured = status == AK_OK;
    if (status == AK_OK)
        status = ak_measures_check(&t->measures, err);
    return status == AK_OK || !err ? status
                                   : ak_fail_within(err, "step %llu", (unsigned long long)t->step);
}

static void smooth(ak_trainer *t, double loss, const double *terms)
{
    double blend = t->step < 50 ? 1.0 / (double)(t->step + 1) : 0.02;
    t->loss += blend * (loss - t->loss);
    for (size_t i = 0; i < t->recipe.terms_n; i++)
        t->term_loss[i] += blend * (terms[i] - t->term_loss[i]);
}

ak_status ak_trainer_step(ak_trainer *t, bool *more, ak_error *err)
{
    *more = ak_trainer_place(t) < 1;
    if (!*more)
        return AK_OK;
    double start = ak_clock_s(), terms[AK_TERMS_MAX], loss = 0;
    ak_status status = AK_OK;
    if (wanted_side(t) != t->side) {
        status = use_side(t, wanted_side(t), err);
        if (status == AK_OK)
            status = ak_loader_side(t->loader, t->side, err);
    }
    if (status != AK_OK)
        return status;
    const ak_batch *batch = ak_loader_next(t->loader);
    status = forward(t, batch, err);
    if (status != AK_OK)
        return status;
    ak_trainer_losses(t, terms, batch->labels);
    for (size_t i = 0; i < t->recipe.terms_n; i++)
        loss += (double)t->recipe.terms[i].weight * terms[i];
    if (!isfinite(loss))
        return ak_fail(err, AK_BAD_VALUE,
                       "the loss is %g at step %llu: the rate (%g) is too high or the pictures are "
                       "all alike; lower optimiser.rate",
                       loss, (unsigned long long)t->step, t->recipe.optimiser.rate);
    if (t->length.measure_every && t->step % t->length.measure_every == 0)
        status = measure(t, err);
    if (status == AK_OK)
        status = backward(t, err);
    if (status != AK_OK)
        return status;
    ak_trainer_sum_gradients(t);
    update(t);
    smooth(t, loss, terms);
    t->step++;
    t->seconds += ak_clock_s() - start;
    ak_ranks_share(&t->seconds, sizeof t->seconds); // the place in the run follows from it
    return AK_OK;
}

void ak_trainer_progress(ak_train_progress *out, ak_trainer *t)
{
    double place = ak_trainer_place(t);
    uint64_t views = t->step * 2 * t->batch;
    *out = (ak_train_progress){.step = t->step,
                               .views = views,
                               .seconds = t->seconds,
                               .progress = place,
                               .loss = t->loss,
                               .rate = t->rate,
                               .gradient = t->gradient,
                               .side = t->side,
                               .measured = t->measured,
                               .measures = t->measures};
    memcpy(out->terms, t->term_loss, sizeof out->terms);
    if (t->seconds > t->last_seconds)
        out->views_per_s = (double)(views - t->last_views) / (t->seconds - t->last_seconds);
    if (place > 0)
        out->seconds_left = t->seconds * (1 - place) / place;
    t->last_views = views;
    t->last_seconds = t->seconds;
    t->measured = false;
}

ak_trained ak_trainer_result(const ak_trainer *t)
{
    ak_head head = t->recipe.head;
    head.parts = NULL;
    return (ak_trained){.net = &t->recipe.net,
                        .params = t->average,
                        .stats = t->running_average,
                        .head = head,
                        .head_params = t->average + t->head_at,
                        .head_stats = t->running_average + t->head_stat};
}
