// libmicrohttpd's side of the server: epoll and a pool of threads that never wait.
//
// An exchange is born when the request line is read (on_uri) and dies in on_completed, always on
// its connection's network thread. In between it may be a worker's: then the connection is
// suspended, and ak_request_finish resumes it. The body belongs to the exchange; its bytes are
// booked in http->body_bytes before they are read. Memory for headers is the connection's pool.
#include "server/http.h"

#include "core/base/clock.h"
#include "core/base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A refused body this short is read and dropped, so that the answer is not lost to a reset.
#define DRAIN_MAX ((uint64_t)65536)

#define STREAM_BLOCK 4096 // bytes of a stream that are asked for at once

struct ak_http {
    struct MHD_Daemon *daemon;
    const ak_server_options *options;
    ak_http_handler handler;
    atomic_size_t body_bytes; // booked, all exchanges
    atomic_size_t active;     // exchanges between on_uri and on_completed
    atomic_size_t suspended;  // those that are a worker's
    atomic_bool stopping;
};

typedef enum { HEAD, BODY, DRAIN, WORK, ANSWER } stage;

typedef struct {
    ak_request request; // first: finish() gets it
    ak_http *http;
    struct MHD_Connection *connection;
    stage stage;
    ak_error fault; // of the target; OK when it was read
    ak_buf body;
    size_t target_n, booked, body_limit, drained;
    bool counted; // the body's length is not known beforehand
    double body_since_s;
} exchange;

// --- the budget of body bytes ------------------------------------------------------------------

static bool book(exchange *x, size_t bytes)
{
    size_t had = atomic_fetch_add(&x->http->body_bytes, bytes);
    if (bytes > x->http->options->body_bytes_in_flight ||
        had > x->http->options->body_bytes_in_flight - bytes) {
        atomic_fetch_sub(&x->http->body_bytes, bytes);
        return false;
    }
    x->booked += bytes;
    return true;
}

static void drop_body(exchange *x)
{
    ak_buf_clear(&x->body);
    x->request.body = (ak_bytes){0};
    atomic_fetch_sub(&x->http->body_bytes, x->booked);
    x->booked = 0;
}

// --- answering ---------------------------------------------------------------------------------

// Asked by the library for more of a stream. When there is nothing the connection is suspended
// within the call, under the lock, so that a wake in between is not lost.
static ssize_t on_stream(void *arg, uint64_t at, char *to, size_t n)
{
    (void)at;
    exchange *x = arg;
    ak_stream *stream = x->request.response.stream;
    for (;;) {
        pthread_mutex_lock(&stream->lock);
        stream->news = false;
        pthread_mutex_unlock(&stream->lock);
        ptrdiff_t got = stream->read(stream, to, n);
        if (got < 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (got > 0)
            return got;
        pthread_mutex_lock(&stream->lock);
        bool again = stream->news;
        if (!again) {
            stream->connection = x->connection;
            MHD_suspend_connection(x->connection);
        }
        pthread_mutex_unlock(&stream->lock);
        if (!again)
            return 0;
    }
}

void ak_stream_wake(ak_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->news = true;
    if (stream->connection)
        MHD_resume_connection(stream->connection);
    stream->connection = NULL;
    pthread_mutex_unlock(&stream->lock);
}

static enum MHD_Result answer(exchange *x)
{
    ak_response *a = &x->request.response;
    static char nothing[1];
    x->stage = ANSWER;
    struct MHD_Response *response =
        a->stream
            ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_stream, x, NULL)
            : MHD_create_response_from_buffer(a->n, a->body ? a->body : nothing,
                                              a->fixed || !a->body ? MHD_RESPMEM_PERSISTENT
                                                                   : MHD_RESPMEM_MUST_FREE);
    if (!response)
        return MHD_NO;
    a->body = NULL; // the response's now
    if (a->type)
        MHD_add_response_header(response, "Content-Type", a->type);
    MHD_add_response_header(response, "X-Request-Id", x->request.id);
    for (size_t i = 0; i < a->header_count; i++)
        MHD_add_response_header(response, a->headers[i].name, a->headers[i].value);
    if (atomic_load(&x->http->stopping))
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result queued =
        MHD_queue_response(x->connection, (unsigned)(a->http ? a->http : 500), response);
    MHD_destroy_response(response);
    return queued;
}

