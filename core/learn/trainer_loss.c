// The terms of the loss, on all pairs of views of a picture that the recipe makes: the two large
// views, and each small view with one of the large ones.
#include "core/learn/trainer_inside.h"

#include <string.h>

ak_status ak_trainer_losses_alloc(ak_trainer *t, ak_error *err)
{
    const ak_recipe *r = &t->recipe;
    size_t widths[AK_LEVELS] = {t->graph.features, r->head.out, r->predictor.out};
    size_t widest = 0, work = 0, proxies = t->params - t->proxies_at;
    size_t ranks = (size_t)ak_ranks();
    for (int l = 0; l < AK_LEVELS; l++) {
        t->level[l].d = widths[l];
        if (l == AK_LEVEL_PREDICTION && !ak_recipe_wants_predictor(r))
            continue;
        t->level[l].x = ak_alloc(t->rows * widths[l], sizeof(float));
        t->level[l].dx = ak_alloc(t->rows * widths[l], sizeof(float));
        t->level[l].all_x = t->level[l].x;
        t->level[l].all_dx = t->level[l].dx;
        if (ak_ranks() > 1) {
            t->level[l].all_x = ak_alloc(ranks * t->rows * widths[l], sizeof(float));
            t->level[l].all_dx = ak_alloc(ranks * t->rows * widths[l], sizeof(float));
        }
        if (!t->level[l].x || !t->level[l].dx || !t->level[l].all_x || !t->level[l].all_dx)
            goto none;
        widest = widths[l] > widest ? widths[l] : widest;
    }
    for (size_t i = 0; i < r->terms_n; i++) {
        size_t needs =
            ak_objective_work(r->terms[i].objective, t->batch, t->level[r->terms[i].level].d,
                              r->momentum.queue, t->pictures->classes_n);
        work = needs > work ? needs : work;
    }
    t->da = ak_alloc(t->batch * widest, sizeof(float));
    t->db = ak_alloc(t->batch * widest, sizeof(float));
    t->dother = ak_alloc(t->rows * t->graph.features, sizeof(float));
    t->dproxies = ak_alloc(proxies + 1, sizeof(float));
    t->work = ak_alloc(work + 1, sizeof(float));
    t->head_work = ak_alloc(ak_head_work(&r->head, t->rows), sizeof(float));
    t->predictor_work = ak_alloc(ak_head_work(&r->predictor, t->rows), sizeof(float));
    const bool masks = r->mask_labels && t->pictures->classes_n > 1; // of one class: no labels
    if (masks)
        t->masked = ak_alloc(4 * t->batch * t->batch, 1);
    if (ranks > 1 && !(t->labels = ak_alloc(2 * t->batch, sizeof *t->labels)))
        goto none;
    if (t->da && t->db && t->dother && t->dproxies && t->work && t->head_work &&
        t->predictor_work && (t->masked || !masks))
        return AK_OK;
none:
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the objectives of %zu views", t->rows);
}

void ak_trainer_losses_free(ak_trainer *t)
{
    for (int l = 0; l < AK_LEVELS; l++) {
        if (t->level[l].all_x != t->level[l].x)
            free(t->level[l].all_x);
        if (t->level[l].all_dx != t->level[l].dx)
            free(t->level[l].all_dx);
        free(t->level[l].x);
        free(t->level[l].dx);
    }
    free(t->da);
    free(t->db);
    free(t->dother);
    free(t->dproxies);
    free(t->work);
    free(t->head_work);
    free(t->predictor_work);
    free(t->masked);
    free(t->labels);
}

static void mask_same_labels(uint8_t *masked, const uint32_t *labels, size_t n)
{
    for (size_t i = 0; i < 2 * n; i++)
        for (size_t k = 0; k < 2 * n; k++)
            masked[i * 2 * n + k] = labels[i % n] == labels[k % n] && i % n != k % n;
}

static void add_scaled(float *to, const float *from, float by, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        to[i] += by * from[i];
}

