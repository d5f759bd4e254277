// akin train: a training run from tars or folders to a model file.
//
// Beside the model FILE lies FILE.state, the run's whole state, replaced every --save-minutes and
// when the run is stopped by SIGINT or SIGTERM; --resume goes on from it. Where mpirun started
// several processes (core/learn/ranks.h), they train together and the first one does all of that.
#include "cli/train.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/describe/model_build.h"
#include "core/learn/ranks.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_LIMIT ((size_t)1 << 30)

typedef struct {
    ak_recipe recipe;
    ak_train_length length;
    const char *recipe_name;
    ak_option_list sets; // KEY=VALUE
    char **data;
    size_t data_n;
    const char *first; // what stood behind --data
    const char *out, *plot, *cache, *holdout, *from;
    char *state, *log;
    bool resume, json, f32, list;
    long views, seed, keep_side, memory, threads, measure_every, holdout_every;
    double minutes, save_minutes;
} job;

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
    stopped = sig;
}

// Spinning OpenMP threads would take the cores from the threads that make views; the policy is
// read when libgomp is loaded, so the process starts itself anew with it set.
void ak_cli_wait_passively(char **argv)
{
    if (getenv("OMP_WAIT_POLICY"))
        return;
    setenv("OMP_WAIT_POLICY", "passive", 1);
    execv("/proc/self/exe", argv);
}

static int list_recipes(bool json)
{
    json_t *items = json_array();
    for (const ak_named_recipe *r = ak_named_recipes; r->name; r++) {
        ak_recipe recipe;
        if (!json)
            printf("%-14s %s\n", r->name, r->about);
        else if (ak_recipe_load(&recipe, r->name, NULL) == AK_OK)
            json_array_append_new(items, json_pack("{s:s, s:s, s:o}", "name", r->name, "about",
                                                   r->about, "recipe", ak_recipe_write(&recipe)));
    }
    if (json)
        ak_report_print(json_pack("{s:O}", "items", items));
    json_decref(items);
    return 0;
}

// The recipe, then what the command line sets of it.
static ak_status choose_recipe(job *j, ak_error *err)
{
    ak_status status = ak_recipe_load(&j->recipe, j->recipe_name, err);
    for (size_t i = 0; i < j->sets.n && status == AK_OK; i++)
        status = ak_recipe_set(&j->recipe, j->sets.at[i], err);
    if (j->seed >= 0)
        j->recipe.seed = (uint64_t)j->seed;
    if (j->f32)
        j->recipe.bf16 = false;
    j->length = (ak_train_length){.views = (uint64_t)j->views,
                                  .minutes = j->minutes,
                                  .threads = (int)j->threads,
                                  .measure_every = (uint64_t)j->measure_every};
    return status;
}

