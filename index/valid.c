// Names, ids, UTF-8 and limits.
#include "index/valid.h"

#include <math.h>
#include <string.h>

static bool in_set(char c, const char *more)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != 0 && strchr(more, c));
}

bool ak_name_valid(const char *name, size_t n)
{
    if (n < 1 || n > AK_NAME_MAX || !in_set(name[0], ""))
        return false;
    for (size_t i = 1; i < n; i++)
        if (!in_set(name[i], "_-"))
            return false;
    return true;
}

bool ak_id_valid(const char *id, size_t n)
{
    if (n < 1 || n > AK_ID_MAX || (n == 1 && id[0] == '.') || (n == 2 && memcmp(id, "..", 2) == 0))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!in_set(id[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZ._:-"))
            return false;
    return true;
}

bool ak_utf8_valid(const char *text, size_t n)
{
    const uint8_t *at = (const uint8_t *)text, *end = at + n;
    while (at < end) {
        uint32_t c = *at++;
        if (c == 0)
            return false;
        if (c < 0x80)
            continue;
        int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || end - at < more)
            return false;
        c &= 0x3fu >> more;
        for (int i = 0; i < more; i++) {
            if ((*at & 0xc0) != 0x80)
                return false;
            c = c << 6 | (*at++ & 0x3f);
        }
        static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
        if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return false;
    }
    return true;
}

ak_status ak_valid_collection(const char *name, ak_error *err)
{
    if (name && ak_name_valid(name, strlen(name)))
        return AK_OK;
    return ak_fail(err, AK_BAD_VALUE,
                   "\"%.80s\" cannot name a collection; 1-%d of a-z 0-9 _ -, first a letter or "
                   "digit",
                   name ? name : "", AK_NAME_MAX);
}

ak_status ak_valid_id(const char *id, ak_error *err)
{
    if (id && ak_id_valid(id, strlen(id)))
        return AK_OK;
    return ak_fail(err, AK_BAD_VALUE,
                   "\"%.140s\" cannot be an image's id; 1-%d of A-Z a-z 0-9 . _ : -, not \".\" or "
                   "\"..\"",
                   id ? id : "", AK_ID_MAX);
}

ak_status ak_valid_text(const char *what, const char *text, size_t limit, ak_error *err)
{
    size_t n = text ? strlen(text) : 0;
    if (n > limit)
        return ak_fail(err, AK_BAD_VALUE, "%s has %zu bytes; at most %zu", what, n, limit);
    if (text && !ak_utf8_valid(text, n))
        return ak_fail(err, AK_BAD_VALUE, "%s is not valid UTF-8", what);
    return AK_OK;
}

ak_status ak_valid_fields(const ak_image_fields *fields, ak_error *err)
{
    ak_status status = AK_OK;
    if (fields->set_name)
        status = ak_valid_text("name", fields->name, AK_IMAGE_NAME_MAX, err);
    if (status == AK_OK && fields->set_album)
        status = ak_valid_text("album", fields->album, AK_IMAGE_NAME_MAX, err);
    if (status == AK_OK && fields->set_caption)
        status = ak_valid_text("caption", fields->caption, AK_CAPTION_MAX, err);
    if (status == AK_OK && fields->set_metadata)
        status = ak_valid_text("metadata", fields->metadata, AK_METADATA_MAX, err);
    if (status != AK_OK || !fields->set_tags)
        return status;
    if (fields->tag_count > AK_TAGS_MAX)
        return ak_fail(err, AK_BAD_VALUE, "%zu tags; at most %d", fields->tag_count, AK_TAGS_MAX);
    for (size_t i = 0; status == AK_OK && i < fields->tag_count; i++) {
        if (!fields->tags[i] || !*fields->tags[i])
            return ak_fail(err, AK_BAD_VALUE, "tag %zu is empty", i + 1);
        status = ak_valid_text("a tag", fields->tags[i], AK_TAG_MAX, err);
    }
    return status;
}

ak_status ak_valid_vector(const float *vector, int dims, int wanted, ak_error *err)
{
    if (dims != wanted)
        return ak_fail(err, AK_BAD_VECTOR, "the vector has %d numbers; the model has %d", dims,
                       wanted);
    double squares = 0;
    for (int i = 0; i < dims; i++) {
        if (!isfinite(vector[i]))
            return ak_fail(err, AK_BAD_VECTOR, "number %d of the vector is not finite", i + 1);
        squares += (double)vector[i] * vector[i];
    }
    if (squares > 1.002)
        return ak_fail(err, AK_BAD_VECTOR, "the vector's length is %.4g; it must be 1",
                       sqrt(squares));
    return AK_OK;
}
