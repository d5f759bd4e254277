// `akin embed`: descriptors of a folder or tar, as NumPy reads them.
#include "cli/cli.h"
#include "cli/model.h"
#include "cli/npy.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/base/file.h"
#include "core/eval/embed_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_refused(void *arg, const char *name, ak_status status, const char *reason)
{
    ak_report_refused(arg, name, status, reason);
}

static void on_progress(void *arg, size_t done)
{
    ak_report *report = arg;
    ak_progress_update(&report->progress, done, NULL);
}

// One name a line; an end of line within a name becomes '?', so that lines and rows agree.
static ak_status write_names(const char *path, const ak_embed_set *set, ak_error *err)
{
    ak_buf text = {0};
    ak_status status = AK_OK;
    for (size_t i = 0; i < set->pictures.n && status == AK_OK; i++) {
        size_t n = strlen(set->names[i]), start = text.n;
        if (!ak_buf_append(&text, set->names[i], n) || !ak_buf_append(&text, "\n", 1))
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the names");
        for (size_t j = start; j < start + n && status == AK_OK; j++)
            if (text.at[j] == '\n' || text.at[j] == '\r')
                text.at[j] = '?';
    }
    if (status == AK_OK)
        status = ak_file_replace(path, ak_buf_bytes(&text), err);
    ak_buf_clear(&text);
    return status;
}

static int run(const char *path, const char *out, const char *file, bool json)
{
    ak_error err;
    ak_report report;
    ak_model *model = NULL;
    ak_embed_set set = {0};
    char *npy = NULL, *txt = NULL;
    size_t total = 0, dims = 0;
    ak_report_init(&report, "embed", 0, json);
    ak_status status = ak_cli_model(&model, file, &err);
    if (status == AK_OK)
        status = ak_embed_set_count(&total, path, &err);
    if (status == AK_OK && (asprintf(&npy, "%s.npy", out) < 0 || asprintf(&txt, "%s.txt", out) < 0))
        status = ak_fail(&err, AK_OUT_OF_MEMORY, "no memory for the path %s", out);
    if (status == AK_OK) {
        ak_progress_total(&report.progress, total);
        const ak_embed_options options = {.models = {model},
                                          .model_count = 1,
                                          .refused = on_refused,
                                          .progress = on_progress,
                                          .arg = &report};
        dims = (size_t)ak_model_dims(model);
        status = ak_embed_set_add(&set, path, &options, &err);
    }
    if (status == AK_OK)
        status = ak_npy_write(npy, set.pictures.descriptors[0], set.pictures.n, dims, &err);
    if (status == AK_OK)
        status = write_names(txt, &set, &err);
    double seconds = ak_report_end(&report);

    int exit = report.exit;
    if (status != AK_OK) {
        exit = ak_report_failure("embed", json, &err);
    } else if (json) {
        ak_report_json(&report,
                       json_pack("{s:I, s:I, s:I, s:s, s:s, s:s}", "total",
                                 (json_int_t)(set.pictures.n + set.refused), "pictures",
                                 (json_int_t)set.pictures.n, "dims", (json_int_t)dims, "model",
                                 ak_model_id(model), "vectors", npy, "names", txt),
                       set.pictures.n, seconds, NULL);
    } else {
        printf("%zu pictures, %zu failed; %.1f s, %.1f pictures/s; %s, %s\n", set.pictures.n,
               set.refused, seconds, seconds > 0 ? (double)set.pictures.n / seconds : 0, npy, txt);
    }
    free(txt);
    free(npy);
    ak_embed_set_clear(&set);
    ak_model_free(model);
    ak_report_clear(&report);
    return exit;
}

int ak_cli_embed(int argc, char **argv)
{
    bool json = false;
    const char *out = NULL, *model = NULL;
    char **operands;
    const ak_option table[] = {
        {AK_OPTION_TEXT, "out", "X", "write X.npy and X.txt", &out, 0, 0},
        {AK_OPTION_TEXT, "model", "FILE", "the encoder (the shipped one)", &model, 0, 0},
        {0}};
    const ak_usage usage = {
        .command = "embed",
        .operands = "DIR|TAR",
        .about =
            "Writes the descriptors of all pictures of a folder or tar: X.npy, float32 rows in\n"
            "C order, and X.txt, their names, one a line. No server is needed.",
        .options = table,
        .operand_count = 1,
        .json = &json};
    int status = ak_options_parse(&operands, &usage, argc, argv);
    if (status != AK_OPTIONS_GO)
        return status;
    if (!out) {
        fputs("akin embed: --out X is missing\nsee `akin embed --help`\n", stderr);
        return AK_EXIT_USAGE;
    }
    return run(operands[0], out, model, json);
}
