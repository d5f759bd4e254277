// Three sets are embedded: the run's yardsticks (whole, two parts, five copies), the others'
// (two parts), and the sample to search among (whole, one part).
#include "core/refine/gate_measure.h"

#include "core/base/random.h"
#include "core/refine/gate.h"
#include "core/refine/gate_alter.h"
#include "core/refine/gate_meaning.h"
#include "core/refine/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WHOLE, PART_A, PART_B, COPY_FIRST, VARIANTS = COPY_FIRST + AK_COPIES };

_Static_assert(VARIANTS <= AK_EMBED_VARIANTS, "the variants of a yardstick fit");

// Pictures of one role and their descriptors: variants[v][m] (n, dims of model m).
typedef struct {
    uint32_t *chosen;
    size_t n;
    float *variants[VARIANTS][AK_EMBED_MODELS];
} set;

typedef struct {
    const ak_rundir *rundir;
    const ak_plan *plan;
    ak_embedders embedders;
    size_t dims[AK_EMBED_MODELS];
    set yardsticks, others, pool;
    size_t total, done; // pictures to embed
    const ak_watch *watch;
    ak_gate_numbers *out;
} gate;

// --- which pictures
// ---------------------------------------------------------------------------------

static int by_u(const void *a, const void *b, void *arg)
{
    const ak_rundir *r = arg;
    return memcmp(&r->pictures[*(const uint32_t *)a].sha256,
                  &r->pictures[*(const uint32_t *)b].sha256, sizeof(ak_sha256));
}

static ak_status choose(set *s, const gate *g, unsigned roles, size_t most, bool at_random,
                        ak_error *err)
{
    s->chosen = ak_alloc(g->plan->n + 1, sizeof *s->chosen);
    if (!s->chosen)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to choose pictures");
    for (size_t i = 0; i < g->plan->n; i++)
        if (roles & 1u << g->plan->roles[i])
            s->chosen[s->n++] = (uint32_t)i;
    if (s->n)
        qsort_r(s->chosen, s->n, sizeof *s->chosen, by_u, (void *)g->rundir);
    if (at_random && s->n) {
        ak_random r = ak_random_stream(g->rundir->run.seed, 0x9001, 0, 0);
        ak_random_shuffle(&r, s->chosen, (uint32_t)s->n);
    }
    s->n = s->n < most ? s->n : most;
    return AK_OK;
}

static void set_clear(set *s)
{
    free(s->chosen);
    for (int v = 0; v < VARIANTS; v++)
        for (int m = 0; m < AK_EMBED_MODELS; m++)
            free(s->variants[v][m]);
}

// --- descriptors
// ------------------------------------------------------------------------------------

typedef struct {
    gate *gate;
    const int *wanted;
    size_t n;
} making;

static ak_status make_variants(void *arg, ak_image *variants, const ak_image *picture, size_t i,
                               ak_error *err)
{
    const making *m = arg;
    uint64_t seed = m->gate->rundir->run.seed;
    const ak_sha256 *sum = &m->gate->rundir->pictures[i].sha256;
    ak_image a = {0}, b = {0};
    ak_status status = ak_gate_parts(&a, &b, picture, seed, sum, err);
    for (size_t k = 0; k < m->n && status == AK_OK; k++) {
        int v = m->wanted[k];
        if (v >= COPY_FIRST)
            status = ak_gate_copy(&variants[k], picture, (ak_copy)(v - COPY_FIRST), seed, sum, err);
        ak_image *part = v == PART_A ? &a : v == PART_B ? &b : NULL;
        if (part) {
            variants[k] = *part;
            *part = (ak_image){0};
        }
    }
    ak_image_clear(&a);
    ak_image_clear(&b);
    return status;
}

static void tell(void *arg, size_t done, size_t total)
{
    const gate *g = arg;
    (void)total;
    if (g->watch && g->watch->progress)
        g->watch->progress(g->watch->arg, g->done + done, g->total);
}

static bool must_stop(void *arg)
{
    const gate *g = arg;
    return g->watch && g->watch->stop && g->watch->stop(g->watch->arg);
}

