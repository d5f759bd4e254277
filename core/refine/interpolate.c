#include "core/refine/interpolate.h"

#include "core/base/random.h"
#include "core/nn/head.h"
#include "core/refine/gate_alter.h"
#include "core/refine/measure.h"

#include <stdlib.h>
#include <string.h>

#define HELD_MAX   800    // of each kind
#define HELD_LEAST 20     // fewer decide nothing
#define FIT_MAX    6000   // pictures that a whitening is refitted on
#define UNDECIDED  0.5    // the factor when there is too little to choose by
#define SEED       0x1e1d // of the crops: not those of the gate

typedef struct {
    const ak_rundir *rundir;
    const ak_run_set *set;
    const ak_model *incumbent;
    ak_model_parts parts; // with weights of our own
    ak_graph graph;
    float *params, *head;
    const float *trained, *trained_head;
    uint32_t *fit;
    size_t fit_n;
    const ak_watch *watch;
    size_t done, total; // models scored
} choosing;

static ak_status two_parts(void *arg, ak_image *variants, const ak_image *picture, size_t i,
                           ak_error *err)
{
    const choosing *c = arg;
    return ak_gate_parts(&variants[0], &variants[1], picture, c->rundir->run.seed ^ SEED,
                         &c->rundir->pictures[i].sha256, err);
}

static bool must_stop(void *arg)
{
    const choosing *c = arg;
    return c->watch && c->watch->stop && c->watch->stop(c->watch->arg);
}

// Mean of 1 / rank of the other part among the other parts of n kept pictures.
static ak_status score_rows(double *score, choosing *c, const ak_model *model, const uint32_t *rows,
                            size_t n, ak_error *err)
{
    size_t dims = (size_t)ak_model_dims(model);
    float *both = ak_alloc(2 * n, dims * sizeof *both), *a = ak_alloc(n, dims * sizeof *a);
    float *b = ak_alloc(n, dims * sizeof *b);
    uint32_t *rank = ak_alloc(n, sizeof *rank), *target = ak_alloc(n, sizeof *target);
    ak_embedders e = {0};
    ak_variants variants = {.variants = 2, .make = two_parts, .arg = c};
    ak_watch watch = {.stop = must_stop, .arg = c};
    ak_status status = both && a && b && rank && target
                           ? ak_embedders_init(&e, model, NULL, err)
                           : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to measure");
    if (status == AK_OK)
        status = ak_run_embed(&both, NULL, &e, c->rundir, rows, n, &variants, &watch, err);
    for (size_t i = 0; i < n && status == AK_OK; i++) {
        memcpy(a + i * dims, both + 2 * i * dims, dims * sizeof *a);
        memcpy(b + i * dims, both + (2 * i + 1) * dims, dims * sizeof *b);
        target[i] = (uint32_t)i;
    }
    *score = 0;
    for (int way = 0; way < 2 && status == AK_OK; way++) {
        status = ak_measure_ranks(rank, way ? b : a, target, n, way ? a : b, n, dims, err);
        for (size_t i = 0; i < n; i++)
            *score += 0.5 / ((double)rank[i] * (double)n);
    }
    ak_embedders_clear(&e);
    free(both);
    free(a);
    free(b);
    free(rank);
    free(target);
    return status;
}

// Fresh and replay pictures count the same, however many there are.
static ak_status score(double *out, choosing *c, ak_bytes file, ak_error *err)
{
    const ak_run_set *set = c->set;
    size_t n[2] = {set->held_fresh_n, set->held_n - set->held_fresh_n};
    ak_model *model;
    double sum = 0, kinds = 0;
    ak_status status = ak_model_read(&model, file, err);
    for (int kind = 0; kind < 2 && status == AK_OK; kind++) {
        double one;
        size_t part = n[kind] < HELD_MAX ? n[kind] : HELD_MAX;
        if (part < HELD_LEAST)
            continue;
        status = score_rows(&one, c, model, set->held + (kind ? n[0] : 0), part, err);
        sum += one;
        kinds++;
    }
    ak_model_free(model);
    *out = kinds > 0 ? sum / kinds : 0;
    c->done++;
    return status == AK_OK ? ak_watch_tell(c->watch, c->done, c->total, err) : status;
}

// Fitting takes its time: that it goes on is told, too.
static const ak_image *picture_at(void *arg, size_t i)
{
    const choosing *c = arg;
    if (i % 64 == 0 && c->watch && c->watch->progress)
        c->watch->progress(c->watch->arg, c->done, c->total);
    return &c->set->pictures.items[c->fit[i]].image;
}

