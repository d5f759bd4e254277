// akin refine: the worker of a refinement run, as the daemon starts it; and the maker of run
// folders for experiments.
//
// Standard output: JSON lines, one about twice a second and one at every change, for example
//   {"phase": "prepare", "done": 640, "total": 5991}
//   {"phase": "train", "progress": 0.25, "seconds_left": 180.2, "step": 120, "views": 15360,
//    "views_per_s": 310.5, "loss": 3.91, "contrast": .., "features": .., "relations": .., ...}
//   {"phase": "choose", "done": 2, "total": 6}
//   {"phase": "done", "candidate": "<model>", "factor": 0.5, "smoothing": 1.0, ...}
//   {"phase": "stopped"} | {"phase": "failed", "code": "..", "detail": ".."}
// Standard input: JSON lines of orders: {"threads": 1}, {"pause": true}, {"pause": false},
// {"stop": true}. --with-parent: the end of standard input is an order to stop.
// SIGTERM and SIGINT are orders to stop: the state is saved, the exit status is 3. Exit status 0:
// the candidate lies in the folder.
#include "cli/refine.h"

#include "cli/cli.h"
#include "cli/report.h"
#include "core/base/clock.h"
#include "core/refine/worker.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096 // of an order
#define WAIT_MS        200  // at most, between two looks at the orders
#define TELL_S         0.5

typedef struct {
    const char *folder;
    bool with_parent, idle, make, json;
    long threads;
    ak_refine_make maker;
    char line[LINE_MAX_BYTES]; // of orders, so far
    size_t line_n;
    bool ended; // standard input
    ak_work_orders orders;
    double told_s;
    ak_work_phase told_phase;
    uint64_t told_saved, rate_views; // for views/s
    double rate_seconds, views_per_s;
} job;

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
    stopped = sig;
}

// --- orders -----------------------------------------------------------------------------------

static void take_order(job *j, const char *line, size_t n)
{
    json_error_t why;
    json_t *order = json_loadb(line, n, 0, &why);
    const json_t *threads = json_object_get(order, "threads");
    const json_t *pause = json_object_get(order, "pause");
    if (!order)
        fprintf(stderr, "akin refine: an order is no JSON: %s\n", why.text);
    if (json_is_integer(threads) && json_integer_value(threads) >= 1 &&
        json_integer_value(threads) <= 64)
        j->orders.threads = (int)json_integer_value(threads);
    if (json_is_boolean(pause))
        j->orders.pause = json_is_true(pause);
    if (json_is_true(json_object_get(order, "stop")))
        j->orders.stop = true;
    json_decref(order);
}

static void take_lines(job *j)
{
    char *end;
    while ((end = memchr(j->line, '\n', j->line_n))) {
        take_order(j, j->line, (size_t)(end - j->line));
        size_t used = (size_t)(end + 1 - j->line);
        memmove(j->line, end + 1, j->line_n - used);
        j->line_n -= used;
    }
    if (j->line_n == sizeof j->line) // no order is so long
        j->line_n = 0;
}

static void read_orders(void *arg, ak_work_orders *orders, bool wait)
{
    job *j = arg;
    struct pollfd in = {.fd = j->ended ? -1 : STDIN_FILENO, .events = POLLIN};
    int timeout = wait ? WAIT_MS : 0;
    while (!stopped && poll(&in, 1, timeout) > 0) {
        ssize_t got = read(STDIN_FILENO, j->line + j->line_n, sizeof j->line - j->line_n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            j->ended = true;
            j->orders.stop = j->orders.stop || j->with_parent;
            break;
        }
        j->line_n += (size_t)got;
        take_lines(j);
        timeout = 0;
    }
    j->orders.stop = j->orders.stop || stopped;
    *orders = j->orders;
}

// --- progress ---------------------------------------------------------------------------------

static void put(json_t *line)
{
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    if (text && printf("%s\n", text) > 0)
        fflush(stdout);
    free(text);
    json_decref(line);
}

