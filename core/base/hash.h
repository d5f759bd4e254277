// SHA-256 (nettle), its hexadecimal form, and a comparison in constant time.
#ifndef AK_BASE_HASH_H
#define AK_BASE_HASH_H

#include "core/base/mem.h"

#define AK_SHA256_BYTES 32
#define AK_SHA256_HEX   64

typedef struct {
    uint8_t at[AK_SHA256_BYTES];
} ak_sha256;

ak_sha256 ak_sha256_of(ak_bytes bytes);

// 64 lower-case digits and a zero.
void ak_hex(char *out, const uint8_t *at, size_t n); // out: 2 n + 1 bytes
void ak_sha256_hex(char out[AK_SHA256_HEX + 1], const ak_sha256 *sum);

// Reads 64 hexadecimal digits of either case; false when text is anything else.
bool ak_sha256_parse(ak_sha256 *sum, const char *text, size_t n);

bool ak_equal_secret(const void *a, const void *b, size_t n); // time independent of the contents

#endif
