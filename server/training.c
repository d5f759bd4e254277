// A run, stage by stage (server/training.h). What a stage has found is kept before the next begins;
// after a restart the run goes on with the stage that it was in, and each can be done twice.
#include "server/training.h"

#include "core/base/log.h"
#include "core/describe/model.h"
#include "core/refine/rundir.h"
#include "server/daemon.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

typedef struct {
    ak_job *job;
    ak_server *server;
    json_t *request, *result;
    char folder[PATH_MAX];
} run;

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static ak_status enter(run *r, const char *stage, ak_error *err)
{
    json_object_set_new(r->result, "stage", json_string(stage));
    ak_job_progress(r->job, 0, 0, -1, NULL);
    return ak_job_keep(r->job, r->result, NULL, err);
}

static bool in_stage(const run *r, const char *stage)
{
    return strcmp(text_of(r->result, "stage"), stage) == 0;
}

// --- training ----------------------------------------------------------------------------------

// What the candidate was trained on measures nothing from now on.
static ak_status keep_trained(run *r, const char *model, ak_error *err)
{
    ak_sha256 *sums = NULL;
    size_t n = 0;
    ak_status status = ak_rundir_trained_read(&sums, &n, r->folder, err);
    if (status == AK_OK)
        status = ak_store_trained(r->server->store, model, sums, n, err);
    free(sums);
    return status;
}

// --- the gate ----------------------------------------------------------------------------------

// The verdict, as the gate wrote it; what is not whole is none.
static ak_status read_verdict(json_t **verdict, const run *r, ak_error *err)
{
    ak_buf file = {0};
    *verdict = NULL;
    ak_status status = ak_rundir_read(&file, r->folder, AK_RUN_VERDICT, err);
    if (status == AK_OK)
        *verdict = json_loadb((const char *)file.at, file.n, 0, NULL);
    if (status == AK_OK && (!json_is_boolean(json_object_get(*verdict, "passed")) ||
                            !json_is_array(json_object_get(*verdict, "gate")) ||
                            !json_is_string(json_object_get(*verdict, "reason"))))
        status = ak_fail(err, AK_CORRUPT, "the gate's verdict has no passed, reason and gate");
    ak_buf_clear(&file);
    if (status != AK_OK) {
        json_decref(*verdict);
        *verdict = NULL;
    }
    return status;
}

// The candidate becomes a model of the store, with where it comes from and how it measured.
static ak_status keep_model(run *r, const json_t *verdict, bool passed, ak_error *err)
{
    ak_buf file = {0};
    ak_model *model = NULL;
    char *lineage = NULL, *measures = NULL;
    ak_status status = ak_rundir_read(&file, r->folder, AK_RUN_CANDIDATE, err);
    if (status == AK_OK)
        status = ak_model_read(&model, ak_buf_bytes(&file), err);
    if (status != AK_OK)
        goto done;
    json_t *origin = json_pack("{s:s, s:O, s:O, s:O, s:O}", "run", ak_job_id(r->job), "collections",
                               json_object_get(r->request, "collections"), "recipe",
                               json_object_get(r->request, "recipe"), "budget_s",
                               json_object_get(r->request, "budget_s"), "seed",
                               json_object_get(r->request, "seed"));
    lineage = json_dumps(origin, JSON_COMPACT);
    measures = json_dumps(verdict, JSON_COMPACT);
    json_decref(origin);
    if (!lineage || !measures) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a model's lineage");
        goto done;
    }
    const ak_model_facts facts = {.id = ak_model_id(model),
                                  .dims = ak_model_dims(model),
                                  .state = passed ? AK_MODEL_CANDIDATE : AK_MODEL_REFUSED,
                                  .parent = text_of(r->result, "incumbent"),
                                  .lineage = lineage,
                                  .measures = measures};
    status = ak_store_model_add(r->server->store, &facts, ak_buf_bytes(&file), err);
    if (status == AK_OK) // an earlier run may have made the same
        status = ak_store_model_set(r->server->store, facts.id, facts.state, measures, err);
    if (status == AK_OK && passed)
        status = keep_trained(r, facts.id, err);
    if (status == AK_OK)
        json_object_set_new(r->result, "model", json_string(facts.id));
