// The table, and what is asked of every request before a handler sees it: who calls, which route,
// which parameters, what kind of body and how long. All on network threads, from memory alone.
#include "server/routes.h"

#include "server/daemon.h"
#include "server/handlers.h"
#include "server/multipart.h"

#include <string.h>

#define A "/v1/admin"
#define C "/v1/collections/{c}"
#define I C "/images/{id}"

static const ak_route routes[] = {
    {"GET", "/livez", AK_SCOPE_FREE, AK_BODY_NONE, true, "", ak_handle_livez},
    {"GET", "/readyz", AK_SCOPE_FREE, AK_BODY_NONE, false, "", ak_handle_readyz},
    {"GET", "/openapi.yaml", AK_SCOPE_READ, AK_BODY_NONE, true, "", ak_handle_openapi},
    {"GET", "/problems/{code}", AK_SCOPE_READ, AK_BODY_NONE, true, "", ak_handle_problem},
    {"GET", "/v1/collections", AK_SCOPE_READ, AK_BODY_NONE, false, "limit cursor",
     ak_handle_collections},
    {"PUT", C, AK_SCOPE_WRITE, AK_BODY_JSON, false, "", ak_handle_collection_put},
    {"GET", C, AK_SCOPE_READ, AK_BODY_NONE, false, "", ak_handle_collection_get},
    {"PATCH", C, AK_SCOPE_WRITE, AK_BODY_JSON, false, "", ak_handle_collection_patch},
    {"DELETE", C, AK_SCOPE_WRITE, AK_BODY_NONE, false, "", ak_handle_collection_delete},
    {"GET", C "/images", AK_SCOPE_READ, AK_BODY_NONE, false, "limit cursor order",
     ak_handle_images},
    {"POST", C "/images", AK_SCOPE_WRITE, AK_BODY_PICTURE, false, "id name", ak_handle_images_post},
    {"POST", C "/images:check", AK_SCOPE_READ, AK_BODY_JSON, false, "", ak_handle_images_check},
    {"PUT", I, AK_SCOPE_WRITE, AK_BODY_PICTURE, false, "name", ak_handle_image_put},
    {"GET", I, AK_SCOPE_READ, AK_BODY_NONE, false, "", ak_handle_image_get},
    {"PATCH", I, AK_SCOPE_WRITE, AK_BODY_JSON, false, "", ak_handle_image_patch},
    {"DELETE", I, AK_SCOPE_WRITE, AK_BODY_NONE, false, "", ak_handle_image_delete},
    {"GET", I "/thumbnail", AK_SCOPE_READ, AK_BODY_NONE, false, "size", ak_handle_image_thumbnail},
    {"GET", I "/vector", AK_SCOPE_READ, AK_BODY_NONE, false, "", ak_handle_image_vector},
    {"POST", C "/search", AK_SCOPE_READ, AK_BODY_QUERY, false, "limit", ak_handle_search},
    {"GET", A "/models", AK_SCOPE_ADMIN, AK_BODY_NONE, false, "limit cursor", ak_handle_models},
    {"POST", A "/models", AK_SCOPE_ADMIN, AK_BODY_MODEL, false, "", ak_handle_models_post},
    {"GET", A "/models/{m}", AK_SCOPE_ADMIN, AK_BODY_NONE, false, "", ak_handle_model_get},
    {"GET", A "/models/{m}/checkpoint", AK_SCOPE_ADMIN, AK_BODY_NONE, false, "",
     ak_handle_model_checkpoint},
    {"POST", A "/collections/{c}:rollback", AK_SCOPE_ADMIN, AK_BODY_NONE, false, "",
     ak_handle_collection_rollback},
    {"POST", C "/feedback", AK_SCOPE_WRITE, AK_BODY_JSON, false, "", ak_handle_feedback},
    {"GET", "/v1/jobs", AK_SCOPE_READ, AK_BODY_NONE, false, "limit cursor", ak_handle_jobs},
    {"GET", "/v1/jobs/{j}", AK_SCOPE_READ, AK_BODY_NONE, false, "", ak_handle_job_get},
    {"DELETE", "/v1/jobs/{j}", AK_SCOPE_ADMIN, AK_BODY_NONE, false, "", ak_handle_job_cancel},
    {"GET", "/v1/jobs/{j}/events", AK_SCOPE_READ, AK_BODY_NONE, false, "", ak_handle_job_events},
    {"GET", "/v1/jobs/{j}/report", AK_SCOPE_READ, AK_BODY_NONE, false, "", ak_handle_job_report},
    {"GET", A "/training-runs", AK_SCOPE_ADMIN, AK_BODY_NONE, false, "limit cursor",
     ak_handle_training_runs},
    {"POST", A "/training-runs", AK_SCOPE_ADMIN, AK_BODY_JSON, false, "", ak_handle_training_post},
    {"GET", A "/training-runs/{r}", AK_SCOPE_ADMIN, AK_BODY_NONE, false, "",
     ak_handle_training_get},
    {"DELETE", A "/training-runs/{r}", AK_SCOPE_ADMIN, AK_BODY_NONE, false, "",
     ak_handle_training_cancel},
    {"POST", A "/models/{m}:promote", AK_SCOPE_ADMIN, AK_BODY_JSON, false, "",
     ak_handle_model_promote},
};

