// `akin eval`: an encoder beside random weights, the colour histogram and the perceptual hash.
#include "cli/eval.h"

#include "cli/cli.h"
#include "cli/model.h"
#include "cli/options.h"
#include "core/describe/model_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEASURES_MAX 8

typedef struct {
    const ak_eval_measure *measures[MEASURES_MAX];
    size_t measure_count;
    const char *const *paths;
    size_t path_count;
    ak_option_list distractors, bank;
    const char *model;
    long queries, seed, random_nets;
    bool json;
} request;

typedef struct {
    ak_report *report;
    size_t before; // pictures of the archives before this one
} reader;

static void on_refused(void *arg, const char *name, ak_status status, const char *reason)
{
    ak_report_refused(((reader *)arg)->report, name, status, reason);
}

static void on_progress(void *arg, size_t done)
{
    const reader *r = arg;
    ak_progress_update(&r->report->progress, r->before + done, NULL);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

// The highest alter_rank of the pictures of PATHs that are queries; counts the pictures.
static ak_status choose_queries(uint64_t *rank, size_t *total, const request *q, ak_error *err)
{
    ak_buf ranks = {0};
    ak_status status = AK_OK;
    for (size_t i = 0; i < q->path_count && status == AK_OK; i++)
        status = ak_embed_set_ranks(&ranks, q->paths[i], (uint64_t)q->seed, err);
    size_t n = *total = ranks.n / sizeof *rank;
    if (status == AK_OK && !n)
        status = ak_fail(err, AK_BAD_VALUE, "%s holds no files", q->paths[0]);
    if (status == AK_OK) {
        size_t last = (size_t)q->queries < n ? (size_t)q->queries - 1 : n - 1;
        qsort(ranks.at, n, sizeof *rank, by_value);
        memcpy(rank, ranks.at + last * sizeof *rank, sizeof *rank);
    }
    ak_buf_clear(&ranks);
    return status;
}

static ak_status add_all(ak_eval_data *data, reader *r, const char *const *paths, size_t n,
                         const ak_embed_options *options, ak_error *err)
{
    ak_status status = AK_OK;
    for (size_t i = 0; i < n && status == AK_OK; i++) {
        status = ak_embed_set_add(&data->set, paths[i], options, err);
        r->before = data->set.pictures.n + data->set.refused;
    }
    return status;
}

// Labels of the measures; classes and how many pictures of PATHs are alone in theirs.
static ak_status label(ak_eval_data *data, ak_error *err)
{
    const ak_embed_set *set = &data->set;
    size_t n = set->pictures.n, *members = ak_alloc(set->label_count, sizeof *members);
    data->labels = ak_alloc(n, sizeof *data->labels);
    if (!members || !data->labels) {
        free(members);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu labels", n);
    }
    for (size_t i = 0; i < n; i++) {
        bool distractor = i >= data->own && !data->bank;
        data->labels[i] = distractor ? (int32_t)(set->label_count + i) : set->labels[i];
        if (i < data->own)
            members[set->labels[i]]++;
    }
    for (size_t l = 0; l < set->label_count; l++) {
        data->classes += members[l] > 0;
        data->alone += members[l] == 1;
    }
    free(members);
    return AK_OK;
}

static ak_status embed(ak_eval_data *data, ak_embed_options *options, const request *q,
                       ak_report *report, ak_error *err)
{
    reader r = {.report = report};
    const ak_option_list *others = q->bank.n ? &q->bank : &q->distractors;
    size_t total = 0, more;
    ak_status status = choose_queries(&options->alter_rank, &total, q, err);
    for (size_t i = 0; i < others->n && status == AK_OK; i++) {
        status = ak_embed_set_count(&more, others->at[i], err);
        total += more;
    }
    if (status != AK_OK)
        return status;
    ak_progress_total(&report->progress, total);
    options->refused = on_refused;
    options->progress = on_progress;
    options->arg = &r;
    for (size_t m = 0; m < q->measure_count; m++)
        for (size_t a = 0; a < q->measures[m]->alterations; a++)
            options->alterations[options->alteration_count++] = q->measures[m]->first + a;
    status = add_all(data, &r, q->paths, q->path_count, options, err);
    if (status != AK_OK)
        return status;
    data->own = data->set.pictures.n;
    data->bank = q->bank.n > 0;
    if (!data->own)
        return ak_fail(err, AK_BAD_VALUE, "none of the %zu files of %s is a picture that is read",
                       data->set.refused, q->paths[0]);
    ak_embed_options plain = *options;
    plain.alteration_count = 0;
    status = add_all(data, &r, others->at, others->n, &plain, err);
    return status == AK_OK ? label(data, err) : status;
}

static int run(const request *q)
{
    ak_error err;
    ak_report report;
    ak_model *models[AK_EMBED_SET_MODELS] = {0};
    ak_eval_data data = {0};
    ak_eval_result results[MEASURES_MAX];
    ak_embed_options options = {.histograms = true, .hashes = true, .seed = (uint64_t)q->seed};
    ak_report_init(&report, "eval", 0, q->json);
    ak_status status = ak_cli_model(&models[0], q->model, &err);
    for (size_t i = 1; i <= (size_t)q->random_nets && status == AK_OK; i++)
        status = ak_model_random(&models[i], models[0], i, &err);
    for (size_t i = 0; i <= (size_t)q->random_nets; i++)
        options.models[options.model_count++] = models[i];
    if (status == AK_OK)
        status = embed(&data, &options, q, &report, &err);
    for (size_t i = 0; i < q->measure_count && status == AK_OK; i++)
        status = ak_eval_measure_all(&results[i], q->measures[i], &data, &options, &err);
    double seconds = ak_report_end(&report);

    int exit = report.exit;
    if (status != AK_OK)
        exit = ak_report_failure("eval", q->json, &err);
    else if (q->json)
        ak_report_json(&report,
                       ak_eval_json(results, q->measure_count, &data, ak_model_id(models[0])),
                       data.set.pictures.n, seconds, NULL);
    else
        ak_eval_print(results, q->measure_count, &data, ak_model_id(models[0]));
    free(data.labels);
    ak_embed_set_clear(&data.set);
    for (size_t i = 0; i < AK_EMBED_SET_MODELS; i++)
        ak_model_free(models[i]);
    ak_report_clear(&report);
    return exit;
}

static const ak_eval_measure *find(const char *name, size_t n)
{
    for (const ak_eval_measure *m = ak_eval_measures; m->name; m++)
        if (strlen(m->name) == n && !memcmp(m->name, name, n))
            return m;
    return NULL;
}

// "copies,parts"
static bool read_measures(request *q, const char *text)
{
    for (;; text++) {
        size_t n = strcspn(text, ",");
        const ak_eval_measure *m = find(text, n);
        for (size_t i = 0; i < q->measure_count && m; i++)
            m = q->measures[i] == m ? NULL : m; // named twice
        if (!m || q->measure_count == MEASURES_MAX)
            break;
        q->measures[q->measure_count++] = m;
        text += n;
        if (!*text)
            return true;
    }
    fprintf(stderr, "akin eval: \"%s\" is no measure; there are", text);
    for (const ak_eval_measure *m = ak_eval_measures; m->name; m++)
        fprintf(stderr, "%s %s", m == ak_eval_measures ? "" : ",", m->name);
    fputs(", each named once\nsee `akin eval --help`\n", stderr);
    return false;
}

static int check_and_run(request *q, const char *measures)
{
    if (!read_measures(q, measures))
        return AK_EXIT_USAGE;
    if (q->bank.n && (q->measure_count > 1 || q->measures[0] != find("knn", 3))) {
        fputs("akin eval: --bank is for knn alone\nsee `akin eval --help`\n", stderr);
        return AK_EXIT_USAGE;
    }
    if (q->bank.n && q->distractors.n) {
        fputs("akin eval: --bank and --distractors exclude each other\n", stderr);
        return AK_EXIT_USAGE;
    }
    return run(q);
}

int ak_cli_eval(int argc, char **argv)
{
    request q = {.queries = 500, .seed = 1, .random_nets = 1};
    char **operands;
    size_t given = 0;
    const ak_option table[] = {
        {AK_OPTION_TEXT, "model", "FILE", "the encoder (the shipped one)", &q.model, 0, 0},
        {AK_OPTION_LIST, "distractors", "PATH", "pictures to search among; again for more",
         &q.distractors, 0, 0},
        {AK_OPTION_LIST, "bank", "PATH", "knn: these vote, and not those of PATH", &q.bank, 0, 0},
        {AK_OPTION_NUMBER, "queries", "N", "copies, parts: pictures that are altered (500)",
         &q.queries, 1, 1e9},
        {AK_OPTION_NUMBER, "seed", "N", "of that choice and of the alterations (1)", &q.seed, 0,
         1e9},
        {AK_OPTION_NUMBER, "random", "N", "nets with random weights beside it, 0 to 3 (1)",
         &q.random_nets, 0, AK_EVAL_RANDOM_MAX},
        {0}};
    char about[2048];
    size_t n = (size_t)snprintf(about, sizeof about,
                                "Measures an encoder on labelled pictures, in per cent, beside "
                                "random weights, the\n256-bin HSV histogram and a perceptual hash. "
                                "The first folder of a path is the class.\nSeveral measures share "
                                "one reading: knn,copies. No server is needed.\n\n");
    for (const ak_eval_measure *m = ak_eval_measures; m->name; m++)
        n += (size_t)snprintf(about + n, sizeof about - n, "%s  %-24s  %s",
                              m == ak_eval_measures ? "" : "\n", m->name, m->about);
    const ak_usage usage = {.command = "eval",
                            .operands = "MEASURE[,MEASURE]... DIR|TAR...",
                            .about = about,
                            .options = table,
                            .operand_count = 2,
                            .operands_given = &given,
                            .json = &q.json};
    int status = ak_options_parse(&operands, &usage, argc, argv);
    if (status == AK_OPTIONS_GO) {
        q.paths = (const char *const *)operands + 1;
        q.path_count = given - 1;
        status = check_and_run(&q, operands[0]);
    }
    free(q.distractors.at);
    free(q.bank.at);
    return status;
}
