// The plan's file is a checkpoint: the descriptors, and a configuration with the rest.
#include "core/refine/plan.h"

#include "core/base/log.h"
#include "core/image/phash.h"
#include "core/nn/checkpoint.h"
#include "core/refine/near.h"

#include <stdlib.h>
#include <string.h>

#define NEAR_LEAST 0.8f // of the score of near-duplicates, wherever 'same' begins
#define SAME_SHARE 0.9999

static ak_status room(ak_plan *plan, ak_error *err)
{
    size_t cells;
    plan->descriptors = ak_mul(&cells, plan->n, plan->dims) ? ak_alloc(cells, sizeof(float)) : NULL;
    plan->roles = ak_alloc(plan->n, sizeof *plan->roles);
    plan->clusters = ak_alloc(plan->n, sizeof *plan->clusters);
    if (plan->descriptors && plan->roles && plan->clusters)
        return AK_OK;
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to plan a run of %zu pictures", plan->n);
}

void ak_plan_clear(ak_plan *plan)
{
    free(plan->descriptors);
    free(plan->roles);
    free(plan->clusters);
    *plan = (ak_plan){0};
}

void ak_plan_roles(ak_role *roles, const uint32_t *clusters, const ak_run_picture *pictures,
                   size_t n)
{
    // What a cluster holds, at its smallest index, which comes before all others.
    enum { TRAINED = 1, YARDSTICK = 2, TAKEN = 4 };
    uint8_t *holds = ak_alloc(n, 1);
    for (size_t i = 0; i < n && holds; i++) {
        bool yardstick = roles[i] == AK_ROLE_YARDSTICK || roles[i] == AK_ROLE_OLD_YARDSTICK;
        if (pictures[i].trained)
            holds[clusters[i]] |= TRAINED;
        if (yardstick)
            holds[clusters[i]] |= YARDSTICK;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t *h = holds ? &holds[clusters[i]] : &(uint8_t){YARDSTICK | TRAINED};
        bool yardstick = roles[i] == AK_ROLE_YARDSTICK || roles[i] == AK_ROLE_OLD_YARDSTICK;
        if (!(*h & YARDSTICK))
            continue;
        if (!yardstick || *h & (TRAINED | TAKEN))
            roles[i] = AK_ROLE_NONE;
        else
            *h |= TAKEN;
    }
    free(holds);
}

static void count(ak_plan *plan)
{
    memset(plan->counts, 0, sizeof plan->counts);
    for (size_t i = 0; i < plan->n; i++)
        plan->counts[plan->roles[i]]++;
}

// --- the file
// -------------------------------------------------------------------------------------

static ak_status put(const ak_plan *plan, const ak_rundir *rundir, ak_error *err)
{
    char table[AK_SHA256_HEX + 1];
    ak_sha256_hex(table, &rundir->table);
    json_t *roles = json_array(), *clusters = json_array();
    for (size_t i = 0; i < plan->n; i++) {
        json_array_append_new(roles, json_integer((json_int_t)plan->roles[i]));
        json_array_append_new(clusters, json_integer((json_int_t)plan->clusters[i]));
    }
    json_t *config =
        json_pack("{s:s, s:s, s:f, s:o, s:o}", "kind", "plan", "table", table, "same_score",
                  plan->same_score, "roles", roles, "clusters", clusters);
    char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
    ak_buf file = {0};
    ak_status status = text ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a plan");
    if (status == AK_OK) {
        ak_checkpoint c = {.config = {(const uint8_t *)text, strlen(text)}};
        ak_checkpoint_add(&c, "descriptors", plan->descriptors, plan->n * plan->dims,
                          AK_TENSOR_F32);
        status = ak_checkpoint_write(&file, &c, err);
    }
    if (status == AK_OK)
        status = ak_rundir_write(rundir->folder, AK_RUN_PLAN, ak_buf_bytes(&file), err);
    ak_buf_clear(&file);
    json_decref(config);
    free(text);
    return status;
}