enum { ROUTES = sizeof routes / sizeof *routes };

void ak_server_print_routes(FILE *out)
{
    for (int i = 0; i < ROUTES; i++)
        fprintf(out, "%s %s\n", routes[i].method, routes[i].path);
}

// "{m}:promote" fits "abc:promote": *cut is where the parameter ends, NULL at the segment's end.
static bool verb_fits(char **cut, char *segment, const char *part, size_t n)
{
    const char *end = memchr(part, '}', n), *verb = end + 1;
    size_t verb_n = n - (size_t)(verb - part), segment_n = strlen(segment);
    *cut = verb_n && segment_n > verb_n ? segment + segment_n - verb_n : NULL;
    return verb_n == 0 || (*cut && memcmp(*cut, verb, verb_n) == 0);
}

// Whether the request's path is the pattern's; fills params with what stands for {...}.
static bool path_fits(ak_request *r, const char *pattern)
{
    size_t used = 0, param = 0;
    char *cut = NULL;
    for (const char *at = pattern; *at; used++) {
        size_t n = strcspn(++at, "/");
        if (used == r->segment_count)
            return false;
        char *segment = r->segments[used];
        if (*at == '{' && verb_fits(&cut, segment, at, n))
            r->params[param++] = segment;
        else if (*at == '{')
            return false;
        else if (strlen(segment) != n || memcmp(segment, at, n) != 0)
            return false;
        at += n;
    }
    if (used != r->segment_count)
        return false;
    if (cut)
        *cut = 0;
    return true;
}

