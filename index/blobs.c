// Originals as files. blobs.h has the order of steps and why it is so.
#include "index/blobs.h"

#include "core/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ak_status path_of(char out[PATH_MAX], const ak_blobs *blobs, const ak_sha256 *sum,
                         bool incoming, ak_error *err)
{
    char hex[AK_SHA256_HEX + 1];
    ak_sha256_hex(hex, sum);
    int n = incoming ? snprintf(out, PATH_MAX, "%s/incoming/%s", blobs->folder, hex)
                     : snprintf(out, PATH_MAX, "%s/%.2s/%s", blobs->folder, hex, hex + 2);
    return n < PATH_MAX ? AK_OK : ak_fail(err, AK_BAD_VALUE, "the path of the data is too long");
}

ak_status ak_blobs_open(ak_blobs *blobs, const char *data, ak_disk *disk, ak_error *err)
{
    char path[PATH_MAX];
    blobs->disk = disk;
    if (asprintf(&blobs->folder, "%s/blobs", data) < 0) {
        blobs->folder = NULL;
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the path of %s", data);
    }
    if (strlen(blobs->folder) + AK_SHA256_HEX + 12 > sizeof path)
        return ak_fail(err, AK_BAD_VALUE, "the path %.200s is too long", blobs->folder);
    snprintf(path, sizeof path, "%s/incoming", blobs->folder);
    if (access(path, F_OK) == 0)
        return AK_OK;
    ak_status status = ak_folder_make(path, err);
    return status == AK_OK ? ak_disk_sync_folder(disk, blobs->folder, err) : status;
}

void ak_blobs_close(ak_blobs *blobs)
{
    free(blobs->folder);
    blobs->folder = NULL;
}

ak_status ak_blobs_put(ak_blobs *blobs, const ak_sha256 *sum, ak_bytes bytes, ak_error *err)
{
    char path[PATH_MAX];
    ak_status status = path_of(path, blobs, sum, true, err);
    if (status != AK_OK)
        return status;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return ak_fail_errno(err, errno, "cannot create %s", path);
    status = ak_disk_write(blobs->disk, fd, bytes, path, err);
    if (status == AK_OK)
        status = ak_disk_sync(blobs->disk, fd, path, err);
    close(fd);
    if (status != AK_OK)
        unlink(path);
    return status;
}

// From incoming to its place, whose folder is made when it is the first there.
static ak_status move(ak_blobs *blobs, const ak_sha256 *sum, bool *made, ak_error *err)
{
    char from[PATH_MAX], to[PATH_MAX];
    ak_status status = path_of(from, blobs, sum, true, err);
    if (status == AK_OK)
        status = path_of(to, blobs, sum, false, err);
    if (status == AK_OK)
        status = ak_disk_rename(blobs->disk, from, to, err);
    if (status != AK_NOT_FOUND)
        return status;
    char *slash = strrchr(to, '/');
    *slash = 0;
    status = ak_folder_make(to, err);
    *slash = '/';
    *made = true;
    return status == AK_OK ? ak_disk_rename(blobs->disk, from, to, err) : status;
}

ak_status ak_blobs_settle(ak_blobs *blobs, const ak_sha256 *const *sums, size_t n, ak_error *err)
{
    char incoming[PATH_MAX];
    bool made = false;
    snprintf(incoming, sizeof incoming, "%s/incoming", blobs->folder);
    ak_status status = ak_disk_sync_folder(blobs->disk, incoming, err);
    for (size_t i = 0; status == AK_OK && i < n; i++)
        status = move(blobs, sums[i], &made, err);
    if (status == AK_OK && made)
        status = ak_disk_sync_folder(blobs->disk, blobs->folder, err);
    return status;
}

ak_status ak_blobs_remove(ak_blobs *blobs, const ak_sha256 *sum, ak_error *err)
{
    for (int incoming = 0; incoming < 2; incoming++) {
        char path[PATH_MAX];
        ak_status status = path_of(path, blobs, sum, incoming, err);
        if (status != AK_OK)
            return status;
        if (unlink(path) != 0 && errno != ENOENT)
            return ak_fail_errno(err, errno, "cannot remove %s", path);
    }
    return AK_OK;
}

ak_status ak_blobs_read(ak_buf *out, const ak_blobs *blobs, const ak_sha256 *sum, size_t limit,
                        ak_error *err)
{
    char path[PATH_MAX];
    ak_status status = AK_NOT_FOUND;
    // The file moves from incoming to its place at most once: place, incoming, place.
    for (int i = 0; status == AK_NOT_FOUND && i < 3; i++) {
        status = path_of(path, blobs, sum, i == 1, err);
        if (status == AK_OK)
            status = ak_file_read(out, path, limit, err);
    }
    return status;
}

static ak_status recover_one(ak_blobs *blobs, const ak_sha256 *sum, const char *path, bool wanted,
                             ak_error *err)
{
    char place[PATH_MAX];
    ak_buf buf = {0};
    bool made = false;
    ak_status status = path_of(place, blobs, sum, false, err);
    if (status == AK_OK && wanted && access(place, F_OK) != 0) {
        status = ak_file_read(&buf, path, SIZE_MAX / 2, err);
        ak_sha256 real = ak_sha256_of(ak_buf_bytes(&buf));
        wanted = memcmp(&real, sum, sizeof real) == 0;
        if (status == AK_OK && wanted)
            status = move(blobs, sum, &made, err);
    } else {
        wanted = false;
    }
    if (status == AK_OK && !wanted && unlink(path) != 0)
        status = ak_fail_errno(err, errno, "cannot remove %s", path);
    ak_buf_clear(&buf);
    return status;
}

ak_status ak_blobs_recover(ak_blobs *blobs,
                           ak_status (*wanted)(void *arg, const ak_sha256 *sum, bool *is),
                           void *arg, ak_error *err)
{
    char folder[PATH_MAX];
    ak_status status = AK_OK;
    snprintf(folder, sizeof folder, "%s/incoming", blobs->folder);
    DIR *dir = opendir(folder);
    if (!dir)
        return ak_fail_errno(err, errno, "cannot open the folder %s", folder);
    struct dirent *entry;
    while (status == AK_OK && (entry = readdir(dir))) {
        ak_sha256 sum;
        char path[PATH_MAX];
        bool is = false;
        if (!ak_sha256_parse(&sum, entry->d_name, strlen(entry->d_name)))
            continue; // not ours
        status = path_of(path, blobs, &sum, true, err);
        if (status == AK_OK)
            status = wanted(arg, &sum, &is);
        if (status == AK_OK)
            status = recover_one(blobs, &sum, path, is, err);
    }
    closedir(dir);
    return status;
}
