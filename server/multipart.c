// The body is whole before it is read here, so a part is found by one memmem for its delimiter and
// nothing is copied but names. Pure functions of their arguments; any thread.
#include "server/multipart.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BOUNDARY_MAX 70 // RFC 2046

bool ak_multipart_is(const char *content_type)
{
    static const char type[] = "multipart/form-data";
    size_t n = sizeof type - 1;
    return content_type && strncasecmp(content_type, type, n) == 0 &&
           (content_type[n] == 0 || strchr("; \t", content_type[n]));
}

// The value of a parameter `; key=value` or `; key="value"` of a header's value, unquoted into
// out (n + 1 bytes); its length, or -1 when it is not there. Browsers write a quote in a file
// name as %22, older clients as \".
static long parameter(char *out, const char *at, size_t n, const char *key)
{
    size_t key_n = strlen(key);
    const char *end = at + n;
    while ((at = memchr(at, ';', (size_t)(end - at)))) {
        for (at++; at < end && (*at == ' ' || *at == '\t'); at++)
            ;
        bool found =
            (size_t)(end - at) > key_n && strncasecmp(at, key, key_n) == 0 && at[key_n] == '=';
        while (at < end && *at != '=' && *at != ';')
            at++;
        if (at == end || *at == ';')
            continue;
        long length = 0;
        bool quoted = ++at < end && *at == '"';
        for (at += quoted; at < end && *at != (quoted ? '"' : ';'); at++) {
            if (quoted && *at == '\\' && at + 1 < end && (at[1] == '"' || at[1] == '\\'))
                at++;
            if (found)
                out[length++] = *at;
        }
        if (found) {
            while (!quoted && length && (out[length - 1] == ' ' || out[length - 1] == '\t'))
                length--;
            out[length] = 0;
            return length;
        }
        if (at == end)
            break;
    }
    return -1;
}

static void read_quotes(char *text, size_t *n)
{
    char *to = text;
    for (size_t i = 0; i < *n; i++) {
        if (*n - i >= 3 && memcmp(text + i, "%22", 3) == 0) {
            *to++ = '"';
            i += 2;
        } else {
            *to++ = text[i];
        }
    }
    *to = 0;
    *n = (size_t)(to - text);
}

static ak_status take_disposition(ak_part *part, const char *at, size_t n, ak_error *err)
{
    char *text = malloc(n + 1);
    if (!text)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a part's name");
    long length = parameter(text, at, n, "name");
    if (length >= 0 && !part->name) {
        part->name_n = (size_t)length;
        part->name = ak_strndup(text, part->name_n);
    }
    length = parameter(text, at, n, "filename");
    if (length >= 0 && !part->file) {
        part->file_n = (size_t)length;
        read_quotes(text, &part->file_n);
        part->file = ak_strndup(text, part->file_n);
    }
    free(text);
    return AK_OK;
}

static void take_type(ak_part *part, const char *at, size_t n)
{
    size_t m = 0;
    for (; m < n && at[m] != ';' && at[m] != ' ' && m < sizeof part->type - 1; m++)
        part->type[m] = (char)(at[m] >= 'A' && at[m] <= 'Z' ? at[m] | 32 : at[m]);
    part->type[m] = 0;
}

static ak_status take_header(ak_part *part, const char *line, size_t n, size_t number,
                             ak_error *err)
{
    const char *colon = memchr(line, ':', n);
    if (!colon)
        return ak_fail(err, AK_BAD_REQUEST, "part %zu has a header line without a colon", number);
    size_t name_n = (size_t)(colon - line);
    const char *value = colon + 1;
    while (value < line + n && (*value == ' ' || *value == '\t'))
        value++;
    size_t value_n = (size_t)(line + n - value);
    if (name_n == 19 && strncasecmp(line, "Content-Disposition", 19) == 0)
        return take_disposition(part, value, value_n, err);
    if (name_n == 12 && strncasecmp(line, "Content-Type", 12) == 0)
        take_type(part, value, value_n);
    return AK_OK;
}

