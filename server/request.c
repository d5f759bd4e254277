// A request's own parts: its address taken to pieces, its id, its answer. No locks: a request has
// one thread at a time. The decoded texts live in `target`, the answer's body in `response`.
#include "server/request.h"

#include "core/base/clock.h"
#include "server/daemon.h"
#include "server/gzip.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// In place; `plus`: '+' is a space. The text must come out as UTF-8 without a zero.
static ak_status decode(char *text, bool plus, ak_error *err)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (*at == '%') {
            int high = hex_digit(at[1]), low = high < 0 ? -1 : hex_digit(at[2]);
            if (low < 0)
                return ak_fail(err, AK_BAD_REQUEST, "the address has a %% without two digits");
            if (high == 0 && low == 0)
                return ak_fail(err, AK_BAD_REQUEST, "the address has a %%00; no text may hold it");
            *to++ = (char)(high << 4 | low);
            at += 2;
        } else {
            *to++ = plus && *at == '+' ? ' ' : *at;
        }
    }
    *to = 0;
    if (!ak_utf8_valid(text, (size_t)(to - text)))
        return ak_fail(err, AK_BAD_REQUEST, "the address is not UTF-8 when its escapes are read");
    return AK_OK;
}

static ak_status take_path(ak_request *r, char *path, ak_error *err)
{
    if (*path != '/')
        return ak_fail(err, AK_BAD_REQUEST, "the address must begin with a slash");
    r->segment_count = 0;
    for (char *at = path + 1, *next; at; at = next) {
        next = strchr(at, '/');
        if (next)
            *next++ = 0;
        if (r->segment_count == AK_SEGMENTS_MAX)
            return ak_fail(err, AK_UNKNOWN_ROUTE, "there is nothing at a path this deep");
        if (decode(at, false, err) != AK_OK)
            return err->status;
        r->segments[r->segment_count++] = at;
    }
    return AK_OK;
}

static ak_status take_query(ak_request *r, char *query, ak_error *err)
{
    for (char *at = query, *next; at && *at; at = next) {
        next = strchr(at, '&');
        if (next)
            *next++ = 0;
        char *value = strchr(at, '=');
        if (value)
            *value++ = 0;
        else
            value = at + strlen(at);
        if (decode(at, true, err) != AK_OK || decode(value, true, err) != AK_OK)
            return err->status;
        if (r->query_count == AK_QUERY_MAX)
            return ak_fail(err, AK_BAD_REQUEST, "the query has more than %d parameters",
                           AK_QUERY_MAX);
        if (ak_request_query(r, at))
            return ak_fail(err, AK_BAD_REQUEST, "query parameter \"%.64s\" is given twice", at);
        r->query[r->query_count].name = at;
        r->query[r->query_count++].value = value;
    }
    return AK_OK;
}

ak_status ak_request_init(ak_request *r, const char *target, ak_error *err)
{
    *r = (ak_request){.started_s = ak_clock_s()};
    r->target = ak_strndup(target, strlen(target));
    if (!r->target)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the address");
    char *query = strchr(r->target, '?');
    if (query)
        *query++ = 0;
    if (take_path(r, r->target, err) != AK_OK)
        return err->status;
    return take_query(r, query, err);
}

void ak_request_clear(ak_request *r)
{
    free(r->target);
    json_decref(r->faults);
    if (!r->response.fixed)
        free(r->response.body);
    if (r->response.stream)
        r->response.stream->close(r->response.stream);
}

void ak_request_name(ak_request *r)
{
    const char *given = r->headers.request_id;
    size_t n = given ? strlen(given) : 0;
    bool good = n >= 1 && n <= AK_REQUEST_ID_MAX;
    for (size_t i = 0; i < n && good; i++)
        good = given[i] > ' ' && given[i] < 127;
    if (good)
        memcpy(r->id, given, n + 1);
    else
        ak_ulid(r->id);
}

bool ak_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; n && *at; at += strspn(at, " ")) {
        size_t m = strcspn(at, " ");
        if (m == n && memcmp(at, name, n) == 0)
            return true;
        at += m;
    }
    return false;
}

static bool type_is(const char *given, const char *type)
{
    size_t n = strlen(type);
    return strncasecmp(given, type, n) == 0 && (given[n] == 0 || strchr("; \t", given[n]));
}

bool ak_request_is_json(const ak_request *r)
{
    const char *type = r->headers.content_type;
    return type &&
           (type_is(type, "application/json") || type_is(type, "application/merge-patch+json"));
}

const char *ak_request_query(const ak_request *r, const char *name)
{
    for (size_t i = 0; i < r->query_count; i++)
        if (strcmp(r->query[i].name, name) == 0)
            return r->query[i].value;
    return NULL;
}

