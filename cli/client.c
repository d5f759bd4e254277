// libcurl is used here and nowhere else.
#include "cli/client.h"

#include "core/base/clock.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ANSWER_MAX       ((size_t)64 << 20)
#define CONNECT_S        5L
#define SILENCE_S        120L // without a byte either way, then the server is taken for dead
#define TRIES            11
#define WAIT_FIRST_S     0.2
#define WAIT_MOST_S      5.0
#define RETRY_AFTER_MOST 30L

struct ak_client {
    CURL *curl;
    char *server;
    char *authorization; // a whole header line, or NULL
    char fault[CURL_ERROR_SIZE];
    ak_bytes unsent; // of the call's body
    ak_bytes body;
    ak_reply *reply; // of the call under way
    const ak_call *call;
};

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take(char *at, size_t size, size_t n, void *arg)
{
    ak_client *client = arg;
    ak_buf *body = &client->reply->body;
    long http = 0;
    if (client->call->hear && curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &http) == 0 &&
        http / 100 == 2)
        return client->call->hear(client->call->arg, (ak_bytes){(const uint8_t *)at, size * n})
                   ? size * n
                   : 0;
    if (n > ANSWER_MAX - body->n || !ak_buf_append(body, at, size * n))
        return 0; // curl then gives up with CURLE_WRITE_ERROR
    return n;
}

static size_t give(char *to, size_t size, size_t n, void *arg)
{
    ak_client *client = arg;
    size_t put = size * n < client->unsent.n ? size * n : client->unsent.n;
    if (put)
        memcpy(to, client->unsent.at, put);
    client->unsent.at += put;
    client->unsent.n -= put;
    return put;
}

// curl begins the body anew when a kept connection turned out to be closed.
static int rewind_body(void *arg, curl_off_t offset, int origin)
{
    ak_client *client = arg;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > client->body.n)
        return CURL_SEEKFUNC_FAIL;
    client->unsent = (ak_bytes){client->body.at + (size_t)offset, client->body.n - (size_t)offset};
    return CURL_SEEKFUNC_OK;
}

static bool is_loopback(const char *server)
{
    const char *host = strstr(server, "://");
    host = host ? host + 3 : server;
    return !strncmp(host, "127.", 4) || !strncmp(host, "[::1]", 5) ||
           !strncasecmp(host, "localhost", 9);
}

ak_status ak_client_new(ak_client **out, const char *server, ak_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    *out = NULL;
    size_t n = strlen(server);
    while (n && server[n - 1] == '/')
        n--;
    if (strncmp(server, "http://", 7) && strncmp(server, "https://", 8))
        return ak_fail(err, AK_BAD_VALUE,
                       "the server's address is \"%s\"; it must begin with http:// or https://",
                       server);
    ak_client *client = calloc(1, sizeof *client);
    if (!client || !(client->server = ak_strndup(server, n)) || !(client->curl = curl_easy_init()))
        goto out_of_memory;
    const char *key = getenv("AKIN_KEY");
    if (key && *key && asprintf(&client->authorization, "Authorization: Bearer %s", key) < 0) {
        client->authorization = NULL;
        goto out_of_memory;
    }
    CURL *curl = client->curl;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "akin");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->fault);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(curl, CURLOPT_READDATA, client);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, rewind_body);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, client);
    if (is_loopback(server)) // a proxy of the environment would look on its own loopback
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
    *out = client;
    return AK_OK;
out_of_memory:
    ak_client_free(client);
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a connection");
}

void ak_client_free(ak_client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    free(client->authorization);
    free(client->server);
    free(client);
}

void ak_reply_clear(ak_reply *reply)
{
    ak_buf_clear(&reply->body);
}

static ak_status status_of_code(const char *code, long http)
{
    for (int s = 1; s < AK_STATUS_COUNT; s++)
        if (code && strcmp(code, ak_status_code((ak_status)s)) == 0)
            return (ak_status)s;
    for (int s = 1; s < AK_STATUS_COUNT; s++)
        if (ak_status_http((ak_status)s) == http)
            return (ak_status)s;
    return http == 429 ? AK_OVERLOADED : http < 500 ? AK_BAD_REQUEST : AK_INTERNAL;
}