// The momentum encoder's rows for view v, at the level that a term's prediction is held against.
static const float *targets(const ak_trainer *t, const ak_term *term, size_t view)
{
    if (!term->objective->one_sided || !t->target)
        return NULL;
    return term->level == AK_LEVEL_FEATURES
               ? ak_target_features(t->target) + view * t->batch * t->graph.features
               : ak_target_projections(t->target) + view * t->batch * t->recipe.head.out;
}

// One term on views i and k of the pictures; gradients are added, `weight` times.
static double run_pair(ak_trainer *t, const ak_term *term, size_t i, size_t k, float weight,
                       const uint32_t *labels)
{
    const ak_level_rows *level = &t->level[term->level];
    size_t n = t->batch, size = n * level->d;
    size_t other = i > 1 ? 1 - k : i; // a small view has no target: k keeps to the other large one
    const ak_pairs in = {.n = n,
                         .d = level->d,
                         .a = level->all_x + i * size,
                         .b = level->all_x + k * size,
                         .target_a = targets(t, term, other),
                         .target_b = targets(t, term, k),
                         .queue = t->target ? ak_target_queue(t->target) : NULL,
                         .queued = t->target ? t->recipe.momentum.queue : 0,
                         .proxies = t->p + t->proxies_at,
                         .classes = t->pictures->classes_n,
                         .labels = labels,
                         .masked = t->masked};
    ak_pair_gradients out = {t->da, t->db, t->dproxies};
    double loss = ak_objective_run(&out, term->objective, &term->params, &in, t->work);
    add_scaled(level->all_dx + i * size, t->da, weight, size);
    add_scaled(level->all_dx + k * size, t->db, weight, size);
    if (term->objective->proxies)
        add_scaled(t->g + t->proxies_at, t->dproxies, weight, t->params - t->proxies_at);
    return loss;
}

void ak_trainer_losses(ak_trainer *t, double values[AK_TERMS_MAX], const uint32_t *labels)
{
    const ak_recipe *r = &t->recipe;
    ak_level_rows *features = &t->level[AK_LEVEL_FEATURES], *z = &t->level[AK_LEVEL_PROJECTION],
                  *q = &t->level[AK_LEVEL_PREDICTION];
    const float *head = t->p + t->head_at, *predictor = t->p + t->predictor_at;
    ak_head_forward(z->x, &r->head, head, features->x, t->rows, t->head_work);
    ak_head_stats_update(t->running + t->head_stat, &r->head, t->head_work, t->rows, AK_BN_SHARE);
    if (q->x) {
        ak_head_forward(q->x, &r->predictor, predictor, z->x, t->rows, t->predictor_work);
        ak_head_stats_update(t->running + t->predictor_stat, &r->predictor, t->predictor_work,
                             t->rows, AK_BN_SHARE);
    }
    labels = ak_trainer_gather(t, labels);
    size_t views = t->rows / t->own, pairs = views - 1;
    for (int l = 0; l < AK_LEVELS; l++)
        if (t->level[l].dx)
            memset(t->level[l].all_dx, 0, views * t->batch * t->level[l].d * sizeof(float));
    memset(t->g + t->head_at, 0, (t->params - t->head_at) * sizeof(float));
    if (t->masked)
        mask_same_labels(t->masked, labels, t->batch);

    for (size_t i = 0; i < r->terms_n; i++) {
        const ak_term *term = &r->terms[i];
        float weight = term->weight / (float)pairs;
        values[i] = run_pair(t, term, 0, 1, weight, labels);
        for (size_t v = 2; v < views; v++)
            values[i] += run_pair(t, term, v, v % 2, weight, labels);
        values[i] /= (double)pairs;
    }
    ak_trainer_keep_own(t);
    if (q->x) {
        ak_head_backward(t->dother, t->g + t->predictor_at, &r->predictor, predictor, q->dx, z->x,
                         t->rows, t->predictor_work);
        add_scaled(z->dx, t->dother, 1, t->rows * z->d);
    }
    ak_head_backward(t->dother, t->g + t->head_at, &r->head, head, z->dx, features->x, t->rows,
                     t->head_work);
    add_scaled(features->dx, t->dother, 1, t->rows * features->d);
}