static int parse(job *j, int argc, char **argv)
{
    const ak_option table[] = {
        {AK_OPTION_TEXT, "data", "PATH...",
         "tars or folders; the first folder in a name is the class", &j->first, 0, 0},
        {AK_OPTION_TEXT, "out", "FILE",
         "the model; FILE.state is the run's state, FILE.log its measures", &j->out, 0, 0},
        {AK_OPTION_TEXT, "recipe", "NAME|FILE", "objectives, network, views ... (default)",
         &j->recipe_name, 0, 0},
        {AK_OPTION_LIST, "set", "KEY=VALUE", "one value of the recipe: views.hue=0.05", &j->sets, 0,
         0},
        {AK_OPTION_FLAG, "recipes", NULL, "list the built-in recipes (--json: whole) and end",
         &j->list, 0, 0},
        {AK_OPTION_TEXT, "from", "MODEL",
         "begin with a model's weights; its network and head are the recipe's then", &j->from, 0,
         0},
        {AK_OPTION_NUMBER, "views", "N", "length of the run in views, two a picture and step",
         &j->views, 1, 1e15},
        {AK_OPTION_REAL, "minutes", "M", "length of the run in minutes of training", &j->minutes,
         0.001, 1e6},
        {AK_OPTION_FLAG, "resume", NULL, "go on from FILE.state", &j->resume, 0, 0},
        {AK_OPTION_NUMBER, "seed", "N", "the recipe's (1)", &j->seed, 0, 1e15},
        {AK_OPTION_NUMBER, "keep-side", "PX", "shorter side that pictures are kept with (128)",
         &j->keep_side, 8, 1024},
        {AK_OPTION_NUMBER, "memory", "MIB", "for the decoded pictures (16384)", &j->memory, 1, 1e9},
        {AK_OPTION_TEXT, "cache", "DIR", "keeps the decoded tars, for a quick start", &j->cache, 0,
         0},
        {AK_OPTION_NUMBER, "threads", "N", "that make views (2)", &j->threads, 1, 64},
        {AK_OPTION_REAL, "save-minutes", "M", "between saved states (10)", &j->save_minutes, 0.001,
         1e6},
        {AK_OPTION_NUMBER, "measure-every", "N", "steps between measures (50)", &j->measure_every,
         1, 1e9},
        {AK_OPTION_TEXT, "holdout", "PATH",
         "a tar or folder with classes, apart from --data, to measure kNN accuracy on", &j->holdout,
         0, 0},
        {AK_OPTION_NUMBER, "holdout-every", "N", "steps between those (1000)", &j->holdout_every, 1,
         1e9},
        {AK_OPTION_TEXT, "plot", "SVG", "draw the curves of FILE.log; without --data, that alone",
         &j->plot, 0, 0},
        {AK_OPTION_FLAG, "f32", NULL, "compute in f32 where bf16 would be faster", &j->f32, 0, 0},
        {0}};
    const ak_usage usage = {
        .command = "train",
        .operands = "--data TAR|DIR... --out FILE (--views N | --minutes M)",
        .about = "Trains an encoder by a recipe: contrastive objectives on random views of the\n"
                 "pictures. --json: progress and result as JSON lines.",
        .options = table,
        .operands_given = &j->data_n,
        .json = &j->json};
    char **operands;
    int status = ak_options_parse(&operands, &usage, argc, argv);
    if (status != AK_OPTIONS_GO)
        return status;
    bool drawing = j->plot && !j->first;
    if (!j->list && (!j->out || (!drawing && (!j->first || (!j->views && !(j->minutes > 0)))))) {
        fprintf(stderr, "akin train: %s missing\nsee `akin train --help`\n",
                !j->first && !drawing ? "--data is"
                : !j->out             ? "--out is"
                                      : "--views or --minutes is");
        return AK_EXIT_USAGE;
    }
    j->data = operands; // what follows --data's first path
    return AK_OPTIONS_GO;
}

static ak_status save(const ak_trainer *trainer, const char *path, ak_error *err)
{
    ak_buf bytes = {0};
    if (ak_rank() > 0)
        return AK_OK;
    ak_status status = ak_trainer_save(&bytes, trainer, err);
    if (status == AK_OK)
        status = ak_file_replace(path, ak_buf_bytes(&bytes), err);
    ak_buf_clear(&bytes);
    return status;
}

// Into all ranks, as the first one reads it.
static ak_status load(ak_trainer *trainer, const char *path, ak_error *err)
{
    ak_buf bytes = {0};
    ak_status status = ak_rank() == 0 ? ak_file_read(&bytes, path, STATE_LIMIT, err) : AK_OK;
    size_t n = bytes.n;
    if (status == AK_OK)
        ak_ranks_share(&n, sizeof n);
    if (status == AK_OK && !ak_buf_reserve(&bytes, n - bytes.n))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a state of %zu bytes", n);
    if (status == AK_OK) {
        ak_ranks_share(bytes.at, n);
        status = ak_trainer_restore(trainer, (ak_bytes){bytes.at, n}, err);
    }
    ak_buf_clear(&bytes);
    return status;
}

static ak_status load_pictures(ak_pictures *pictures, const job *j, ak_error *err)
{
    const ak_pictures_options o = {(int)j->keep_side, (size_t)j->memory << 20, j->cache};
    ak_status status = ak_pictures_add(pictures, j->first, &o, err);
    for (size_t i = 0; i < j->data_n && status == AK_OK; i++)
        status = ak_pictures_add(pictures, j->data[i], &o, err);
    if (status == AK_OK)
        status = ak_pictures_index(pictures, err);
    if (status == AK_OK && ak_rank() == 0)
        fprintf(stderr, "%zu pictures of %zu classes, %zu MiB; %zu refused\n", pictures->n,
                pictures->classes_n, pictures->bytes >> 20, pictures->refused);
    return status;
}

typedef struct {
    const ak_pictures *pictures;
    uint32_t *chosen;
} sample;

static const ak_image *sampled(void *arg, size_t i)
{
    const sample *s = arg;
    return &s->pictures->items[s->chosen[i]].image;
}

#define KIN 3 // pairs that a picture has with others of its class