// The answer's problem+json as an error; what libmicrohttpd refuses by itself has another body.
static ak_status fail_by_problem(const ak_reply *reply, ak_error *err)
{
    json_t *problem = json_loadb((const char *)reply->body.at, reply->body.n, 0, NULL);
    const char *code = NULL, *detail = NULL, *pointer = NULL, *fault = NULL;
    json_unpack(problem, "{s?s, s?s, s?[{s?s, s?s}]}", "code", &code, "detail", &detail, "errors",
                "pointer", &pointer, "detail", &fault);
    ak_status status = status_of_code(code, reply->http);
    if (detail && fault)
        ak_fail(err, status, "%s (%s: %s)", detail, pointer ? pointer : "", fault);
    else if (detail)
        ak_fail(err, status, "%s", detail);
    else
        ak_fail(err, status, "the server answered %ld without saying why", reply->http);
    json_decref(problem);
    return status;
}

static struct curl_slist *headers_of(const ak_client *client, const ak_call *call)
{
    char type[128];
    struct curl_slist *list = curl_slist_append(NULL, "Accept: application/json");
    if (client->authorization)
        list = curl_slist_append(list, client->authorization);
    if (call->content_type) {
        snprintf(type, sizeof type, "Content-Type: %s", call->content_type);
        list = curl_slist_append(list, type);
    }
    return list;
}

ak_status ak_client_call(ak_reply *reply, ak_client *client, const ak_call *call, ak_error *err)
{
    ak_status status = AK_OK;
    CURL *curl = client->curl;
    char *url = NULL;
    reply->http = 0;
    reply->body.n = 0;
    reply->tries = 1;
    struct curl_slist *headers = call->path ? headers_of(client, call) : NULL;
    if (!headers || asprintf(&url, "%s%s", client->server, call->path) < 0) {
        curl_slist_free_all(headers);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a request");
    }
    client->body = client->unsent = call->body;
    client->reply = reply;
    client->call = call;
    client->fault[0] = 0;
    bool has_body = call->content_type;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L); // undoes what the call before had set
    curl_easy_setopt(curl, CURLOPT_UPLOAD, has_body ? 1L : 0L);
    if (has_body)
        curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body.n);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);

    CURLcode code = curl_easy_perform(curl);
    // An answer may come before the body was sent whole, and the connection be closed then.
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply->http);
    if (code != CURLE_OK && (reply->http < 400 || code != CURLE_SEND_ERROR)) {
        reply->http = 0;
        status = ak_fail(err, AK_IO, "%s: %s%s", client->server,
                         client->fault[0] ? client->fault : curl_easy_strerror(code),
                         code == CURLE_COULDNT_CONNECT ? "; is `akin serve` running?" : "");
    } else if (!ak_buf_append(&reply->body, "", 1)) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an answer");
    } else {
        reply->body.n--;
        if (reply->http < 200 || reply->http > 299)
            status = fail_by_problem(reply, err);
    }
    client->reply = NULL;
    client->call = NULL;
    curl_slist_free_all(headers);
    free(url);
    return status;
}

static bool worth_another(const ak_reply *reply, ak_status status)
{
    return reply->http == 0 ? status == AK_IO
                            : reply->http == 503 || reply->http == 429 || reply->http == 408;
}

static void wait_for(double s, const ak_client_stop *stop)
{
    double until = ak_clock_s() + s;
    while (ak_clock_s() < until && !(stop && atomic_load(stop)))
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
}

ak_status ak_client_call_patiently(ak_reply *reply, ak_client *client, const ak_call *call,
                                   const ak_client_stop *stop, ak_error *err)
{
    double wait = WAIT_FIRST_S;
    for (int tries = 1;; tries++) {
        ak_status status = ak_client_call(reply, client, call, err);
        reply->tries = tries;
        if (status == AK_OK || !worth_another(reply, status) || (stop && atomic_load(stop)))
            return status;
        if (tries == TRIES) {
            ak_fail_within(err, "given up after %d tries", tries);
            return status;
        }
        curl_off_t asked = 0; // Retry-After, 0 when there was none
        curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &asked);
        if (reply->http && asked > 0 && asked <= RETRY_AFTER_MOST && (double)asked > wait)
            wait_for((double)asked, stop);
        else
            wait_for(wait, stop);
        wait = wait * 2 < WAIT_MOST_S ? wait * 2 : WAIT_MOST_S;
    }
}

char *ak_url_escape(const char *text)
{
    // curl's own function wants no handle, but its result curl_free: copied, so that no caller
    // needs curl.
    char *escaped = curl_easy_escape(NULL, text, 0);
    char *copy = escaped ? ak_strndup(escaped, strlen(escaped)) : NULL;
    curl_free(escaped);
    return copy;
}
