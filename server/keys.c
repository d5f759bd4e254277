// Immutable after ak_keys_open. Keys are kept as their SHA-256 and compared in constant time.
#include "server/keys.h"

#include "core/base/file.h"
#include "core/base/log.h"
#include "server/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE   "admin.key"
#define KEY_PREFIX "akin_"
#define KEY_BYTES  32
#define KEY_MIN    24 // characters of a key that somebody chose

struct ak_keys {
    bool needed;
    ak_sha256 admin;
    const char *allowed_hosts;
};

// --- files -------------------------------------------------------------------------------------

static ak_status write_secret(const char *path, ak_bytes bytes, ak_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ak_fail_errno(err, errno, "cannot create %s", path);
    ak_status status = AK_OK;
    if (write(fd, bytes.at, bytes.n) != (ssize_t)bytes.n || fsync(fd) != 0)
        status = ak_fail_errno(err, errno, "cannot write %s", path);
    close(fd);
    if (status != AK_OK)
        unlink(path);
    return status;
}

static ak_status random_bytes(uint8_t *out, size_t n, ak_error *err)
{
    if (getrandom(out, n, 0) != (ssize_t)n)
        return ak_fail_errno(err, errno, "no random bytes from the kernel");
    return AK_OK;
}

ak_status ak_secret_file(uint8_t *out, size_t n, const char *folder, const char *name,
                         ak_error *err)
{
    char *path = NULL;
    ak_buf held = {0};
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a path");
    ak_status status = ak_file_read(&held, path, n, err);
    if (status == AK_OK && held.n == n) {
        memcpy(out, held.at, n);
    } else if (status == AK_OK || status == AK_TOO_LARGE) {
        status = ak_fail(err, AK_CORRUPT, "%s must hold %zu bytes", path, n);
    } else if (status == AK_NOT_FOUND) {
        status = random_bytes(out, n, err);
        if (status == AK_OK)
            status = write_secret(path, (ak_bytes){out, n}, err);
    }
    ak_buf_clear(&held);
    free(path);
    return status;
}

static ak_status read_key(ak_keys *keys, const char *path, ak_error *err)
{
    ak_buf held = {0};
    ak_status status = ak_file_read(&held, path, 4096, err);
    size_t n = held.n;
    while (status == AK_OK && n && held.at[n - 1] <= ' ')
        n--;
    if (status == AK_OK && n < KEY_MIN)
        status = ak_fail(err, AK_BAD_VALUE, "the key in %s has %zu characters; at least %d", path,
                         n, KEY_MIN);
    if (status == AK_OK)
        keys->admin = ak_sha256_of((ak_bytes){held.at, n});
    if (held.at)
        explicit_bzero(held.at, held.n);
    ak_buf_clear(&held);
    return status;
}

static ak_status make_key(const char *path, ak_error *err)
{
    uint8_t bytes[KEY_BYTES];
    char text[sizeof KEY_PREFIX + 2 * KEY_BYTES + 1] = KEY_PREFIX;
    if (random_bytes(bytes, sizeof bytes, err) != AK_OK)
        return err->status;
    ak_hex(text + sizeof KEY_PREFIX - 1, bytes, sizeof bytes);
    strcat(text, "\n");
    ak_status status = write_secret(path, (ak_bytes){(uint8_t *)text, strlen(text)}, err);
    explicit_bzero(text, sizeof text);
    return status;
}

ak_status ak_keys_open(ak_keys **out, const ak_server_options *options, ak_error *err)
{
    *out = NULL;
    ak_status status = AK_OK;
    char *path = NULL;
    ak_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the keys");
    keys->allowed_hosts = options->allowed_hosts;
    keys->needed = !ak_http_loopback(options->listen);
    if (keys->needed) {
        const char *file = options->admin_key_file;
        if (!file) {
            if (asprintf(&path, "%s/%s", options->data, KEY_FILE) < 0) {
                path = NULL;
                status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a path");
                goto done;
            }
            file = path;
            if (access(file, F_OK) != 0)
                status = make_key(file, err);
        }
        if (status == AK_OK)
            status = read_key(keys, file, err);
        if (status == AK_OK) {
            ak_log(AK_LOG_INFO, "every call needs a key; the admin key is in %s", file);
            ak_log(AK_LOG_WARN, "%s is plain HTTP beyond this machine: keys can be read on the way",
                   options->listen);
        }
    }
done:
    free(path);
    if (status == AK_OK)
        *out = keys;
    else
        free(keys);
    return status;
}

