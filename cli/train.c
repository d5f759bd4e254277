// akin train: a training run from tars or folders to a model file.
//
// Beside the model FILE lies FILE.state, the run's whole state, replaced every --save-minutes and
// when the run is stopped by SIGINT or SIGTERM; --resume goes on from it.
#include "cli/cli.h"
#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/describe/model_build.h"
#include "core/learn/trainer.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATE_LIMIT ((size_t)1 << 30)

static const char help[] =
    "usage: akin train --data TAR|DIR... --out FILE (--views N | --minutes M) [options]\n"
    "Trains an encoder: class-proxy softmax over the folders' names plus two-view NT-Xent.\n"
    "  --data PATH...     tars or folders of pictures; the first folder in a name is the class\n"
    "  --out FILE         the model; FILE.state is the run's state\n"
    "  --views N          length of the run in views (two a picture and step)\n"
    "  --minutes M        length of the run in minutes of training\n"
    "  --resume           go on from FILE.state\n"
    "  --seed N           1\n"
    "  --batch N          pictures a step, 128\n"
    "  --side PX          64; --late-side PX, 96, from --late-from SHARE, 0.8, of the run on\n"
    "  --rate R           0.15, at its highest\n"
    "  --keep-side PX     pictures are kept with this shorter side at most, 128\n"
    "  --memory MIB       for the decoded pictures, 16384\n"
    "  --threads N        that make views, 2\n"
    "  --save-minutes M   between saved states, 10\n"
    "  --f32              compute in f32 where bf16 would be faster\n"
    "  --serve-side PX    what the model serves at, 96\n"
    "  --dims N           of the descriptor, 256\n"
    "  --power P          of the whitening, 0.5; --shrink S, 0.1, share of the mean eigenvalue\n"
    "  --colour W         weight of the colour part, 0: none\n"
    "  --fit N            training pictures that the whitening is fitted on, 12000\n"
    "  --json             progress and result as JSON lines\n";

