// A file is: header, pixels, table, texts (names of classes, then what was refused, each with a
// zero behind it). The pixels are written as they are decoded, so that a tar may be larger than
// memory; the header comes last, in place.
#include "core/views/cache.h"

#include "core/base/file.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/views/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <nmmintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the files are little-endian");

typedef struct {
    char magic[8];
    uint32_t version, keep_side;
    uint64_t source_bytes; // of the tar
    int64_t source_ns;     // when it was changed
    uint64_t pictures, classes, refused;
    uint64_t table, texts, end; // where they begin; the size of the file
    uint32_t tail_sum;          // of table and texts
    uint32_t sum;               // of this header with 0 here
} header;

typedef struct {
    uint64_t at;
    uint32_t width, height, class, sum;
} row;

static const header fresh = {.magic = "AKINPICT", .version = VERSION};

struct ak_cache {
    const uint8_t *at; // the mapped file
    size_t n;
    const header *h;
    const row *rows;
    const char **texts; // (classes + refused)
};

// CRC-32C by the processor's instruction: 8 GB are checked in a second.
static uint32_t sum_of(const void *at, size_t n)
{
    const uint8_t *p = at;
    uint64_t sum = 0xffffffff, word;
    for (; n >= sizeof word; n -= sizeof word, p += sizeof word) {
        memcpy(&word, p, sizeof word);
        sum = _mm_crc32_u64(sum, word);
    }
    for (; n; n--)
        sum = _mm_crc32_u8((uint32_t)sum, *p++);
    return (uint32_t)sum ^ 0xffffffff;
}

static uint32_t header_sum(header h)
{
    h.sum = 0;
    return sum_of(&h, sizeof h);
}

static size_t bytes_of(const row *r)
{
    return 3 * (size_t)r->width * (size_t)r->height;
}

// --- reading -----------------------------------------------------------------------------------

static bool header_is_sound(const header *h, size_t n)
{
    size_t rows;
    return h->end == n && h->table % sizeof h->end == 0 && sizeof *h <= h->table &&
           h->table <= h->texts && h->texts <= n && ak_mul(&rows, h->pictures, sizeof(row)) &&
           rows == h->texts - h->table && h->classes <= n - h->texts &&
           h->refused <= n - h->texts - h->classes;
}

static bool texts_are_sound(ak_cache *c)
{
    size_t n = c->h->classes + c->h->refused;
    const char *at = (const char *)c->at + c->h->texts, *end = (const char *)c->at + c->n;
    if (!(c->texts = ak_alloc(n + 1, sizeof *c->texts)))
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *zero = memchr(at, 0, (size_t)(end - at));
        if (!zero)
            return false;
        c->texts[i] = at;
        at = zero + 1;
    }
    return at == end;
}

static bool pictures_are_sound(const ak_cache *c)
{
    bool sound = true;
    const header *h = c->h;
#pragma omp parallel for schedule(dynamic, 64) reduction(&& : sound)
    for (size_t i = 0; i < h->pictures; i++) {
        const row *r = &c->rows[i];
        sound = sound && r->width > 0 && r->height > 0 && r->class < h->classes &&
                r->width <= INT32_MAX / 3 && r->height <= INT32_MAX / 3 && r->at >= sizeof *h &&
                r->at <= h->table && bytes_of(r) <= h->table - r->at &&
                sum_of(c->at + r->at, bytes_of(r)) == r->sum;
    }
    return sound;
}

// Why the file cannot be used, or NULL.
static const char *check(ak_cache *c, const header *want)
{
    const header *h = c->h = (const header *)c->at;
    if (c->n < sizeof *h)
        return "it is cut short";
    if (memcmp(h->magic, want->magic, sizeof h->magic) != 0)
        return "it is no cache";
    if (h->version != want->version)
        return "it is of another version";
    if (h->sum != header_sum(*h))
        return "its header is damaged";
    if (h->source_bytes != want->source_bytes || h->source_ns != want->source_ns ||
        h->keep_side != want->keep_side)
        return "the tar has changed";
    if (!header_is_sound(h, c->n))
        return "it is cut short";
    c->rows = (const row *)(c->at + h->table);
    if (sum_of(c->rows, c->n - h->table) != h->tail_sum || !texts_are_sound(c))
        return "its table is damaged";
    return pictures_are_sound(c) ? NULL : "a picture in it is damaged";
}

