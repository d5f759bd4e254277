// The training set: decoded pictures in memory, each with the class that its folder names.
#ifndef AK_VIEWS_PICTURES_H
#define AK_VIEWS_PICTURES_H

#include "core/image/image.h"

typedef struct {
    ak_image image;
    uint32_t label; // index into classes
    bool mapped;    // the pixels are a cache's: read-only, not to be freed
} ak_picture;

typedef struct {
    ak_picture *items;
    size_t n, capacity;
    char **classes; // sorted
    size_t classes_n;
    size_t refused; // entries that could not be read, each logged with its reason
    size_t bytes;   // of the decoded pixels
    size_t mapped;  // of these, those in the files of the cache
    struct ak_cache **caches;
    size_t caches_n;
} ak_pictures;

typedef struct {
    int keep_side;       // the shorter side is reduced to it
    size_t memory_limit; // bytes of pixels in all, beside those of the cache; over it,
                         // AK_OUT_OF_MEMORY
    const char
        *cache; // a folder that keeps what tars hold, decoded (core/views/cache.h); NULL: none
} ak_pictures_options;

// Appends the pictures of a tar or folder. Decoding uses all OpenMP threads. The class of
// "a/b/c.jpg" is "a"; labels are valid once ak_pictures_index has run.
ak_status ak_pictures_add(ak_pictures *set, const char *path, const ak_pictures_options *options,
                          ak_error *err);

// Sorts the classes and numbers them. AK_BAD_VALUE for an empty set.
ak_status ak_pictures_index(ak_pictures *set, ak_error *err);

void ak_pictures_clear(ak_pictures *set);

#endif
