// Training runs over HTTP.
#include "server/condition.h"
#include "server/daemon.h"
#include "server/handlers.h"
#include "server/jobs_api.h"
#include "server/json.h"
#include "server/training.h"

#include "core/refine/rundir.h"

#include <string.h>

#define FOLDER   "/v1/admin/training-runs"
#define MEMBERS  "collections recipe budget_s promote seed"
#define BUDGET_S 604800 // at most: a week

static size_t read_names(const char **names, ak_request *r, const json_t *body)
{
    json_t *list = json_object_get(body, "collections"), *item;
    size_t i, n = json_array_size(list);
    if (!list || json_is_null(list))
        return 0;
    if (!json_is_array(list) || n == 0 || n > AK_RUN_COLLECTIONS_MAX) {
        ak_fault(r, "", "collections", "this must be an array of 1 to %d names",
                 AK_RUN_COLLECTIONS_MAX);
        return 0;
    }
    json_array_foreach(list, i, item)
    {
        names[i] = json_string_value(item);
        if (!names[i])
            ak_fault(r, "/collections", NULL, "number %zu is no text", i + 1);
        for (size_t k = 0; names[i] && k < i; k++)
            if (names[k] && strcmp(names[k], names[i]) == 0)
                ak_fault(r, "/collections", NULL, "\"%.64s\" is named twice", names[i]);
    }
    return n;
}

static void read_body(ak_training_request *asked, const char **names, ak_request *r,
                      const json_t *body)
{
    if (!ak_json_members(r, "", body, MEMBERS, ""))
        return;
    asked->collections = names;
    asked->n = read_names(names, r, body);
    ak_json_text(&asked->recipe, r, "", body, "recipe", AK_NAME_MAX);
    ak_json_real(&asked->budget_s, r, "", body, "budget_s", 1, BUDGET_S);
    ak_json_whole(&asked->seed, r, "", body, "seed", 0, INT64_C(1) << 53);
    if (ak_json_text(&asked->promote, r, "", body, "promote", 16) &&
        strcmp(asked->promote, "auto") != 0 && strcmp(asked->promote, "ask") != 0)
        ak_fault(r, "", "promote", "\"%s\" is neither \"auto\" nor \"ask\"", asked->promote);
}

void ak_handle_training_post(ak_request *r)
{
    ak_error err = {0};
    const char *names[AK_RUN_COLLECTIONS_MAX] = {0};
    ak_training_request asked = {.seed = -1, .trigger = "hand"};
    ak_job_key key;
    bool keyed = false;
    json_t *job = NULL, *body = ak_json_read(r, r->body, &err);
    if (!body)
        goto failed;
    read_body(&asked, names, r, body);
    if (ak_json_sound(r, &err) != AK_OK || ak_job_key_read(&key, &keyed, r, &err) != AK_OK ||
        ak_training_begin(&job, r->server, &asked, keyed ? &key : NULL, &err) != AK_OK)
        goto failed;
    json_decref(body);
    ak_job_accepted(r, FOLDER, job);
    return;
failed:
    json_decref(body);
    ak_request_fail(r, &err);
}

void ak_handle_training_runs(ak_request *r)
{
    ak_jobs_answer_list(r, &ak_job_training);
}

void ak_handle_training_get(ak_request *r)
{
    ak_jobs_answer_one(r, &ak_job_training, true);
}

void ak_handle_training_cancel(ak_request *r)
{
    ak_jobs_answer_cancel(r, &ak_job_training);
}
