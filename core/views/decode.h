// From files to the pixels that training keeps: one file, or all of a tar or folder by all OpenMP
// threads.
#ifndef AK_VIEWS_DECODE_H
#define AK_VIEWS_DECODE_H

#include "core/image/image.h"

typedef struct {
    // In the order of the archive, on the caller's thread. name is borrowed; take may keep the
    // image and leave an empty one behind.
    ak_status (*take)(void *arg, const char *name, ak_image *image, ak_error *err);
    ak_status (*refuse)(void *arg, const char *name, const char *why, ak_error *err);
    void *arg;
} ak_decode_sink;

// The shorter side is reduced to keep_side.
ak_status ak_decode_kept(ak_image *image, ak_bytes file, int keep_side, ak_error *err);
ak_status ak_decode_all(const char *path, int keep_side, const ak_decode_sink *sink, ak_error *err);

// The class of an entry: its first folder, or "".
ak_bytes ak_class_of(const char *name);

// Its number in a list of the caller's that grows with each new one.
ak_status ak_class_number(uint32_t *number, char ***classes, size_t *n, ak_bytes class,
                          ak_error *err);

#endif