static void fail(exchange *x, ak_status status, const char *text)
{
    ak_error err = {.status = status};
    snprintf(err.text, sizeof err.text, "%s", text);
    ak_respond_error(&x->request, &err);
}

// The request line and the header block have statuses of their own in HTTP, not in the table.
static void fail_as(exchange *x, int http, const char *what, size_t bytes, uint64_t most)
{
    ak_error err = {0};
    ak_fail(&err, AK_TOO_LARGE, "%s has %zu bytes; at most %zu", what, bytes, (size_t)most);
    ak_respond_error_as(&x->request, &err, http);
}

static void finish(ak_request *r)
{
    exchange *x = (exchange *)r;
    drop_body(x); // the answer may take long to send
    x->stage = ANSWER;
    ak_http *http = x->http;
    MHD_resume_connection(x->connection); // x may be gone after this
    atomic_fetch_sub(&http->suspended, 1);
}

// --- reading -----------------------------------------------------------------------------------

typedef struct {
    size_t bytes;
    ak_headers *headers;
} header_walk;

static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    (void)kind;
    header_walk *walk = arg;
    ak_headers *h = walk->headers;
    const struct {
        const char *name, **to;
    } wanted[] = {
        {"Host", &h->host},
        {"Origin", &h->origin},
        {"Authorization", &h->authorization},
        {"Content-Type", &h->content_type},
        {"Accept", &h->accept},
        {"Accept-Encoding", &h->accept_encoding},
        {"If-Match", &h->if_match},
        {"If-None-Match", &h->if_none_match},
        {"Idempotency-Key", &h->idempotency_key},
        {"Last-Event-ID", &h->last_event_id},
        {"X-Request-Id", &h->request_id},
    };
    walk->bytes += strlen(name) + (value ? strlen(value) : 0) + 4; // ": " and the line's end
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (strcasecmp(name, wanted[i].name) == 0 && !*wanted[i].to)
            *wanted[i].to = value;
    return MHD_YES;
}

// Whether a body follows, and its length where that is known.
static bool body_follows(exchange *x, uint64_t *length, bool *known)
{
    struct MHD_Connection *c = x->connection;
    const char *text = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Length");
    *known = true;
    *length = text ? strtoull(text, NULL, 10) : 0;
    if (MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Transfer-Encoding")) {
        *known = false;
        return true;
    }
    return *length > 0;
}

// Checks what is the transport's business, then asks the server. False: answered.
static bool accept_head(exchange *x, uint64_t length, bool follows, bool known)
{
    ak_request *r = &x->request;
    const ak_server_options *o = x->http->options;
    char text[160];
    header_walk walk = {.headers = &r->headers};
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, on_header, &walk);
    ak_request_name(r);
    if (x->target_n > o->request_line_bytes) {
        fail_as(x, 414, "the address", x->target_n, o->request_line_bytes);
        return false;
    }
    if (walk.bytes > o->header_bytes) {
        fail_as(x, 431, "the header block", walk.bytes, o->header_bytes);
        return false;
    }
    if (x->fault.status != AK_OK) {
        ak_respond_error(r, &x->fault);
        return false;
    }
    if (atomic_load(&x->http->stopping)) {
        fail(x, AK_SHUTTING_DOWN, "the server is stopping; try again when it is back");
        return false;
    }
    if (!x->http->handler.head(r))
        return false;
    x->body_limit = r->body_limit;
    if (follows && known && length > x->body_limit) {
        if (x->body_limit)
            snprintf(text, sizeof text, "the body has %llu bytes; at most %zu",
                     (unsigned long long)length, x->body_limit);
        else
            snprintf(text, sizeof text, "%s takes no body here; send none", r->method);
        fail(x, AK_TOO_LARGE, text);
        return false;
    }
    if (follows && known && !book(x, (size_t)length)) {
        snprintf(text, sizeof text, "bodies of %zu bytes are being read, at most %zu; try again",
                 atomic_load(&x->http->body_bytes), (size_t)o->body_bytes_in_flight);
        fail(x, AK_OVERLOADED, text);
        return false;
    }
    if (follows && known && !ak_buf_reserve(&x->body, (size_t)length)) {
        fail(x, AK_OVERLOADED, "there is no memory for the body now; try again");
        return false;
    }
    return true;
}

