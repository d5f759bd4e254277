// akin train: a training run from tars or folders to a model file.
//
// Beside the model FILE lies FILE.state, the run's whole state, replaced every --save-minutes and
// when the run is stopped by SIGINT or SIGTERM; --resume goes on from it.
#include "cli/cli.h"
#include "cli/options.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/describe/model_build.h"
#include "core/learn/trainer.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_LIMIT ((size_t)1 << 30)

typedef struct {
    ak_recipe recipe;
    char **data;
    size_t data_n;
    const char *first; // what stood behind --data
    const char *out, *cache;
    char *state;
    bool resume, json, f32;
    long views, seed, batch, side, late_side, keep_side, memory, threads, serve_side, dims, fit;
    double minutes, late_from, rate, save_minutes, power, shrink, colour;
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

static int parse(job *j, int argc, char **argv)
{
    const ak_option table[] = {
        {AK_OPTION_TEXT, "data", "PATH...",
         "tars or folders; the first folder in a name is the class", &j->first, 0, 0},
        {AK_OPTION_TEXT, "out", "FILE", "the model; FILE.state is the run's state", &j->out, 0, 0},
        {AK_OPTION_NUMBER, "views", "N", "length of the run in views, two a picture and step",
         &j->views, 1, 1e15},
        {AK_OPTION_REAL, "minutes", "M", "length of the run in minutes of training", &j->minutes,
         0.001, 1e6},
        {AK_OPTION_FLAG, "resume", NULL, "go on from FILE.state", &j->resume, 0, 0},
        {AK_OPTION_NUMBER, "seed", "N", "1", &j->seed, 0, 1e15},
        {AK_OPTION_NUMBER, "batch", "N", "pictures a step (128)", &j->batch, 2, 4096},
        {AK_OPTION_NUMBER, "side", "PX", "of the views (64)", &j->side, 8, 1024},
        {AK_OPTION_NUMBER, "late-side", "PX", "of the views late in the run (96)", &j->late_side, 8,
         1024},
        {AK_OPTION_REAL, "late-from", "SHARE", "of the run, from where on it is late (0.8)",
         &j->late_from, 0, 1},
        {AK_OPTION_REAL, "rate", "R", "the learning rate at its highest (0.15)", &j->rate, 1e-9,
         100},
        {AK_OPTION_NUMBER, "keep-side", "PX", "shorter side that pictures are kept with (128)",
         &j->keep_side, 8, 1024},
        {AK_OPTION_NUMBER, "memory", "MIB", "for the decoded pictures (16384)", &j->memory, 1, 1e9},
        {AK_OPTION_TEXT, "cache", "DIR", "keeps the decoded tars, for a quick start", &j->cache, 0,
         0},
        {AK_OPTION_NUMBER, "threads", "N", "that make views (2)", &j->threads, 1, 64},
        {AK_OPTION_REAL, "save-minutes", "M", "between saved states (10)", &j->save_minutes, 0.001,
         1e6},
        {AK_OPTION_FLAG, "f32", NULL, "compute in f32 where bf16 would be faster", &j->f32, 0, 0},
        {AK_OPTION_NUMBER, "serve-side", "PX", "what the model serves at (112)", &j->serve_side, 16,
         512},
        {AK_OPTION_NUMBER, "dims", "N", "of the descriptor (256)", &j->dims, 1, 4096},
        {AK_OPTION_REAL, "power", "P", "of the whitening (0.75)", &j->power, 0, 2},
        {AK_OPTION_REAL, "shrink", "S", "of the whitening, in mean eigenvalues (0.1)", &j->shrink,
         0, 10},
        {AK_OPTION_REAL, "colour", "W", "weight of the colour part, 0 for none (3.7)", &j->colour,
         0, 1000},
        {AK_OPTION_NUMBER, "fit", "N", "training pictures that the whitening is fitted on (12000)",
         &j->fit, 2, 1e7},
        {0}};
    const ak_usage usage = {
        .command = "train",
        .operands = "--data TAR|DIR... --out FILE (--views N | --minutes M)",
        .about = "Trains an encoder: class-proxy softmax over the folders' names plus two-view\n"
                 "NT-Xent. --json: progress and result as JSON lines.",
        .options = table,
        .operands_given = &j->data_n,
        .json = &j->json};
    char **operands;
    int status = ak_options_parse(&operands, &usage, argc, argv);
    if (status != AK_OPTIONS_GO)
        return status;
    if (!j->first || !j->out || (!j->views && !(j->minutes > 0))) {
        fprintf(stderr, "akin train: %s missing\nsee `akin train --help`\n",
                !j->first ? "--data is"
                : !j->out ? "--out is"
                          : "--views or --minutes is");
        return AK_EXIT_USAGE;
    }
    j->data = operands; // what follows --data's first path
    ak_recipe *r = &j->recipe;
    r->views_total = (uint64_t)j->views;
    r->minutes = j->minutes;
    r->seed = (uint64_t)j->seed;
    r->batch = (size_t)j->batch;
    r->side = (int)j->side;
    r->late_side = (int)j->late_side;
    r->late_from = j->late_from;
    r->rate = (float)j->rate;
    r->threads = (int)j->threads;
    r->bf16 = !j->f32;
    return AK_OPTIONS_GO;
}

static void report(const ak_train_progress *p, bool json, bool last)
{
    static double next;
    double now = ak_clock_s();
    bool terminal = isatty(STDERR_FILENO);
    if (!last && now < next)
        return;
    next = now + (terminal && !json ? 0.5 : 20);
    if (json) {
        printf("{\"step\": %llu, \"views\": %llu, \"seconds\": %.1f, \"seconds_left\": %.0f, "
               "\"views_per_s\": %.1f, \"loss\": %.5f, \"proxy_loss\": %.5f, "
               "\"contrast_loss\": %.5f, \"side\": %d}\n",
               (unsigned long long)p->step, (unsigned long long)p->views, p->seconds,
               p->seconds_left, p->views_per_s, p->loss, p->proxy_loss, p->contrast_loss, p->side);
        fflush(stdout);
        return;
    }
    int minutes = (int)lround(p->seconds_left / 60);
    fprintf(stderr,
            "%s%5.1f%%  loss %.4f (proxies %.4f, pairs %.4f)  %d px  %.0f views/s  %llu views  "
            "%d:%02d left%s",
            terminal ? "\r" : "", 100 * p->progress, p->loss, p->proxy_loss, p->contrast_loss,
            p->side, p->views_per_s, (unsigned long long)p->views, minutes / 60, minutes % 60,
            terminal && !last ? "  " : "\n");
}

static ak_status save(const ak_trainer *trainer, const char *path, ak_error *err)
{
    ak_buf bytes = {0};
    ak_status status = ak_trainer_save(&bytes, trainer, err);
    if (status == AK_OK)
        status = ak_file_replace(path, ak_buf_bytes(&bytes), err);
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
    if (status == AK_OK)
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
    ak_model_parts parts = {.net = *t.net,
                            .params = t.params,
                            .stats = t.stats,
                            .head = t.head,
                            .head_params = t.head_params,
                            .head_stats = t.head_stats,
                            .side = (int)j->serve_side,
                            .dims = (size_t)j->dims,
                            .power = (float)j->power,
                            .shrink = (float)j->shrink,
                            .colour = (float)j->colour,
                            .training = training};
    sample s = {pictures, ak_alloc(pictures->n, sizeof *s.chosen)};
    if (!s.chosen)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to choose pictures");
    for (size_t i = 0; i < pictures->n; i++)
        s.chosen[i] = (uint32_t)i;
    ak_random r = ak_random_stream(j->recipe.seed, 0xf17, 0, 0);
    ak_random_shuffle(&r, s.chosen, (uint32_t)pictures->n);
    size_t n = pictures->n < (size_t)j->fit ? pictures->n : (size_t)j->fit;
    ak_buf file = {0};
    ak_status status = ak_model_build(&file, &parts, sampled, &s, n, err);
    if (status == AK_OK)
        status = ak_file_replace(j->out, ak_buf_bytes(&file), err);
    if (status == AK_OK && j->json)
        printf("{\"model\": \"%s\", \"bytes\": %zu, \"views\": %llu, \"refused\": %zu}\n", j->out,
               file.n, (unsigned long long)progress.views, pictures->refused);
    else if (status == AK_OK)
        fprintf(stderr, "wrote %s, %zu bytes, whitening from %zu pictures\n", j->out, file.n, n);
    ak_buf_clear(&file);
    free(s.chosen);
    return status;
}

static ak_status train(ak_trainer *trainer, const ak_pictures *pictures, const job *j,
                       ak_error *err)
{
    bool more = true;
    ak_train_progress progress = {0};
    ak_status status = AK_OK;
    double saved = ak_clock_s();
    while (status == AK_OK && more && !stopped) {
        status = ak_trainer_step(trainer, &more, err);
        ak_trainer_progress(&progress, trainer);
        report(&progress, j->json, false);
        if (status == AK_OK && ak_clock_s() - saved > 60 * j->save_minutes) {
            status = save(trainer, j->state, err);
            saved = ak_clock_s();
        }
    }
    if (status != AK_OK)
        return status;
    report(&progress, j->json, true);
    status = save(trainer, j->state, err);
    if (status == AK_OK && stopped)
        status = ak_fail(err, AK_SHUTTING_DOWN, "stopped by a signal; --resume goes on from %s",
                         j->state);
    return status == AK_OK ? finish(trainer, pictures, j, progress, err) : status;
}

int ak_cli_train(int argc, char **argv)
{
    ak_error err = {0};
    ak_pictures pictures = {0};
    ak_trainer *trainer = NULL;
    ak_buf state = {0};
    ak_recipe standard = ak_recipe_default;
    job j = {.recipe = standard,
             .seed = (long)standard.seed,
             .batch = (long)standard.batch,
             .side = standard.side,
             .late_side = standard.late_side,
             .late_from = standard.late_from,
             .rate = (double)standard.rate,
             .threads = standard.threads,
             .keep_side = 128,
             .memory = 16384,
             .save_minutes = 10,
             .serve_side = 112,
             .dims = 256,
             .power = 0.75,
             .shrink = 0.1,
             .colour = 3.7,
             .fit = 12000};
    int wrong = parse(&j, argc, argv);
    if (wrong != AK_OPTIONS_GO)
        return wrong;
    if (asprintf(&j.state, "%s.state", j.out) < 0)
        return AK_EXIT_FAILED;
    signal(SIGINT, on_stop);
    signal(SIGTERM, on_stop);
    ak_status status = load_pictures(&pictures, &j, &err);
    if (status == AK_OK)
        status = ak_trainer_new(&trainer, &pictures, &j.recipe, &err);
    if (status == AK_OK && j.resume) {
        status = ak_file_read(&state, j.state, STATE_LIMIT, &err);
        if (status == AK_OK)
            status = ak_trainer_restore(trainer, ak_buf_bytes(&state), &err);
        ak_buf_clear(&state);
    }
    if (status == AK_OK)
        status = train(trainer, &pictures, &j, &err);
    if (status != AK_OK)
        fprintf(stderr, "akin train: %s\n", err.text);
    ak_trainer_free(trainer);
    ak_pictures_clear(&pictures);
    free(j.state);
    return ak_status_exit(status);
}
