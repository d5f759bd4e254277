// A request on its way through the server, and the answer it will get.
//
// One thread has a request at a time: the network thread that reads it, then a worker, then
// whoever finishes the work that a handler started, at last the network thread again. A handler
// fills `response` and calls ak_request_finish exactly once; after that the request is gone.
#ifndef AK_SERVER_REQUEST_H
#define AK_SERVER_REQUEST_H

#include "core/base/error.h"
#include "core/base/mem.h"
#include "server/server.h"
#include "server/stream.h"
#include "server/work.h"

#include <jansson.h>

#define AK_QUERY_MAX      16
#define AK_SEGMENTS_MAX   8
#define AK_REQUEST_ID_MAX 64

typedef struct ak_route ak_route;

typedef struct {
    int http;         // status; 0: not answered yet
    const char *type; // of the body, static
    void *body;       // malloc'd, unless `fixed`
    size_t n;
    bool fixed;        // the body is static
    ak_stream *stream; // NULL: the body is all
    size_t header_count;
    struct {
        const char *name; // static
        char value[320];
    } headers[8];
} ak_response;

// Header values, borrowed from the connection for the life of the request; NULL: not sent.
typedef struct {
    const char *host, *origin, *authorization, *content_type, *accept, *accept_encoding;
    const char *if_match, *if_none_match, *request_id;
    const char *idempotency_key, *last_event_id;
} ak_headers;

typedef struct ak_request ak_request;
struct ak_request {
    ak_task task; // the workers' handle
    ak_server *server;
    const ak_route *route;
    const char *method;
    char *target; // owned; path and query point into it, decoded in place
    char *segments[AK_SEGMENTS_MAX];
    size_t segment_count;
    const char *params[2]; // {c} and {id} of the route's pattern
    struct {
        const char *name, *value;
    } query[AK_QUERY_MAX];
    size_t query_count;
    ak_headers headers;
    char id[AK_REQUEST_ID_MAX + 1];
    size_t body_limit; // bytes, by route and content type
    ak_bytes body;
    double started_s;
    json_t *faults; // [{pointer, detail}], NULL when there are none
    ak_response response;
    bool queued;                   // counted by the work queue
    void (*finish)(ak_request *r); // the transport's
};

// Takes the target apart. AK_BAD_REQUEST: an escape that is none, %00, text that is not UTF-8.
ak_status ak_request_init(ak_request *r, const char *target, ak_error *err);
void ak_request_clear(ak_request *r);

// The id that the client gave, when it is 1-64 printable characters, else a new one.
void ak_request_name(ak_request *r);

bool ak_request_is_json(const ak_request *r);       // by its Content-Type
bool ak_listed(const char *list, const char *name); // whether a space-separated list has the name
const char *ak_request_query(const ak_request *r, const char *name); // NULL: not given

// A whole number in the query; `standard` when it is not given. AK_BAD_VALUE outside least..most.
ak_status ak_request_number(int64_t *out, const ak_request *r, const char *name, int64_t standard,
                            int64_t least, int64_t most, ak_error *err);

// --- answering ---------------------------------------------------------------------------------

void ak_respond_header(ak_request *r, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void ak_respond_json(ak_request *r, int http, json_t *json); // takes the reference; NULL: 500
void ak_respond_bytes(ak_request *r, int http, const char *type, ak_buf *bytes); // takes the bytes
void ak_respond_fixed(ak_request *r, int http, const char *type, ak_bytes bytes);
void ak_respond_empty(ak_request *r, int http);
void ak_respond_stream(ak_request *r, const char *type, ak_stream *stream); // 200; takes it

// problem+json of the error, with the faults that were collected.
void ak_respond_error(ak_request *r, const ak_error *err);
void ak_respond_error_as(ak_request *r, const ak_error *err, int http); // with another status
json_t *ak_problem(const ak_request *r, const ak_error *err);           // the object alone

void ak_request_finish(ak_request *r);                    // sends what was answered
void ak_request_fail(ak_request *r, const ak_error *err); // answers with the error and finishes

#endif