done:
    free(lineage);
    free(measures);
    ak_model_free(model);
    ak_buf_clear(&file);
    return status;
}

static ak_status conclude(run *r, ak_error *err)
{
    json_t *verdict = NULL;
    ak_status status = read_verdict(&verdict, r, err);
    bool passed = json_is_true(json_object_get(verdict, "passed"));
    bool ask = strcmp(text_of(r->request, "promote"), "ask") == 0;
    if (status == AK_OK)
        status = keep_model(r, verdict, passed, err);
    if (status == AK_OK) {
        json_object_set(r->result, "gate", json_object_get(verdict, "gate"));
        json_object_set(r->result, "reason", json_object_get(verdict, "reason"));
        if (!passed || ask)
            json_object_set_new(r->result, "decision",
                                json_string(passed ? "awaiting" : "refused"));
        json_object_set_new(r->result, "stage",
                            json_string(passed && !ask ? "promotion" : "ended"));
        status = ak_job_keep(r->job, r->result, verdict, err);
    }
    json_decref(verdict);
    return status;
}

// --- promotion ---------------------------------------------------------------------------------

static ak_status promote(run *r, ak_error *err)
{
    ak_status status = ak_promote(r->job, text_of(r->result, "model"),
                                  json_object_get(r->request, "collections"), err);
    if (status != AK_OK)
        return status;
    json_object_set_new(r->result, "decision", json_string("promoted"));
    json_object_set_new(r->result, "stage", json_string("ended"));
    return ak_job_keep(r->job, r->result, NULL, err);
}

// --- the stages --------------------------------------------------------------------------------

static ak_status go_through(run *r, ak_error *err)
{
    ak_status status = AK_OK;
    if (atomic_load(ak_job_stop(r->job)) && !in_stage(r, "promotion")) // which cleans up first
        return ak_fail(err, AK_SHUTTING_DOWN, "the run was stopped");
    if (!r->server->options->refine_enabled)
        return ak_fail(err, AK_CONFLICT, "refinement has been switched off (refine_enabled)");
    if (in_stage(r, "folder")) {
        status = ak_training_folder_make(r->job, r->folder, r->request,
                                         text_of(r->result, "incumbent"), err);
        if (status == AK_OK)
            status = enter(r, "training", err);
    }
    if (status == AK_OK && in_stage(r, "training")) {
        status = ak_refine_run(r->job, "refine", r->folder, r->result, err);
        if (status == AK_OK)
            status = enter(r, "gate", err);
    }
    if (status == AK_OK && in_stage(r, "gate")) {
        status = ak_refine_run(r->job, "gate", r->folder, r->result, err);
        if (status == AK_OK)
            status = conclude(r, err);
    }
    if (status == AK_OK && in_stage(r, "promotion")) {
        status = ak_rundir_delete(r->folder, err); // embedding may take long, and needs it no more
        if (status == AK_OK)
            status = promote(r, err);
    }
    return status;
}

static ak_status run_training(ak_job *job, ak_error *err)
{
    ak_error ignored = {0};
    run r = {.job = job,
             .server = ak_job_server(job),
             .request = ak_job_request(job),
             .result = ak_job_result(job)};
    ak_training_folder(r.folder, r.server, ak_job_id(job));
    ak_status status = r.request && r.result
                           ? go_through(&r, err)
                           : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a run");
    bool goes_on = status == AK_SHUTTING_DOWN && !ak_job_cancelled(job);
    if (!goes_on && ak_rundir_delete(r.folder, &ignored) != AK_OK) // again at the next start
        ak_log(AK_LOG_ERROR, "an ended run's folder stays: %s", ignored.text);
    if (status != AK_OK && !goes_on && !ak_job_cancelled(job)) {
        json_object_set_new(r.result, "reason", json_string(err->text));
        ak_job_keep(job, r.result, NULL, &ignored);
    }
    json_decref(r.request);
    json_decref(r.result);
    return status;
}

const ak_job_kind ak_job_training = {"training", true, run_training};

// --- beginning ---------------------------------------------------------------------------------