void ak_keys_close(ak_keys *keys)
{
    free(keys);
}

// --- checks ------------------------------------------------------------------------------------

// The host of "host", "host:port" or "[v6]:port".
static size_t host_length(const char *authority, size_t n)
{
    if (n && authority[0] == '[') {
        const char *close = memchr(authority, ']', n);
        return close ? (size_t)(close - authority) + 1 : n;
    }
    const char *colon = memchr(authority, ':', n);
    return colon ? (size_t)(colon - authority) : n;
}

static bool same(const char *a, size_t n, const char *b, size_t m)
{
    return n == m && strncasecmp(a, b, n) == 0;
}

static bool is_loopback(const char *host, size_t n)
{
    if (same(host, n, "localhost", 9) || same(host, n, "[::1]", 5))
        return true;
    // 127.a.b.c as digits and dots alone: "127.evil.example" is a name
    if (n < 7 || strncmp(host, "127.", 4) != 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (host[i] != '.' && (host[i] < '0' || host[i] > '9'))
            return false;
    return true;
}

// The setting's entries: "host" stands for any port, "host:port" for that one.
static bool is_allowed(const char *list, const char *authority, size_t n)
{
    size_t host_n = host_length(authority, n);
    for (const char *at = list; *at;) {
        size_t m = strcspn(at, ",");
        if (m && (same(at, m, authority, n) || same(at, m, authority, host_n)))
            return true;
        at += m + (at[m] == ',');
    }
    return false;
}

static ak_status check_host(const ak_keys *keys, const ak_request *r, ak_error *err)
{
    const char *host = r->headers.host ? r->headers.host : "";
    size_t n = strlen(host);
    if (is_loopback(host, host_length(host, n)) || is_allowed(keys->allowed_hosts, host, n))
        return AK_OK;
    return ak_fail(err, AK_MISDIRECTED,
                   "the Host is \"%.100s\"; without keys only loopback names are served, and "
                   "those in the setting allowed_hosts",
                   host);
}

static ak_status check_origin(const ak_keys *keys, const ak_request *r, ak_error *err)
{
    const char *origin = r->headers.origin;
    if (!origin || strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0)
        return AK_OK;
    const char *authority = strstr(origin, "://");
    authority = authority ? authority + 3 : "";
    size_t n = strlen(authority);
    const char *host = r->headers.host ? r->headers.host : "";
    if (n &&
        (same(authority, n, host, strlen(host)) || is_allowed(keys->allowed_hosts, authority, n)))
        return AK_OK;
    return ak_fail(err, AK_FOREIGN_ORIGIN,
                   "the Origin is \"%.100s\"; only this server's own pages may do this", origin);
}

ak_status ak_keys_check(const ak_keys *keys, const ak_request *r, bool free, ak_error *err)
{
    if (!keys->needed) {
        ak_status status = check_host(keys, r, err);
        return status == AK_OK ? check_origin(keys, r, err) : status;
    }
    if (free)
        return AK_OK;
    const char *given = r->headers.authorization;
    if (!given || strncasecmp(given, "Bearer ", 7) != 0)
        return ak_fail(err, AK_UNAUTHORIZED, "send a key as Authorization: Bearer akin_...");
    given += 7 + strspn(given + 7, " ");
    ak_sha256 sum = ak_sha256_of((ak_bytes){(const uint8_t *)given, strlen(given)});
    if (!ak_equal_secret(sum.at, keys->admin.at, sizeof sum.at))
        return ak_fail(err, AK_UNAUTHORIZED, "the key is not known here");
    return AK_OK;
}