typedef struct {
    ak_recipe recipe;
    char **data;
    int data_n, keep_side;
    size_t memory;
    const char *out;
    char *state;
    bool resume, json;
    double save_minutes;
    int serve_side;
    double dims, power, shrink, colour, fit; // of the model that is made at the end
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

static bool number(double *out, const char *name, const char *text, double least, double most)
{
    char *end;
    errno = 0;
    double v = strtod(text, &end);
    if (errno || *end || end == text || !(v >= least && v <= most)) {
        fprintf(stderr, "akin train: --%s %s; a number from %g to %g is needed\n", name, text,
                least, most);
        return false;
    }
    *out = v;
    return true;
}

enum {
    DATA = 256,
    OUT,
    VIEWS,
    MINUTES,
    RESUME,
    SEED,
    BATCH,
    SIDE,
    LATE_SIDE,
    LATE_FROM,
    RATE,
    KEEP,
    MEMORY,
    THREADS,
    SAVE,
    F32,
    SERVE_SIDE,
    DIMS,
    POWER,
    SHRINK,
    COLOUR,
    FIT,
    JSON,
    HELP
};

static const struct option options[] = {
    {"data", required_argument, NULL, DATA},
    {"out", required_argument, NULL, OUT},
    {"views", required_argument, NULL, VIEWS},
    {"minutes", required_argument, NULL, MINUTES},
    {"resume", no_argument, NULL, RESUME},
    {"seed", required_argument, NULL, SEED},
    {"batch", required_argument, NULL, BATCH},
    {"side", required_argument, NULL, SIDE},
    {"late-side", required_argument, NULL, LATE_SIDE},
    {"late-from", required_argument, NULL, LATE_FROM},
    {"rate", required_argument, NULL, RATE},
    {"keep-side", required_argument, NULL, KEEP},
    {"memory", required_argument, NULL, MEMORY},
    {"threads", required_argument, NULL, THREADS},
    {"save-minutes", required_argument, NULL, SAVE},
    {"f32", no_argument, NULL, F32},
    {"serve-side", required_argument, NULL, SERVE_SIDE},
    {"dims", required_argument, NULL, DIMS},
    {"power", required_argument, NULL, POWER},
    {"shrink", required_argument, NULL, SHRINK},
    {"colour", required_argument, NULL, COLOUR},
    {"fit", required_argument, NULL, FIT},
    {"json", no_argument, NULL, JSON},
    {"help", no_argument, NULL, HELP},
    {0},
};

// 0: go on; else the exit status plus one.
static int parse(job *j, int argc, char **argv)
{
    int option, at;
    double v;
    while ((option = getopt_long(argc, argv, "", options, &at)) != -1) {
        const char *name = option >= DATA ? options[option - DATA].name : "";
        switch (option) {
        case DATA: // takes all that follow up to the next option
            j->data = argv + optind - 1;
            for (j->data_n = 1; optind < argc && argv[optind][0] != '-'; optind++)
                j->data_n++;
            break;
        case OUT:
            j->out = optarg;
            break;
        case VIEWS:
            if (!number(&v, name, optarg, 1, 1e15))
                return 3;
            j->recipe.views_total = (uint64_t)v;
            break;
        case MINUTES:
            if (!number(&j->recipe.minutes, name, optarg, 0.01, 1e6))
                return 3;
            break;
        case RESUME:
            j->resume = true;
            break;
        case SEED:
            if (!number(&v, name, optarg, 0, 9e15))
                return 3;
            j->recipe.seed = (uint64_t)v;
            break;
        case BATCH:
            if (!number(&v, name, optarg, 2, 4096))
                return 3;
            j->recipe.batch = (size_t)v;
            break;
        case SIDE:
        case LATE_SIDE:
        case KEEP:
            if (!number(&v, name, optarg, 8, 1024))
                return 3;
            *(option == SIDE   ? &j->recipe.side
              : option == KEEP ? &j->keep_side
                               : &j->recipe.late_side) = (int)v;
            break;
        case LATE_FROM:
            if (!number(&j->recipe.late_from, name, optarg, 0, 1))
                return 3;
            break;
        case RATE:
            if (!number(&v, name, optarg, 1e-9, 100))
                return 3;
            j->recipe.rate = (float)v;
            break;
        case MEMORY:
            if (!number(&v, name, optarg, 1, 1e9))
                return 3;
            j->memory = (size_t)v << 20;
            break;
        case THREADS:
            if (!number(&v, name, optarg, 1, 64))
                return 3;
            j->recipe.threads = (int)v;
            break;
        case SAVE:
            if (!number(&j->save_minutes, name, optarg, 0.01, 1e6))
                return 3;
            break;
        case F32:
            j->recipe.bf16 = false;
            break;
        case SERVE_SIDE:
            if (!number(&v, name, optarg, 16, 512))
                return 3;
            j->serve_side = (int)v;
            break;
        case DIMS:
            if (!number(&j->dims, name, optarg, 1, 4096))
                return 3;
            break;
        case POWER:
            if (!number(&j->power, name, optarg, 0, 2))
                return 3;
            break;
        case SHRINK:
            if (!number(&j->shrink, name, optarg, 0, 10))
                return 3;
            break;
        case COLOUR:
            if (!number(&j->colour, name, optarg, 0, 1000))
                return 3;
            break;
        case FIT:
            if (!number(&j->fit, name, optarg, 2, 1e7))
                return 3;
            break;
        case JSON:
            j->json = true;
            break;
        case HELP:
            fputs(help, stdout);
            return 1;
        default:
            fputs("akin train --help lists the options\n", stderr);
            return 3;
        }
    }
    if (optind < argc || !j->data || !j->out) {
        fprintf(stderr, "akin train: %s\nakin train --help lists the options\n",
                optind < argc ? "an argument without an option" : "--data and --out are needed");
        return 3;
    }
    return 0;
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
    ak_status status = AK_OK;
    for (int i = 0; i < j->data_n && status == AK_OK; i++)
        status = ak_pictures_add(pictures, j->data[i], j->keep_side, j->memory, err);
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
                            .side = j->serve_side,
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
    size_t n = (double)pictures->n < j->fit ? pictures->n : (size_t)j->fit;
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
    job j = {.recipe = ak_recipe_default,
             .keep_side = 128,
             .memory = (size_t)16384 << 20,
             .save_minutes = 10,
             .serve_side = 96,
             .dims = 256,
             .power = 0.5,
             .shrink = 0.1,
             .fit = 12000};
    int wrong = parse(&j, argc, argv);
    if (wrong)
        return wrong - 1;
    if (asprintf(&j.state, "%s.state", j.out) < 0)
        return 3;
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
