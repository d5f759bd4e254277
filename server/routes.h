// The table of routes, and how a request finds its own.
#ifndef AK_SERVER_ROUTES_H
#define AK_SERVER_ROUTES_H

#include "server/request.h"

typedef enum { AK_SCOPE_FREE, AK_SCOPE_READ, AK_SCOPE_WRITE, AK_SCOPE_ADMIN } ak_scope;

typedef enum {
    AK_BODY_NONE,
    AK_BODY_JSON,
    AK_BODY_PICTURE, // raw or multipart
    AK_BODY_QUERY,   // raw, multipart or JSON
    AK_BODY_MODEL,   // raw
} ak_body;

struct ak_route {
    const char *method, *path; // "{c}" stands for one segment, "{c}:verb" for one that ends so
    ak_scope scope;
    ak_body body;
    bool at_once;      // on the network thread: touches memory alone
    const char *query; // parameters that it takes, space-separated
    void (*handle)(ak_request *r);
};

// The transport's two questions (ak_http_handler).
bool ak_routes_head(ak_request *r);
bool ak_routes_complete(ak_request *r);

#endif
