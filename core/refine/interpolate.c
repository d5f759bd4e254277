#include "core/refine/interpolate.h"

#include "core/base/random.h"
#include "core/eval/alter.h"
#include "core/nn/head.h"
#include "core/refine/gate_alter.h"
#include "core/refine/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HELD_MAX   800    // of each kind
#define HELD_LEAST 20     // fewer decide nothing
#define FIT_MAX    6000   // pictures that a whitening is refitted on
#define UNDECIDED  0.5    // the factor when there is too little to choose by
#define SEED       0x1e1d // of the crops: not those of the gate

enum { WHOLE, PART_A, PART_B, JPEG, BLUR, BORDER, VARIANTS, FAMILIES = VARIANTS - JPEG };

// Means of 1 / rank: of the other part, both ways, and of each family of copies.
typedef struct {
    double parts, copies[FAMILIES];
} scores;

typedef struct {
    const ak_rundir *rundir;
    const ak_run_set *set;
    const ak_model *incumbent;
    ak_model_parts parts; // with weights of our own
    ak_graph graph;
    float *params, *head;
    const float *trained, *trained_head;
    uint32_t *fit; // places in the set's pictures that a whitening is refitted on
    ak_pair *kin;
    ak_fit_set fit_set;
    const ak_watch *watch;
    size_t done, total; // models scored
    scores first;       // of the incumbent
} choosing;

static ak_status degraded(ak_image *out, const ak_image *picture, ak_alteration how, uint64_t seed,
                          const ak_sha256 *sum, ak_error *err)
{
    const ak_image_limits limits = AK_IMAGE_LIMITS_DEFAULT;
    char name[AK_SHA256_HEX + 1];
    ak_buf file = {0};
    ak_sha256_hex(name, sum);
    ak_status status = ak_alter(&file, picture, how, seed, name, err);
    if (status == AK_OK)
        status = ak_image_decode(out, ak_buf_bytes(&file), 0, &limits, err);
    ak_buf_clear(&file);
    return status;
}

static ak_status make_variants(void *arg, ak_image *variants, const ak_image *picture, size_t i,
                               ak_error *err)
{
    const choosing *c = arg;
    uint64_t seed = c->rundir->run.seed ^ SEED;
    const ak_sha256 *sum = &c->rundir->pictures[i].sha256;
    ak_status status = ak_gate_parts(&variants[PART_A], &variants[PART_B], picture, seed, sum, err);
    if (status == AK_OK)
        status = degraded(&variants[JPEG], picture, AK_ALTER_JPEG, seed, sum, err);
    if (status == AK_OK)
        status = degraded(&variants[BLUR], picture, AK_ALTER_BLUR, seed, sum, err);
    return status == AK_OK
               ? ak_gate_copy(&variants[BORDER], picture, AK_COPY_BORDER, seed, sum, err)
               : status;
}

static bool must_stop(void *arg)
{
    const choosing *c = arg;
    return c->watch && c->watch->stop && c->watch->stop(c->watch->arg);
}

// Mean of 1 / rank of row i of one variant for row i of another.
static ak_status find(double *mean, const float *const *rows, int from, int to, size_t n,
                      size_t dims, ak_error *err)
{
    uint32_t *rank = ak_alloc(n, sizeof *rank), *target = ak_alloc(n, sizeof *target);
    ak_status status =
        rank && target ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to measure");
    for (size_t i = 0; i < n && status == AK_OK; i++)
        target[i] = (uint32_t)i;
    if (status == AK_OK)
        status = ak_measure_ranks(rank, rows[from], target, n, rows[to], n, dims, err);
    for (size_t i = 0; i < n && status == AK_OK; i++)
        *mean += 1 / ((double)rank[i] * (double)n);
    free(rank);
    free(target);
    return status;
}

