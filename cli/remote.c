#include "cli/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ak_remote_default(void)
{
    const char *server = getenv("AKIN_SERVER");
    return server && *server ? server : "http://127.0.0.1:8470";
}

char *ak_remote_path(const char *before, const char *name, const char *after)
{
    char *path = NULL, *escaped = ak_url_escape(name);
    if (escaped && asprintf(&path, "%s%s%s", before, escaped, after) < 0)
        path = NULL;
    free(escaped);
    return path;
}

static ak_status no_memory(ak_error *err)
{
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a request");
}

ak_status ak_remote_answer(json_t **answer, ak_client *client, const ak_call *call, ak_error *err)
{
    ak_reply reply = {0};
    *answer = NULL;
    ak_status status = ak_client_call(&reply, client, call, err);
    if (status == AK_OK &&
        !(*answer = json_loadb((const char *)reply.body.at, reply.body.n, 0, NULL)))
        status = ak_fail(err, AK_BAD_JSON, "the server's answer to %s %s is no JSON", call->method,
                         call->path);
    ak_reply_clear(&reply);
    return status;
}

ak_status ak_remote_json(json_t **answer, ak_client *client, const char *method, const char *path,
                         const json_t *body, ak_error *err)
{
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    *answer = NULL;
    if (body && !text)
        return no_memory(err);
    const ak_call call = {.method = method,
                          .path = path,
                          .content_type = body ? "application/json" : NULL,
                          .body = {(const uint8_t *)text, text ? strlen(text) : 0}};
    ak_status status = ak_remote_answer(answer, client, &call, err);
    free(text);
    return status;
}

const char *ak_remote_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

ak_status ak_remote_collection(ak_client *client, const char *collection, ak_error *err)
{
    ak_reply reply = {0};
    char *path = ak_remote_path(AK_REMOTE_COLLECTIONS, collection, "");
    ak_status status =
        ak_client_call(&reply, client, &(ak_call){.method = "GET", .path = path}, err);
    if (status == AK_OVERLOADED || status == AK_SHUTTING_DOWN)
        status = ak_client_call_patiently(&reply, client, &(ak_call){.method = "GET", .path = path},
                                          NULL, err);
    if (status == AK_UNKNOWN_COLLECTION) {
        const ak_call put = {.method = "PUT",
                             .path = path,
                             .content_type = "application/json",
                             .body = {(const uint8_t *)"{}", 2}};
        status = ak_client_call_patiently(&reply, client, &put, NULL, err);
    }
    ak_reply_clear(&reply);
    free(path);
    return status;
}

static ak_status read_found(const ak_reply *reply,
                            void (*found)(void *arg, const ak_sha256 *sum, const char *id),
                            void *arg, ak_error *err)
{
    json_t *answer = json_loadb((const char *)reply->body.at, reply->body.n, 0, NULL);
    json_t *items = json_object_get(answer, "items"), *item, *id;
    size_t i, j;
    ak_status status = AK_OK;
    if (!json_is_array(items))
        status = ak_fail(err, AK_BAD_JSON, "the answer of images:check has no items");
    json_array_foreach(items, i, item)
    {
        ak_sha256 sum;
        json_t *digits = json_object_get(item, "sha256");
        if (!json_is_string(digits) ||
            !ak_sha256_parse(&sum, json_string_value(digits), json_string_length(digits))) {
            status = ak_fail(err, AK_BAD_JSON, "an item of images:check has no sha256");
            break;
        }
        json_array_foreach(json_object_get(item, "ids"), j, id) if (json_is_string(id))
            found(arg, &sum, json_string_value(id));
    }
    json_decref(answer);
    return status;
}

ak_status ak_remote_check(ak_client *client, const char *collection, const ak_sha256 *const *sums,
                          size_t n, void (*found)(void *arg, const ak_sha256 *sum, const char *id),
                          void *arg, ak_error *err)
{
    ak_reply reply = {0};
    ak_status status = AK_OK;
    char hex[AK_SHA256_HEX + 1], *body = NULL;
    char *path = ak_remote_path(AK_REMOTE_COLLECTIONS, collection, "/images:check");
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        ak_sha256_hex(hex, sums[i]);
        json_array_append_new(list, json_string(hex));
    }
    json_t *request = json_pack("{s:o}", "sha256", list);
    body = request ? json_dumps(request, JSON_COMPACT) : NULL;
    if (!body) {
        status = no_memory(err);
        goto done;
    }
    const ak_call call = {.method = "POST",
                          .path = path,
                          .content_type = "application/json",
                          .body = {(const uint8_t *)body, strlen(body)}};
    status = ak_client_call_patiently(&reply, client, &call, NULL, err);
    if (status == AK_OK)
        status = read_found(&reply, found, arg, err);
done:
    ak_reply_clear(&reply);
    json_decref(request);
    free(body);
    free(path);
    return status;
}
