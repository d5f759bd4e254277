// The cache of decoded tars: one file a tar and keep_side, mapped into memory, so that a run starts
// at once, runs share the pixels, and the system may drop and read them again.
//
// A file is used when magic, version, the tar's size and time and all checksums are right, and made
// anew otherwise. It is written under a temporary name; a second process that wants the same waits.
#ifndef AK_VIEWS_CACHE_H
#define AK_VIEWS_CACHE_H

#include "core/image/image.h"

typedef struct ak_cache ak_cache;

// folder is made when it is not there. path: a regular file (what folders hold can change without
// their knowing it, so they are not kept).
ak_status ak_cache_open(ak_cache **out, const char *folder, const char *path, int keep_side,
                        ak_error *err);
void ak_cache_close(ak_cache *cache);

size_t ak_cache_count(const ak_cache *cache);
// Pixels and name are borrowed until the cache is closed; the pixels are read-only.
ak_image ak_cache_picture(const ak_cache *cache, size_t i, const char **class);

// What could not be decoded: "horses/1.jpg: why"; NULL from the last on.
const char *ak_cache_refused(const ak_cache *cache, size_t i);

#endif
