// Memory: checked sizes, byte slices, growing buffers.
//
// Everything here returns NULL or false when memory or the size type runs out; nothing aborts.
#ifndef AK_BASE_MEM_H
#define AK_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Borrowed bytes: valid as long as their owner says, never zero-terminated.
typedef struct {
    const uint8_t *at;
    size_t n;
} ak_bytes;

// *out = a * b, or false when that overflows.
static inline bool ak_mul(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

// Zeroed memory for count items of size bytes, aligned to 64 bytes (a cache line, an AVX-512
// register); NULL when the product overflows or memory runs out. The caller frees with free().
void *ak_alloc(size_t count, size_t size);

// A copy of n bytes with a zero behind them; NULL out of memory. The caller frees with free().
char *ak_strndup(const char *at, size_t n);

// A growing buffer. Zero-initialise it, free with ak_buf_clear. Not thread-safe.
typedef struct {
    uint8_t *at;
    size_t n, capacity;
} ak_buf;

bool ak_buf_reserve(ak_buf *buf, size_t more); // room for `more` bytes behind n
bool ak_buf_append(ak_buf *buf, const void *at, size_t n);
void ak_buf_clear(ak_buf *buf);

static inline ak_bytes ak_buf_bytes(const ak_buf *buf)
{
    return (ak_bytes){buf->at, buf->n};
}

#endif
