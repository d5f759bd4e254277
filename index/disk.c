// Counted steps on the disk.
#include "index/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void ak_disk_fail(ak_disk *disk, ak_disk_step step, long spare, int errnum)
{
    atomic_store(&disk->spare[step], spare);
    atomic_store(&disk->failure[step], errnum);
}

int ak_disk_ask(ak_disk *disk, ak_disk_step step)
{
    atomic_fetch_add(&disk->count[step], 1);
    int errnum = atomic_load(&disk->failure[step]);
    if (errnum == 0 || atomic_fetch_sub(&disk->spare[step], 1) > 0)
        return 0;
    return errnum;
}

ak_status ak_disk_write(ak_disk *disk, int fd, ak_bytes bytes, const char *path, ak_error *err)
{
    int errnum = ak_disk_ask(disk, AK_DISK_WRITE);
    while (errnum == 0 && bytes.n) {
        ssize_t put = write(fd, bytes.at, bytes.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            errnum = errno;
            break;
        }
        bytes.at += put;
        bytes.n -= (size_t)put;
    }
    return errnum ? ak_fail_errno(err, errnum, "cannot write %s", path) : AK_OK;
}

ak_status ak_disk_sync(ak_disk *disk, int fd, const char *path, ak_error *err)
{
    int errnum = ak_disk_ask(disk, AK_DISK_SYNC);
    if (errnum == 0 && fsync(fd) != 0)
        errnum = errno;
    return errnum ? ak_fail_errno(err, errnum, "cannot sync %s", path) : AK_OK;
}

ak_status ak_disk_rename(ak_disk *disk, const char *from, const char *to, ak_error *err)
{
    int errnum = ak_disk_ask(disk, AK_DISK_RENAME);
    if (errnum == 0 && rename(from, to) != 0)
        errnum = errno;
    return errnum ? ak_fail_errno(err, errnum, "cannot rename %s to %s", from, to) : AK_OK;
}

ak_status ak_disk_sync_folder(ak_disk *disk, const char *path, ak_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ak_fail_errno(err, errno, "cannot open the folder %s", path);
    ak_status status = ak_disk_sync(disk, fd, path, err);
    close(fd);
    return status;
}
