#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

void *ak_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (!ak_mul(&bytes, count, size) || bytes > SIZE_MAX - 64)
        return NULL;
    bytes = (bytes + 63) / 64 * 64;
    void *at = aligned_alloc(64, bytes ? bytes : 64);
    if (at)
        memset(at, 0, bytes);
    return at;
}

char *ak_strndup(const char *at, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = malloc(n + 1);
    if (copy) {
        if (n)
            memcpy(copy, at, n);
        copy[n] = 0;
    }
    return copy;
}

bool ak_buf_reserve(ak_buf *buf, size_t more)
{
    if (more <= buf->capacity - buf->n)
        return true;
    if (more > SIZE_MAX / 2 - buf->n)
        return false;
    size_t capacity = buf->capacity ? buf->capacity : 4096;
    while (capacity - buf->n < more)
        capacity *= 2;
    uint8_t *at = realloc(buf->at, capacity);
    if (!at)
        return false;
    buf->at = at;
    buf->capacity = capacity;
    return true;
}

bool ak_buf_append(ak_buf *buf, const void *at, size_t n)
{
    if (!ak_buf_reserve(buf, n))
        return false;
    if (n)
        memcpy(buf->at + buf->n, at, n);
    buf->n += n;
    return true;
}

void ak_buf_clear(ak_buf *buf)
{
    free(buf->at);
    *buf = (ak_buf){0};
}