// Pictures of one class: each with the next few of them, in a ring. One class tells nothing.
static ak_status pair_classes(ak_pair **pairs, size_t *pairs_n, const sample *s, size_t n,
                              ak_error *err)
{
    const size_t classes = s->pictures->classes_n;
    uint32_t *start = ak_alloc(classes + 2, sizeof *start), *by_class = ak_alloc(n, sizeof *start);
    *pairs = ak_alloc(KIN * n, sizeof **pairs);
    *pairs_n = 0;
    if (!start || !by_class || !*pairs) {
        free(start);
        free(by_class);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for pairs of pictures");
    }
    for (size_t i = 0; i < n; i++)
        start[s->pictures->items[s->chosen[i]].label + 2]++;
    for (size_t c = 2; c <= classes; c++)
        start[c] += start[c - 1];
    for (size_t i = 0; i < n; i++) // start[c + 1] moves from where class c starts to its end
        by_class[start[s->pictures->items[s->chosen[i]].label + 1]++] = (uint32_t)i;
    for (size_t c = 0; c < classes && classes > 1; c++) {
        const uint32_t *members = by_class + start[c];
        size_t count = start[c + 1] - start[c];
        for (size_t i = 0; i < count; i++)
            for (size_t k = 1; k <= KIN && k < count; k++)
                (*pairs)[(*pairs_n)++] = (ak_pair){members[i], members[(i + k) % count]};
    }
    free(start);
    free(by_class);
    return AK_OK;
}

// Fits the whitening on a sample of the training pictures and writes the model.
static ak_status finish(const ak_trainer *trainer, const ak_pictures *pictures, const job *j,
                        ak_train_progress progress, ak_error *err)
{
    ak_trained t = ak_trainer_result(trainer);
    char training[256];
    snprintf(training, sizeof training,
             "{\"views\": %llu, \"seconds\": %.0f, \"pictures\": %zu, \"classes\": %zu, "
             "\"seed\": %llu, \"loss\": %.4f}",
             (unsigned long long)progress.views, progress.seconds, pictures->n, pictures->classes_n,
             (unsigned long long)j->recipe.seed, progress.loss);
    const ak_describe_recipe *describe = &j->recipe.describe;
    ak_model_parts parts = {.net = *t.net,
                            .params = t.params,
                            .stats = t.stats,
                            .head = t.head,
                            .head_params = t.head_params,
                            .head_stats = t.head_stats,
                            .side = describe->side,
                            .dims = describe->dims,
                            .power = describe->power,
                            .shrink = describe->shrink,
                            .colour = describe->colour,
                            .layout = describe->layout,
                            .palette = describe->palette,
                            .training = training};
    sample s = {pictures, ak_alloc(pictures->n, sizeof *s.chosen)};
    if (!s.chosen)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to choose pictures");
    for (size_t i = 0; i < pictures->n; i++)
        s.chosen[i] = (uint32_t)i;
    ak_random r = ak_random_stream(j->recipe.seed, 0xf17, 0, 0);
    ak_random_shuffle(&r, s.chosen, (uint32_t)pictures->n);
    size_t n = pictures->n < describe->fit ? pictures->n : describe->fit;
    ak_buf file = {0};
    ak_pair *kin = NULL;
    ak_fit_set set = {
        .picture = sampled, .arg = &s, .n = n, .weights = describe->pairs, .seed = j->recipe.seed};
    ak_status status = pair_classes(&kin, &set.kin_n, &s, n, err);
    set.kin = kin;
    if (status == AK_OK)
        status = ak_model_build(&file, &parts, &set, err);
    if (status == AK_OK)
        status = ak_file_replace(j->out, ak_buf_bytes(&file), err);
    if (status == AK_OK && j->json)
        ak_report_print(json_pack("{s:s, s:I, s:I, s:I}", "model", j->out, "bytes",
                                  (json_int_t)file.n, "views", (json_int_t)progress.views,
                                  "refused", (json_int_t)pictures->refused));
    else if (status == AK_OK)
        fprintf(stderr, "wrote %s, %zu bytes, whitening from %zu pictures\n", j->out, file.n, n);
    ak_buf_clear(&file);
    free(kin);
    free(s.chosen);
    return status;
}

// A step, what is measured after it, and a line on both when it is time.
static ak_status step(ak_trainer *trainer, bool *more, const ak_train_holdout *holdout,
                      ak_train_report *report, ak_train_progress *progress, const job *j,
                      ak_error *err)
{
    ak_status status = ak_trainer_step(trainer, more, err);
    if (status != AK_OK)
        return status;
    ak_trainer_progress(progress, trainer);
    if (ak_rank() > 0)
        return AK_OK;
    bool due = !*more || progress->step % (uint64_t)j->holdout_every == 0;
    if (holdout && due) {
        ak_trained trained = ak_trainer_result(trainer);
        status = ak_train_holdout_knn(&report->knn, holdout, &trained, err);
    }
    return status == AK_OK ? ak_train_report_step(report, progress, !*more || stopped, err)
                           : status;
}

