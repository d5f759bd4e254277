// Whether the process lives, and whether it can do its work.
#include "server/daemon.h"
#include "server/handlers.h"

void ak_handle_livez(ak_request *r)
{
    ak_respond_json(r, 200, json_pack("{s:s}", "status", "alive"));
    ak_request_finish(r);
}

static bool add_check(json_t *checks, const char *name, ak_status status, const char *fine,
                      const ak_error *err)
{
    json_object_set_new(checks, name,
                        json_pack("{s:b, s:s}", "ok", status == AK_OK, "detail",
                                  status == AK_OK ? fine : err->text));
    return status == AK_OK;
}

void ak_handle_readyz(ak_request *r)
{
    ak_error err = {0};
    json_t *checks = json_object();
    bool ready = add_check(checks, "model", ak_encoders_ready(r->server->encoders, &err),
                           ak_encoders_base(r->server->encoders), &err);
    ready &=
        add_check(checks, "store", ak_store_writable(r->server->store, &err), "takes writes", &err);
    if (!ready)
        ak_respond_header(r, "Retry-After", "1");
    ak_respond_json(
        r, ready ? 200 : 503,
        json_pack("{s:s, s:o}", "status", ready ? "ready" : "not ready", "checks", checks));
    ak_request_finish(r);
}
