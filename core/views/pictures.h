// The training set: decoded pictures in memory, each with the class that its folder names.
#ifndef AK_VIEWS_PICTURES_H
#define AK_VIEWS_PICTURES_H

#include "core/image/image.h"

typedef struct {
    ak_image image;
    uint32_t label; // index into classes
} ak_picture;

typedef struct {
    ak_picture *items;
    size_t n, capacity;
    char **classes; // sorted
    size_t classes_n;
    size_t refused; // entries that could not be read, each logged with its reason
    size_t bytes;   // of the decoded pixels
} ak_pictures;

// Appends the pictures of a tar or folder; the shorter side is reduced to keep_side. Decoding uses
// all OpenMP threads. Pixels over memory_limit bytes in all are AK_OUT_OF_MEMORY. The class of
// "a/b/c.jpg" is "a"; labels are valid once ak_pictures_index has run.
ak_status ak_pictures_add(ak_pictures *set, const char *path, int keep_side, size_t memory_limit,
                          ak_error *err);

// Sorts the classes and numbers them. AK_BAD_VALUE for an empty set.
ak_status ak_pictures_index(ak_pictures *set, ak_error *err);

void ak_pictures_clear(ak_pictures *set);

#endif