static ak_status embed(gate *g, set *s, const int *wanted, size_t n, ak_error *err)
{
    making m = {g, wanted, n};
    ak_variants variants = {.variants = n, .make = make_variants, .arg = &m};
    ak_watch watch = {.progress = tell, .stop = must_stop, .arg = g};
    float *mixed[AK_EMBED_MODELS] = {0};
    ak_status status = AK_OK;
    for (int k = 0; k < AK_EMBED_MODELS && status == AK_OK; k++) {
        mixed[k] = ak_alloc((s->n + 1) * n, g->dims[k] * sizeof(float));
        if (!mixed[k])
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu descriptors", s->n * n);
    }
    if (status == AK_OK)
        status = ak_run_embed(mixed, NULL, &g->embedders, g->rundir, s->chosen, s->n, &variants,
                              &watch, err);
    g->done += s->n;
    for (size_t v = 0; v < n && status == AK_OK; v++)
        for (int k = 0; k < AK_EMBED_MODELS && status == AK_OK; k++) {
            size_t dims = g->dims[k];
            float *to = ak_alloc(s->n + 1, dims * sizeof *to);
            s->variants[wanted[v]][k] = to;
            if (!to)
                status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu descriptors", s->n);
            for (size_t i = 0; i < s->n && to; i++)
                memcpy(to + i * dims, mixed[k] + (i * n + v) * dims, dims * sizeof *to);
        }
    for (int k = 0; k < AK_EMBED_MODELS; k++)
        free(mixed[k]);
    return status;
}

// --- measures
// ---------------------------------------------------------------------------------------

// A new measure of n pictures; NULL: no memory.
static ak_series *series_new(gate *g, const char *name, bool decides, size_t n)
{
    ak_series *s = &g->out->at[g->out->n];
    *s = (ak_series){.name = name, .decides = decides, .n = n};
    for (int m = 0; m < AK_EMBED_MODELS; m++)
        if (!(s->value[m] = ak_alloc(n, sizeof(double)))) {
            free(s->value[0]);
            return NULL;
        }
    g->out->n++;
    return s;
}

// Rows of a, then rows of b; NULL: no memory.
static float *joined(const float *a, size_t n, const float *b, size_t more, size_t dims)
{
    float *all = ak_alloc(n + more + 1, dims * sizeof *all);
    if (all) {
        memcpy(all, a, n * dims * sizeof *all);
        memcpy(all + n * dims, b, more * dims * sizeof *all);
    }
    return all;
}

// Row i of `queries` must find row i of `targets` among those and the pool's rows; what it found
// adds to r1 and mrr (n), weighed by share.
static ak_status find(gate *g, int m, const float *queries, const float *targets, size_t n,
                      const float *pool, double *r1, double *mrr, double share, ak_error *err)
{
    uint32_t *rank = ak_alloc(n, sizeof *rank), *target = ak_alloc(n, sizeof *target);
    float *gallery = joined(targets, n, pool, g->pool.n, g->dims[m]);
    ak_status status =
        rank && target && gallery ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to search");
    for (size_t i = 0; i < n && status == AK_OK; i++)
        target[i] = (uint32_t)i;
    if (status == AK_OK)
        status =
            ak_measure_ranks(rank, queries, target, n, gallery, n + g->pool.n, g->dims[m], err);
    for (size_t i = 0; i < n && status == AK_OK; i++) {
        r1[i] += share * (rank[i] == 1);
        mrr[i] += share / rank[i];
    }
    free(gallery);
    free(rank);
    free(target);
    return status;
}

static ak_status parts(gate *g, const set *s, const char *map, const char *r1, ak_error *err)
{
    ak_series *by_map = series_new(g, map, true, s->n);
    ak_series *by_r1 = by_map ? series_new(g, r1, false, s->n) : NULL;
    ak_status status = by_r1 ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for measures");
    for (int m = 0; m < AK_EMBED_MODELS && status == AK_OK; m++) {
        const float *a = s->variants[PART_A][m], *b = s->variants[PART_B][m];
        const float *pool = g->pool.variants[PART_B][m];
        status = find(g, m, a, b, s->n, pool, by_r1->value[m], by_map->value[m], 0.5, err);
        if (status == AK_OK)
            status = find(g, m, b, a, s->n, pool, by_r1->value[m], by_map->value[m], 0.5, err);
    }
    return status;
}

