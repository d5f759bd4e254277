#include "core/refine/run_set.h"

#include "core/base/log.h"
#include "core/base/random.h"
#include "core/refine/gate_meaning.h"
#include "core/refine/near.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK     256
#define NOISY_MAX ((size_t)200000)

static ak_status decode(ak_image *out, const ak_rundir *rundir, size_t i, int keep_side,
                        ak_error *err)
{
    ak_buf proxy = {0};
    ak_image whole = {0};
    ak_status status = ak_rundir_proxy(&proxy, rundir, i, err);
    if (status == AK_OK)
        status = ak_proxy_read(&whole, ak_buf_bytes(&proxy), err);
    int shorter = whole.width < whole.height ? whole.width : whole.height;
    if (status == AK_OK && shorter > keep_side) {
        status = ak_image_resize(out, &whole, (int)((int64_t)whole.width * keep_side / shorter),
                                 (int)((int64_t)whole.height * keep_side / shorter), err);
        ak_image_clear(&whole);
    } else {
        *out = whole;
    }
    ak_buf_clear(&proxy);
    return status;
}

// Whether a cluster is kept from training: by chance, by the sum of its first picture, so that it
// is the same when other pictures are removed.
static bool is_held(const ak_rundir *rundir, const ak_plan *plan, size_t i)
{
    const ak_sha256 *sum = &rundir->pictures[plan->clusters[i]].sha256;
    uint32_t a, b;
    memcpy(&a, sum->at + 8, sizeof a);
    memcpy(&b, sum->at + 12, sizeof b);
    ak_random r = ak_random_stream(rundir->run.seed, 0x4e1d, a, b);
    return ak_random_uniform(&r) < rundir->run.recipe.train.held_out;
}

typedef struct {
    uint32_t cluster, row;
    bool fresh;
} placed;

static int by_cluster(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->fresh != y->fresh)
        return x->fresh ? -1 : 1;
    if (x->cluster != y->cluster)
        return x->cluster < y->cluster ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

// Rows to train on and rows to keep, clusters together, fresh ones first.
static ak_status divide(ak_run_set *set, placed **order, size_t *n, const ak_rundir *rundir,
                        const ak_plan *plan, ak_error *err)
{
    placed *all = ak_alloc(plan->n + 1, sizeof *all);
    bool *fresh = ak_alloc(plan->n + 1, sizeof *fresh); // of a cluster
    set->held = ak_alloc(plan->n + 1, sizeof *set->held);
    *order = ak_alloc(plan->n + 1, sizeof **order);
    ak_status status = all && fresh && set->held && *order
                           ? AK_OK
                           : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the run's pictures");
    size_t used = 0;
    *n = 0;
    for (size_t i = 0; i < plan->n && status == AK_OK; i++)
        if (plan->roles[i] == AK_ROLE_TRAIN)
            fresh[plan->clusters[i]] = true;
    for (size_t i = 0; i < plan->n && status == AK_OK; i++)
        if (plan->roles[i] == AK_ROLE_TRAIN || plan->roles[i] == AK_ROLE_REPLAY)
            all[used++] = (placed){plan->clusters[i], (uint32_t)i, fresh[plan->clusters[i]]};
    if (used)
        qsort(all, used, sizeof *all, by_cluster);
    for (size_t i = 0; i < used; i++) {
        if (!is_held(rundir, plan, all[i].row))
            (*order)[(*n)++] = all[i];
        else if (i == 0 || all[i - 1].cluster != all[i].cluster) { // one of a cluster is enough
            set->held[set->held_n++] = all[i].row;
            set->held_fresh_n += all[i].fresh;
        }
    }
    free(all);
    free(fresh);
    return status;
}

static ak_status load(ak_run_set *set, const placed *order, size_t n, const ak_rundir *rundir,
                      int keep_side, const ak_watch *watch, ak_error *err)
{
    ak_status status = AK_OK;
    uint32_t cluster = UINT32_MAX; // of the last unit
    for (size_t from = 0; from < n && status == AK_OK; from += BLOCK) {
        size_t part = n - from < BLOCK ? n - from : BLOCK;
        ak_image images[BLOCK] = {0};
        ak_error why[BLOCK] = {0};
#pragma omp parallel for schedule(dynamic, 4)
        for (size_t i = 0; i < part; i++)
            decode(&images[i], rundir, order[from + i].row, keep_side, &why[i]);
        for (size_t i = 0; i < part; i++) {
            const placed *p = &order[from + i];
            if (why[i].status != AK_OK) {
                ak_log(AK_LOG_WARN, "left out: %s", why[i].text);
                ak_image_clear(&images[i]);
                continue;
            }
            uint32_t place = (uint32_t)set->pictures.n++;
            if (cluster != p->cluster) {
                cluster = p->cluster;
                set->units[set->units_n++] = (ak_run_unit){place, 1, p->fresh};
                set->fresh_n += p->fresh;
            } else {
                set->units[set->units_n - 1].count++;
            }
            set->pictures.items[place] =
                (ak_picture){.image = images[i], .label = (uint32_t)set->units_n - 1};
            set->rows[place] = p->row;
            set->members[place] = place;
        }
        status = ak_watch_tell(watch, from + part, n, err);
    }
    return status;
}

