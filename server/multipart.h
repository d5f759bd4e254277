// multipart/form-data (RFC 7578) of a body that is in memory: parts as slices of it.
#ifndef AK_SERVER_MULTIPART_H
#define AK_SERVER_MULTIPART_H

#include "core/base/error.h"
#include "core/base/mem.h"

#define AK_PART_HEADER_MAX 8192 // bytes of a part's headers

typedef struct {
    char *name, *file; // owned; NULL: not given
    size_t name_n, file_n;
    char type[64];  // content type without its parameters, lower case; "" when not given
    ak_bytes bytes; // borrowed from the body
} ak_part;

typedef struct {
    ak_part *items;
    size_t n;
} ak_parts;

bool ak_multipart_is(const char *content_type); // NULL is fine

// AK_BAD_REQUEST: no boundary, cut off, headers that cannot be read, a part without a name.
// AK_TOO_LARGE: over part_limit bytes or count_limit parts. Zero-initialise out; clear it always.
ak_status ak_multipart_read(ak_parts *out, const char *content_type, ak_bytes body,
                            size_t part_limit, size_t count_limit, ak_error *err);
void ak_parts_clear(ak_parts *parts);

#endif