// The collections that a run is for, and the one model that serves them.
static ak_status choose(json_t *names, char model[AK_NAME_MAX + 1], int64_t *pictures,
                        ak_server *server, const ak_training_request *asked, ak_error *err)
{
    ak_refine_facts *facts = NULL;
    size_t n = 0;
    int64_t most = -1;
    *model = 0;
    *pictures = 0;
    ak_status status = ak_store_refine_facts(&facts, &n, server->store, err);
    // Of themselves all that have the model of the largest one.
    for (size_t i = 0; status == AK_OK && asked->n == 0 && i < n; i++)
        if (facts[i].refine && facts[i].pictures > most) {
            most = facts[i].pictures;
            memcpy(model, facts[i].model, sizeof facts[i].model);
        }
    for (size_t i = 0; status == AK_OK && asked->n == 0 && i < n; i++)
        if (facts[i].refine && strcmp(facts[i].model, model) == 0 &&
            json_array_size(names) < AK_RUN_COLLECTIONS_MAX) {
            json_array_append_new(names, json_string(facts[i].name));
            *pictures += facts[i].pictures;
        }
    for (size_t k = 0; status == AK_OK && k < asked->n; k++) {
        size_t i = 0;
        while (i < n && strcmp(facts[i].name, asked->collections[k]) != 0)
            i++;
        if (i == n)
            status = ak_fail(err, AK_UNKNOWN_COLLECTION, "there is no collection \"%.80s\"",
                             asked->collections[k]);
        else if (!facts[i].refine)
            status = ak_fail(err, AK_CONFLICT,
                             "the collection \"%s\" may not be refined on (its setting \"refine\")",
                             facts[i].name);
        else if (*model && strcmp(model, facts[i].model) != 0)
            status = ak_fail(err, AK_CONFLICT,
                             "\"%s\" is served by model %s, the others by %s; a run is for "
                             "collections of one model",
                             facts[i].name, facts[i].model, model);
        if (status != AK_OK)
            break;
        memcpy(model, facts[i].model, sizeof facts[i].model);
        json_array_append_new(names, json_string(facts[i].name));
        *pictures += facts[i].pictures;
    }
    free(facts);
    return status;
}

static int64_t draw_seed(void)
{
    uint32_t seed = 1;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = (uint32_t)ak_clock_ms();
    return seed;
}

ak_status ak_training_begin(json_t **answer, ak_server *server, const ak_training_request *asked,
                            ak_job_key *key, ak_error *err)
{
    const ak_server_options *o = server->options;
    ak_refine_recipe recipe;
    char model[AK_NAME_MAX + 1];
    int64_t pictures = 0;
    const char *name = asked->recipe ? asked->recipe : "default";
    json_t *names = json_array(), *request = NULL, *result = NULL;
    *answer = NULL;
    ak_status status = AK_OK;
    if (!o->refine_enabled)
        status = ak_fail(err, AK_CONFLICT, "refinement is switched off (refine_enabled)");
    if (status == AK_OK)
        status = ak_refine_recipe_named(&recipe, name, err);
    if (status == AK_OK)
        status = choose(names, model, &pictures, server, asked, err);
    // Before the number of pictures, so that the same request twice gets the same answer.
    if (status == AK_OK && pictures < AK_TRAINING_LEAST)
        status = ak_fail(err, AK_CONFLICT,
                         "the collections hold %" PRId64 " pictures; a run needs at least %d",
                         pictures, AK_TRAINING_LEAST);
    if (status == AK_OK) {
        request = json_pack(
            "{s:O, s:s, s:f, s:s, s:I, s:s}", "collections", names, "recipe", name, "budget_s",
            asked->budget_s > 0 ? asked->budget_s : (double)o->refine_budget_s, "promote",
            asked->promote ? asked->promote : o->refine_promote, "seed",
            (json_int_t)(asked->seed >= 0 ? asked->seed : draw_seed()), "trigger", asked->trigger);
        result = json_pack("{s:s, s:n, s:n, s:s, s:n, s:[], s:i}", "stage", "folder", "decision",
                           "reason", "incumbent", model, "model", "gate", "restarts", 0);
        status = request && result ? ak_jobs_add(answer, server->jobs, &ak_job_training, request,
                                                 result, key, err)
                                   : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a run");
    }
    json_decref(names);
    json_decref(request);
    json_decref(result);
    return status;
}
