#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ak_status ak_file_read(ak_buf *out, const char *path, size_t limit, ak_error *err)
{
    ak_status status = AK_OK;
    size_t start = out->n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ak_fail_errno(err, errno, "cannot open %s", path);
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
        (uint64_t)st.st_size <= limit && !ak_buf_reserve(out, (size_t)st.st_size + 1)) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the %lld bytes of %s",
                         (long long)st.st_size, path);
        goto done;
    }
    for (;;) {
        if (!ak_buf_reserve(out, 65536)) {
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to read %s", path);
            goto done;
        }
        ssize_t got = read(fd, out->at + out->n, out->capacity - out->n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = ak_fail_errno(err, errno, "cannot read %s", path);
            goto done;
        }
        if (got == 0)
            break;
        out->n += (size_t)got;
        if (out->n - start > limit) {
            status = ak_fail(err, AK_TOO_LARGE, "%s has more than %zu bytes", path, limit);
            goto done;
        }
    }
done:
    close(fd);
    return status;
}

static ak_status write_all(int fd, ak_bytes bytes)
{
    while (bytes.n) {
        ssize_t put = write(fd, bytes.at, bytes.n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return AK_IO;
        bytes.at += put;
        bytes.n -= (size_t)put;
    }
    return AK_OK;
}

static ak_status sync_parent(const char *path, ak_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ak_folder_sync(".", err);
    char *parent = ak_strndup(path, slash == path ? 1 : (size_t)(slash - path));
    if (!parent)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the path %s", path);
    ak_status status = ak_folder_sync(parent, err);
    free(parent);
    return status;
}

ak_status ak_file_replace(const char *path, ak_bytes bytes, ak_error *err)
{
    ak_status status = AK_OK;
    int fd = -1;
    char *temporary = NULL;
    if (asprintf(&temporary, "%s.tmp-%d", path, (int)gettid()) < 0) // two threads do not meet
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the path %s", path);
    const char *step = "create";
    fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        goto failed;
    step = "write";
    if (write_all(fd, bytes) != AK_OK)
        goto failed;
    step = "sync";
    if (fsync(fd) != 0)
        goto failed;
    close(fd);
    fd = -1;
    step = "rename";
    if (rename(temporary, path) != 0)
        goto failed;
    free(temporary);
    return sync_parent(path, err);
failed:
    status = ak_fail_errno(err, errno, "cannot %s %s", step, temporary);
    if (fd >= 0)
        close(fd);
    unlink(temporary);
    free(temporary);
    return status;
}

ak_status ak_folder_make(const char *path, ak_error *err)
{
    char *copy = ak_strndup(path, strlen(path));
    if (!copy)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the path %s", path);
    ak_status status = AK_OK;
    for (char *p = copy + 1; status == AK_OK; p++) {
        if (*p != '/' && *p != 0)
            continue;
        char was = *p;
        *p = 0;
        if (mkdir(copy, 0755) != 0 && errno != EEXIST)
            status = ak_fail_errno(err, errno, "cannot make the folder %s", copy);
        *p = was;
        if (!was)
            break;
    }
    free(copy);
    struct stat st;
    if (status == AK_OK && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
        status = ak_fail(err, AK_IO, "%s is there and is no folder", path);
    return status;
}

ak_status ak_folder_sync(const char *path, ak_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ak_fail_errno(err, errno, "cannot open the folder %s", path);
    ak_status status = AK_OK;
    if (fsync(fd) != 0)
        status = ak_fail_errno(err, errno, "cannot sync the folder %s", path);
    close(fd);
    return status;
}
