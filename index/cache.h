// The cache file of a generation's main index: a quick start, never the truth.
//
// cache/<generation>.main: our header (magic, version, sizes, the store, generation and model that
// it is of, SHA-256 of everything), the rows' keys, then FAISS's own format. It may be missing,
// older than the catalog, or damaged: every row of it is checked against the catalog (load.c).
#ifndef AK_INDEX_CACHE_H
#define AK_INDEX_CACHE_H

#include "index/disk.h"
#include "index/main.h"

typedef struct {
    const char *store, *model; // ids
    int64_t generation;
    int dims;
} ak_cache_key;

ak_status ak_cache_write(const char *path, const ak_cache_key *key, const ak_main *main,
                         ak_disk *disk, ak_error *err);

// AK_NOT_FOUND when there is none, AK_CORRUPT when it is damaged or of something else.
ak_status ak_cache_read(ak_main **out, const char *path, const ak_cache_key *key, ak_error *err);

#endif