static bool add_couple(ak_run_couple **list, size_t *n, uint32_t a, uint32_t b)
{
    if ((*n & (*n - 1)) == 0) { // a power of two: full
        ak_run_couple *grown = realloc(*list, (*n ? 2 * *n : 1) * sizeof *grown);
        if (!grown)
            return false;
        *list = grown;
    }
    (*list)[(*n)++] = (ak_run_couple){a, b};
    return true;
}

// Pictures that are mutually among each other's nearest by the incumbent, near-duplicates left out.
static ak_status neighbours(ak_run_set *set, const ak_plan *plan, size_t k, ak_error *err)
{
    size_t n = set->pictures.n, dims = plan->dims;
    float *x = ak_alloc(n, dims * sizeof *x);
    uint32_t *near = ak_alloc(n, k * sizeof *near);
    bool enough = x && near;
    for (size_t i = 0; i < n && enough; i++)
        memcpy(x + i * dims, plan->descriptors + set->rows[i] * dims, dims * sizeof *x);
    ak_status status = enough ? ak_near_neighbours(near, x, n, dims, k, err)
                              : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for neighbours");
    for (uint32_t i = 0; i < n && status == AK_OK; i++)
        for (size_t j = 0; j < k; j++) {
            uint32_t other = near[i * k + j];
            bool mutual = false;
            for (size_t l = 0; other != UINT32_MAX && l < k; l++)
                mutual = mutual || near[other * k + l] == i;
            if (mutual && other > i && set->noisy_n < NOISY_MAX &&
                set->pictures.items[i].label != set->pictures.items[other].label &&
                !add_couple(&set->noisy, &set->noisy_n, i, other))
                status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for neighbours");
        }
    free(x);
    free(near);
    return status;
}

static ak_status couples(ak_run_set *set, const ak_rundir *rundir, ak_error *err)
{
    uint32_t *place = ak_alloc(rundir->pictures_n, sizeof *place); // plus 1; 0: not trained on
    bool enough = place;
    for (size_t i = 0; i < set->pictures.n && enough; i++)
        place[set->rows[i]] = (uint32_t)i + 1;
    for (size_t i = 0; i < rundir->pairs_n && enough; i++) {
        const ak_run_pair *p = &rundir->pairs[i];
        ptrdiff_t a = ak_rundir_find(rundir, &p->query), b = ak_rundir_find(rundir, &p->result);
        if (a < 0 || b < 0 || a == b || !place[a] || !place[b])
            continue;
        enough = p->similar
                     ? add_couple(&set->similar, &set->similar_n, place[a] - 1, place[b] - 1)
                     : add_couple(&set->different, &set->different_n, place[a] - 1, place[b] - 1);
    }
    free(place);
    for (int what = AK_MEANING_TAGS; what <= AK_MEANING_ALBUMS && enough; what++) {
        ak_common common;
        ak_status status = ak_meaning_find(&common, rundir, set->rows, set->pictures.n,
                                           set->pictures.n, (ak_meaning)what, err);
        if (status != AK_OK)
            return status;
        for (uint32_t a = 0; a < set->pictures.n && enough; a++)
            for (size_t k = common.start[a]; k < common.start[a + 1] && enough; k++)
                if (common.relevant[k] > a && set->noisy_n < NOISY_MAX)
                    enough = add_couple(&set->noisy, &set->noisy_n, a, common.relevant[k]);
        ak_common_clear(&common);
    }
    return enough ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the run's pairs");
}

ak_status ak_run_set_load(ak_run_set *set, const ak_rundir *rundir, const ak_plan *plan,
                          int keep_side, size_t least, const ak_watch *watch, ak_error *err)
{
    *set = (ak_run_set){0};
    placed *order = NULL;
    size_t n = 0;
    ak_status status = divide(set, &order, &n, rundir, plan, err);
    if (status != AK_OK)
        goto done;
    set->pictures.items = ak_alloc(n + 1, sizeof *set->pictures.items);
    set->rows = ak_alloc(n + 1, sizeof *set->rows);
    set->units = ak_alloc(n + 1, sizeof *set->units);
    set->members = ak_alloc(n + 1, sizeof *set->members);
    if (!set->pictures.items || !set->rows || !set->units || !set->members)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu pictures", n);
    if (status == AK_OK)
        status = load(set, order, n, rundir, keep_side, watch, err);
    if (status == AK_OK && set->units_n < least)
        status = ak_fail(err, AK_CONFLICT,
                         "%zu pictures to train on show %zu different things; at least %zu are "
                         "needed",
                         set->pictures.n, set->units_n, least);
    if (status == AK_OK)
        status = couples(set, rundir, err);
    if (status == AK_OK && rundir->run.recipe.train.neighbours && set->pictures.n)
        status = neighbours(set, plan, (size_t)rundir->run.recipe.train.neighbours, err);
done:
    free(order);
    if (status != AK_OK)
        ak_run_set_clear(set);
    return status;
}

void ak_run_set_clear(ak_run_set *set)
{
    ak_pictures_clear(&set->pictures);
    free(set->rows);
    free(set->units);
    free(set->members);
    free(set->held);
    free(set->similar);
    free(set->different);
    free(set->noisy);
    *set = (ak_run_set){0};
}
