#include "core/refine/tune_loss.h"

#include "core/describe/whitening.h"
#include "core/nn/head.h"
#include "core/objective/objective.h"
#include "core/refine/distil.h"
#include "core/refine/near.h"
#include "core/refine/smoothing.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ak_tune_loss {
    const ak_model_parts *parts;
    const ak_run_set *set;
    const ak_plan *plan;
    const ak_refine_recipe *recipe;
    ak_mixture mixture;
    size_t n, features, dims, raw, width; // pictures; width: of what is contrasted
    const ak_objective *nt_xent, *sup_con, *rince;
    float *weights;                 // (dims, features): the whitening without the colour part
    float *centred;                 // (2n, features)
    float *y, *t, *dy;              // (2n, dims): descriptors of both networks, without colour
    float *z, *dz, *da, *db, *pair; // (2n, width); pair: gathered couples
    float *head_work, *work;
    float *similar;   // (n, n) by the incumbent's descriptors of whole pictures
    float *described; // (n, dims of the plan)
    uint8_t *masked;  // (2n, 2n)
    uint32_t *labels; // (n)
    size_t masked_n;
    float *targets; // (pictures, dims) of the neighbourhoods; none: NULL
    double same;    // from this similarity on two pictures are no negatives of each other
};

static bool to_head(const ak_tune_loss *l)
{
    return l->recipe->train.level == AK_TUNE_PROJECTION;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

ak_status ak_tune_loss_new(ak_tune_loss **out, const ak_model_parts *parts, size_t features,
                           const ak_run_set *set, const ak_plan *plan,
                           const ak_refine_recipe *recipe, const ak_mixture *mixture, ak_error *err)
{
    *out = NULL;
    ak_tune_loss *l = calloc(1, sizeof *l);
    if (!l)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the losses");
    *l = (ak_tune_loss){.parts = parts,
                        .set = set,
                        .plan = plan,
                        .recipe = recipe,
                        .mixture = *mixture,
                        .n = ak_mixture_pictures(mixture),
                        .features = features,
                        .dims = parts->dims,
                        .raw = parts->raw,
                        .nt_xent = ak_objective_find("nt_xent"),
                        .sup_con = ak_objective_find("sup_con"),
                        .rince = ak_objective_find("rince")};
    l->same = plan->same_score;
    if (recipe->train.masked > 0)
        l->same = fmin(l->same, ak_near_quantile(plan->descriptors, plan->n, plan->dims,
                                                 1 - recipe->train.masked, 1));
    l->width = to_head(l) ? parts->head.out : l->dims;
    size_t n = l->n, rows = 2 * n, w = l->width;
    size_t work = ak_distil_work(rows, l->dims);
    work = most(work, ak_objective_work(l->nt_xent, n, w, 0, 0));
    work = most(work, ak_objective_work(l->sup_con, n, w, 0, 0));
    work = most(work, ak_objective_work(l->rince, n, w, 0, 0));
    const struct {
        float **at;
        size_t count;
    } arrays[] = {{&l->weights, l->dims * features},
                  {&l->centred, rows * features},
                  {&l->y, rows * l->dims},
                  {&l->t, rows * l->dims},
                  {&l->dy, rows * l->dims},
                  {&l->z, rows * w},
                  {&l->dz, rows * w},
                  {&l->da, n * w},
                  {&l->db, n * w},
                  {&l->pair, rows * w},
                  {&l->head_work, ak_head_work(&parts->head, rows)},
                  {&l->work, work},
                  {&l->similar, n * n},
                  {&l->described, n * plan->dims}};
    bool enough = true;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        enough = (*arrays[i].at = ak_alloc(arrays[i].count, sizeof(float))) && enough;
    l->masked = ak_alloc(rows, rows);
    l->labels = ak_alloc(n, sizeof *l->labels);
    if (!enough || !l->masked || !l->labels) {
        ak_tune_loss_free(l);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the losses of %zu pictures", n);
    }
    for (size_t k = 0; k < l->dims; k++)
        memcpy(l->weights + k * features, parts->matrix + k * l->raw, features * sizeof(float));
    *out = l;
    return AK_OK;
}

void ak_tune_loss_free(ak_tune_loss *l)
{
    if (!l)
        return;
    float *arrays[] = {l->weights,   l->centred, l->y,       l->t,        l->dy,
                       l->z,         l->dz,      l->da,      l->db,       l->pair,
                       l->head_work, l->work,    l->similar, l->described};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(l->masked);
    free(l->labels);
    free(l->targets);
    free(l);
}

size_t ak_tune_loss_masked(const ak_tune_loss *l)
{
    return l->masked_n;
}

// --- who is no negative of whom
// -------------------------------------------------------------------

static void mask(ak_tune_loss *l, size_t i, size_t j, bool on)
{
    size_t n = l->n, rows = 2 * n;
    for (size_t a = i; a < rows; a += n)
        for (size_t b = j; b < rows; b += n)
            l->masked[a * rows + b] = l->masked[b * rows + a] = on;
}

static void mask_batch(ak_tune_loss *l, const uint32_t *chosen)
{
    size_t n = l->n, dims = l->plan->dims;
    for (size_t i = 0; i < n; i++)
        memcpy(l->described + i * dims, l->plan->descriptors + l->set->rows[chosen[i]] * dims,
               dims * sizeof(float));
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)n, (int)dims, 1, l->described,
                (int)dims, l->described, (int)dims, 0, l->similar, (int)n);
    memset(l->masked, 0, 4 * n * n);
    l->masked_n = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            const ak_picture *items = l->set->pictures.items;
            bool near = items[chosen[i]].label == items[chosen[j]].label ||
                        (double)l->similar[i * n + j] >= l->same;
            l->masked_n += near;
            if (near)
                mask(l, i, j, true);
        }
    // Couples lie at the end. What people called different is a negative whatever it looks like.
    size_t first = l->mixture.fresh + l->mixture.replay, end = first + 2 * l->mixture.feedback;
    for (size_t i = 0; i < n; i++)
        l->labels[i] = (uint32_t)i;
    for (size_t i = first; i < n; i += 2) {
        bool different = false;
        for (size_t k = 0; i < end && k < l->set->different_n && !different; k++)
            different =
                l->set->different[k].a == chosen[i] && l->set->different[k].b == chosen[i + 1];
        mask(l, i, i + 1, !different);
        if (i < end && !different)
            l->labels[i + 1] = l->labels[i];
    }
    // The same picture or couple may come by two ways.
    for (size_t i = first; i < end; i++)
        for (size_t j = 0; j < i; j++)
            if (chosen[i] == chosen[j])
                for (size_t k = 0, was = l->labels[i]; k < n; k++)
                    if (l->labels[k] == was)
                        l->labels[k] = l->labels[j];
}