static void set_roles(json_t *line, const ak_work_progress *p)
{
    for (int i = 0; i < AK_ROLES; i++)
        json_object_set_new(line, ak_role_name((ak_role)i), json_integer((json_int_t)p->roles[i]));
    json_object_set_new(line, "near_duplicates", json_integer((json_int_t)p->clustered));
}

static void set_training(json_t *line, const ak_work_progress *p, double views_per_s)
{
    const ak_tune_progress *t = &p->training;
    json_t *more = json_pack(
        "{s:f, s:f, s:f, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:b}",
        "progress", t->progress, "seconds", t->seconds, "seconds_left", t->seconds_left, "step",
        (json_int_t)t->step, "views", (json_int_t)t->views, "views_per_s", views_per_s, "loss",
        t->loss, "contrast", t->contrast, "features", t->features, "relations", t->relations,
        "feedback", t->feedback, "noisy", t->noisy, "neighbourhoods", t->neighbourhoods, "gradient",
        t->gradient, "masked", (json_int_t)t->masked, "saved_step", (json_int_t)p->saved_step,
        "resumed", p->resumed);
    json_object_update(line, more);
    json_decref(more);
}

static void set_chosen(json_t *line, const ak_work_progress *p)
{
    const ak_interpolation *c = &p->chosen;
    json_t *tried = json_array();
    for (size_t i = 0; i < c->tried_n; i++) {
        const ak_choice *t = &c->tried[i];
        json_array_append_new(tried,
                              json_pack("{s:f, s:f, s:f, s:f, s:f}", "factor", t->factor,
                                        "smoothing", t->smoothing, "neighbourhoods",
                                        t->neighbourhoods, "parts", t->parts, "copies", t->copies));
    }
    json_t *more =
        json_pack("{s:s, s:f, s:f, s:o, s:I}", "candidate", p->candidate, "factor", c->factor,
                  "smoothing", c->smoothing, "tried", tried, "held_out", (json_int_t)c->pictures);
    json_object_update(line, more);
    json_decref(more);
}

static void tell(void *arg, const ak_work_progress *p)
{
    job *j = arg;
    double now = ak_clock_s();
    bool changed =
        p->phase != j->told_phase || p->saved_step != j->told_saved || p->phase == AK_WORK_DONE;
    if (!changed && now - j->told_s < TELL_S)
        return;
    const ak_tune_progress *t = &p->training;
    if (t->seconds > j->rate_seconds)
        j->views_per_s = (double)(t->views - j->rate_views) / (t->seconds - j->rate_seconds);
    j->rate_views = t->views;
    j->rate_seconds = t->seconds;
    j->told_s = now;
    j->told_phase = p->phase;
    j->told_saved = p->saved_step;
    json_t *line = json_pack("{s:s}", "phase", ak_work_name(p->phase));
    if (p->phase == AK_WORK_PREPARE || p->phase == AK_WORK_CHOOSE) {
        json_object_set_new(line, "done", json_integer((json_int_t)p->done));
        json_object_set_new(line, "total", json_integer((json_int_t)p->total));
    }
    if (p->phase == AK_WORK_TRAIN)
        set_training(line, p, j->views_per_s);
    if (p->phase == AK_WORK_TRAIN || p->phase == AK_WORK_CHOOSE)
        set_roles(line, p);
    if (p->phase == AK_WORK_DONE)
        set_chosen(line, p);
    put(line);
}

static int failed(const ak_error *err)
{
    fprintf(stderr, "akin refine: %s\n", err->text);
    if (err->status == AK_SHUTTING_DOWN)
        put(json_pack("{s:s}", "phase", "stopped"));
    else
        put(json_pack("{s:s, s:s, s:s}", "phase", "failed", "code", ak_status_code(err->status),
                      "detail", err->text));
    return ak_status_exit(err->status);
}

// --- options ----------------------------------------------------------------------------------

