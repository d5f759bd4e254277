// A progress line on standard error: done of total, the rate, the time left, a few words more.
//
// On a terminal one bar is redrawn; elsewhere a plain line comes every few seconds, so that a log
// stays short; silent, nothing is written at all, notes included. Thread-safe.
#ifndef AK_BASE_PROGRESS_H
#define AK_BASE_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum { AK_PROGRESS_AUTO, AK_PROGRESS_SILENT } ak_progress_mode;

typedef struct {
    pthread_mutex_t lock; // guards all below
    ak_progress_mode mode;
    bool terminal, drawn;
    const char *unit;
    size_t done, total;
    double started_s, shown_s; // when the run began, when a line was last written
    double sampled_s, rate;    // the rate is smoothed over about ten seconds
    size_t sampled_done, shown_done;
    char extra[128];
} ak_progress;

// unit: what is counted ("pictures"), borrowed until clear. total 0: not known.
void ak_progress_init(ak_progress *p, const char *unit, size_t total, ak_progress_mode mode);

void ak_progress_total(ak_progress *p, size_t total); // when it is known only later

// done: how many so far, in all. extra: a few words behind the numbers ("loss 1.23"), NULL: as
// they were. Cheap to call for every item.
void ak_progress_update(ak_progress *p, size_t done, const char *extra);

// A line of its own that stays, above the bar.
void ak_progress_note(ak_progress *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Writes the last state and leaves the bar; no update may follow.
void ak_progress_clear(ak_progress *p);

// The line itself, without an end of line. left_s < 0: not known. columns > 0 draws a bar where
// there is room for one and cuts the line there.
void ak_progress_line(char *out, size_t size, const char *unit, size_t done, size_t total,
                      double rate, double left_s, const char *extra, int columns);

#endif
