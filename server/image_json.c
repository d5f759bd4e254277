// Both directions of an image's JSON. Pure functions; what is read is borrowed from the JSON.
#include "server/image_json.h"

#include "core/base/clock.h"
#include "server/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static json_t *time_json(int64_t ms)
{
    char text[AK_TIME_TEXT];
    if (ms == AK_TIME_NONE)
        return json_null();
    ak_time_text(text, ms);
    return json_string(text);
}

static json_t *text_json(const char *text)
{
    return text ? json_string(text) : json_null();
}

json_t *ak_image_link(const char *collection, const char *id, const char *rest)
{
    return json_sprintf("/v1/collections/%s/images/%s%s", collection, id, rest);
}

json_t *ak_vector_json(const float *vector, int dims)
{
    json_t *values = json_array();
    for (int i = 0; i < dims; i++)
        json_array_append_new(values, json_real((double)vector[i]));
    return values;
}

void ak_image_json_said(json_t *object, const ak_image_record *record)
{
    json_t *tags = json_array();
    for (size_t i = 0; i < record->tag_count; i++)
        json_array_append_new(tags, json_string(record->tags[i]));
    json_object_set_new(object, "tags", tags);
    json_object_set_new(object, "album", text_json(record->album));
    json_object_set_new(object, "caption", text_json(record->caption));
    json_object_set_new(object, "taken_at", time_json(record->taken_at));
    json_t *metadata = record->metadata ? json_loads(record->metadata, 0, NULL) : NULL;
    json_object_set_new(object, "metadata", metadata ? metadata : json_null());
}

json_t *ak_image_json(const char *collection, const ak_image_record *record)
{
    char sum[AK_SHA256_HEX + 1];
    ak_sha256_hex(sum, &record->sha256);
    json_t *object = json_pack(
        "{s:s, s:o, s:s, s:i, s:i, s:s, s:I, s:o, s:o, s:o}", "id", record->id, "name",
        text_json(record->name), "sha256", sum, "width", record->width, "height", record->height,
        "format", ak_format_name(record->format), "bytes", (json_int_t)record->bytes, "created_at",
        time_json(record->created_at), "updated_at", time_json(record->updated_at), "thumbnail",
        ak_image_link(collection, record->id, "/thumbnail"));
    if (object)
        ak_image_json_said(object, record);
    return object;
}

// --- what a client says ------------------------------------------------------------------------

ak_status ak_image_name_check(const char *text, size_t n, ak_error *err)
{
    if (n > AK_IMAGE_NAME_MAX)
        return ak_fail(err, AK_BAD_VALUE, "the name has %zu bytes; at most %d", n,
                       AK_IMAGE_NAME_MAX);
    if (!ak_utf8_valid(text, n))
        return ak_fail(err, AK_BAD_VALUE, "the name is not UTF-8 without a zero character");
    return AK_OK;
}

ak_status ak_image_id_check(const char *id, ak_error *err)
{
    if (!ak_id_valid(id, strlen(id)))
        return ak_fail(err, AK_BAD_VALUE,
                       "an image's id is 1 to %d of A-Z a-z 0-9 . _ : -, not \".\" or \"..\"; this "
                       "is \"%.130s\"",
                       AK_ID_MAX, id);
    return AK_OK;
}

static void read_tags(ak_said *said, ak_request *r, const char *base, const json_t *tags)
{
    char place[200];
    snprintf(place, sizeof place, "%.150s/tags", base);
    size_t n = json_array_size(tags);
    if (!json_is_array(tags) || n > AK_TAGS_MAX) {
        ak_fault(r, place, NULL, "this must be an array of at most %d strings", AK_TAGS_MAX);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *tag = json_array_get(tags, i);
        size_t length = json_string_length(tag);
        if (json_is_string(tag) && length >= 1 && length <= AK_TAG_MAX) {
            said->tags[said->fields.tag_count++] = json_string_value(tag);
            continue;
        }
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        ak_fault(r, place, index, "a tag is a string of 1 to %d bytes", AK_TAG_MAX);
    }
    said->fields.tags = said->tags;
}

static void read_metadata(ak_said *said, ak_request *r, const char *base, const json_t *metadata)
{
    if (!json_is_object(metadata)) {
        ak_fault(r, base, "metadata", "this must be an object");
        return;
    }
    said->metadata = json_dumps(metadata, JSON_COMPACT);
    size_t n = said->metadata ? strlen(said->metadata) : SIZE_MAX;
    if (n > AK_METADATA_MAX)
        ak_fault(r, base, "metadata", "this has %zu bytes; at most %d", n, AK_METADATA_MAX);
    said->fields.metadata = said->metadata;
}

static bool has(const json_t *object, const char *member)
{
    return json_object_get(object, member) != NULL;
}

void ak_said_read(ak_said *said, ak_request *r, const char *base, const json_t *object,
                  bool with_id)
{
    ak_image_fields *f = &said->fields;
    f->taken_at = AK_TIME_NONE;
    if (!ak_json_members(r, base, object,
                         with_id ? "id name tags album caption taken_at metadata"
                                 : "name tags album caption taken_at metadata",
                         ""))
        return;
    if (with_id)
        ak_json_text(&said->id, r, base, object, "id", AK_ID_MAX);
    if (said->id && !ak_id_valid(said->id, strlen(said->id)))
        ak_fault(r, base, "id", "an id is 1 to %d of A-Z a-z 0-9 . _ : -", AK_ID_MAX);
    f->set_name = has(object, "name");
    f->set_album = has(object, "album");
    f->set_caption = has(object, "caption");
    f->set_taken_at = has(object, "taken_at");
    f->set_tags = has(object, "tags");
    f->set_metadata = has(object, "metadata");
    ak_json_text(&f->name, r, base, object, "name", AK_IMAGE_NAME_MAX);
    ak_json_text(&f->album, r, base, object, "album", AK_IMAGE_NAME_MAX);
    ak_json_text(&f->caption, r, base, object, "caption", AK_CAPTION_MAX);
    ak_json_time(&f->taken_at, r, base, object, "taken_at");
    const json_t *tags = json_object_get(object, "tags");
    if (f->set_tags && !json_is_null(tags))
        read_tags(said, r, base, tags);
    const json_t *metadata = json_object_get(object, "metadata");
    if (f->set_metadata && !json_is_null(metadata))
        read_metadata(said, r, base, metadata);
}

void ak_said_clear(ak_said *said)
{
    free(said->metadata);
    said->metadata = NULL;
}
