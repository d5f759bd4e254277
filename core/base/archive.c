// Pictures in a tar (libarchive) or a folder (fts), one after the other.
//
// One thread at a time. The list of a folder is made when it is opened; its files are read when
// their turn comes. Formats and filters are named one by one: libarchive's "all" would start
// programs for some of them.
#include "core/base/archive.h"

#include "core/base/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK_BYTES 65536

typedef struct {
    char *name; // within the folder
    uint64_t size;
    int errnum; // why the walk could not look at it, or 0
} item;

struct ak_archive {
    char *path;
    size_t entry_limit;
    ak_buf bytes, name; // of the entry that was handed out
    struct archive *tar;
    bool ended;
    item *items; // or a folder's files, sorted by name
    size_t count, capacity, at;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const item *)a)->name, ((const item *)b)->name);
}

static int by_entry_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static bool add_item(ak_archive *a, const char *name, uint64_t size, int errnum)
{
    if (a->count == a->capacity) {
        size_t bytes, capacity = a->capacity ? 2 * a->capacity : 256;
        item *items = ak_mul(&bytes, capacity, sizeof *items) ? realloc(a->items, bytes) : NULL;
        if (!items)
            return false;
        a->items = items;
        a->capacity = capacity;
    }
    char *copy = ak_strndup(name, strlen(name));
    if (!copy)
        return false;
    a->items[a->count++] = (item){copy, size, errnum};
    return true;
}

static ak_status list_folder(ak_archive *a, ak_error *err)
{
    ak_status status = AK_OK;
    size_t root = 0;
    char *paths[] = {a->path, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_entry_name);
    if (!walk)
        return ak_fail_errno(err, errno, "cannot list the folder %s", a->path);
    for (FTSENT *e; errno = 0, (e = fts_read(walk));) {
        if (e->fts_level == FTS_ROOTLEVEL && e->fts_info == FTS_D)
            root = e->fts_pathlen;
        if (e->fts_level == FTS_ROOTLEVEL && e->fts_info == FTS_DNR) {
            status = ak_fail_errno(err, e->fts_errno, "cannot list the folder %s", a->path);
            goto done;
        }
        bool bad = e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS;
        if (e->fts_info != FTS_F && !bad)
            continue;
        const char *name = e->fts_path + root;
        name += strspn(name, "/");
        if (!add_item(a, name, bad ? 0 : (uint64_t)e->fts_statp->st_size, bad ? e->fts_errno : 0)) {
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to list the folder %s", a->path);
            goto done;
        }
    }
    if (errno)
        status = ak_fail_errno(err, errno, "cannot list the folder %s", a->path);
    // fts sorts within a folder, which puts a/b before a.jpg; the contract is the order of paths.
    if (a->count)
        qsort(a->items, a->count, sizeof *a->items, by_name);
done:
    fts_close(walk);
    return status;
}

// The system's error numbers mean the disk; libarchive's own (EILSEQ, EINVAL, -1) the contents.
static ak_status fail_tar(ak_archive *a, const char *what, ak_error *err)
{
    int errnum = archive_errno(a->tar);
    const char *text = archive_error_string(a->tar);
    if (errnum > 0 && errnum != EILSEQ && errnum != EINVAL)
        return ak_fail_errno(err, errnum, "cannot read %s", a->path);
    return ak_fail(err, AK_CORRUPT, "%s %s: %s", a->path, what, text ? text : "unreadable");
}

static ak_status open_tar(ak_archive *a, ak_error *err)
{
    a->tar = archive_read_new();
    if (!a->tar)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to read %s", a->path);
    archive_read_support_format_tar(a->tar);
    archive_read_support_filter_gzip(a->tar);
    archive_read_support_filter_bzip2(a->tar);
    archive_read_support_filter_xz(a->tar);
    archive_read_support_filter_zstd(a->tar);
    if (archive_read_open_filename(a->tar, a->path, BLOCK_BYTES) != ARCHIVE_OK)
        return fail_tar(a, "cannot be read as a tar", err);
    return AK_OK;
}

ak_status ak_archive_open(ak_archive **out, const char *path, size_t entry_limit, ak_error *err)
{
    *out = NULL;
    ak_status status = AK_OK;
    ak_archive *a = NULL;
    struct stat st;
    if (stat(path, &st) != 0)
        return ak_fail_errno(err, errno, "cannot open %s", path);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
        return ak_fail(err, AK_BAD_VALUE, "%s is neither a folder nor a tar", path);
    a = calloc(1, sizeof *a);
    if (!a || !(a->path = ak_strndup(path, strlen(path)))) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to open %s", path);
        goto done;
    }
    a->entry_limit = entry_limit;
    status = S_ISDIR(st.st_mode) ? list_folder(a, err) : open_tar(a, err);
done:
    if (status == AK_OK)
        *out = a;
    else
        ak_archive_close(a);
    return status;
}

static void refuse(ak_entry *entry, const ak_error *why)
{
    entry->status = why->status;
    entry->bytes = (ak_bytes){0};
    snprintf(entry->reason, sizeof entry->reason, "%.*s", (int)sizeof entry->reason - 1, why->text);
}