static enum MHD_Result on_head(exchange *x, const char *method)
{
    uint64_t length;
    bool known, follows = body_follows(x, &length, &known);
    x->request.method = method;
    x->request.server = x->http->handler.server;
    x->request.finish = finish;
    x->counted = !known;
    x->body_since_s = ak_clock_s();
    if (accept_head(x, length, follows, known)) {
        x->stage = BODY;
        return MHD_YES;
    }
    drop_body(x);
    if (known && length <= DRAIN_MAX) {
        x->stage = DRAIN;
        return MHD_YES;
    }
    return answer(x); // before the body is read; the connection is closed after it
}

static enum MHD_Result on_body(exchange *x, const char *at, size_t n)
{
    const ak_server_options *o = x->http->options;
    double waited = ak_clock_s() - x->body_since_s - (double)o->body_grace_s;
    if (waited > 0 && (double)(x->body.n + n) < waited * (double)o->body_rate) {
        ak_log(AK_LOG_INFO, "request %s: the body came slower than %zu bytes/s", x->request.id,
               (size_t)o->body_rate);
        return MHD_NO; // an answer cannot be queued in the middle of a body
    }
    if (x->counted && x->body.n + n > x->body_limit) {
        fail(x, AK_TOO_LARGE, "the body is longer than what is read here");
    } else if (x->counted && !book(x, n)) {
        fail(x, AK_OVERLOADED, "too many bytes of bodies are being read; try again");
    } else if (!ak_buf_append(&x->body, at, n)) {
        fail(x, AK_OVERLOADED, "there is no memory for the body now; try again");
    } else {
        return MHD_YES;
    }
    drop_body(x);
    x->stage = DRAIN;
    return MHD_YES;
}

static enum MHD_Result on_drain(exchange *x, size_t n)
{
    x->drained += n;
    return x->drained > 16 * DRAIN_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_complete(exchange *x)
{
    x->stage = WORK;
    x->request.body = ak_buf_bytes(&x->body);
    // Suspended first: a worker may finish before complete() returns.
    atomic_fetch_add(&x->http->suspended, 1);
    MHD_suspend_connection(x->connection);
    if (!x->http->handler.complete(&x->request))
        finish(&x->request);
    return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_n, void **state)
{
    (void)arg, (void)url, (void)version;
    exchange *x = *state;
    if (!x)
        return MHD_NO; // on_uri had no memory
    x->connection = connection;
    size_t n = *data_n;
    *data_n = 0;
    switch (x->stage) {
    case HEAD:
        *data_n = n;
        return on_head(x, method);
    case BODY:
        return n ? on_body(x, data, n) : on_complete(x);
    case DRAIN:
        if (n)
            return on_drain(x, n);
        return answer(x);
    case WORK:
        return MHD_YES;
    case ANSWER:
        return answer(x);
    }
    return MHD_NO;
}

static void *on_uri(void *arg, const char *target, struct MHD_Connection *connection)
{
    (void)connection;
    ak_http *http = arg;
    exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->http = http;
    atomic_fetch_add(&http->active, 1);
    x->target_n = strlen(target);
    ak_request_init(&x->request, target, &x->fault);
    return x;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)arg, (void)connection, (void)code;
    exchange *x = *state;
    if (!x)
        return;
    ak_http *http = x->http;
    *state = NULL;
    drop_body(x);
    ak_request_clear(&x->request);
    free(x);
    atomic_fetch_sub(&http->active, 1);
}

