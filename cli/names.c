#include "cli/names.h"

#include "core/base/hash.h"

#include <stdlib.h>
#include <string.h>

#define CUT    115
#define DIGITS 12

static bool fits_id(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == ':' || c == '-';
}

size_t ak_utf8_length(const char *text, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *at = (const uint8_t *)text;
    if (!n)
        return 0;
    if (at[0] < 0x80)
        return 1;
    size_t length = at[0] >> 5 == 6 ? 2 : at[0] >> 4 == 14 ? 3 : at[0] >> 3 == 30 ? 4 : 0;
    if (!length || length > n)
        return 0;
    uint32_t point = at[0] & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (at[i] >> 6 != 2)
            return 0;
        point = point << 6 | (at[i] & 0x3f);
    }
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < least[length] || point > 0x10ffff || surrogate ? 0 : length;
}

void ak_import_id(char out[AK_IMPORT_ID_MAX + 1], const char *path)
{
    size_t n = strlen(path), kept = 0;
    bool valid = n >= 1 && n <= AK_IMPORT_ID_MAX && strcmp(path, ".") && strcmp(path, "..");
    for (size_t i = 0; i < n; i++)
        valid = valid && (path[i] == '/' || fits_id(path[i]));
    for (size_t i = 0; i < n && kept < AK_IMPORT_ID_MAX;) {
        size_t length = ak_utf8_length(path + i, n - i);
        char c = path[i] == '/' ? ':' : path[i];
        out[kept++] = fits_id(c) ? c : '_';
        i += length ? length : 1;
    }
    out[kept] = 0;
    if (valid)
        return;
    if (kept > CUT)
        kept = CUT;
    ak_sha256 sum = ak_sha256_of((ak_bytes){(const uint8_t *)path, n});
    char hex[AK_SHA256_HEX + 1];
    ak_sha256_hex(hex, &sum);
    out[kept++] = '-';
    memcpy(out + kept, hex, DIGITS);
    out[kept + DIGITS] = 0;
}

char *ak_import_name(const char *path)
{
    size_t n = strlen(path), at = 0;
    char *out = malloc(n * 3 + 1);
    if (!out)
        return NULL;
    for (size_t i = 0; i < n;) {
        size_t length = ak_utf8_length(path + i, n - i);
        memcpy(out + at, length ? path + i : "\xef\xbf\xbd", length ? length : 3);
        at += length ? length : 3;
        i += length ? length : 1;
    }
    out[at] = 0;
    return out;
}

void ak_printable(char *out, size_t size, const char *text)
{
    size_t n = strlen(text), at = 0;
    for (size_t i = 0; i < n;) {
        size_t length = ak_utf8_length(text + i, n - i);
        size_t put = length ? length : 1;
        if (at + put + 1 > size)
            break;
        uint8_t c = (uint8_t)text[i];
        // U+0080 to U+009F are control characters, too.
        bool control = c < 0x20 || c == 0x7f || (c == 0xc2 && (uint8_t)text[i + 1] < 0xa0);
        if (!length || control) {
            out[at++] = '?';
        } else {
            memcpy(out + at, text + i, length);
            at += length;
        }
        i += put;
    }
    if (size)
        out[at] = 0;
}