// Adds what n kept pictures give.
static ak_status score_rows(scores *to, choosing *c, const ak_model *model, const uint32_t *chosen,
                            size_t n, ak_error *err)
{
    size_t dims = (size_t)ak_model_dims(model);
    float *mixed = ak_alloc(VARIANTS * n, dims * sizeof *mixed);
    float *sorted = ak_alloc(VARIANTS * n, dims * sizeof *sorted);
    const float *rows[VARIANTS];
    double there = 0, back = 0;
    ak_embedders e = {0};
    ak_variants variants = {.variants = VARIANTS, .make = make_variants, .arg = c};
    ak_watch watch = {.stop = must_stop, .arg = c};
    ak_status status = mixed && sorted ? ak_embedders_init(&e, model, NULL, err)
                                       : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to measure");
    if (status == AK_OK)
        status = ak_run_embed(&mixed, NULL, &e, c->rundir, chosen, n, &variants, &watch, err);
    for (int v = 0; v < VARIANTS && status == AK_OK; v++) {
        float *row = sorted + (size_t)v * n * dims;
        for (size_t i = 0; i < n; i++)
            memcpy(row + i * dims, mixed + (i * VARIANTS + (size_t)v) * dims, dims * sizeof *row);
        rows[v] = row;
    }
    if (status == AK_OK)
        status = find(&there, rows, PART_A, PART_B, n, dims, err);
    if (status == AK_OK)
        status = find(&back, rows, PART_B, PART_A, n, dims, err);
    to->parts += (there + back) / 2;
    for (int f = 0; f < FAMILIES && status == AK_OK; f++)
        status = find(&to->copies[f], rows, JPEG + f, WHOLE, n, dims, err);
    ak_embedders_clear(&e);
    free(mixed);
    free(sorted);
    return status;
}

// Fresh and replay pictures count the same, however many there are. The first to be scored is the
// incumbent.
static ak_status score(ak_interpolation *told, int at, choosing *c, ak_bytes file, ak_error *err)
{
    const ak_run_set *set = c->set;
    size_t n[2] = {set->held_fresh_n, set->held_n - set->held_fresh_n};
    ak_model *model;
    scores sum = {0};
    double kinds = 0;
    ak_status status = ak_model_read(&model, file, err);
    for (int kind = 0; kind < 2 && status == AK_OK; kind++) {
        size_t part = n[kind] < HELD_MAX ? n[kind] : HELD_MAX;
        if (part < HELD_LEAST)
            continue;
        status = score_rows(&sum, c, model, set->held + (kind ? n[0] : 0), part, err);
        kinds++;
    }
    ak_model_free(model);
    if (c->done++ == 0)
        c->first = sum;
    told->parts[at] = sum.parts / kinds;
    told->copies[at] = 1;
    for (int f = 0; f < FAMILIES; f++)
        told->copies[at] = fmin(told->copies[at], (sum.copies[f] - c->first.copies[f]) / kinds);
    return status == AK_OK ? ak_watch_tell(c->watch, c->done, c->total, err) : status;
}

// Fitting takes its time: that it goes on is told, too, and whether it may.
static const ak_image *picture_at(void *arg, size_t i)
{
    const choosing *c = arg;
    if (i % 64 == 0 && ak_watch_tell(c->watch, c->done, c->total, NULL) != AK_OK)
        return NULL;
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
                         whitening ? &c->fit_set : NULL, err);
    c->parts.training = NULL;
    free(text);
    return status;
}

static size_t kin_of(ak_pair *kin, const uint32_t *place, const ak_run_couple *couples, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (place[couples[i].a] && place[couples[i].b])
            kin[kept++] = (ak_pair){place[couples[i].a] - 1, place[couples[i].b] - 1};
    return kept;
}

// What the whitening is refitted on: some of the pictures; neighbours, pictures of one tag or album
// and those that people called similar belong together.
static ak_status choose_fit(choosing *c, ak_error *err)
{
    const ak_run_set *set = c->set;
    const size_t n = set->pictures.n, chosen = n < FIT_MAX ? n : FIT_MAX;
    uint32_t *place = ak_alloc(n + 1, sizeof *place); // in the fit, plus 1; 0: not in it
    c->fit = ak_alloc(n + 1, sizeof *c->fit);
    c->kin = ak_alloc(set->noisy_n + set->similar_n + 1, sizeof *c->kin);
    if (!place || !c->fit || !c->kin) {
        free(place);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to refit the whitening");
    }
    for (size_t i = 0; i < n; i++)
        c->fit[i] = (uint32_t)i;
    ak_random r = ak_random_stream(c->rundir->run.seed, 0xf17, 0, 0);
    ak_random_shuffle(&r, c->fit, (uint32_t)n);
    for (size_t i = 0; i < chosen; i++)
        place[c->fit[i]] = (uint32_t)i + 1;
    size_t kin_n = kin_of(c->kin, place, set->noisy, set->noisy_n);
    kin_n += kin_of(c->kin + kin_n, place, set->similar, set->similar_n);
    free(place);
    c->fit_set = (ak_fit_set){.picture = picture_at,
                              .arg = c,
                              .n = chosen,
                              .kin = c->kin,
                              .kin_n = kin_n,
                              .weights = AK_FIT_WEIGHTS_DEFAULT,
                              .seed = c->rundir->run.seed};
    return AK_OK;
}

