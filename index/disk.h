// The index's steps on the disk: counted, and failing on demand.
//
// Every write, fsync, rename and commit of a data folder asks here first: the files of SQLite (by
// index/sql.c) and the originals and caches (by the functions below). Tests read the counts and
// make steps fail; outside tests nothing ever does. Any thread.
#ifndef AK_INDEX_DISK_H
#define AK_INDEX_DISK_H

#include "core/base/error.h"
#include "core/base/mem.h"

#include <stdatomic.h>

typedef enum {
    AK_DISK_WRITE,
    AK_DISK_SYNC,
    AK_DISK_RENAME,
    AK_DISK_COMMIT, // of SQLite, before anything of it reaches the file
    AK_DISK_STEPS
} ak_disk_step;

typedef struct {
    atomic_long count[AK_DISK_STEPS];  // steps asked for since the start
    atomic_int failure[AK_DISK_STEPS]; // an errno: steps fail with it; 0: they do not
    atomic_long spare[AK_DISK_STEPS];  // steps that still succeed before they fail
} ak_disk;

// From the (spare + 1)-th such step on, all fail with errnum, until it is set to 0.
void ak_disk_fail(ak_disk *disk, ak_disk_step step, long spare, int errnum);

// Counts the step; 0, or the errno that it is to fail with.
int ak_disk_ask(ak_disk *disk, ak_disk_step step);

ak_status ak_disk_write(ak_disk *disk, int fd, ak_bytes bytes, const char *path, ak_error *err);
ak_status ak_disk_sync(ak_disk *disk, int fd, const char *path, ak_error *err);
ak_status ak_disk_rename(ak_disk *disk, const char *from, const char *to, ak_error *err);
ak_status ak_disk_sync_folder(ak_disk *disk, const char *path, ak_error *err);

#endif
