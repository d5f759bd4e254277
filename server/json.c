// Pure functions of the request and its JSON; any thread that has the request. The JSON keeps the
// texts that are handed out; faults are kept by the request.
#include "server/json.h"

#include "server/daemon.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define FAULTS_MAX 20 // more help nobody

// Brackets outside strings, counted before the parser recurses.
static size_t depth_of(ak_bytes text)
{
    size_t depth = 0, most = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.at[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > most)
                most = depth;
        } else if ((c == '}' || c == ']') && depth) {
            depth--;
        }
    }
    return most;
}

json_t *ak_json_read(const ak_request *r, ak_bytes text, ak_error *err)
{
    const ak_server_options *o = r->server->options;
    if (text.n > o->json_bytes) {
        ak_fail(err, AK_TOO_LARGE, "the JSON has %zu bytes; at most %zu", text.n,
                (size_t)o->json_bytes);
        return NULL;
    }
    if (text.n == 0) {
        ak_fail(err, AK_BAD_JSON, "the body is empty; send a JSON object, at least {}");
        return NULL;
    }
    size_t depth = depth_of(text);
    if (depth > o->json_depth) {
        ak_fail(err, AK_BAD_JSON, "the JSON is nested %zu deep; at most %zu", depth,
                (size_t)o->json_depth);
        return NULL;
    }
    json_error_t fault;
    json_t *json = json_loadb((const char *)text.at, text.n, JSON_REJECT_DUPLICATES, &fault);
    if (!json)
        ak_fail(err, AK_BAD_JSON, "line %d, column %d: %s", fault.line, fault.column, fault.text);
    return json;
}

void ak_fault(ak_request *r, const char *base, const char *member, const char *format, ...)
{
    char pointer[320], detail[320];
    int n = snprintf(pointer, sizeof pointer, "%.150s%s", base, member ? "/" : "");
    for (const char *c = member ? member : ""; *c && n < (int)sizeof pointer - 3; c++) {
        if (*c == '~' || *c == '/') { // RFC 6901
            pointer[n++] = '~';
            pointer[n++] = *c == '~' ? '0' : '1';
        } else {
            pointer[n++] = *c;
        }
    }
    pointer[n] = 0;
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    if (!r->faults)
        r->faults = json_array();
    if (json_array_size(r->faults) >= FAULTS_MAX)
        return;
    // Names that were cut inside a character are no JSON strings.
    json_t *fault = json_pack("{s:s, s:s}", "pointer", pointer, "detail", detail);
    if (!fault)
        fault = json_pack("{s:s, s:s}", "pointer", base, "detail", "a member's name is too long");
    json_array_append_new(r->faults, fault);
}

bool ak_json_members(ak_request *r, const char *base, const json_t *object, const char *known,
                     const char *later)
{
    if (!json_is_object(object)) {
        ak_fault(r, base, NULL, "this must be an object");
        return false;
    }
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (ak_listed(later, name))
            ak_fault(r, base, name, "\"%s\" is not offered yet", name);
        else if (!ak_listed(known, name))
            ak_fault(r, base, name, "there is no member \"%.64s\" here; there are: %s", name,
                     *known ? known : "none");
    }
    return true;
}

static json_t *given(const json_t *object, const char *member)
{
    json_t *value = json_object_get(object, member);
    return json_is_null(value) ? NULL : value;
}

bool ak_json_text(const char **out, ak_request *r, const char *base, const json_t *object,
                  const char *member, size_t most_bytes)
{
    json_t *value = given(object, member);
    if (!value)
        return false;
    if (!json_is_string(value)) {
        ak_fault(r, base, member, "this must be a string");
        return false;
    }
    if (json_string_length(value) > most_bytes) {
        ak_fault(r, base, member, "this has %zu bytes; at most %zu", json_string_length(value),
                 most_bytes);
        return false;
    }
    *out = json_string_value(value);
    return true;
}

bool ak_json_whole(int64_t *out, ak_request *r, const char *base, const json_t *object,
                   const char *member, int64_t least, int64_t most)
{
    json_t *value = given(object, member);
    if (!value)
        return false;
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most) {
        ak_fault(r, base, member, "this must be a whole number from %lld to %lld", (long long)least,
                 (long long)most);
        return false;
    }
    *out = json_integer_value(value);
    return true;
}

bool ak_json_real(double *out, ak_request *r, const char *base, const json_t *object,
                  const char *member, double least, double most)
{
    json_t *value = given(object, member);
    if (!value)
        return false;
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= least && number <= most)) {
        ak_fault(r, base, member, "this must be a number from %g to %g", least, most);
        return false;
    }
    *out = number;
    return true;
}

bool ak_json_bool(bool *out, ak_request *r, const char *base, const json_t *object,
                  const char *member)
{
    json_t *value = given(object, member);
    if (!value)
        return false;
    if (!json_is_boolean(value)) {
        ak_fault(r, base, member, "this must be true or false");
        return false;
    }
    *out = json_is_true(value);
    return true;
}

bool ak_json_time(int64_t *out, ak_request *r, const char *base, const json_t *object,
                  const char *member)
{
    const char *text;
    if (!ak_json_text(&text, r, base, object, member, 64))
        return false;
    if (!ak_time_read(out, text)) {
        ak_fault(r, base, member, "this must be a time like 2026-11-24T10:20:30Z (RFC 3339)");
        return false;
    }
    return true;
}

bool ak_time_read(int64_t *ms, const char *text)
{
    struct tm tm = {0}, back;
    int n = 0;
    char t;
    if (sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &t,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &n) != 7 ||
        n != 19 || (t != 'T' && t != 't' && t != ' '))
        return false;
    const char *at = text + 19;
    int64_t fraction = 0;
    if (*at == '.') {
        int scale = 100;
        for (at++; *at >= '0' && *at <= '9'; at++, scale /= 10)
            fraction += (*at - '0') * scale;
        if (at == text + 20)
            return false;
    }
    int offset_minutes = 0;
    if (*at == 'Z' || *at == 'z') {
        at++;
    } else {
        int hours, minutes;
        char sign;
        if (sscanf(at, "%c%2d:%2d%n", &sign, &hours, &minutes, &n) != 3 || n != 6 ||
            (sign != '+' && sign != '-') || hours > 23 || minutes > 59)
            return false;
        offset_minutes = (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
        at += 6;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm asked = tm;
    time_t s = timegm(&tm);
    gmtime_r(&s, &back); // refuses 31 February: timegm moves it
    if (*at || back.tm_mday != asked.tm_mday || back.tm_mon != asked.tm_mon ||
        back.tm_hour != asked.tm_hour || back.tm_min != asked.tm_min || back.tm_sec != asked.tm_sec)
        return false;
    *ms = ((int64_t)s - offset_minutes * 60) * 1000 + fraction;
    return true;
}

ak_status ak_json_sound(const ak_request *r, ak_error *err)
{
    size_t n = json_array_size(r->faults);
    if (!n)
        return AK_OK;
    const json_t *first = json_array_get(r->faults, 0);
    const char *pointer = json_string_value(json_object_get(first, "pointer"));
    return ak_fail(err, AK_BAD_VALUE, "%s%s%.200s%s", *pointer ? pointer : "", *pointer ? ": " : "",
                   json_string_value(json_object_get(first, "detail")),
                   n > 1 ? " (and more, see errors)" : "");
}
