// The EXIF block of a file, found by walking the container, and its orientation by libexif.
//
// Width and height in EXIF are not to be believed and not read. Nothing here is an error: a block
// that makes no sense is a picture without one.
#include "core/image/codec.h"

#include <string.h>

#include <libexif/exif-data.h>

#define EXIF_MAX 65533 // what a JPEG segment can hold; longer blocks are read so far

static const uint8_t prefix[6] = {'E', 'x', 'i', 'f', 0, 0};

static uint32_t big32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint32_t little32(const uint8_t *at)
{
    return (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
}

static ak_bytes without_prefix(const uint8_t *at, size_t n)
{
    bool has = n >= sizeof prefix && memcmp(at, prefix, sizeof prefix) == 0;
    return has ? (ak_bytes){at + sizeof prefix, n - sizeof prefix} : (ak_bytes){at, n};
}

// Segments up to the first scan: 0xff, marker, 16-bit length that counts itself.
static ak_bytes find_in_jpeg(ak_bytes file)
{
    size_t at = 2;
    while (at + 4 <= file.n && file.at[at] == 0xff) {
        uint8_t marker = file.at[at + 1];
        if (marker == 0xff) { // padding
            at++;
            continue;
        }
        if (marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7)) { // these have no length
            at += 2;
            continue;
        }
        size_t length = (size_t)file.at[at + 2] << 8 | file.at[at + 3];
        if (marker == 0xda || marker == 0xd9 || length < 2 || length > file.n - at - 2)
            break;
        const uint8_t *body = file.at + at + 4;
        if (marker == 0xe1 && length - 2 > sizeof prefix &&
            memcmp(body, prefix, sizeof prefix) == 0)
            return without_prefix(body, length - 2);
        at += 2 + length;
    }
    return (ak_bytes){0};
}

// Chunks of 32-bit length, name, body, CRC.
static ak_bytes find_in_png(ak_bytes file)
{
    size_t at = 8;
    while (at <= file.n && file.n - at >= 12) {
        size_t length = big32(file.at + at);
        if (length > file.n - at - 12)
            break;
        if (memcmp(file.at + at + 4, "eXIf", 4) == 0)
            return without_prefix(file.at + at + 8, length);
        at += 12 + length;
    }
    return (ak_bytes){0};
}

// Chunks of name, 32-bit length, body padded to even.
static ak_bytes find_in_webp(ak_bytes file)
{
    size_t at = 12;
    while (at <= file.n && file.n - at >= 8) {
        size_t length = little32(file.at + at + 4);
        if (length > file.n - at - 8)
            break;
        if (memcmp(file.at + at, "EXIF", 4) == 0)
            return without_prefix(file.at + at + 8, length);
        at += 8 + length + (length & 1);
    }
    return (ak_bytes){0};
}

static int read_orientation(ak_bytes tiff)
{
    int orientation = 1;
    size_t n = tiff.n < EXIF_MAX ? tiff.n : EXIF_MAX;
    ak_buf block = {0};
    ExifData *exif = exif_data_new();
    if (!exif || !ak_buf_append(&block, prefix, sizeof prefix) ||
        !ak_buf_append(&block, tiff.at, n))
        goto done;
    exif_data_unset_option(exif, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION); // as is, no repairs
    exif_data_load_data(exif, block.at, (unsigned)block.n);
    ExifEntry *entry = exif_content_get_entry(exif->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry && entry->format == EXIF_FORMAT_SHORT && entry->components == 1 && entry->size >= 2)
        orientation = exif_get_short(entry->data, exif_data_get_byte_order(exif));
done:
    exif_data_unref(exif);
    ak_buf_clear(&block);
    return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

int ak_exif_orientation(ak_bytes file, ak_format format)
{
    ak_bytes tiff = {0};
    if (format == AK_FORMAT_JPEG)
        tiff = find_in_jpeg(file);
    else if (format == AK_FORMAT_PNG)
        tiff = find_in_png(file);
    else if (format == AK_FORMAT_WEBP)
        tiff = find_in_webp(file);
    return tiff.n >= 8 ? read_orientation(tiff) : 1;
}
