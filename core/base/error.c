#include "core/base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *code, *title;
    int http, exit;
} table[AK_STATUS_COUNT] = {
#define X(name, code, http, exit, title) [AK_##name] = {code, title, http, exit},
    AK_STATUS_TABLE(X)
#undef X
};

ak_status ak_fail(ak_error *err, ak_status status, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        err->status = status;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
    }
    return status;
}

static ak_status status_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return AK_DISK_FULL;
    case EROFS:
    case EACCES:
    case EPERM:
        return AK_READ_ONLY;
    case ENOMEM:
        return AK_OUT_OF_MEMORY;
    case ENOENT:
        return AK_NOT_FOUND;
    default:
        return AK_IO;
    }
}

ak_status ak_fail_errno(ak_error *err, int errnum, const char *format, ...)
{
    ak_status status = status_of_errno(errnum);
    if (err) {
        va_list args;
        va_start(args, format);
        err->status = status;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        size_t n = strlen(err->text);
        snprintf(err->text + n, sizeof err->text - n, ": %s", strerror(errnum));
    }
    return status;
}

ak_status ak_fail_within(ak_error *err, const char *format, ...)
{
    if (!err) // the status is the inner call's, which only err knows
        return AK_INTERNAL;
    char before[sizeof err->text], inner[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(before, sizeof before, format, args);
    va_end(args);
    memcpy(inner, err->text, sizeof inner);
    size_t n = strnlen(before, sizeof before / 2);
    snprintf(err->text, sizeof err->text, "%.*s: %.*s", (int)n, before,
             (int)(sizeof err->text - n - 3), inner);
    return err->status;
}

const char *ak_status_code(ak_status status)
{
    return table[status].code;
}

const char *ak_status_title(ak_status status)
{
    return table[status].title;
}

int ak_status_http(ak_status status)
{
    return table[status].http;
}

int ak_status_exit(ak_status status)
{
    return table[status].exit;
}
