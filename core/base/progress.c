#include "core/base/progress.h"

#include "core/base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_S    0.1
#define PLAIN_S     5.0
#define SAMPLE_S    0.5
#define SMOOTHING_S 10.0
#define BAR_MAX     30

static int columns_of_terminal(void)
{
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 10)
        return w.ws_col - 1; // a full last column would wrap
    return 79;
}

static void duration(char *out, size_t size, double s)
{
    long t = (long)(s + 0.5);
    if (t >= 3600)
        snprintf(out, size, "%ld h %02ld min", t / 3600, t / 60 % 60);
    else if (t >= 60)
        snprintf(out, size, "%ld min %02ld s", t / 60, t % 60);
    else
        snprintf(out, size, "%ld s", t);
}

void ak_progress_line(char *out, size_t size, const char *unit, size_t done, size_t total,
                      double rate, double left_s, const char *extra, int columns)
{
    char text[320], left[48] = "";
    int n;
    if (total)
        n = snprintf(text, sizeof text, "%zu/%zu %s (%.0f%%)", done, total, unit,
                     100.0 * (double)done / (double)total);
    else
        n = snprintf(text, sizeof text, "%zu %s", done, unit);
    if (rate > 0)
        n += snprintf(text + n, sizeof text - (size_t)n, ", %.*f/s", rate < 10 ? 1 : 0, rate);
    if (left_s >= 0) {
        duration(left, sizeof left, left_s);
        n += snprintf(text + n, sizeof text - (size_t)n, ", %s left", left);
    }
    if (extra && *extra)
        snprintf(text + n, sizeof text - (size_t)n, ", %s", extra);

    int room = columns - (int)strlen(text) - 3;
    int width = room < BAR_MAX ? room : BAR_MAX;
    if (columns > 0 && total && width >= 10) {
        double share = done < total ? (double)done / (double)total : 1;
        int full = (int)(share * width);
        char bar[BAR_MAX + 1];
        memset(bar, '#', (size_t)full);
        memset(bar + full, '.', (size_t)(width - full));
        bar[width] = 0;
        snprintf(out, size, "[%s] %s", bar, text);
    } else {
        int most = columns > 0 ? columns : (int)sizeof text;
        snprintf(out, size, "%.*s", most, text);
    }
}

void ak_progress_init(ak_progress *p, const char *unit, size_t total, ak_progress_mode mode)
{
    *p = (ak_progress){.mode = mode, .unit = unit, .total = total};
    pthread_mutex_init(&p->lock, NULL);
    p->terminal = isatty(STDERR_FILENO);
    p->started_s = p->shown_s = p->sampled_s = ak_clock_s();
}

void ak_progress_total(ak_progress *p, size_t total)
{
    pthread_mutex_lock(&p->lock);
    p->total = total;
    pthread_mutex_unlock(&p->lock);
}

static void sample(ak_progress *p, double now)
{
    double passed = now - p->sampled_s;
    if (passed < SAMPLE_S)
        return;
    double rate = (double)(p->done - p->sampled_done) / passed;
    double weight = passed / (passed + SMOOTHING_S);
    // Until ten seconds have passed the mean since the start says more than any smoothing.
    if (now - p->started_s < SMOOTHING_S)
        p->rate = (double)p->done / (now - p->started_s);
    else
        p->rate += weight * (rate - p->rate);
    p->sampled_s = now;
    p->sampled_done = p->done;
}

static void show(ak_progress *p, double now, bool last)
{
    char line[512];
    double left = -1, rate = p->rate;
    if (last && now > p->started_s)
        rate = (double)p->done / (now - p->started_s); // the mean of the whole run
    else if (p->total > p->done && p->rate > 0)
        left = (double)(p->total - p->done) / p->rate;
    ak_progress_line(line, sizeof line, p->unit, p->done, p->total, rate, left, p->extra,
                     p->terminal ? columns_of_terminal() : 0);
    if (p->terminal)
        fprintf(stderr, "\r%s\033[K", line);
    else
        fprintf(stderr, "%s\n", line);
    fflush(stderr);
    p->drawn = p->terminal;
    p->shown_s = now;
    p->shown_done = p->done;
}

void ak_progress_update(ak_progress *p, size_t done, const char *extra)
{
    pthread_mutex_lock(&p->lock);
    double now = ak_clock_s();
    if (done > p->done) // callers on several threads may arrive out of order
        p->done = done;
    if (extra)
        snprintf(p->extra, sizeof p->extra, "%s", extra);
    sample(p, now);
    if (p->mode == AK_PROGRESS_AUTO && now - p->shown_s >= (p->terminal ? REDRAW_S : PLAIN_S))
        show(p, now, false);
    pthread_mutex_unlock(&p->lock);
}

void ak_progress_note(ak_progress *p, const char *format, ...)
{
    pthread_mutex_lock(&p->lock);
    if (p->mode == AK_PROGRESS_AUTO) {
        va_list args;
        va_start(args, format);
        if (p->drawn)
            fputs("\r\033[K", stderr);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
        if (p->drawn)
            show(p, ak_clock_s(), false);
    }
    pthread_mutex_unlock(&p->lock);
}

void ak_progress_clear(ak_progress *p)
{
    if (p->mode == AK_PROGRESS_AUTO && p->done) {
        if (p->terminal || p->shown_done < p->done)
            show(p, ak_clock_s(), true);
        if (p->terminal)
            fputc('\n', stderr);
    }
    pthread_mutex_destroy(&p->lock);
}
