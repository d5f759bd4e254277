// base64url of: 8 bytes of time (little-endian), the id, 16 bytes of HMAC-SHA256 over both and the
// list's name. Pure functions; any thread.
#include "server/cursor.h"

#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <string.h>

#define MAC_BYTES 16
#define RAW_MAX   (8 + AK_ID_MAX + MAC_BYTES)

static void mac_of(uint8_t *mac, const ak_cursor_key *key, const char *list, const uint8_t *raw,
                   size_t n)
{
    struct hmac_sha256_ctx ctx;
    hmac_sha256_set_key(&ctx, sizeof key->at, key->at);
    hmac_sha256_update(&ctx, strlen(list) + 1, (const uint8_t *)list);
    hmac_sha256_update(&ctx, n, raw);
    hmac_sha256_digest(&ctx, MAC_BYTES, mac);
}

void ak_cursor_write(char out[AK_CURSOR_MAX], const ak_cursor_key *key, const char *list,
                     const ak_position *position)
{
    uint8_t raw[RAW_MAX];
    size_t n = 0, id_n = strlen(position->id);
    for (; n < 8; n++)
        raw[n] = (uint8_t)((uint64_t)position->created_at >> (8 * n));
    memcpy(raw + n, position->id, id_n);
    n += id_n;
    mac_of(raw + n, key, list, raw, n);
    n += MAC_BYTES;
    struct base64_encode_ctx ctx;
    base64url_encode_init(&ctx);
    size_t m = base64_encode_update(&ctx, out, n, raw);
    m += base64_encode_final(&ctx, out + m);
    while (m && out[m - 1] == '=')
        m--;
    out[m] = 0;
}

// What was read is written again and must come out as the same text: that checks the hash, the list
// and the unused bits of the last digit at once.
ak_status ak_cursor_read(ak_position *position, const ak_cursor_key *key, const char *list,
                         const char *text, ak_error *err)
{
    uint8_t raw[BASE64_DECODE_LENGTH(AK_CURSOR_MAX + 4)];
    char padded[AK_CURSOR_MAX + 4], again[AK_CURSOR_MAX];
    size_t n = strlen(text), padded_n = n, got = sizeof raw;
    struct base64_decode_ctx ctx;
    if (n == 0 || n >= AK_CURSOR_MAX)
        goto refused;
    memcpy(padded, text, n);
    while (padded_n % 4)
        padded[padded_n++] = '=';
    base64url_decode_init(&ctx);
    if (!base64_decode_update(&ctx, &got, raw, padded_n, padded) || !base64_decode_final(&ctx))
        goto refused;
    if (got < 8 + MAC_BYTES || got > RAW_MAX)
        goto refused;
    uint64_t time = 0;
    for (int i = 0; i < 8; i++)
        time |= (uint64_t)raw[i] << (8 * i);
    *position = (ak_position){.created_at = (int64_t)time};
    memcpy(position->id, raw + 8, got - 8 - MAC_BYTES);
    ak_cursor_write(again, key, list, position);
    if (strlen(again) == n && ak_equal_secret(again, text, n))
        return AK_OK;
refused:
    return ak_fail(err, AK_BAD_CURSOR,
                   "the cursor is not one of this list in this order; take next_cursor as it came");
}