static void mix(choosing *c, double factor)
{
    ak_model_parts from = ak_model_parts_of(c->incumbent);
    for (size_t i = 0; i < c->graph.params; i++)
        c->params[i] = from.params[i] + (float)factor * (c->trained[i] - from.params[i]);
    for (size_t i = 0; i < ak_head_params(&from.head); i++)
        c->head[i] =
            from.head_params[i] + (float)factor * (c->trained_head[i] - from.head_params[i]);
}

static ak_status build(ak_buf *out, choosing *c, double factor, bool whitening, json_t *training,
                       ak_error *err)
{
    json_object_set_new(training, "factor", json_real(factor));
    json_object_set_new(training, "whitening_refitted", json_boolean(whitening));
    char *text = json_dumps(training, JSON_COMPACT);
    c->parts.training = text;
    mix(c, factor);
    out->n = 0;
    ak_status status =
        ak_model_rebuild(out, c->incumbent, &c->parts, c->rundir->run.recipe.train.whitening_trust,
                         picture_at, c, whitening ? c->fit_n : 0, err);
    c->parts.training = NULL;
    free(text);
    return status;
}

static ak_status prepare(choosing *c, ak_error *err)
{
    c->parts = ak_model_parts_of(c->incumbent);
    ak_status status = ak_resnet_graph(&c->graph, &c->parts.net, c->parts.side, err);
    if (status != AK_OK)
        return status;
    size_t n = c->set->pictures.n;
    c->params = ak_alloc(c->graph.params, sizeof(float));
    c->head = ak_alloc(ak_head_params(&c->parts.head), sizeof(float));
    c->fit = ak_alloc(n + 1, sizeof *c->fit);
    if (!c->params || !c->head || !c->fit)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to choose a factor");
    c->parts.params = c->params;
    c->parts.head_params = c->head;
    for (size_t i = 0; i < n; i++)
        c->fit[i] = (uint32_t)i;
    ak_random r = ak_random_stream(c->rundir->run.seed, 0xf17, 0, 0);
    ak_random_shuffle(&r, c->fit, (uint32_t)n);
    c->fit_n = n < FIT_MAX ? n : FIT_MAX;
    return AK_OK;
}

static ak_status choose(ak_buf *out, ak_interpolation *told, choosing *c, json_t *training,
                        ak_error *err)
{
    const ak_refine_recipe *recipe = &c->rundir->run.recipe;
    size_t old = c->set->held_n - c->set->held_fresh_n;
    bool decides = c->set->held_fresh_n >= HELD_LEAST || old >= HELD_LEAST;
    ak_status status = AK_OK;
    told->pictures = c->set->held_n;
    told->factor = !recipe->train.weights ? 0 : !recipe->train.interpolate ? 1 : UNDECIDED;
    double best = -1;
    c->total = AK_FACTORS + 1;
    for (int i = 0; i < AK_FACTORS && decides && status == AK_OK; i++) {
        double factor = i / (AK_FACTORS - 1.0);
        bool free_choice = recipe->train.weights && recipe->train.interpolate;
        if (!free_choice && factor != told->factor)
            continue;
        status = build(out, c, factor, false, training, err);
        if (status == AK_OK)
            status = score(&told->score[i], c, ak_buf_bytes(out), err);
        if (told->score[i] > best) {
            best = told->score[i];
            told->factor = factor;
        }
    }
    if (status == AK_OK && recipe->train.whitening) {
        told->whitening = true;
        status = build(out, c, told->factor, true, training, err);
        if (status == AK_OK && decides)
            status = score(&told->score_whitening, c, ak_buf_bytes(out), err);
        // A run that is told what to do is not second-guessed.
        if (decides && recipe->train.interpolate && told->score_whitening <= best)
            told->whitening = false;
    }
    if (status == AK_OK && !told->whitening)
        status = build(out, c, told->factor, false, training, err);
    return status;
}

ak_status ak_interpolate(ak_buf *out, ak_interpolation *told, const ak_rundir *rundir,
                         const ak_run_set *set, const ak_model *incumbent, const float *params,
                         const float *head, json_t *training, const ak_watch *watch, ak_error *err)
{
    *told = (ak_interpolation){.score_whitening = -1};
    for (int i = 0; i < AK_FACTORS; i++)
        told->score[i] = -1;
    choosing c = {.rundir = rundir,
                  .set = set,
                  .incumbent = incumbent,
                  .trained = params,
                  .trained_head = head,
                  .watch = watch};
    ak_status status = prepare(&c, err);
    if (status == AK_OK)
        status = choose(out, told, &c, training, err);
    free(c.params);
    free(c.head);
    free(c.fit);
    return status;
}
