// Calls of Akin's REST API: one client is one keep-alive connection, used by one thread at a time.
//
// The key, if any, is taken from AKIN_KEY.
#ifndef AK_CLI_CLIENT_H
#define AK_CLI_CLIENT_H

#include "core/base/error.h"
#include "core/base/mem.h"

#include <stdatomic.h>

typedef struct ak_client ak_client;

// A client sees it within a tenth of a second when it waits before another try.
typedef atomic_bool ak_client_stop;

typedef struct {
    const char *method;       // "GET", "PUT", "POST"
    const char *path;         // from "/v1/" on, escaped, with the query
    const char *content_type; // NULL: no body
    ak_bytes body;
    // NULL, or gets the body of a 2xx as it comes; the reply then has none. False ends the call.
    bool (*hear)(void *arg, ak_bytes part);
    void *arg;
} ak_call;

// Zero-initialise, may be used for call after call, free with ak_reply_clear.
typedef struct {
    long http;   // status; 0 when the server was not reached or hung up
    ak_buf body; // with a zero behind its n bytes
    int tries;   // how often the call was sent
} ak_reply;

void ak_reply_clear(ak_reply *reply);

// server: "http://HOST:PORT", with or without a path in front of /v1.
ak_status ak_client_new(ak_client **out, const char *server, ak_error *err);
void ak_client_free(ak_client *client);

// Sends once. AK_OK for 2xx; else the status that the answer's problem names, with its detail as
// the text, and AK_IO when there was no answer. A path that is NULL, since there was no memory to
// write it, is AK_OUT_OF_MEMORY.
ak_status ak_client_call(ak_reply *reply, ak_client *client, const ak_call *call, ak_error *err);

// The same, again and again while the server is busy (503, 429) or away (it may be starting
// anew): waits of 0.2 s doubled up to 5 s, about half a minute in all. stop may be NULL.
ak_status ak_client_call_patiently(ak_reply *reply, ak_client *client, const ak_call *call,
                                   const ak_client_stop *stop, ak_error *err);

// text as a part of a path or query; the caller frees. NULL out of memory.
char *ak_url_escape(const char *text);

#endif
