// An image's record as JSON, and what a client says of an image as a record's fields.
#ifndef AK_SERVER_IMAGE_JSON_H
#define AK_SERVER_IMAGE_JSON_H

#include "index/store.h"
#include "server/request.h"

json_t *ak_image_json(const char *collection, const ak_image_record *record);

// "/v1/collections/c/images/id" and what follows, for Location and thumbnails.
json_t *ak_image_link(const char *collection, const char *id, const char *rest);

json_t *ak_vector_json(const float *vector, int dims);

// Adds tags, album, caption, taken_at and metadata to an object.
void ak_image_json_said(json_t *object, const ak_image_record *record);

// Fields with the memory that they point to. Zero-initialise; ak_said_clear.
typedef struct {
    ak_image_fields fields;
    const char *id; // NULL: not given
    const char *tags[AK_TAGS_MAX];
    char *metadata;
} ak_said;

// Reads the members that a client may set; faults are noted at base. `with_id`: "id" is one of
// them. Texts are borrowed from object. A member that is null is set to nothing.
void ak_said_read(ak_said *said, ak_request *r, const char *base, const json_t *object,
                  bool with_id);
void ak_said_clear(ak_said *said);

// Whether text may be an image's name: UTF-8, at most AK_IMAGE_NAME_MAX bytes, no NUL.
ak_status ak_image_name_check(const char *text, size_t n, ak_error *err);
ak_status ak_image_id_check(const char *id, ak_error *err);

#endif