// --- terms
// ------------------------------------------------------------------------------------------

// y (2n, dims) = (x - mean) W', both of the features alone.
static void describe(ak_tune_loss *l, float *y, const float *x)
{
    size_t rows = 2 * l->n, f = l->features;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < f; j++)
            l->centred[i * f + j] = x[i * f + j] - l->parts->mean[j];
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)l->dims, (int)f, 1,
                l->centred, (int)f, l->weights, (int)f, 0, y, (int)l->dims);
}

ak_status ak_tune_loss_look_around(ak_tune_loss *l, float *x, ak_error *err)
{
    const size_t n = l->set->pictures.n, d = l->dims;
    float *y = ak_alloc(n, d * sizeof *y);
    l->targets = ak_alloc(n, d * sizeof *l->targets);
    if (!y || !l->targets) {
        free(y);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for neighbourhoods");
    }
    ak_whitening_apply(y, x, l->parts->mean, l->weights, n, l->features, d);
    ak_status status = ak_smoothing_targets(l->targets, y, n, d,
                                            (size_t)l->recipe->train.smoothing_neighbours, err);
    free(y);
    return status;
}

static void add(float *to, const float *from, size_t n, float weight)
{
    for (size_t i = 0; i < n; i++)
        to[i] += weight * from[i];
}

static double contrast(ak_tune_loss *l)
{
    size_t n = l->n, w = l->width;
    ak_objective_params params = l->nt_xent->defaults;
    params.tau = (double)l->recipe->train.tau;
    ak_pair_gradients g = {l->da, l->db, NULL};
    double value = ak_objective_run(
        &g, l->nt_xent, &params,
        &(ak_pairs){.n = n, .d = w, .a = l->z, .b = l->z + n * w, .masked = l->masked}, l->work);
    add(l->dz, l->da, n * w, l->recipe->train.contrast);
    add(l->dz + n * w, l->db, n * w, l->recipe->train.contrast);
    return value;
}