// Escapes are read in request.c, where %00 and broken ones can be refused.
static size_t leave_escaped(void *arg, struct MHD_Connection *connection, char *text)
{
    (void)arg, (void)connection;
    return strlen(text);
}

static void on_log(void *arg, const char *format, va_list args)
{
    (void)arg;
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    ak_log(AK_LOG_DEBUG, "http: %s", text);
}

// --- listening ---------------------------------------------------------------------------------

// "127.0.0.1:8470", "[::1]:0", "localhost:80".
static ak_status resolve(struct addrinfo **out, const char *listen, ak_error *err)
{
    char host[256];
    const char *colon = strrchr(listen, ':');
    size_t n = colon ? (size_t)(colon - listen) : 0;
    bool bracketed = n >= 2 && listen[0] == '[' && listen[n - 1] == ']';
    if (!colon || !colon[1] || n == 0 || n >= sizeof host)
        return ak_fail(err, AK_BAD_VALUE, "the listen address is \"%.128s\"; it takes address:port",
                       listen);
    snprintf(host, sizeof host, "%.*s", (int)(bracketed ? n - 2 : n), listen + bracketed);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int failed = getaddrinfo(host, colon + 1, &hints, out);
    if (failed)
        return ak_fail(err, AK_BAD_VALUE, "the listen address \"%.128s\": %s", listen,
                       gai_strerror(failed));
    return AK_OK;
}

bool ak_http_loopback(const char *listen)
{
    struct addrinfo *found = NULL;
    if (resolve(&found, listen, NULL) != AK_OK)
        return false;
    bool loopback = false;
    if (found->ai_family == AF_INET)
        loopback = ntohl(((struct sockaddr_in *)found->ai_addr)->sin_addr.s_addr) >> 24 == 127;
    else if (found->ai_family == AF_INET6)
        loopback = IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)found->ai_addr)->sin6_addr);
    freeaddrinfo(found);
    return loopback;
}

ak_status ak_http_start(ak_http **out, const ak_server_options *options,
                        const ak_http_handler *handler, ak_error *err)
{
    *out = NULL;
    struct addrinfo *at = NULL;
    if (resolve(&at, options->listen, err) != AK_OK)
        return err->status;
    ak_http *http = calloc(1, sizeof *http);
    if (!http) {
        freeaddrinfo(at);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the server");
    }
    http->options = options;
    http->handler = *handler;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG | (at->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    size_t pool = options->header_bytes + options->request_line_bytes + 8192;
    errno = 0;
    http->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_log,
                         NULL, MHD_OPTION_SOCK_ADDR, at->ai_addr, MHD_OPTION_THREAD_POOL_SIZE,
                         (unsigned)options->network_threads, MHD_OPTION_CONNECTION_LIMIT,
                         (unsigned)options->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                         (unsigned)options->connections_per_address, MHD_OPTION_CONNECTION_TIMEOUT,
                         (unsigned)options->idle_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, pool,
                         MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK, on_uri, http,
                         MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
                         MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    freeaddrinfo(at);
    if (!http->daemon) {
        ak_fail_errno(err, errno ? errno : EIO, "cannot listen on %.128s", options->listen);
        free(http);
        return err->status;
    }
    *out = http;
    return AK_OK;
}

int ak_http_port(const ak_http *http)
{
    return MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

void ak_http_stop(ak_http *http)
{
    if (!http)
        return;
    atomic_store(&http->stopping, true);
    MHD_socket listener = MHD_quiesce_daemon(http->daemon);
    double until = ak_clock_s() + (double)http->options->stop_s;
    // A daemon may not be stopped while connections are suspended; workers always finish theirs.
    while (atomic_load(&http->suspended) > 0 ||
           (atomic_load(&http->active) > 0 && ak_clock_s() < until))
        usleep(10000);
    MHD_stop_daemon(http->daemon);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    free(http);
}