static bool over_limit(const ak_archive *a, ak_entry *entry)
{
    if (entry->size <= a->entry_limit)
        return false;
    ak_error why;
    ak_fail(&why, AK_TOO_LARGE, "%llu bytes; at most %zu", (unsigned long long)entry->size,
            a->entry_limit);
    refuse(entry, &why);
    return true;
}

static ak_status next_in_folder(ak_archive *a, ak_entry *entry, bool *more, ak_error *err)
{
    ak_error why;
    *more = a->at < a->count;
    if (!*more)
        return AK_OK;
    const item *file = &a->items[a->at++];
    entry->name = file->name;
    entry->size = file->size;
    if (file->errnum) {
        ak_fail_errno(&why, file->errnum, "cannot be read");
        refuse(entry, &why);
        return AK_OK;
    }
    if (over_limit(a, entry))
        return AK_OK;
    char *path = NULL;
    if (asprintf(&path, "%s/%s", a->path, file->name) < 0)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to read %s", file->name);
    if (ak_file_read(&a->bytes, path, a->entry_limit, &why) == AK_OK)
        entry->bytes = ak_buf_bytes(&a->bytes);
    else
        refuse(entry, &why);
    free(path);
    return AK_OK;
}

static bool keep_name(ak_archive *a, struct archive_entry *e, ak_entry *entry)
{
    // Names of pax headers are UTF-8, those of older ones plain bytes; which accessor answers
    // depends on the locale.
    const char *name = archive_entry_pathname(e);
    if (!name)
        name = archive_entry_pathname_utf8(e);
    if (!name)
        name = "(a name that cannot be read)";
    while (strncmp(name, "./", 2) == 0)
        name += 2 + strspn(name + 2, "/");
    a->name.n = 0;
    if (!ak_buf_append(&a->name, name, strlen(name) + 1))
        return false;
    entry->name = (const char *)a->name.at;
    return true;
}

static ak_status read_data(ak_archive *a, ak_entry *entry, ak_error *err)
{
    for (;;) {
        if (!ak_buf_reserve(&a->bytes, BLOCK_BYTES))
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the %llu bytes of %s",
                           (unsigned long long)entry->size, entry->name);
        ssize_t got = archive_read_data(a->tar, a->bytes.at + a->bytes.n, BLOCK_BYTES);
        if (got < 0) {
            ak_status status = fail_tar(a, "is damaged or cut short", err);
            ak_fail_within(err, "file %s", entry->name);
            return status;
        }
        if (got == 0)
            break;
        a->bytes.n += (size_t)got;
        if (a->bytes.n > a->entry_limit) { // more than the header stated
            entry->size = a->bytes.n;
            over_limit(a, entry);
            return AK_OK;
        }
    }
    entry->bytes = ak_buf_bytes(&a->bytes);
    return AK_OK;
}

// A tar ends with blocks of zeros. libarchive does not ask for them, so a file cut just between two
// entries looks whole to it; but it consumes one where there is one.
static ak_status check_end(ak_archive *a, ak_error *err)
{
    if (archive_filter_bytes(a->tar, 0) > archive_read_header_position(a->tar))
        return AK_OK;
    return ak_fail(err, AK_CORRUPT, "%s is cut short: the end mark of a tar is missing", a->path);
}

static ak_status next_in_tar(ak_archive *a, ak_entry *entry, bool *more, ak_error *err)
{
    struct archive_entry *e;
    if (a->ended)
        return AK_OK;
    for (;;) {
        int code = archive_read_next_header(a->tar, &e);
        if (code == ARCHIVE_EOF) {
            a->ended = true;
            return check_end(a, err);
        }
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
            return fail_tar(a, "is damaged or cut short", err);
        if (archive_entry_filetype(e) == AE_IFREG || archive_entry_hardlink(e))
            break;
    }
    *more = true;
    entry->size = archive_entry_size(e) > 0 ? (uint64_t)archive_entry_size(e) : 0;
    if (!keep_name(a, e, entry))
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a name in %s", a->path);
    if (archive_entry_hardlink(e)) {
        ak_error why;
        ak_fail(&why, AK_BAD_VALUE, "a hard link; its content comes under the name %s",
                archive_entry_hardlink(e));
        refuse(entry, &why);
        return AK_OK;
    }
    if (over_limit(a, entry)) // the next header skips the data
        return AK_OK;
    return read_data(a, entry, err);
}

ak_status ak_archive_next(ak_archive *a, ak_entry *entry, bool *more, ak_error *err)
{
    *entry = (ak_entry){0};
    *more = false;
    a->bytes.n = 0;
    return a->tar ? next_in_tar(a, entry, more, err) : next_in_folder(a, entry, more, err);
}

void ak_archive_close(ak_archive *a)
{
    if (!a)
        return;
    archive_read_free(a->tar);
    for (size_t i = 0; i < a->count; i++)
        free(a->items[i].name);
    free(a->items);
    ak_buf_clear(&a->bytes);
    ak_buf_clear(&a->name);
    free(a->path);
    free(a);
}
