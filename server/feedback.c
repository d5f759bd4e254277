// What people say of two images: learned from in training runs, and gone with either image.
#include "index/jobs.h"
#include "server/daemon.h"
#include "server/handlers.h"
#include "server/json.h"

#include <string.h>

void ak_handle_feedback(ak_request *r)
{
    ak_error err = {0};
    const char *query = NULL, *result = NULL, *verdict = NULL;
    json_t *body = ak_json_read(r, r->body, &err);
    if (!body)
        goto failed;
    if (ak_json_members(r, "", body, "query result verdict", "")) {
        if (!ak_json_text(&query, r, "", body, "query", AK_ID_MAX))
            ak_fault(r, "", "query", "this must be the id of an image");
        if (!ak_json_text(&result, r, "", body, "result", AK_ID_MAX))
            ak_fault(r, "", "result", "this must be the id of an image");
        if (!ak_json_text(&verdict, r, "", body, "verdict", 16) ||
            (strcmp(verdict, "similar") != 0 && strcmp(verdict, "different") != 0))
            ak_fault(r, "", "verdict", "this must be \"similar\" or \"different\"");
    }
    if (ak_json_sound(r, &err) != AK_OK ||
        ak_store_feedback(r->server->store, r->params[0], query, result,
                          strcmp(verdict, "similar") == 0, &err) != AK_OK)
        goto failed;
    ak_respond_json(r, 200, json_incref(body));
    json_decref(body);
    ak_request_finish(r);
    return;
failed:
    json_decref(body);
    ak_request_fail(r, &err);
}
