#include "core/base/hash.h"

#include <nettle/memops.h>
#include <nettle/sha2.h>

ak_sha256 ak_sha256_of(ak_bytes bytes)
{
    ak_sha256 sum;
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, bytes.n, bytes.at);
    sha256_digest(&ctx, sizeof sum.at, sum.at);
    return sum;
}

void ak_hex(char *out, const uint8_t *at, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[at[i] >> 4];
        out[2 * i + 1] = digits[at[i] & 15];
    }
    out[2 * n] = 0;
}

void ak_sha256_hex(char out[AK_SHA256_HEX + 1], const ak_sha256 *sum)
{
    ak_hex(out, sum->at, sizeof sum->at);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool ak_sha256_parse(ak_sha256 *sum, const char *text, size_t n)
{
    if (n != AK_SHA256_HEX)
        return false;
    for (size_t i = 0; i < AK_SHA256_BYTES; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        sum->at[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool ak_equal_secret(const void *a, const void *b, size_t n)
{
    return memeql_sec(a, b, n);
}
