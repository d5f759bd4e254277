// What a client may call things: names, ids, UTF-8, and the fields of an image with their limits.
// Pure functions, any thread. ak_name_valid, ak_id_valid and ak_utf8_valid stand in store.h.
#ifndef AK_INDEX_VALID_H
#define AK_INDEX_VALID_H

#include "index/store.h"

ak_status ak_valid_collection(const char *name, ak_error *err);
ak_status ak_valid_id(const char *id, ak_error *err);
ak_status ak_valid_text(const char *what, const char *text, size_t limit, ak_error *err);

// Every member that is set; whether the metadata is JSON is SQLite's to say (catalog_image.c).
ak_status ak_valid_fields(const ak_image_fields *fields, ak_error *err);

// Finite and of unit length (or shorter: a blank picture has the zero vector), dims as wanted.
ak_status ak_valid_vector(const float *vector, int dims, int wanted, ak_error *err);

#endif
