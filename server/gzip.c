#include "server/gzip.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#define LEVEL 1 // the fastest: answers are made once and read once

// The quality of one element "coding;q=0.5" of n bytes.
static double quality_of(const char *element, size_t n)
{
    const char *semicolon = memchr(element, ';', n);
    if (!semicolon)
        return 1;
    char rest[16] = "";
    size_t left = n - (size_t)(semicolon + 1 - element);
    memcpy(rest, semicolon + 1, left < sizeof rest ? left : sizeof rest - 1);
    const char *q = strcasestr(rest, "q=");
    return q ? strtod(q + 2, NULL) : 1;
}

static bool named(const char *element, size_t n, const char *name)
{
    size_t length = strlen(name);
    return n >= length && strncasecmp(element, name, length) == 0 &&
           (n == length || strchr("; \t", element[length]));
}

bool ak_gzip_wanted(const char *header)
{
    double gzip = -1, any = -1; // -1: not said
    for (const char *at = header; at && *at;) {
        at += strspn(at, " \t,");
        size_t n = strcspn(at, ",");
        if (named(at, n, "gzip"))
            gzip = quality_of(at, n);
        else if (named(at, n, "*"))
            any = quality_of(at, n);
        at += n;
    }
    return gzip >= 0 ? gzip > 0 : any > 0;
}

uint8_t *ak_gzip(size_t *n, ak_bytes bytes)
{
    z_stream z = {0};
    uint8_t *out = NULL;
    if (bytes.n > UINT32_MAX || deflateInit2(&z, LEVEL, Z_DEFLATED, 15 + 16, 8, 0) != Z_OK)
        return NULL;
    size_t room = deflateBound(&z, bytes.n);
    out = malloc(room);
    z.next_in = (uint8_t *)bytes.at;
    z.avail_in = (unsigned)bytes.n;
    z.next_out = out;
    z.avail_out = (unsigned)room;
    if (out && deflate(&z, Z_FINISH) != Z_STREAM_END) {
        free(out);
        out = NULL;
    }
    *n = out ? room - z.avail_out : 0;
    deflateEnd(&z);
    return out;
}