static ak_status prepare(choosing *c, ak_error *err)
{
    c->parts = ak_model_parts_of(c->incumbent);
    ak_status status = ak_resnet_graph(&c->graph, &c->parts.net, c->parts.side, err);
    if (status != AK_OK)
        return status;
    c->params = ak_alloc(c->graph.params, sizeof(float));
    c->head = ak_alloc(ak_head_params(&c->parts.head), sizeof(float));
    if (!c->params || !c->head)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to choose a factor");
    c->parts.params = c->params;
    c->parts.head_params = c->head;
    return choose_fit(c, err);
}

// The factor that finds parts best among those that cost no more copies than they may.
static ak_status choose_factor(ak_buf *out, ak_interpolation *told, choosing *c, json_t *training,
                               ak_error *err)
{
    double best = -1;
    ak_status status = AK_OK;
    for (int i = 0; i < AK_FACTORS && status == AK_OK; i++) {
        double factor = i / (AK_FACTORS - 1.0);
        status = build(out, c, factor, false, training, err);
        if (status == AK_OK)
            status = score(told, i, c, ak_buf_bytes(out), err);
        if (told->parts[i] > best && told->copies[i] >= -AK_COPIES_LOSS) {
            best = told->parts[i];
            told->factor = factor;
        }
    }
    return status;
}

// Whether the refitted whitening is better by the same rule.
static ak_status choose_whitening(ak_buf *out, ak_interpolation *told, choosing *c,
                                  json_t *training, ak_error *err)
{
    const int last = AK_FACTORS, at = (int)(told->factor * (AK_FACTORS - 1) + 0.5);
    ak_status status = AK_OK;
    for (int i = 0; i <= at && status == AK_OK; i += at ? at : 1) // the incumbent, and the chosen
        if (told->parts[i] < 0) {
            status = build(out, c, i / (AK_FACTORS - 1.0), false, training, err);
            if (status == AK_OK)
                status = score(told, i, c, ak_buf_bytes(out), err);
        }
    if (status == AK_OK)
        status = build(out, c, told->factor, true, training, err);
    if (status == AK_OK)
        status = score(told, last, c, ak_buf_bytes(out), err);
    told->whitening = told->parts[last] > told->parts[at] && told->copies[last] >= -AK_COPIES_LOSS;
    return status;
}

// A run that is told what to do (no interpolation) is not second-guessed.
static ak_status choose(ak_buf *out, ak_interpolation *told, choosing *c, json_t *training,
                        ak_error *err)
{
    const ak_refine_recipe *recipe = &c->rundir->run.recipe;
    size_t old = c->set->held_n - c->set->held_fresh_n;
    bool decides =
        recipe->train.interpolate && (c->set->held_fresh_n >= HELD_LEAST || old >= HELD_LEAST);
    ak_status status = AK_OK;
    told->pictures = c->set->held_n;
    told->factor = !recipe->train.weights ? 0 : recipe->train.interpolate ? UNDECIDED : 1;
    told->whitening = recipe->train.whitening;
    c->total = AK_FACTORS + 1;
    if (decides && recipe->train.weights)
        status = choose_factor(out, told, c, training, err);
    if (status == AK_OK && decides && recipe->train.whitening)
        status = choose_whitening(out, told, c, training, err);
    if (status != AK_OK || (decides && told->whitening)) // then it is what was built last
        return status;
    return build(out, c, told->factor, told->whitening, training, err);
}

ak_status ak_interpolate(ak_buf *out, ak_interpolation *told, const ak_rundir *rundir,
                         const ak_run_set *set, const ak_model *incumbent, const float *params,
                         const float *head, json_t *training, const ak_watch *watch, ak_error *err)
{
    *told = (ak_interpolation){0};
    for (int i = 0; i <= AK_FACTORS; i++)
        told->parts[i] = -1;
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
    free(c.kin);
    return status;
}
