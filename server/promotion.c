// A model put to serve: embed what lacks its vectors, swap. As the last stage of a run, and as a
// job of its own.
#include "core/base/log.h"
#include "server/daemon.h"
#include "server/handlers.h"
#include "server/jobs_api.h"
#include "server/json.h"
#include "server/reembed.h"
#include "server/training.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void on_progress(void *arg, int64_t done, int64_t total)
{
    ak_job_progress(arg, done, total, -1, NULL);
}

// One at a time: another may be the last stage of a run.
static bool take_turn(ak_server *server, const atomic_bool *stop)
{
    while (!atomic_load(stop)) {
        if (pthread_mutex_trylock(&server->promoting) == 0)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return false;
}

// Of the names those that are there still, into *out (the caller frees; the names are borrowed).
static ak_status standing(const char ***out, size_t *n, ak_server *server, const json_t *names,
                          ak_error *err)
{
    size_t i;
    json_t *name;
    *n = 0;
    *out = ak_alloc(json_array_size(names) + 1, sizeof **out);
    if (!*out)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for names");
    json_array_foreach((json_t *)(uintptr_t)names, i, name)
    {
        ak_collection c = {0};
        if (ak_store_collection(&c, server->store, json_string_value(name), err) == AK_OK)
            (*out)[(*n)++] = json_string_value(name);
        ak_collection_clear(&c);
    }
    return *n ? AK_OK : ak_fail(err, AK_CONFLICT, "the collections have been deleted");
}

// The change is given up. On a full disk that is tried until it can be kept: left half done, it
// would cost every upload a second embedding, and bar the way to other models.
static void call_off(ak_job *job, const char *model)
{
    ak_store *store = ak_job_server(job)->store;
    ak_error err = {0};
    ak_status status = ak_store_change_abandon(store, model, &err);
    if (status != AK_OK)
        ak_log(AK_LOG_ERROR, "the change to model %s cannot be called off yet: %s", model,
               err.text);
    while ((status == AK_DISK_FULL || status == AK_READ_ONLY || status == AK_IO) &&
           !ak_job_closing(job)) { // if the server stops, the job goes on at the next start
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        status = ak_store_change_abandon(store, model, &err);
    }
}

// Of the names those that are served by the model now.
static size_t served(ak_server *server, const json_t *names, const char *model)
{
    size_t i, n = 0;
    json_t *name;
    json_array_foreach((json_t *)(uintptr_t)names, i, name)
    {
        ak_collection c = {0};
        if (ak_store_collection(&c, server->store, json_string_value(name), NULL) == AK_OK)
            n += strcmp(c.model, model) == 0;
        ak_collection_clear(&c);
    }
    return n;
}

ak_status ak_promote(ak_job *job, const char *model, const json_t *collections, ak_error *err)
{
    ak_server *server = ak_job_server(job);
    const char **names = NULL;
    size_t n = 0;
    bool turn = take_turn(server, ak_job_stop(job));
    ak_status status = turn ? standing(&names, &n, server, collections, err)
                            : ak_fail(err, AK_SHUTTING_DOWN, "the promotion was stopped");
    const ak_reembed what = {.model = model,
                             .collections = names,
                             .n = n,
                             .promote = true,
                             .progress = on_progress,
                             .arg = job,
                             .stop = ak_job_stop(job)};
    if (status == AK_OK)
        status = ak_reembed_run(server, &what, err);
    if (status == AK_OK && served(server, collections, model) == 0)
        status = ak_fail(err, AK_CONFLICT,
                         "model %s serves none of the collections: they have been deleted, or the "
                         "change was called off",
                         model);
    if (status != AK_OK && (status != AK_SHUTTING_DOWN || ak_job_cancelled(job)))
        call_off(job, model);
    free(names);
    if (turn)
        pthread_mutex_unlock(&server->promoting);
    return status;
}

// --- the job -----------------------------------------------------------------------------------

// The run that a model came from says what became of it.
static void tell_run(ak_server *server, const json_t *lineage)
{
    ak_job_record record = {0};
    const char *id = json_string_value(json_object_get(lineage, "run"));
    if (!id || ak_store_job(&record, server->store, id, NULL) != AK_OK)
        return;
    json_t *result = json_loads(record.result, 0, NULL);
    json_object_set_new(result, "decision", json_string("promoted"));
    char *text = json_dumps(result, JSON_COMPACT);
    if (text && record.ended_at != AK_TIME_NONE) {
        free(record.result);
        record.result = text;
        record.event++;
        ak_store_job_set(server->store, &record, NULL);
        text = NULL;
    }
    free(text);
    json_decref(result);
    ak_job_record_clear(&record);
}

static ak_status run_promotion(ak_job *job, ak_error *err)
{
    ak_server *server = ak_job_server(job);
    json_t *request = ak_job_request(job);
    const char *model = json_string_value(json_object_get(request, "model"));
    ak_model_record record = {0};
    ak_status status = model ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a promotion");
    if (status == AK_OK)
        status = ak_promote(job, model, json_object_get(request, "collections"), err);
    if (status == AK_OK && ak_store_model(&record, server->store, model, NULL) == AK_OK) {
        json_t *lineage = json_loads(record.lineage, 0, NULL);
        tell_run(server, lineage);
        json_decref(lineage);
    }
    ak_model_record_clear(&record);
    json_decref(request);
    return status;
}

const ak_job_kind ak_job_promotion = {"promotion", false, run_promotion};

// --- over HTTP ---------------------------------------------------------------------------------

static bool has_name(const json_t *names, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)names, i,
                       item) if (json_is_string(item) &&
                                 strcmp(json_string_value(item), name) == 0) return true;
    return false;
}

