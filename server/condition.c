// Entity tags are compared as RFC 9110 says: weakly for If-None-Match, strongly for If-Match.
#include "server/condition.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// The next entity tag of a list, without its quotes; NULL at the end. *weak: W/ stood before it.
static const char *next_tag(const char **list, size_t *n, bool *weak)
{
    const char *at = *list + strspn(*list, " \t,");
    *weak = strncmp(at, "W/", 2) == 0;
    at += *weak ? 2 : 0;
    if (*at != '"')
        return NULL;
    const char *end = strchr(++at, '"');
    if (!end)
        return NULL;
    *n = (size_t)(end - at);
    *list = end + 1;
    return at;
}

bool ak_condition_unchanged(ak_request *r, const char *tag)
{
    ak_respond_header(r, "ETag", "\"%s\"", tag);
    const char *list = r->headers.if_none_match, *at;
    if (!list)
        return false;
    bool weak, same = list[strspn(list, " ")] == '*';
    for (size_t n; !same && (at = next_tag(&list, &n, &weak));)
        same = n == strlen(tag) && memcmp(at, tag, n) == 0;
    if (same)
        ak_respond_empty(r, 304);
    return same;
}

ak_status ak_condition_match(char out[24], const ak_request *r, int64_t version, ak_error *err)
{
    const char *list = r->headers.if_match, *at;
    out[0] = 0;
    if (!list)
        return AK_OK;
    char current[24];
    size_t current_n = (size_t)snprintf(current, sizeof current, "%" PRId64, version);
    bool weak, same = list[strspn(list, " ")] == '*';
    for (size_t n; !same && (at = next_tag(&list, &n, &weak));)
        same = !weak && n >= current_n && memcmp(at, current, current_n) == 0 &&
               (n == current_n || at[current_n] == '.');
    if (version < 0 || !same)
        return ak_fail(err, AK_PRECONDITION_FAILED,
                       version < 0
                           ? "If-Match is given, and there is nothing here yet"
                           : "the resource is no longer what If-Match names; read it again");
    memcpy(out, current, current_n + 1);
    return AK_OK;
}