static double feedback(ak_tune_loss *l)
{
    size_t n = l->n, w = l->width, first = l->mixture.fresh + l->mixture.replay;
    size_t count = 2 * l->mixture.feedback;
    if (count == 0)
        return 0;
    ak_objective_params params = l->sup_con->defaults;
    params.tau = (double)l->recipe->train.tau;
    ak_pair_gradients g = {l->da, l->db, NULL};
    ak_pairs pairs = {.n = count,
                      .d = w,
                      .a = l->z + first * w,
                      .b = l->z + (n + first) * w,
                      .labels = l->labels + first};
    double value = ak_objective_run(&g, l->sup_con, &params, &pairs, l->work);
    add(l->dz + first * w, l->da, count * w, l->recipe->train.feedback);
    add(l->dz + (n + first) * w, l->db, count * w, l->recipe->train.feedback);
    return value;
}

// The first view of one is held against the second of the other.
static double noisy(ak_tune_loss *l)
{
    size_t n = l->n, w = l->width, count = l->mixture.noisy, first = n - 2 * count;
    if (count == 0)
        return 0;
    float *a = l->pair, *b = l->pair + count * w;
    for (size_t i = 0; i < count; i++) {
        memcpy(a + i * w, l->z + (first + 2 * i) * w, w * sizeof *a);
        memcpy(b + i * w, l->z + (n + first + 2 * i + 1) * w, w * sizeof *b);
    }
    ak_objective_params params = l->rince->defaults;
    params.tau = (double)l->recipe->train.tau;
    params.q = (double)l->recipe->train.noisy_q;
    ak_pair_gradients g = {l->da, l->db, NULL};
    double value = ak_objective_run(&g, l->rince, &params,
                                    &(ak_pairs){.n = count, .d = w, .a = a, .b = b}, l->work);
    for (size_t i = 0; i < count; i++) {
        add(l->dz + (first + 2 * i) * w, l->da + i * w, w, l->recipe->train.noisy);
        add(l->dz + (n + first + 2 * i + 1) * w, l->db + i * w, w, l->recipe->train.noisy);
    }
    return value;
}

// Each view against its picture's neighbourhood.
static double neighbourhoods(ak_tune_loss *l, const uint32_t *chosen)
{
    const size_t n = l->n, d = l->dims;
    if (!l->targets)
        return 0;
    for (size_t i = 0; i < 2 * n; i++) // the teacher's are done with
        memcpy(l->t + i * d, l->targets + chosen[i % n] * d, d * sizeof *l->t);
    return ak_distil_features(l->dy, l->y, l->t, 2 * n, d, l->recipe->train.neighbourhoods,
                              l->work);
}

double ak_tune_loss_run(ak_tune_loss *l, ak_tune_terms *terms, float *dx, float *dhead,
                        const float *head, const float *x, const float *teacher,
                        const uint32_t *chosen)
{
    size_t rows = 2 * l->n, f = l->features, w = l->width;
    mask_batch(l, chosen);
    describe(l, l->t, teacher);
    describe(l, l->y, x);
    memset(l->dy, 0, rows * l->dims * sizeof *l->dy);
    memset(l->dz, 0, rows * w * sizeof *l->dz);
    if (to_head(l))
        ak_head_forward(l->z, &l->parts->head, head, x, rows, l->head_work);
    else
        memcpy(l->z, l->y, rows * w * sizeof *l->z);
    terms->contrast = contrast(l);
    terms->feedback = feedback(l);
    terms->noisy = noisy(l);
    if (to_head(l)) {
        ak_head_backward(dx, dhead, &l->parts->head, head, l->dz, x, rows, l->head_work);
    } else {
        memset(dx, 0, rows * f * sizeof *dx);
        memset(dhead, 0, ak_head_params(&l->parts->head) * sizeof *dhead);
        add(l->dy, l->dz, rows * w, 1);
    }
    const float features = l->recipe->train.features, relations = l->recipe->train.relations;
    terms->features = ak_distil_features(l->dy, l->y, l->t, rows, l->dims, features, l->work);
    terms->relations = ak_distil_relations(l->dy, l->y, l->t, rows, l->dims, relations, l->work);
    terms->neighbourhoods = neighbourhoods(l, chosen);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)f, (int)l->dims, 1,
                l->dy, (int)l->dims, l->weights, (int)f, 1, dx, (int)f);
    return (double)l->recipe->train.contrast * terms->contrast +
           (double)l->recipe->train.feedback * terms->feedback +
           (double)l->recipe->train.noisy * terms->noisy + (double)features * terms->features +
           (double)relations * terms->relations +
           (double)l->recipe->train.neighbourhoods * terms->neighbourhoods;
}
