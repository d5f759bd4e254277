#include "core/refine/interpolate.h"

#include "core/base/random.h"
#include "core/eval/alter.h"
#include "core/nn/head.h"
#include "core/refine/gate_alter.h"
#include "core/refine/measure.h"
#include "core/refine/smoothing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HELD_MAX   800    // of each kind
#define HELD_LEAST 20     // fewer decide nothing
#define FIT_MAX    6000   // pictures that a smoothing is fitted on
#define UNDECIDED  0.5    // the factor when there is too little to choose by
#define SEED       0x1e1d // of the crops: not those of the gate
#define FIT_SEED   0xf17

enum { WHOLE, PART_A, PART_B, JPEG, BLUR, BORDER, VARIANTS, FAMILIES = VARIANTS - JPEG };

// What the kept pictures give by one model.
typedef struct {
    double neighbourhoods, parts, copies[FAMILIES]; // the last two: means of 1 / rank
} scores;

typedef struct {
    const ak_rundir *rundir;
    const ak_run_set *set;
    const ak_model *incumbent;
    ak_model_parts parts; // with weights of our own
    ak_graph graph;
    float *params, *head;
    const float *trained, *trained_head;
    uint32_t *fit; // (fit_n) pictures of the run that a smoothing is fitted on
    size_t fit_n;
    float *smoothing, *scaled; // (dims, dims), of the network at factor `fitted`; a part of it
    double fitted;             // -1: none yet
    const ak_watch *watch;
    size_t total; // models to score
    scores first; // of the incumbent
    double best;  // neighbourhoods of the best choice so far
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

static ak_status agree(double *mean, const float *const *rows, size_t n, size_t dims, ak_error *err)
{
    double *share = ak_alloc(n, sizeof *share);
    uint32_t *self = ak_alloc(n, sizeof *self);
    ak_status status =
        share && self ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to measure");
    for (size_t i = 0; i < n && status == AK_OK; i++)
        self[i] = (uint32_t)i;
    if (status == AK_OK)
        status = ak_measure_overlap(share, rows[PART_A], rows[PART_B], self, n, rows[WHOLE], n,
                                    dims, err);
    for (size_t i = 0; i < n && status == AK_OK; i++)
        *mean += share[i] / (double)n;
    free(share);
    free(self);
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
        status = agree(&to->neighbourhoods, rows, n, dims, err);
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
static ak_status score(ak_interpolation *told, ak_choice *choice, choosing *c, ak_bytes file,
                       ak_error *err)
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
    if (status != AK_OK)
        return status;
    if (told->tried_n++ == 0)
        c->first = sum;
    choice->neighbourhoods = sum.neighbourhoods / kinds;
    choice->parts = sum.parts / kinds;
    choice->copies = 1;
    for (int f = 0; f < FAMILIES; f++)
        choice->copies = fmin(choice->copies, (sum.copies[f] - c->first.copies[f]) / kinds);
    return ak_watch_tell(c->watch, told->tried_n, c->total, err);
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

// out is overwritten. smoothing: how much of this run's; 0: the map `other`.
static ak_status build(ak_buf *out, choosing *c, double factor, double smoothing,
                       const float *other, json_t *training, ak_error *err)
{
    json_object_set_new(training, "factor", json_real(factor));
    json_object_set_new(training, "smoothing", json_real(smoothing));
    char *text = json_dumps(training, JSON_COMPACT);
    for (size_t i = 0; i < c->parts.dims * c->parts.dims; i++)
        c->scaled[i] = (float)smoothing * c->smoothing[i];
    c->parts.training = text;
    c->parts.smoothing = smoothing > 0 ? c->scaled : other;
    mix(c, factor);
    out->n = 0;
    ak_status status = ak_model_rebuild(out, c->incumbent, &c->parts, err);
    c->parts.training = NULL;
    free(text);
    return status;
}

// c->smoothing, to how the network at this factor sees the pictures: without a smoothing, and
// without layout and palette, which are beside what is smoothed.
static ak_status smooth(choosing *c, double factor, json_t *training, ak_error *err)
{
    const ak_refine_recipe *recipe = &c->rundir->run.recipe;
    const ak_smoothing how = {.neighbours = (size_t)recipe->train.smoothing_neighbours,
                              .ridge = recipe->train.smoothing_ridge};
    const float layout = c->parts.layout, palette = c->parts.palette;
    const size_t dims = c->parts.dims;
    ak_buf file = {0};
    ak_model *plain = NULL;
    ak_embedders e = {0};
    ak_watch watch = {.stop = must_stop, .arg = c};
    size_t cells;
    if (c->fitted == factor)
        return AK_OK;
    float *x = ak_mul(&cells, c->fit_n, dims) ? ak_alloc(cells, sizeof *x) : NULL;
    c->parts.layout = c->parts.palette = 0;
    ak_status status = x ? build(&file, c, factor, 0, NULL, training, err)
                         : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a smoothing");
    c->parts.layout = layout;
    c->parts.palette = palette;
    if (status == AK_OK)
        status = ak_model_read(&plain, ak_buf_bytes(&file), err);
    if (status == AK_OK)
        status = ak_embedders_init(&e, plain, NULL, err);
    if (status == AK_OK)
        status = ak_run_embed(&x, NULL, &e, c->rundir, c->fit, c->fit_n,
                              &(ak_variants){.variants = 1}, &watch, err);
    if (status == AK_OK)
        status = ak_smoothing_fit(c->smoothing, x, c->fit_n, dims, &how, err);
    c->fitted = status == AK_OK ? factor : -1;
    ak_embedders_clear(&e);
    ak_model_free(plain);
    ak_buf_clear(&file);
    free(x);
    return status;
}

// Which pictures a smoothing is fitted on: some of those that were trained on.
static ak_status choose_fit(choosing *c, ak_error *err)
{
    const size_t n = c->set->pictures.n;
    c->fit_n = n < FIT_MAX ? n : FIT_MAX;
    c->fit = ak_alloc(n + 1, sizeof *c->fit);
    if (!c->fit)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fit a smoothing");
    memcpy(c->fit, c->set->rows, n * sizeof *c->fit);
    ak_random r = ak_random_stream(c->rundir->run.seed, FIT_SEED, 0, 0);
    ak_random_shuffle(&r, c->fit, (uint32_t)n);
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
    c->smoothing = ak_alloc(c->parts.dims * c->parts.dims, sizeof(float));
    c->scaled = ak_alloc(c->parts.dims * c->parts.dims, sizeof(float));
    if (!c->params || !c->head || !c->smoothing || !c->scaled)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to choose a factor");
    c->parts.params = c->params;
    c->parts.head_params = c->head;
    return choose_fit(c, err);
}

static bool can_smooth(const choosing *c)
{
    return c->rundir->run.recipe.train.smoothing && c->fit_n >= AK_SMOOTHING_LEAST;
}

static double factor_of(int i)
{
    return i / (AK_FACTORS - 1.0);
}

static double smoothing_of(int i)
{
    return i / (AK_SMOOTHINGS - 1.0);
}

// Scores factor number i with a part of the smoothing that is fitted to it, or with the
// incumbent's, and takes it when it is better than what was taken.
static ak_status attempt(ak_buf *out, ak_interpolation *told, choosing *c, int i, int smoothing,
                         json_t *training, ak_error *err)
{
    const float *own = ak_model_parts_of(c->incumbent).smoothing;
    const ak_choice *first = &told->tried[0];
    ak_choice *choice = &told->tried[told->tried_n];
    *choice = (ak_choice){.factor = factor_of(i), .smoothing = smoothing_of(smoothing)};
    ak_status status = smoothing ? smooth(c, choice->factor, training, err) : AK_OK;
    if (status == AK_OK)
        status = build(out, c, choice->factor, choice->smoothing, own, training, err);
    if (status == AK_OK)
        status = score(told, choice, c, ak_buf_bytes(out), err);
    const double more = i > 0 && told->factor == 0 ? AK_NETWORK_GAIN : 0;
    if (status == AK_OK && choice->neighbourhoods > c->best + more &&
        choice->parts >= first->parts - AK_PARTS_LOSS && choice->copies >= -AK_COPIES_LOSS) {
        c->best = choice->neighbourhoods;
        told->factor = choice->factor;
        told->smoothing = choice->smoothing;
    }
    return status;
}

// The smoothing first, which changes least; then the factors; then both together.
static ak_status decide(ak_buf *out, ak_interpolation *told, choosing *c, json_t *training,
                        ak_error *err)
{
    const int factors = c->rundir->run.recipe.train.weights ? AK_FACTORS : 1;
    const int smoothings = can_smooth(c) ? AK_SMOOTHINGS : 1;
    ak_status status = AK_OK;
    c->total = (size_t)(smoothings + factors - 1);
    for (int k = 0; k < smoothings && status == AK_OK; k++)
        status = attempt(out, told, c, 0, k, training, err);
    for (int i = 1; i < factors && status == AK_OK; i++)
        status = attempt(out, told, c, i, 0, training, err);
    const int taken = (int)(told->factor * (AK_FACTORS - 1) + 0.5);
    c->total += taken > 0 ? (size_t)smoothings - 1 : 0;
    for (int k = 1; k < smoothings && taken > 0 && status == AK_OK; k++)
        status = attempt(out, told, c, taken, k, training, err);
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
    told->smoothing = can_smooth(c) ? 1 : 0;
    if (decides)
        status = decide(out, told, c, training, err);
    if (status == AK_OK && told->smoothing > 0)
        status = smooth(c, told->factor, training, err);
    if (status != AK_OK)
        return status;
    return build(out, c, told->factor, told->smoothing, ak_model_parts_of(c->incumbent).smoothing,
                 training, err);
}

ak_status ak_interpolate(ak_buf *out, ak_interpolation *told, const ak_rundir *rundir,
                         const ak_run_set *set, const ak_model *incumbent, const float *params,
                         const float *head, json_t *training, const ak_watch *watch, ak_error *err)
{
    *told = (ak_interpolation){0};
    choosing c = {.rundir = rundir,
                  .set = set,
                  .incumbent = incumbent,
                  .trained = params,
                  .trained_head = head,
                  .best = -1,
                  .fitted = -1,
                  .watch = watch};
    ak_status status = prepare(&c, err);
    if (status == AK_OK)
        status = choose(out, told, &c, training, err);
    free(c.params);
    free(c.head);
    free(c.fit);
    free(c.smoothing);
    free(c.scaled);
    return status;
}