static ak_status copies(gate *g, ak_error *err)
{
    static const char *const names[AK_COPIES] = {"copies_overlay_r1", "copies_border_r1",
                                                 "copies_mosaic_r1", "copies_rotation_r1",
                                                 "copies_recompression_r1"};
    const set *s = &g->yardsticks;
    ak_series *all = series_new(g, "copies_r1", true, s->n);
    double *mrr = ak_alloc(s->n, sizeof *mrr); // not told
    ak_status status =
        all && mrr ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for measures");
    for (int f = 0; f < AK_COPIES && status == AK_OK; f++) {
        ak_series *one = series_new(g, names[f], true, s->n);
        if (!one)
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for measures");
        for (int m = 0; m < AK_EMBED_MODELS && status == AK_OK; m++) {
            status = find(g, m, s->variants[COPY_FIRST + f][m], s->variants[WHOLE][m], s->n,
                          g->pool.variants[WHOLE][m], one->value[m], mrr, 1, err);
            for (size_t i = 0; i < s->n; i++)
                all->value[m][i] += one->value[m][i] / AK_COPIES;
        }
    }
    free(mrr);
    return status;
}

// rows: yardsticks, then the pool, as in the galleries.
static ak_status meaning(gate *g, const uint32_t *rows, float *const *gallery, size_t count,
                         ak_meaning what, ak_error *err)
{
    static const char *const names[AK_MEANINGS] = {"feedback_map", "tags_map", "albums_map",
                                                   "words_map"};
    ak_common common;
    size_t n = g->yardsticks.n, queries = 0;
    ak_status status = ak_meaning_find(&common, g->rundir, rows, n, count, what, err);
    if (status != AK_OK)
        return status;
    double *ap = ak_alloc(n, sizeof *ap);
    uint32_t *self = ak_alloc(n, sizeof *self);
    ak_series *s = NULL;
    if (!ap || !self)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for measures");
    if (status != AK_OK || common.queries < g->rundir->run.recipe.gate.meaning_least)
        goto done;
    if (!(s = series_new(g, names[what], true, common.queries))) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for measures");
        goto done;
    }
    for (size_t i = 0; i < n; i++)
        self[i] = (uint32_t)i;
    for (int m = 0; m < AK_EMBED_MODELS && status == AK_OK; m++) {
        status = ak_measure_ap(ap, self, common.relevant, common.start, n, gallery[m], count,
                               g->dims[m], err);
        queries = 0;
        for (size_t i = 0; i < n && status == AK_OK; i++)
            if (!isnan(ap[i]))
                s->value[m][queries++] = ap[i];
    }
done:
    free(ap);
    free(self);
    ak_common_clear(&common);
    return status;
}

static ak_status neighbourhoods(gate *g, const uint32_t *self, float *const *gallery, size_t count,
                                ak_error *err)
{
    const set *s = &g->yardsticks;
    ak_series *series = series_new(g, "neighbourhoods", true, s->n);
    ak_status status = series ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for measures");
    for (int m = 0; m < AK_EMBED_MODELS && status == AK_OK; m++)
        status =
            ak_measure_overlap(series->value[m], s->variants[PART_A][m], s->variants[PART_B][m],
                               self, s->n, gallery[m], count, g->dims[m], err);
    return status;
}

static ak_status whole(gate *g, ak_error *err)
{
    size_t n = g->yardsticks.n, count = n + g->pool.n;
    float *gallery[AK_EMBED_MODELS] = {0};
    uint32_t *rows = ak_alloc(count + 1, sizeof *rows), *self = ak_alloc(n + 1, sizeof *self);
    ak_status status =
        rows && self ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for measures");
    for (int m = 0; m < AK_EMBED_MODELS && status == AK_OK; m++) {
        gallery[m] = joined(g->yardsticks.variants[WHOLE][m], n, g->pool.variants[WHOLE][m],
                            g->pool.n, g->dims[m]);
        if (!gallery[m])
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for measures");
    }
    if (status != AK_OK)
        goto done;
    memcpy(rows, g->yardsticks.chosen, n * sizeof *rows);
    memcpy(rows + n, g->pool.chosen, g->pool.n * sizeof *rows);
    for (size_t i = 0; i < n; i++)
        self[i] = (uint32_t)i;
    if (status == AK_OK)
        status = neighbourhoods(g, self, gallery, count, err);
    for (int what = 0; what < AK_MEANINGS && status == AK_OK; what++)
        status = meaning(g, rows, gallery, count, (ak_meaning)what, err);
    for (int m = 0; m < AK_EMBED_MODELS && status == AK_OK; m++)
        status = ak_measure_health(&g->out->rank[m], &g->out->dead[m], gallery[m], count,
                                   g->dims[m], err);
    if (status == AK_OK)
        status = ak_measure_churn(&g->out->churn, self, n, gallery[0], g->dims[0], gallery[1],
                                  g->dims[1], count, err);
done:
    for (int m = 0; m < AK_EMBED_MODELS; m++)
        free(gallery[m]);
    free(self);
    free(rows);
    return status;
}

