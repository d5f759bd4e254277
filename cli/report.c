#include "cli/report.h"

#include "cli/cli.h"
#include "cli/names.h"
#include "core/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ak_report_init(ak_report *report, const char *command, size_t total, bool json)
{
    *report = (ak_report){.command = command, .json = json, .started_s = ak_clock_s()};
    report->failures = json_array();
    pthread_mutex_init(&report->lock, NULL);
    ak_progress_init(&report->progress, "pictures", total,
                     json ? AK_PROGRESS_SILENT : AK_PROGRESS_AUTO);
}

void ak_report_clear(ak_report *report)
{
    json_decref(report->failures);
    pthread_mutex_destroy(&report->lock);
}

// jansson takes UTF-8 alone; a name that is none is shown as it is printed.
static json_t *text_json(const char *text)
{
    char printable[1200];
    json_t *value = json_string(text);
    if (!value) {
        ak_printable(printable, sizeof printable, text);
        value = json_string(printable);
    }
    return value;
}

void ak_report_refused(ak_report *report, const char *name, ak_status status, const char *reason)
{
    char shown[1200], why[480];
    ak_printable(shown, sizeof shown, name);
    ak_printable(why, sizeof why, reason);
    if (report->json)
        fprintf(stderr, "akin %s: %s: %s\n", report->command, shown, why);
    else
        ak_progress_note(&report->progress, "refused %s: %s", shown, why);
    pthread_mutex_lock(&report->lock);
    report->failed++;
    if (json_array_size(report->failures) < AK_REPORT_NAMED)
        json_array_append_new(report->failures,
                              json_pack("{s:o, s:s, s:o}", "name", text_json(name), "code",
                                        ak_status_code(status), "reason", text_json(reason)));
    int grave =
        status == AK_INTERNAL || status == AK_OUT_OF_MEMORY ? AK_EXIT_FAILED : AK_EXIT_REFUSED;
    if (grave > report->exit)
        report->exit = grave;
    pthread_mutex_unlock(&report->lock);
}

double ak_report_end(ak_report *report)
{
    ak_progress_clear(&report->progress);
    return ak_clock_s() - report->started_s;
}

void ak_report_print(json_t *answer)
{
    char *text = json_dumps(answer, JSON_REAL_PRECISION(6));
    if (text)
        puts(text);
    fflush(stdout);
    free(text);
    json_decref(answer);
}

static json_t *error_json(const ak_error *err)
{
    return json_pack("{s:s, s:o}", "code", ak_status_code(err->status), "detail",
                     text_json(err->text));
}

void ak_report_json(ak_report *report, json_t *answer, size_t done, double seconds,
                    const ak_error *err)
{
    json_object_set_new(answer, "failed", json_integer((json_int_t)report->failed));
    json_object_set(answer, "failures", report->failures);
    json_object_set_new(answer, "seconds", json_real(seconds));
    json_object_set_new(answer, "pictures_per_s",
                        json_real(seconds > 0 ? (double)done / seconds : 0));
    if (err)
        json_object_set_new(answer, "error", error_json(err));
    ak_report_print(answer);
}

int ak_report_failure(const char *command, bool json, const ak_error *err)
{
    fprintf(stderr, "akin %s: %s\n", command, err->text);
    if (json)
        ak_report_print(json_pack("{s:o}", "error", error_json(err)));
    return ak_status_exit(err->status);
}
