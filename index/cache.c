// The cache file of a main index: written by the fold thread, read at the start.
#include "index/cache.h"

#include "core/base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC   "AKINMAIN"
#define VERSION 1

typedef struct {
    char magic[8];
    uint32_t version, dims;
    char store[32], model[72];
    int64_t generation;
    uint64_t rows, bytes;            // of the file
    uint8_t sha256[AK_SHA256_BYTES]; // of the file with these bytes zero
} header;

static header header_of(const ak_cache_key *key, size_t rows)
{
    header head = {.magic = MAGIC, .version = VERSION, .dims = (uint32_t)key->dims};
    snprintf(head.store, sizeof head.store, "%s", key->store);
    snprintf(head.model, sizeof head.model, "%s", key->model);
    head.generation = key->generation;
    head.rows = rows;
    return head;
}

// The sum of a file as it is named in its header; *head is the header as it stands there.
static ak_status sum_of(ak_sha256 *sum, header *head, int fd, ak_error *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ak_fail_errno(err, errno, "cannot look at the cache file");
    if ((size_t)st.st_size < sizeof *head)
        return ak_fail(err, AK_CORRUPT, "it has %lld bytes, fewer than its header",
                       (long long)st.st_size);
    size_t n = (size_t)st.st_size;
    // A private copy of the pages that are written to: the first one.
    uint8_t *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return ak_fail_errno(err, errno, "cannot map the cache file");
    memcpy(head, at, sizeof *head);
    memset(at + offsetof(header, sha256), 0, sizeof head->sha256);
    *sum = ak_sha256_of((ak_bytes){at, n});
    munmap(at, n);
    if (head->bytes && head->bytes != n)
        return ak_fail(err, AK_CORRUPT, "it has %zu bytes of %llu", n,
                       (unsigned long long)head->bytes);
    return AK_OK;
}

static ak_status put(int fd, const void *at, size_t n, off_t offset, const char *path,
                     ak_error *err)
{
    ssize_t done = pwrite(fd, at, n, offset);
    if (done == (ssize_t)n)
        return AK_OK;
    return ak_fail_errno(err, done < 0 ? errno : ENOSPC, "cannot write %s", path);
}

ak_status ak_cache_write(const char *path, const ak_cache_key *key, const ak_main *main,
                         ak_disk *disk, ak_error *err)
{
    char temporary[PATH_MAX], folder[PATH_MAX];
    ak_status status = AK_OK;
    header head = header_of(key, main->n), again;
    ak_sha256 sum;
    snprintf(folder, sizeof folder, "%s", path);
    if (snprintf(temporary, sizeof temporary, "%s.tmp", path) >= (int)sizeof temporary)
        return ak_fail(err, AK_BAD_VALUE, "the path %.200s is too long", path);
    FILE *file = fopen(temporary, "w+e");
    if (!file)
        return ak_fail_errno(err, errno, "cannot create %s", temporary);
    int errnum = ak_disk_ask(disk, AK_DISK_WRITE);
    if (errnum) {
        status = ak_fail_errno(err, errnum, "cannot write %s", temporary);
        goto done;
    }
    if (fwrite(&head, sizeof head, 1, file) != 1 ||
        fwrite(main->rows, sizeof *main->rows, main->n, file) != main->n) {
        status = ak_fail_errno(err, errno, "cannot write %s", temporary);
        goto done;
    }
    status = ak_faiss_write(main->index, file, err);
    if (status != AK_OK)
        goto done;
    long end = ftell(file);
    if (fflush(file) != 0 || end < 0) {
        status = ak_fail_errno(err, errno, "cannot write %s", temporary);
        goto done;
    }
    head.bytes = (uint64_t)end;
    status = put(fileno(file), &head, sizeof head, 0, temporary, err);
    if (status == AK_OK)
        status = sum_of(&sum, &again, fileno(file), err);
    if (status == AK_OK)
        status = put(fileno(file), sum.at, sizeof sum.at, offsetof(header, sha256), temporary, err);
    if (status == AK_OK)
        status = ak_disk_sync(disk, fileno(file), temporary, err);
    if (status == AK_OK)
        status = ak_disk_rename(disk, temporary, path, err);
    if (status == AK_OK)
        status = ak_disk_sync_folder(disk, dirname(folder), err);
done:
    fclose(file);
    if (status != AK_OK)
        unlink(temporary);
    return status;
}

static ak_status check(const header *head, const ak_sha256 *sum, const ak_cache_key *key,
                       ak_error *err)
{
    header ours = header_of(key, head->rows);
    if (memcmp(head->magic, ours.magic, sizeof head->magic) != 0)
        return ak_fail(err, AK_CORRUPT, "it is no index of Akin's");
    if (head->version != VERSION)
        return ak_fail(err, AK_CORRUPT, "it is of version %u, not %d", head->version, VERSION);
    if (memcmp(head->sha256, sum->at, sizeof sum->at) != 0)
        return ak_fail(err, AK_CORRUPT, "its checksum is wrong");
    if (head->dims != ours.dims || head->generation != ours.generation ||
        memcmp(head->store, ours.store, sizeof ours.store) != 0 ||
        memcmp(head->model, ours.model, sizeof ours.model) != 0)
        return ak_fail(err, AK_CORRUPT, "it is of another store, generation or model");
    if (head->rows > head->bytes / sizeof(ak_row))
        return ak_fail(err, AK_CORRUPT, "it cannot hold %llu rows", (unsigned long long)head->rows);
    return AK_OK;
}

ak_status ak_cache_read(ak_main **out, const char *path, const ak_cache_key *key, ak_error *err)
{
    ak_sha256 sum;
    header head;
    ak_row *rows = NULL;
    ak_faiss *index = NULL;
    *out = NULL;
    FILE *file = fopen(path, "re");
    if (!file)
        return ak_fail_errno(err, errno, "cannot open %s", path);
    ak_status status = sum_of(&sum, &head, fileno(file), err);
    if (status == AK_OK)
        status = check(&head, &sum, key, err);
    if (status != AK_OK)
        goto done;
    size_t n = (size_t)head.rows;
    rows = ak_alloc(n ? n : 1, sizeof *rows);
    if (!rows) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu rows", n);
        goto done;
    }
    if (fseek(file, sizeof head, SEEK_SET) != 0 || fread(rows, sizeof *rows, n, file) != n) {
        status = ak_fail(err, AK_CORRUPT, "it ends within its rows");
        goto done;
    }
    status = ak_faiss_read(&index, file, err);
    if (status == AK_OK && (ak_faiss_count(index) != n || ak_faiss_dims(index) != key->dims))
        status = ak_fail(err, AK_CORRUPT, "its index does not have its %zu rows", n);
    if (status != AK_OK)
        goto done;
    status = ak_main_new(out, index, rows, n, err);
    index = NULL;
    rows = NULL;
done:
    fclose(file);
    free(rows);
    ak_faiss_free(index);
    return status;
}