// True when the file can be used. *why is NULL when there is none.
static bool map(ak_cache *c, const char *file, const header *want, const char **why)
{
    struct stat st;
    *why = NULL;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    *why = "it cannot be read";
    if (fstat(fd, &st) == 0 && st.st_size > 0) {
        void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (at != MAP_FAILED) {
            c->at = at;
            c->n = (size_t)st.st_size;
            *why = check(c, want);
        }
    }
    close(fd);
    if (*why) {
        if (c->at)
            munmap((void *)c->at, c->n);
        free(c->texts);
        *c = (ak_cache){0};
    }
    return !*why;
}

// --- writing -----------------------------------------------------------------------------------

typedef struct {
    FILE *file;
    const char *name;
    header h;
    uint64_t at; // bytes written
    ak_buf table, refused;
    char **classes;
    size_t classes_n;
} writer;

static ak_status put(writer *w, const void *at, size_t n, ak_error *err)
{
    w->at += n;
    if (n && fwrite(at, 1, n, w->file) != n)
        return ak_fail_errno(err, errno, "cannot write %s", w->name);
    return AK_OK;
}

static ak_status take(void *arg, const char *name, ak_image *image, ak_error *err)
{
    writer *w = arg;
    row r = {w->at, (uint32_t)image->width, (uint32_t)image->height, 0, 0};
    r.sum = sum_of(image->rgb, bytes_of(&r));
    ak_status status =
        ak_class_number(&r.class, &w->classes, &w->classes_n, ak_class_of(name), err);
    if (status == AK_OK && !ak_buf_append(&w->table, &r, sizeof r))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the table of %s", w->name);
    w->h.pictures++;
    return status == AK_OK ? put(w, image->rgb, bytes_of(&r), err) : status;
}

static ak_status refuse(void *arg, const char *name, const char *why, ak_error *err)
{
    writer *w = arg;
    w->h.refused++;
    if (!ak_buf_append(&w->refused, name, strlen(name)) || !ak_buf_append(&w->refused, ": ", 2) ||
        !ak_buf_append(&w->refused, why, strlen(why) + 1))
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the table of %s", w->name);
    return AK_OK;
}

// Table, texts and the header that names them.
static ak_status put_tail(writer *w, ak_error *err)
{
    static const uint8_t zeros[sizeof(uint64_t)];
    ak_status status = put(w, zeros, -w->at % sizeof zeros, err);
    w->h.table = w->at;
    w->h.texts = w->at + w->table.n;
    w->h.classes = w->classes_n;
    bool room = true;
    for (size_t i = 0; i < w->classes_n && room; i++)
        room = ak_buf_append(&w->table, w->classes[i], strlen(w->classes[i]) + 1);
    if (!room || !ak_buf_append(&w->table, w->refused.at, w->refused.n))
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the table of %s", w->name);
    if (status == AK_OK)
        status = put(w, w->table.at, w->table.n, err);
    w->h.end = w->at;
    w->h.tail_sum = sum_of(w->table.at, w->table.n);
    w->h.sum = header_sum(w->h);
    if (status == AK_OK && fseek(w->file, 0, SEEK_SET) != 0)
        status = ak_fail_errno(err, errno, "cannot write %s", w->name);
    return status == AK_OK ? put(w, &w->h, sizeof w->h, err) : status;
}

// Writes the cache to `file`, which stays the caller's.
static ak_status write_cache(FILE *file, const char *name, const header *want, const char *path,
                             ak_error *err)
{
    writer w = {.file = file, .name = name, .h = *want};
    const ak_decode_sink sink = {take, refuse, &w};
    ak_status status = put(&w, &w.h, sizeof w.h, err);
    if (status == AK_OK)
        status = ak_decode_all(path, (int)want->keep_side, &sink, err);
    if (status == AK_OK)
        status = put_tail(&w, err);
    if (status == AK_OK && (fflush(file) != 0 || fsync(fileno(file)) != 0))
        status = ak_fail_errno(err, errno, "cannot write %s", name);
    for (size_t i = 0; i < w.classes_n; i++)
        free(w.classes[i]);
    free(w.classes);
    ak_buf_clear(&w.table);
    ak_buf_clear(&w.refused);
    return status;
}

