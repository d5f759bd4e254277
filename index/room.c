// Whether there is room to write: asked by the writer for each group, and by /readyz.
#include "index/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

ak_status ak_store_room(ak_store *store, ak_error *err)
{
    struct statvfs fs;
    if (statvfs(store->data, &fs) != 0)
        return ak_fail_errno(err, errno, "cannot ask for the room in %s", store->data);
    if (fs.f_flag & ST_RDONLY)
        return ak_fail(err, AK_READ_ONLY, "%s is on a read-only file system", store->data);
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes < store->options.disk_floor)
        return ak_fail(err, AK_DISK_FULL, "the disk is full: %llu bytes are free, writes need %llu",
                       (unsigned long long)free_bytes,
                       (unsigned long long)store->options.disk_floor);
    return AK_OK;
}

ak_status ak_store_writable(ak_store *store, ak_error *err)
{
    char path[PATH_MAX];
    ak_status status = ak_store_room(store, err);
    if (status != AK_OK)
        return status;
    snprintf(path, sizeof path, "%s/probe-XXXXXX", store->data);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return ak_fail_errno(err, errno, "cannot create a file in %s", store->data);
    status = ak_disk_write(&store->disk, fd, (ak_bytes){(const uint8_t *)"probe", 5}, path, err);
    close(fd);
    unlink(path);
    return status;
}
