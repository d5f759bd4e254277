// Originals: files by SHA-256, blobs/ab/cdef....
//
// A file is written and synced in blobs/incoming/ under its whole sum; one sync of that folder then
// makes all files of a group durable, and they are renamed to their places. The renames are not
// synced one by one (their folders are 256): after a power cut a file may still lie in
// incoming, where reads find it too and the next start moves it on.
//
// Only the writer thread puts and removes; reads come from any thread.
#ifndef AK_INDEX_BLOBS_H
#define AK_INDEX_BLOBS_H

#include "core/base/hash.h"
#include "index/disk.h"

typedef struct {
    char *folder;
    ak_disk *disk;
} ak_blobs;

ak_status ak_blobs_open(ak_blobs *blobs, const char *data, ak_disk *disk, ak_error *err);
void ak_blobs_close(ak_blobs *blobs);

ak_status ak_blobs_put(ak_blobs *blobs, const ak_sha256 *sum, ak_bytes bytes, ak_error *err);
ak_status ak_blobs_settle(ak_blobs *blobs, const ak_sha256 *const *sums, size_t n, ak_error *err);
ak_status ak_blobs_remove(ak_blobs *blobs, const ak_sha256 *sum, ak_error *err); // fine when absent
ak_status ak_blobs_read(ak_buf *out, const ak_blobs *blobs, const ak_sha256 *sum, size_t limit,
                        ak_error *err);

// At the start: each file in incoming is moved on when `wanted` says so and its bytes have its sum,
// else removed.
ak_status ak_blobs_recover(ak_blobs *blobs,
                           ak_status (*wanted)(void *arg, const ak_sha256 *sum, bool *is),
                           void *arg, ak_error *err);

#endif