static ak_status train(ak_trainer *trainer, const ak_pictures *pictures, const job *j,
                       ak_error *err)
{
    bool more = true, stop = false; // stop: of all ranks, at the same step
    ak_train_progress progress = {0};
    ak_train_report report;
    ak_train_holdout *holdout = NULL;
    ak_train_report_init(&report, &j->recipe, j->log, j->json);
    ak_status status = AK_OK;
    if (j->holdout && ak_rank() == 0)
        status =
            ak_train_holdout_new(&holdout, j->holdout, &j->recipe, (size_t)j->memory << 20, err);
    double saved = ak_clock_s();
    while (status == AK_OK && more && !(stop = ak_ranks_any(stopped))) {
        status = step(trainer, &more, holdout, &report, &progress, j, err);
        if (status == AK_OK && ak_clock_s() - saved > 60 * j->save_minutes) {
            status = save(trainer, j->state, err);
            saved = ak_clock_s();
        }
    }
    ak_train_holdout_free(holdout);
    if (status == AK_OK)
        status = save(trainer, j->state, err);
    if (status == AK_OK && stop)
        status = ak_fail(err, AK_SHUTTING_DOWN, "stopped by a signal; --resume goes on from %s",
                         j->state);
    return status == AK_OK && ak_rank() == 0 ? finish(trainer, pictures, j, progress, err) : status;
}

static ak_status begin_with(ak_trained *from, ak_model **model, job *j, ak_error *err)
{
    ak_status status = ak_model_load(model, j->from, err);
    if (status != AK_OK)
        return status;
    ak_model_parts parts = ak_model_parts_of(*model);
    j->recipe.net = parts.net;
    j->recipe.head = parts.head;
    *from = (ak_trained){.net = &j->recipe.net,
                         .params = parts.params,
                         .stats = parts.stats,
                         .head = parts.head,
                         .head_params = parts.head_params,
                         .head_stats = parts.head_stats};
    return AK_OK;
}

static ak_status run(job *j, ak_pictures *pictures, ak_trainer **trainer, ak_error *err)
{
    ak_model *model = NULL;
    ak_trained from;
    ak_status status = choose_recipe(j, err);
    if (status == AK_OK && j->from)
        status = begin_with(&from, &model, j, err);
    if (status == AK_OK)
        status = load_pictures(pictures, j, err);
    if (status == AK_OK)
        status =
            ak_trainer_new(trainer, pictures, &j->recipe, &j->length, model ? &from : NULL, err);
    ak_model_free(model);
    if (status == AK_OK && j->resume)
        status = load(*trainer, j->state, err);
    else if (status == AK_OK && ak_rank() == 0 && unlink(j->log) != 0 && errno != ENOENT)
        status = ak_fail_errno(err, errno, "cannot begin %s anew", j->log);
    return status == AK_OK ? train(*trainer, pictures, j, err) : status;
}

int ak_cli_train(int argc, char **argv)
{
    ak_error err = {0};
    ak_pictures pictures = {0};
    ak_trainer *trainer = NULL;
    job j = {.recipe_name = "default",
             .seed = -1,
             .threads = 2,
             .keep_side = 128,
             .memory = 16384,
             .save_minutes = 10,
             .measure_every = 50,
             .holdout_every = 1000};
    int wrong = parse(&j, argc, argv);
    if (wrong != AK_OPTIONS_GO)
        return wrong;
    if (j.list)
        return list_recipes(j.json);
    if (asprintf(&j.state, "%s.state", j.out) < 0 || asprintf(&j.log, "%s.log", j.out) < 0)
        return AK_EXIT_FAILED;
    signal(SIGINT, on_stop);
    signal(SIGTERM, on_stop);
    ak_status status = AK_OK;
    if (!ak_ranks_join())
        status = ak_fail(&err, AK_CONFLICT,
                         "this akin was built without MPI and trains in one "
                         "process; tools/deps.sh mpi, then make");
    else if (j.first)
        status = run(&j, &pictures, &trainer, &err);
    if (status == AK_OK && j.plot && ak_rank() == 0)
        status = ak_train_plot(j.plot, j.log, &err);
    if (status != AK_OK && ak_rank() > 0)
        ak_fail_within(&err, "process %d", ak_rank());
    int exit = status == AK_OK ? 0 : ak_report_failure("train", j.json, &err);
    ak_trainer_free(trainer);
    ak_pictures_clear(&pictures);
    free(j.sets.at);
    free(j.state);
    free(j.log);
    // One that was stopped lets the others end, too: the first may be writing the state.
    ak_ranks_leave(status == AK_SHUTTING_DOWN ? 0 : exit);
    return exit;
}
