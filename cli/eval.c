// `akin eval retrieval`: the encoder beside random weights and the colour histogram.
#include "cli/cli.h"
#include "cli/model.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/describe/model_build.h"
#include "core/eval/embed_set.h"
#include "core/eval/histogram.h"
#include "core/eval/retrieval.h"

#include <stdio.h>
#include <string.h>

#define RANDOM_SEED 1
#define ROWS        3

typedef struct {
    const char *name;
    ak_retrieval measures;
} row;

static void on_refused(void *arg, const char *name, ak_status status, const char *reason)
{
    ak_report_refused(arg, name, status, reason);
}

static void on_progress(void *arg, size_t done)
{
    ak_report *report = arg;
    ak_progress_update(&report->progress, done, NULL);
}

static ak_status measure(row rows[ROWS], ak_embed_set *set, const char *path, const ak_model *model,
                         const ak_model *random, ak_report *report, ak_error *err)
{
    size_t total = 0;
    ak_status status = ak_embed_set_count(&total, path, err);
    if (status != AK_OK)
        return status;
    ak_progress_total(&report->progress, total);
    const ak_embed_options options = {.models = {model, random},
                                      .model_count = 2,
                                      .histograms = true,
                                      .refused = on_refused,
                                      .progress = on_progress,
                                      .arg = report};
    status = ak_embed_set_make(set, path, &options, err);
    if (status != AK_OK)
        return status;
    rows[0].name = "model";
    rows[1].name = "random weights";
    rows[2].name = "HSV histogram";
    const float *vectors[ROWS] = {set->descriptors[0], set->descriptors[1], set->histograms};
    const size_t dims[ROWS] = {(size_t)ak_model_dims(model), (size_t)ak_model_dims(random),
                               AK_HISTOGRAM_BINS};
    for (int i = 0; i < ROWS && status == AK_OK; i++)
        status =
            ak_retrieval_measure(&rows[i].measures, vectors[i], set->labels, set->n, dims[i], err);
    return status;
}

static void print_table(const row rows[ROWS], const ak_embed_set *set, const ak_model *model)
{
    printf("%-16s  %5s  %5s  %5s  %5s\n", "", "mAP", "P@1", "P@10", "P@20");
    for (int i = 0; i < ROWS; i++) {
        const ak_retrieval *m = &rows[i].measures;
        printf("%-16s  %5.1f  %5.1f  %5.1f  %5.1f\n", rows[i].name, 100 * m->map, 100 * m->p1,
               100 * m->p10, 100 * m->p20);
    }
    printf("%zu pictures of %zu classes, %zu queries, %zu failed; model %s\n", set->n,
           set->label_count, rows[0].measures.queries, set->refused, ak_model_id(model));
}

static json_t *table_json(const row rows[ROWS], const ak_embed_set *set, const ak_model *model)
{
    json_t *list = json_array();
    for (int i = 0; i < ROWS; i++) {
        const ak_retrieval *m = &rows[i].measures;
        json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:f, s:f}", "name", rows[i].name,
                                              "map", 100 * m->map, "p1", 100 * m->p1, "p10",
                                              100 * m->p10, "p20", 100 * m->p20));
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o}", "model", ak_model_id(model), "total",
                     (json_int_t)(set->n + set->refused), "pictures", (json_int_t)set->n, "classes",
                     (json_int_t)set->label_count, "queries", (json_int_t)rows[0].measures.queries,
                     "rows", list);
}

static int run(const char *path, const char *file, bool json)
{
    ak_error err;
    ak_report report;
    ak_model *model = NULL, *random = NULL;
    ak_embed_set set = {0};
    row rows[ROWS] = {0};
    ak_report_init(&report, "eval", 0, json);
    ak_status status = ak_cli_model(&model, file, &err);
    if (status == AK_OK)
        status = ak_model_random(&random, model, RANDOM_SEED, &err);
    if (status == AK_OK)
        status = measure(rows, &set, path, model, random, &report, &err);
    double seconds = ak_report_end(&report);

    int exit = report.exit;
    if (status != AK_OK)
        exit = ak_report_failure("eval", json, &err);
    else if (json)
        ak_report_json(&report, table_json(rows, &set, model), set.n, seconds, NULL);
    else
        print_table(rows, &set, model);
    ak_embed_set_clear(&set);
    ak_model_free(random);
    ak_model_free(model);
    ak_report_clear(&report);
    return exit;
}

int ak_cli_eval(int argc, char **argv)
{
    bool json = false;
    const char *model = NULL;
    char **operands;
    const ak_option table[] = {
        {AK_OPTION_TEXT, "model", "FILE", "the encoder (the shipped one)", &model, 0, 0}, {0}};
    const ak_usage usage = {
        .command = "eval",
        .operands = "retrieval DIR|TAR",
        .about =
            "Measures retrieval, each picture against all others; the first folder of a path is\n"
            "the class: mAP, P@1, P@10, P@20 in per cent, beside random weights and the\n"
            "256-bin HSV histogram. No server is needed.",
        .options = table,
        .operand_count = 2,
        .json = &json};
    int status = ak_options_parse(&operands, &usage, argc, argv);
    if (status != AK_OPTIONS_GO)
        return status;
    if (strcmp(operands[0], "retrieval") != 0) {
        fprintf(stderr,
                "akin eval: there is no measure \"%s\"; retrieval is one\n"
                "see `akin eval --help`\n",
                operands[0]);
        return AK_EXIT_USAGE;
    }
    return run(operands[1], model, json);
}
