// What became of the files of a command: refused ones are named as they come, counted, and listed
// in the JSON at the end. Thread-safe until it is printed.
#ifndef AK_CLI_REPORT_H
#define AK_CLI_REPORT_H

#include "core/base/error.h"
#include "core/base/progress.h"

#include <jansson.h>

typedef struct {
    ak_progress progress;
    const char *command;
    bool json;
    pthread_mutex_t lock; // guards what follows
    size_t failed;
    json_t *failures; // [{name, code, reason}], at most AK_REPORT_NAMED
    int exit;         // 0, or the gravest of the refusals
    double started_s;
} ak_report;

#define AK_REPORT_NAMED 10000 // in the JSON; standard error names all

// total: files to come, 0 when that is not known.
void ak_report_init(ak_report *report, const char *command, size_t total, bool json);
void ak_report_clear(ak_report *report);

// Names the file on standard error and counts it.
void ak_report_refused(ak_report *report, const char *name, ak_status status, const char *reason);

// Ends the progress line and returns the seconds since the start; once, before printing.
double ak_report_end(ak_report *report);

// Adds the members that every command has (failed, failures, seconds, pictures_per_s, and error
// when err is not NULL) to answer, prints and frees it. done: what the rate counts.
void ak_report_json(ak_report *report, json_t *answer, size_t done, double seconds,
                    const ak_error *err);

// Says on standard error what failed, and with json on standard output, too, as one object
// {"error": {"code", "detail"}}. Returns the exit status.
int ak_report_failure(const char *command, bool json, const ak_error *err);

// Prints one line on standard output and frees answer.
void ak_report_print(json_t *answer);

#endif
