// akin gate: whether a run's candidate may serve instead of its incumbent.
#include "core/refine/gate.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/base/clock.h"
#include "core/base/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TELL_S 0.5

// Progress for a person, or as JSON lines for the daemon.
typedef struct {
    bool lines;
    double told_s;
    ak_progress bar;
} told;

static void shown(void *arg, size_t done, size_t total)
{
    told *t = arg;
    double now = ak_clock_s();
    if (!t->lines) {
        ak_progress_total(&t->bar, total);
        ak_progress_update(&t->bar, done, NULL);
    } else if (now - t->told_s >= TELL_S) {
        t->told_s = now;
        printf("{\"phase\": \"gate\", \"done\": %zu, \"total\": %zu}\n", done, total);
        fflush(stdout);
    }
}

static void print_row(const ak_gate_row *r)
{
    bool counts = strcmp(r->measure, "rank") == 0 || strcmp(r->measure, "dead_dimensions") == 0;
    double scale = counts ? 1 : 100;
    printf("%-26s %9.2f %9.2f %+8.2f", r->measure, scale * r->incumbent, scale * r->candidate,
           scale * (r->candidate - r->incumbent));
    if (r->low < r->high)
        printf("  %+7.2f .. %+6.2f", 100 * r->low, 100 * r->high);
    else
        printf("%20s", "");
    printf("  %7zu  %s%s\n", r->pictures,
           r->primary    ? "primary, "
           : !r->decides ? "told"
                         : "",
           r->primary || r->decides ? (r->passed ? "passed" : "FAILED") : "");
}

static void print_table(const ak_verdict *v)
{
    printf(
        "%zu yardsticks, %zu of other collections, among %zu pictures; in percent, ranks as they "
        "are\n\n%-26s %9s %9s %8s  %17s  %7s\n",
        v->yardsticks, v->old_yardsticks, v->pool, "", "incumbent", "candidate", "change",
        "99% low .. high", "on");
    for (size_t i = 0; i < v->rows_n; i++)
        print_row(&v->rows[i]);
    printf("\n%s: %s\n", v->passed ? "PASSED" : "REFUSED", v->reason);
}

static ak_status judge(ak_verdict *verdict, const char *folder, told *progress, ak_error *err)
{
    ak_rundir *rundir;
    ak_watch watch = {.progress = shown, .arg = progress};
    ak_status status = ak_rundir_open(&rundir, folder, err);
    if (status != AK_OK)
        return status;
    status = ak_gate_judge(verdict, rundir, &watch, err);
    json_t *object = status == AK_OK ? ak_verdict_json(verdict) : NULL;
    char *text = object ? json_dumps(object, JSON_INDENT(1)) : NULL;
    if (status == AK_OK)
        status = text ? ak_rundir_write(folder, AK_RUN_VERDICT,
                                        (ak_bytes){(const uint8_t *)text, strlen(text)}, err)
                      : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the verdict");
    free(text);
    json_decref(object);
    ak_rundir_close(rundir);
    return status;
}

int ak_cli_gate(int argc, char **argv)
{
    bool json = false;
    char **operands;
    ak_error err = {0};
    ak_verdict verdict;
    told progress = {0};
    const ak_option table[] = {{AK_OPTION_FLAG, "progress", NULL,
                                "JSON lines of progress on standard output, then the verdict",
                                &progress.lines, 0, 0},
                               {0}};
    const ak_usage usage = {.command = "gate",
                            .operands = "RUNDIR",
                            .about =
                                "Measures the candidate of a refinement run beside its incumbent "
                                "on pictures that\nneither was trained on, and writes "
                                "RUNDIR/verdict.json. Exit status 0 whatever the verdict.",
                            .options = table,
                            .operand_count = 1,
                            .json = &json};
    int status = ak_options_parse(&operands, &usage, argc, argv);
    if (status != AK_OPTIONS_GO)
        return status;
    ak_progress_init(&progress.bar, "pictures", 0,
                     json || progress.lines ? AK_PROGRESS_SILENT : AK_PROGRESS_AUTO);
    ak_status judged = judge(&verdict, operands[0], &progress, &err);
    ak_progress_clear(&progress.bar);
    if (judged != AK_OK)
        return ak_report_failure("gate", json, &err);
    if (json || progress.lines)
        ak_report_print(ak_verdict_json(&verdict));
    else
        print_table(&verdict);
    return AK_EXIT_OK;
}
