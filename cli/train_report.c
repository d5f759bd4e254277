#include "cli/train.h"

#include "core/base/clock.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_SECONDS 0.5 // between progress lines on a terminal
#define LOG_SECONDS  20  // between lines elsewhere, and of the log

void ak_train_report_init(ak_train_report *report, const ak_recipe *recipe, const char *log,
                          bool json)
{
    *report = (ak_train_report){.recipe = recipe, .log = log, .json = json, .knn = NAN};
}

static char *line_of(const ak_train_report *r, const ak_train_progress *p)
{
    json_t *terms = json_object();
    for (size_t i = 0; i < r->recipe->terms_n; i++)
        json_object_set_new(terms, r->recipe->terms[i].objective->name, json_real(p->terms[i]));
    json_t *line =
        json_pack("{s:I, s:I, s:f, s:f, s:f, s:f, s:o, s:f, s:f, s:i}", "step", (json_int_t)p->step,
                  "views", (json_int_t)p->views, "seconds", p->seconds, "seconds_left",
                  p->seconds_left, "views_per_s", p->views_per_s, "loss", p->loss, "terms", terms,
                  "rate", p->rate, "gradient_norm", p->gradient, "side", p->side);
    if (line && isfinite(p->measures.rank) && p->measures.rank > 0)
        json_object_update_new(line, ak_fields_write(&p->measures, ak_measure_fields));
    if (line && isfinite(r->knn))
        json_object_set_new(line, "knn", json_real(r->knn));
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(line);
    return text;
}

static void show(const ak_train_report *r, const ak_train_progress *p, bool terminal, bool last)
{
    char terms[200] = "", measures[120] = "";
    size_t n = 0;
    for (size_t i = 0; i < r->recipe->terms_n && r->recipe->terms_n > 1; i++)
        n += (size_t)snprintf(terms + n, sizeof terms - n, "%s%s %.3f", i ? ", " : " (",
                              r->recipe->terms[i].objective->name, p->terms[i]);
    if (n)
        snprintf(terms + n, sizeof terms - n, ")");
    if (p->measures.rank > 0)
        snprintf(measures, sizeof measures, "  rank %.0f  pairs %.2f/%.2f", p->measures.rank,
                 p->measures.positive, p->measures.negative);
    if (isfinite(r->knn))
        snprintf(measures + strlen(measures), sizeof measures - strlen(measures), "  kNN %.1f%%",
                 100 * r->knn);
    int minutes = (int)lround(p->seconds_left / 60);
    fprintf(stderr, "%s%5.1f%%  loss %.4f%s%s  %d px  %.0f views/s  %llu views  %d:%02d left%s",
            terminal ? "\r" : "", 100 * p->progress, p->loss, terms, measures, p->side,
            p->views_per_s, (unsigned long long)p->views, minutes / 60, minutes % 60,
            terminal && !last ? "  " : "\n");
}

static ak_status append(const char *path, const char *line, ak_error *err)
{
    FILE *f = fopen(path, "a");
    if (!f)
        return ak_fail_errno(err, errno, "cannot write %s", path);
    bool good = fprintf(f, "%s\n", line) > 0;
    good = fclose(f) == 0 && good;
    return good ? AK_OK : ak_fail_errno(err, errno, "cannot write %s", path);
}

ak_status ak_train_report_step(ak_train_report *r, const ak_train_progress *p, bool last,
                               ak_error *err)
{
    double now = ak_clock_s();
    bool terminal = isatty(STDERR_FILENO), due = last || now >= r->next_log;
    if (!r->json && (due || (terminal && now >= r->next_line))) {
        show(r, p, terminal, last);
        r->next_line = now + LINE_SECONDS;
    }
    if (!due)
        return AK_OK;
    r->next_log = now + LOG_SECONDS;
    char *line = line_of(r, p);
    if (!line)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a line of the log");
    if (r->json) {
        puts(line);
        fflush(stdout);
    }
    ak_status status = append(r->log, line, err);
    free(line);
    return status;
}