ak_status ak_request_number(int64_t *out, const ak_request *r, const char *name, int64_t standard,
                            int64_t least, int64_t most, ak_error *err)
{
    const char *text = ak_request_query(r, name);
    *out = standard;
    if (!text)
        return AK_OK;
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n < least || n > most)
        return ak_fail(err, AK_BAD_VALUE,
                       "%s is \"%.32s\"; it takes a whole number from %" PRId64 " to %" PRId64,
                       name, text, least, most);
    *out = n;
    return AK_OK;
}

// --- answering ---------------------------------------------------------------------------------

void ak_respond_header(ak_request *r, const char *name, const char *format, ...)
{
    ak_response *a = &r->response;
    if (a->header_count == sizeof a->headers / sizeof *a->headers)
        return;
    va_list args;
    va_start(args, format);
    a->headers[a->header_count].name = name;
    vsnprintf(a->headers[a->header_count].value, sizeof a->headers->value, format, args);
    va_end(args);
    a->header_count++;
}

static void respond_body(ak_request *r, int http, const char *type, void *body, size_t n,
                         bool fixed)
{
    ak_response *a = &r->response;
    if (!a->fixed)
        free(a->body);
    a->http = http;
    a->type = type;
    a->body = body;
    a->n = n;
    a->fixed = fixed;
}

static void respond_text(ak_request *r, int http, const char *type, json_t *json)
{
    static const char last[] =
        "{\"type\": \"/problems/out-of-memory\", \"code\": \"out_of_memory\","
        " \"title\": \"Memory ran out\", \"status\": 500}";
    char *text = json ? json_dumps(json, JSON_REAL_PRECISION(9) | JSON_COMPACT) : NULL;
    json_decref(json);
    size_t n = text ? strlen(text) : 0, packed_n;
    if (n > AK_GZIP_LEAST)
        ak_respond_header(r, "Vary", "Accept-Encoding");
    if (n > AK_GZIP_LEAST && ak_gzip_wanted(r->headers.accept_encoding)) {
        uint8_t *packed = ak_gzip(&packed_n, (ak_bytes){(const uint8_t *)text, n});
        if (packed) { // else it is sent as it is
            free(text);
            ak_respond_header(r, "Content-Encoding", "gzip");
            respond_body(r, http, type, packed, packed_n, false);
            return;
        }
    }
    if (text)
        respond_body(r, http, type, text, n, false);
    else
        respond_body(r, 500, "application/problem+json", (void *)(uintptr_t)last, sizeof last - 1,
                     true);
}

void ak_respond_json(ak_request *r, int http, json_t *json)
{
    respond_text(r, http, "application/json", json);
}

void ak_respond_bytes(ak_request *r, int http, const char *type, ak_buf *bytes)
{
    respond_body(r, http, type, bytes->at, bytes->n, false);
    *bytes = (ak_buf){0};
}

void ak_respond_fixed(ak_request *r, int http, const char *type, ak_bytes bytes)
{
    respond_body(r, http, type, (void *)(uintptr_t)bytes.at, bytes.n, true);
}

void ak_stream_init(ak_stream *stream)
{
    pthread_mutex_init(&stream->lock, NULL);
}

void ak_stream_clear(ak_stream *stream)
{
    pthread_mutex_destroy(&stream->lock);
}

void ak_respond_stream(ak_request *r, const char *type, ak_stream *stream)
{
    respond_body(r, 200, type, NULL, 0, true);
    r->response.stream = stream;
}

void ak_respond_empty(ak_request *r, int http)
{
    respond_body(r, http, NULL, NULL, 0, true);
}

json_t *ak_problem(const ak_request *r, const ak_error *err)
{
    char type[80];
    snprintf(type, sizeof type, "/problems/%s", ak_status_code(err->status));
    for (char *c = type; *c; c++)
        if (*c == '_')
            *c = '-';
    // A detail may quote what a client sent and may have been cut inside a character.
    const char *detail = ak_utf8_valid(err->text, strlen(err->text)) ? err->text : "(not UTF-8)";
    return json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:O*}", "type", type, "code",
                     ak_status_code(err->status), "title", ak_status_title(err->status), "status",
                     ak_status_http(err->status), "detail", detail, "instance", r->id, "errors",
                     r->faults);
}

void ak_respond_error(ak_request *r, const ak_error *err)
{
    ak_respond_error_as(r, err, ak_status_http(err->status));
}

void ak_respond_error_as(ak_request *r, const ak_error *err, int http)
{
    json_t *problem = ak_problem(r, err);
    json_object_set_new(problem, "status", json_integer(http));
    if (http == 503)
        ak_respond_header(r, "Retry-After", "1");
    if (http == 401)
        ak_respond_header(r, "WWW-Authenticate", "Bearer realm=\"akin\"");
    respond_text(r, http, "application/problem+json", problem);
}

void ak_request_finish(ak_request *r)
{
    if (r->queued)
        ak_work_request_done(r->server->work);
    r->finish(r);
}

void ak_request_fail(ak_request *r, const ak_error *err)
{
    ak_respond_error(r, err);
    ak_request_finish(r);
}