// One part from behind its delimiter's line to before the next delimiter.
static ak_status take_part(ak_part *part, ak_bytes bytes, size_t number, size_t part_limit,
                           ak_error *err)
{
    const char *at = (const char *)bytes.at, *end = at + bytes.n;
    for (;;) {
        size_t left = (size_t)(end - at);
        size_t used = (size_t)(at - (const char *)bytes.at);
        size_t search = left < AK_PART_HEADER_MAX ? left : AK_PART_HEADER_MAX;
        const char *line_end = memmem(at, search, "\r\n", 2);
        if (!line_end || used > AK_PART_HEADER_MAX)
            return ak_fail(err, AK_BAD_REQUEST,
                           "part %zu has no end of its headers within %d bytes", number,
                           AK_PART_HEADER_MAX);
        size_t n = (size_t)(line_end - at);
        if (n && take_header(part, at, n, number, err) != AK_OK)
            return err->status;
        at = line_end + 2;
        if (!n)
            break;
    }
    if (!part->name || !part->name_n)
        return ak_fail(err, AK_BAD_REQUEST,
                       "part %zu has no name; write Content-Disposition: form-data; name=\"...\"",
                       number);
    part->bytes = (ak_bytes){(const uint8_t *)at, (size_t)(end - at)};
    if (part->bytes.n > part_limit)
        return ak_fail(err, AK_TOO_LARGE, "part %zu has %zu bytes; at most %zu", number,
                       part->bytes.n, part_limit);
    return AK_OK;
}

static ak_part *add_part(ak_parts *parts)
{
    if (parts->n % 16 == 0) {
        ak_part *more = realloc(parts->items, (parts->n + 16) * sizeof *more);
        if (!more)
            return NULL;
        parts->items = more;
    }
    ak_part *part = &parts->items[parts->n++];
    *part = (ak_part){0};
    return part;
}

ak_status ak_multipart_read(ak_parts *out, const char *content_type, ak_bytes body,
                            size_t part_limit, size_t count_limit, ak_error *err)
{
    // "\r\n--" and the boundary; the first delimiter may lack the line end before it.
    size_t type_n = strlen(content_type);
    char *delimiter = malloc(type_n + 5);
    if (!delimiter)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the boundary");
    memcpy(delimiter, "\r\n--", 4);
    ak_status status = AK_OK;
    long boundary_n = parameter(delimiter + 4, content_type, type_n, "boundary");
    if (boundary_n < 1 || boundary_n > BOUNDARY_MAX) {
        status = ak_fail(err, AK_BAD_REQUEST,
                         "Content-Type names no boundary of 1 to %d characters", BOUNDARY_MAX);
        goto done;
    }
    size_t delimiter_n = (size_t)boundary_n + 4;
    const uint8_t *at = body.at, *end = body.at + body.n;
    if (body.n >= delimiter_n - 2 && memcmp(at, delimiter + 2, delimiter_n - 2) == 0)
        at += delimiter_n - 2;
    else if (body.n && (at = memmem(at, body.n, delimiter, delimiter_n)))
        at += delimiter_n;
    else
        at = NULL;
    while (at && end - at >= 2 && memcmp(at, "--", 2) != 0) {
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        // The line end may belong to the next delimiter: a part with no header and no body.
        if (end - at < 2 || memcmp(at, "\r\n", 2) != 0) {
            status = ak_fail(err, AK_BAD_REQUEST, "part %zu does not begin on a line of its own",
                             out->n + 1);
            goto done;
        }
        const uint8_t *next = memmem(at, (size_t)(end - at), delimiter, delimiter_n);
        if (!next) {
            at = NULL;
            break;
        }
        if (out->n == count_limit) {
            status = ak_fail(err, AK_TOO_LARGE, "the body has more than %zu parts", count_limit);
            goto done;
        }
        ak_part *part = add_part(out);
        if (!part) {
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the parts");
            goto done;
        }
        at += next - at < 2 ? 0 : 2;
        status = take_part(part, (ak_bytes){at, (size_t)(next - at)}, out->n, part_limit, err);
        if (status != AK_OK)
            goto done;
        at = next + delimiter_n;
    }
    if (!at || end - at < 2)
        status = ak_fail(err, AK_BAD_REQUEST, "the body ends before its last boundary \"--%s--\"",
                         delimiter + 4);
done:
    free(delimiter);
    return status;
}

void ak_parts_clear(ak_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) {
        free(parts->items[i].name);
        free(parts->items[i].file);
    }
    free(parts->items);
    *parts = (ak_parts){0};
}
