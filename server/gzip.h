// Compressed answers (RFC 9110, content coding "gzip").
#ifndef AK_SERVER_GZIP_H
#define AK_SERVER_GZIP_H

#include "core/base/mem.h"

#define AK_GZIP_LEAST 1024 // bytes; shorter answers are sent as they are

// Whether an Accept-Encoding header (NULL: none) takes gzip: named, or "*", and not with q=0.
bool ak_gzip_wanted(const char *accept_encoding);

// A malloc'd gzip member of the bytes; NULL when memory ran out.
uint8_t *ak_gzip(size_t *n, ak_bytes bytes);

#endif