// Those that are asked for; else those of the run that the model came from; else all.
static ak_status choose(json_t *names, ak_server *server, const json_t *asked,
                        const json_t *lineage, ak_error *err)
{
    ak_refine_facts *facts = NULL;
    size_t n = 0, i;
    json_t *item;
    const json_t *wanted = asked ? asked : json_object_get(lineage, "collections");
    ak_status status = ak_store_refine_facts(&facts, &n, server->store, err);
    for (i = 0; status == AK_OK && i < n; i++)
        if (!wanted || has_name(wanted, facts[i].name))
            json_array_append_new(names, json_string(facts[i].name));
    json_array_foreach((json_t *)(uintptr_t)asked, i,
                       item) if (status == AK_OK && !has_name(names, json_string_value(item)))
        status = ak_fail(err, AK_UNKNOWN_COLLECTION, "there is no collection \"%.80s\"",
                         json_string_value(item));
    if (status == AK_OK && json_array_size(names) == 0)
        status = ak_fail(err, AK_CONFLICT, "there is no collection that the model could serve");
    free(facts);
    return status;
}

static json_t *read_names(ak_request *r, const json_t *body)
{
    json_t *list = json_object_get(body, "collections"), *item;
    size_t i;
    if (!list || json_is_null(list))
        return NULL;
    bool good = json_is_array(list) && json_array_size(list) > 0;
    json_array_foreach(list, i, item) good = good && json_is_string(item);
    if (!good)
        ak_fault(r, "", "collections", "this must be an array of names");
    return good ? list : NULL;
}

void ak_handle_model_promote(ak_request *r)
{
    ak_error err = {0};
    ak_model_record model = {0};
    ak_job_key key;
    bool force = false, keyed = false;
    json_t *body = ak_json_read(r, r->body, &err), *asked = NULL, *lineage = NULL, *job = NULL;
    json_t *names = json_array(), *request = NULL, *result = json_object();
    if (!body)
        goto failed;
    if (ak_json_members(r, "", body, "force collections", "")) {
        ak_json_bool(&force, r, "", body, "force");
        asked = read_names(r, body);
    }
    if (ak_json_sound(r, &err) != AK_OK || ak_job_key_read(&key, &keyed, r, &err) != AK_OK ||
        ak_store_model(&model, r->server->store, r->params[0], &err) != AK_OK)
        goto failed;
    if (model.state == AK_MODEL_REFUSED && !force) {
        ak_fail(&err, AK_CONFLICT,
                "the gate refused model %s; {\"force\": true} promotes it all the same", model.id);
        goto failed;
    }
    lineage = json_loads(model.lineage, 0, NULL);
    if (choose(names, r->server, asked, lineage, &err) != AK_OK)
        goto failed;
    request = json_pack("{s:s, s:O, s:b}", "model", model.id, "collections", names, "force", force);
    if (ak_jobs_add(&job, r->server->jobs, &ak_job_promotion, request, result, keyed ? &key : NULL,
                    &err) != AK_OK)
        goto failed;
    ak_job_accepted(r, "/v1/jobs", job);
    goto done;
failed:
    ak_request_fail(r, &err);
done:
    ak_model_record_clear(&model);
    json_decref(body);
    json_decref(lineage);
    json_decref(names);
    json_decref(request);
    json_decref(result);
}