static ak_status measure(gate *g, ak_error *err)
{
    const ak_refine_recipe *recipe = &g->rundir->run.recipe;
    static const int of_yardsticks[VARIANTS] = {WHOLE, PART_A, PART_B, 3, 4, 5, 6, 7};
    static const int of_others[] = {PART_A, PART_B}, of_pool[] = {WHOLE, PART_B};
    size_t most = AK_GATE_YARDSTICKS_MAX;
    ak_status status = choose(&g->yardsticks, g, 1u << AK_ROLE_YARDSTICK, most, false, err);
    if (status == AK_OK)
        status = choose(&g->others, g, 1u << AK_ROLE_OLD_YARDSTICK, most, false, err);
    if (status == AK_OK)
        status = choose(&g->pool, g, 1u << AK_ROLE_TRAIN | 1u << AK_ROLE_REPLAY,
                        (size_t)recipe->gate.pool, true, err);
    if (status != AK_OK)
        return status;
    g->out->yardsticks = g->yardsticks.n;
    g->out->old_yardsticks = g->others.n;
    g->out->pool = g->pool.n;
    g->total = g->yardsticks.n + g->others.n + g->pool.n;
    if (g->yardsticks.n < recipe->gate.yardsticks)
        return ak_fail(err, AK_CONFLICT,
                       "without near-duplicates %zu pictures are left to measure by; at least %llu "
                       "are needed",
                       g->yardsticks.n, (unsigned long long)recipe->gate.yardsticks);
    status = embed(g, &g->yardsticks, of_yardsticks, VARIANTS, err);
    if (status == AK_OK)
        status = embed(g, &g->others, of_others, 2, err);
    if (status == AK_OK)
        status = embed(g, &g->pool, of_pool, 2, err);
    if (status == AK_OK)
        status = parts(g, &g->yardsticks, "parts_map", "parts_r1", err);
    if (status == AK_OK && g->others.n >= recipe->gate.yardsticks)
        status = parts(g, &g->others, "old_parts_map", "old_parts_r1", err);
    if (status == AK_OK)
        status = copies(g, err);
    return status == AK_OK ? whole(g, err) : status;
}

ak_status ak_gate_measure(ak_gate_numbers *out, const ak_rundir *rundir, const ak_plan *plan,
                          const ak_model *incumbent, const ak_model *candidate,
                          const ak_watch *watch, ak_error *err)
{
    *out = (ak_gate_numbers){0};
    gate g = {.rundir = rundir, .plan = plan, .watch = watch, .out = out};
    g.dims[0] = (size_t)ak_model_dims(incumbent);
    g.dims[1] = (size_t)ak_model_dims(candidate);
    ak_status status = ak_embedders_init(&g.embedders, incumbent, candidate, err);
    if (status == AK_OK)
        status = measure(&g, err);
    ak_embedders_clear(&g.embedders);
    set_clear(&g.yardsticks);
    set_clear(&g.others);
    set_clear(&g.pool);
    if (status != AK_OK)
        ak_gate_numbers_clear(out);
    return status;
}

void ak_gate_numbers_clear(ak_gate_numbers *numbers)
{
    for (size_t i = 0; i < numbers->n; i++)
        for (int m = 0; m < AK_EMBED_MODELS; m++)
            free(numbers->at[i].value[m]);
    numbers->n = 0;
}