// The temporary file, locked and empty. It may have become the cache while this process waited:
// then the name is no longer this file's, and the next one is tried.
static FILE *lock(const char *temporary)
{
    struct stat of_file, of_name;
    for (;;) {
        int fd = open(temporary, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        FILE *file = fd < 0 ? NULL : fdopen(fd, "r+b");
        if (!file || flock(fd, LOCK_EX) != 0 || fstat(fd, &of_file) != 0) {
            if (file)
                fclose(file);
            else if (fd >= 0)
                close(fd);
            return NULL;
        }
        if (stat(temporary, &of_name) == 0 && of_file.st_ino == of_name.st_ino)
            return ftruncate(fd, 0) == 0 ? file : (fclose(file), NULL);
        fclose(file);
    }
}

static ak_status build(ak_cache *c, const char *folder, const char *file, const header *want,
                       const char *path, ak_error *err)
{
    char *temporary = NULL;
    const char *why;
    if (asprintf(&temporary, "%s.tmp", file) < 0)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the path %s", file);
    FILE *out = lock(temporary);
    ak_status status =
        out ? AK_OK : ak_fail_errno(err, errno, "cannot create and lock %s", temporary);
    if (out && map(c, file, want, &why)) { // by another process, while this one waited
        unlink(temporary);
    } else if (out) {
        if (why)
            ak_log(AK_LOG_WARN, "%s is made anew: %s", file, why);
        status = write_cache(out, temporary, want, path, err);
        if (status == AK_OK && rename(temporary, file) != 0)
            status = ak_fail_errno(err, errno, "cannot rename %s", temporary);
        if (status == AK_OK)
            status = ak_folder_sync(folder, err);
        if (status == AK_OK && !map(c, file, want, &why))
            status = ak_fail(err, AK_CORRUPT, "%s was written and is not what was written: %s",
                             file, why ? why : "it is gone");
        if (status != AK_OK)
            unlink(temporary);
    }
    if (out)
        fclose(out);
    free(temporary);
    return status;
}

// FOLDER/pack.tar-128-0123456789abcdef.pictures, by the whole path's hash.
static char *file_of(const char *folder, const char *path, int keep_side)
{
    char *whole = realpath(path, NULL), *file = NULL, hex[AK_SHA256_HEX + 1];
    if (!whole)
        return NULL;
    ak_sha256 hash = ak_sha256_of((ak_bytes){(const uint8_t *)whole, strlen(whole)});
    ak_sha256_hex(hex, &hash);
    if (asprintf(&file, "%s/%.100s-%d-%.16s.pictures", folder, strrchr(whole, '/') + 1, keep_side,
                 hex) < 0)
        file = NULL;
    free(whole);
    return file;
}

ak_status ak_cache_open(ak_cache **out, const char *folder, const char *path, int keep_side,
                        ak_error *err)
{
    struct stat st;
    const char *why;
    *out = NULL;
    ak_cache *c = calloc(1, sizeof *c);
    char *file = file_of(folder, path, keep_side);
    ak_status status = AK_OK;
    if (!c || !file || stat(path, &st) != 0)
        status = ak_fail_errno(err, errno, "cannot open %s", path);
    if (status == AK_OK)
        status = ak_folder_make(folder, err);
    if (status == AK_OK) {
        header want = fresh;
        want.keep_side = (uint32_t)keep_side;
        want.source_bytes = (uint64_t)st.st_size;
        want.source_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
        if (!map(c, file, &want, &why))
            status = build(c, folder, file, &want, path, err);
    }
    free(file);
    if (status == AK_OK)
        *out = c;
    else
        free(c);
    return status;
}

size_t ak_cache_count(const ak_cache *c)
{
    return c->h->pictures;
}

ak_image ak_cache_picture(const ak_cache *c, size_t i, const char **class)
{
    const row *r = &c->rows[i];
    *class = c->texts[r->class];
    return (ak_image){(int)r->width, (int)r->height, (uint8_t *)c->at + r->at};
}

const char *ak_cache_refused(const ak_cache *c, size_t i)
{
    return i < c->h->refused ? c->texts[c->h->classes + i] : NULL;
}

void ak_cache_close(ak_cache *c)
{
    if (!c)
        return;
    munmap((void *)c->at, c->n);
    free(c->texts);
    free(c);
}
