// The transport: sockets to requests and back. The only part that knows libmicrohttpd.
#ifndef AK_SERVER_HTTP_H
#define AK_SERVER_HTTP_H

#include "server/request.h"

typedef struct ak_http ak_http;

// What the transport asks of the server; called on network threads, must not wait or touch a disk.
typedef struct {
    // The headers are there. Sets r->body_limit and returns true, or answers and returns false.
    bool (*head)(ak_request *r);
    // The body is there. True: handed on, ak_request_finish follows from any thread, perhaps
    // before this returns. False: answered.
    bool (*complete)(ak_request *r);
    ak_server *server; // for r->server
} ak_http_handler;

// Listens on options->listen. handler is copied.
ak_status ak_http_start(ak_http **out, const ak_server_options *options,
                        const ak_http_handler *handler, ak_error *err);
int ak_http_port(const ak_http *http);
bool ak_http_loopback(const char *listen); // whether the address is one that only this machine has

// Stops listening, answers what is in flight (at most stop_s seconds), closes. NULL is fine.
void ak_http_stop(ak_http *http);

#endif