static int parse(job *j, int argc, char **argv)
{
    ak_refine_make *m = &j->maker;
    const ak_option table[] = {
        {AK_OPTION_FLAG, "with-parent", NULL, "stop when standard input ends", &j->with_parent, 0,
         0},
        {AK_OPTION_FLAG, "idle", NULL, "take only the time that nobody else wants", &j->idle, 0, 0},
        {AK_OPTION_NUMBER, "threads", "N", "to begin with (2)", &j->threads, 1, 64},
        {AK_OPTION_FLAG, "make", NULL, "make RUNDIR from files, and do no more", &j->make, 0, 0},
        {AK_OPTION_TEXT, "data", "TAR|DIR", "--make: the collection to learn from", &m->data, 0, 0},
        {AK_OPTION_LIST, "more", "TAR|DIR", "--make: more of it", &m->more, 0, 0},
        {AK_OPTION_LIST, "old", "TAR|DIR", "--make: another collection, old ground and replay",
         &m->old, 0, 0},
        {AK_OPTION_FLAG, "trained", NULL, "--make: the others were trained on", &m->trained, 0, 0},
        {AK_OPTION_TEXT, "model", "FILE", "--make: the incumbent (models/akin.model)", &m->model, 0,
         0},
        {AK_OPTION_TEXT, "captions", "TSV", "--make: lines of name, caption", &m->captions, 0, 0},
        {AK_OPTION_TEXT, "feedback", "TSV", "--make: lines of name, name, similar or different",
         &m->feedback, 0, 0},
        {AK_OPTION_TEXT, "recipe", "NAME", "--make: default or smoothing", &m->recipe, 0, 0},
        {AK_OPTION_LIST, "set", "KEY=VALUE", "--make: of the recipe, as train.rate=0.01",
         &m->changes, 0, 0},
        {AK_OPTION_REAL, "budget", "SECONDS", "--make: of training (300)", &m->budget_s, 0, 1e7},
        {AK_OPTION_REAL, "same", "SCORE", "--make: above it two pictures are the same",
         &m->same_score, 0, 1},
        {AK_OPTION_NUMBER, "seed", "N", "--make: 1", &m->seed, 0, 1e15},
        {0}};
    const ak_usage usage = {
        .command = "refine",
        .operands = "RUNDIR",
        .about = "Trains the incumbent of a refinement run on its pictures and leaves a candidate "
                 "in RUNDIR.\nGoes on where it was stopped. Progress as JSON lines.",
        .options = table,
        .operand_count = 1,
        .json = &j->json};
    char **operands;
    int status = ak_options_parse(&operands, &usage, argc, argv);
    if (status != AK_OPTIONS_GO)
        return status;
    j->folder = operands[0];
    j->orders.threads = (int)j->threads;
    if (j->make && !m->data) {
        fputs("akin refine: --data is missing\nsee `akin refine --help`\n", stderr);
        return AK_EXIT_USAGE;
    }
    return AK_OPTIONS_GO;
}

// What nobody else wants: SCHED_IDLE where it is allowed, else the lowest priority.
static void be_idle(void)
{
    struct sched_param none = {0};
    errno = 0;
    if (nice(19) == -1 && errno)
        fprintf(stderr, "akin refine: cannot lower the priority: %s\n", strerror(errno));
    sched_setscheduler(0, SCHED_IDLE, &none); // a container may forbid it: nice is enough
}

int ak_cli_refine(int argc, char **argv)
{
    ak_error err = {0};
    job j = {
        .threads = 2,
        .told_phase = AK_WORK_DONE,
        .maker = {.model = "models/akin.model", .recipe = "default", .budget_s = 300, .seed = 1}};
    int status = parse(&j, argc, argv);
    if (status == AK_OPTIONS_GO && j.make) {
        ak_status made = ak_refine_make_folder(j.folder, &j.maker, &err);
        status = made == AK_OK ? AK_EXIT_OK : ak_report_failure("refine", false, &err);
    } else if (status == AK_OPTIONS_GO) {
        signal(SIGINT, on_stop);
        signal(SIGTERM, on_stop);
        signal(SIGPIPE, SIG_IGN); // a host that went away is noticed by standard input
        if (j.idle)
            be_idle();
        ak_work_host host = {.tell = tell, .orders = read_orders, .arg = &j};
        status = ak_work(j.folder, &host, &err) == AK_OK ? AK_EXIT_OK : failed(&err);
    }
    free(j.maker.more.at);
    free(j.maker.old.at);
    free(j.maker.changes.at);
    return status;
}
