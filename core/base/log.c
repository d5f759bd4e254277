#include "core/base/log.h"

#include "core/base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static atomic_int threshold = AK_LOG_INFO;

void ak_log_threshold(ak_log_level least)
{
    atomic_store(&threshold, (int)least);
}

void ak_log(ak_log_level level, const char *format, ...)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    if ((int)level < atomic_load(&threshold))
        return;
    char line[1200], time[AK_TIME_TEXT];
    ak_time_text(time, ak_clock_ms());
    int n = snprintf(line, sizeof line, "%s %-5s ", time, names[level]);
    va_list args;
    va_start(args, format);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    n = m < 0 ? n : n + m;
    if (n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    for (int i = 0; i < n; i++)
        if ((unsigned char)line[i] < ' ') // what a client sent must not forge a line
            line[i] = ' ';
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, (size_t)n) < 0) // one write: lines of threads do not mix
        return;
}