// Whether the folder has a whole plan for these very pictures; the plan is filled then.
static bool get(ak_plan *plan, const ak_rundir *rundir)
{
    ak_error ignored;
    ak_buf file = {0};
    ak_checkpoint c;
    json_t *config = NULL;
    char table[AK_SHA256_HEX + 1];
    ak_sha256_hex(table, &rundir->table);
    bool good = ak_rundir_read(&file, rundir->folder, AK_RUN_PLAN, &ignored) == AK_OK &&
                ak_checkpoint_read(&c, ak_buf_bytes(&file), &ignored) == AK_OK;
    if (good)
        config = json_loadb((const char *)c.config.at, c.config.n, 0, NULL);
    const char *of = json_string_value(json_object_get(config, "table"));
    const json_t *roles = json_object_get(config, "roles");
    const json_t *clusters = json_object_get(config, "clusters");
    good = good && of && strcmp(of, table) == 0 && json_array_size(roles) == plan->n &&
           json_array_size(clusters) == plan->n &&
           ak_checkpoint_floats(plan->descriptors, &c, "descriptors", plan->n * plan->dims,
                                &ignored) == AK_OK;
    for (size_t i = 0; i < plan->n && good; i++) {
        json_int_t role = json_integer_value(json_array_get(roles, i));
        json_int_t cluster = json_integer_value(json_array_get(clusters, i));
        good = role >= 0 && role < AK_ROLES && cluster >= 0 && (size_t)cluster < plan->n;
        plan->roles[i] = (ak_role)role;
        plan->clusters[i] = (uint32_t)cluster;
    }
    plan->same_score = json_number_value(json_object_get(config, "same_score"));
    json_decref(config);
    ak_buf_clear(&file);
    return good;
}

// --- making it
// ------------------------------------------------------------------------------------

static ak_status hash_of(void *arg, ak_image *variants, const ak_image *picture, size_t i,
                         ak_error *err)
{
    (void)variants;
    return ak_phash(&((uint64_t *)arg)[i], picture, err);
}

static ak_status make(ak_plan *plan, const ak_rundir *rundir, const ak_model *incumbent,
                      const ak_watch *watch, ak_error *err)
{
    size_t n = plan->n;
    uint64_t *hashes = ak_alloc(n, sizeof *hashes);
    uint32_t *all = ak_alloc(n, sizeof *all);
    bool *broken = ak_alloc(n, sizeof *broken);
    ak_embedders e = {0};
    ak_status status = hashes && all && broken
                           ? ak_embedders_init(&e, incumbent, NULL, err)
                           : ak_fail(err, AK_OUT_OF_MEMORY, "no memory to plan a run");
    for (size_t i = 0; i < n && status == AK_OK; i++)
        all[i] = (uint32_t)i;
    ak_variants whole = {.variants = 1, .make = hash_of, .arg = hashes};
    if (status == AK_OK)
        status = ak_run_embed(&plan->descriptors, broken, &e, rundir, all, n, &whole, watch, err);
    if (status != AK_OK)
        goto done;
    plan->same_score = rundir->run.same_score;
    if (!(plan->same_score > 0))
        plan->same_score = ak_near_quantile(plan->descriptors, n, plan->dims, SAME_SHARE, 1);
    float near = (float)plan->same_score > NEAR_LEAST ? (float)plan->same_score : NEAR_LEAST;
    status = ak_near_clusters(plan->clusters, plan->descriptors, hashes, n, plan->dims, near, err);
    if (status != AK_OK)
        goto done;
    for (size_t i = 0; i < n; i++)
        plan->roles[i] = rundir->pictures[i].role;
    ak_plan_roles(plan->roles, plan->clusters, rundir->pictures, n);
    for (size_t i = 0; i < n; i++)
        if (broken[i]) {
            ak_log(AK_LOG_WARN, "picture %zu of %s cannot be read and is left out", i,
                   rundir->folder);
            plan->roles[i] = AK_ROLE_NONE;
        }
    status = put(plan, rundir, err);
done:
    ak_embedders_clear(&e);
    free(hashes);
    free(all);
    free(broken);
    return status;
}

ak_status ak_plan_make(ak_plan *plan, const ak_rundir *rundir, const ak_model *incumbent,
                       const ak_watch *watch, ak_error *err)
{
    *plan = (ak_plan){.n = rundir->pictures_n, .dims = (size_t)ak_model_dims(incumbent)};
    ak_status status = room(plan, err);
    if (status == AK_OK && !get(plan, rundir))
        status = make(plan, rundir, incumbent, watch, err);
    if (status == AK_OK)
        count(plan);
    else
        ak_plan_clear(plan);
    return status;
}