// Finds the route; when only the method is wrong, notes the methods that are offered.
static const ak_route *find(ak_request *r, char *allow, size_t allow_n)
{
    const char *method = strcmp(r->method, "HEAD") == 0 ? "GET" : r->method;
    size_t n = 0;
    allow[0] = 0;
    for (int i = 0; i < ROUTES; i++) {
        if (!path_fits(r, routes[i].path))
            continue;
        if (strcmp(routes[i].method, method) == 0)
            return &routes[i];
        n += (size_t)snprintf(allow + n, allow_n - n, "%s%s, ", routes[i].method,
                              strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
    }
    if (n)
        snprintf(allow + n, allow_n - n, "OPTIONS");
    return NULL;
}

static ak_status check_query(const ak_request *r, ak_error *err)
{
    for (size_t i = 0; i < r->query_count; i++)
        if (!ak_listed(r->route->query, r->query[i].name))
            return ak_fail(err, AK_BAD_REQUEST,
                           "there is no query parameter \"%.64s\" here; there are: %s",
                           r->query[i].name, *r->route->query ? r->route->query : "none");
    return AK_OK;
}

// A name that cannot be one names nothing; only the handlers that create something say why.
static ak_status check_names(const ak_request *r, ak_error *err)
{
    const char *collection = r->params[0], *id = r->params[1];
    bool put = strcmp(r->method, "PUT") == 0;
    if (strncmp(r->route->path, C, sizeof C - 1) != 0)
        return AK_OK;
    if ((!put || id) && !ak_name_valid(collection, strlen(collection)))
        return ak_fail(err, AK_UNKNOWN_COLLECTION, "there is no collection \"%.100s\"", collection);
    if (!put && id && !ak_id_valid(id, strlen(id)))
        return ak_fail(err, AK_UNKNOWN_IMAGE, "there is no image \"%.130s\"", id);
    return AK_OK;
}

// The content type decides how long a body may be.
static ak_status check_body(ak_request *r, ak_error *err)
{
    const ak_server_options *o = r->server->options;
    const char *type = r->headers.content_type;
    bool json = ak_request_is_json(r);
    r->body_limit = 0;
    switch (r->route->body) {
    case AK_BODY_NONE:
        return AK_OK;
    case AK_BODY_JSON:
        r->body_limit = o->json_bytes;
        if (!json)
            return ak_fail(err, AK_UNSUPPORTED_MEDIA,
                           "the Content-Type is \"%.64s\"; send application/json",
                           type ? type : "");
        return AK_OK;
    case AK_BODY_MODEL:
        r->body_limit = o->checkpoint_bytes;
        return AK_OK;
    case AK_BODY_PICTURE:
    case AK_BODY_QUERY:
        r->body_limit = ak_multipart_is(type) ? o->upload_bytes : o->upload_part_bytes;
        if (json && r->route->body == AK_BODY_QUERY)
            r->body_limit = o->json_bytes;
        else if (json)
            return ak_fail(err, AK_UNSUPPORTED_MEDIA,
                           "the Content-Type is \"%.64s\"; send a picture's bytes, or "
                           "multipart/form-data",
                           type);
        return AK_OK;
    }
    return ak_fail(err, AK_INTERNAL, "a route without a kind of body");
}

bool ak_routes_head(ak_request *r)
{
    ak_error err = {0};
    char allow[128];
    r->route = find(r, allow, sizeof allow);
    bool no_key = r->route && r->route->scope == AK_SCOPE_FREE;
    if (ak_keys_check(r->server->keys, r, no_key, &err) != AK_OK)
        goto refused;
    if (!r->route && !*allow) {
        ak_fail(&err, AK_UNKNOWN_ROUTE,
                "there is nothing at this path; /openapi.yaml says what is");
        goto refused;
    }
    if (!r->route && strcmp(r->method, "OPTIONS") == 0) {
        ak_respond_empty(r, 204);
        ak_respond_header(r, "Allow", "%s", allow);
        return false;
    }
    if (!r->route) {
        ak_fail(&err, AK_METHOD_NOT_ALLOWED, "%.16s is not offered here; there are: %s", r->method,
                allow);
        ak_respond_header(r, "Allow", "%s", allow);
        goto refused;
    }
    if (check_names(r, &err) != AK_OK || check_query(r, &err) != AK_OK ||
        check_body(r, &err) != AK_OK)
        goto refused;
    if (!r->route->at_once && !ak_work_has_room(r->server->work)) {
        ak_fail(&err, AK_OVERLOADED, "%zu requests are waiting, as many as may; try again",
                (size_t)r->server->options->work_queue);
        goto refused;
    }
    return true;
refused:
    ak_respond_error(r, &err);
    return false;
}

static void run_request(ak_task *task)
{
    ak_request *r = (ak_request *)task;
    if (r->route->body == AK_BODY_PICTURE || r->route->body == AK_BODY_QUERY)
        atomic_fetch_add(&r->server->pictures_asked, 1);
    r->route->handle(r);
}

bool ak_routes_complete(ak_request *r)
{
    if (r->route->at_once) {
        r->route->handle(r);
        return true;
    }
    r->task.run = run_request;
    r->queued = true;
    if (ak_work_request(r->server->work, &r->task))
        return true;
    r->queued = false;
    ak_error err = {0};
    ak_fail(&err, AK_OVERLOADED, "%zu requests are waiting, as many as may; try again",
            (size_t)r->server->options->work_queue);
    ak_respond_error(r, &err);
    return false;
}
