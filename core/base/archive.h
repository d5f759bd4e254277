// Pictures in a tar or a folder, one after the other, in a fixed order.
//
// A tar (plain or compressed; libarchive) gives its regular files in its own order, a folder its
// regular files sorted by path, links not followed out of it. Names are paths within, with '/'.
#ifndef AK_BASE_ARCHIVE_H
#define AK_BASE_ARCHIVE_H

#include "core/base/error.h"
#include "core/base/mem.h"

#include <stdint.h>

typedef struct ak_archive ak_archive;

typedef struct {
    const char *name; // borrowed until the next call
    ak_bytes bytes;   // borrowed until the next call; empty when status is not AK_OK
    uint64_t size;    // as the archive states it
    ak_status status; // why this one entry cannot be had (too large, unreadable); others go on
    char reason[256];
} ak_entry;

// path: a tar or a folder. entry_limit: bytes of one file at most; larger ones come with a status.
ak_status ak_archive_open(ak_archive **out, const char *path, size_t entry_limit, ak_error *err);

// Sets *more to false at the end. An error is about the archive as a whole (cut short, unreadable).
ak_status ak_archive_next(ak_archive *a, ak_entry *entry, bool *more, ak_error *err);

void ak_archive_close(ak_archive *a);

#endif
