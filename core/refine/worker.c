#include "core/refine/worker.h"

#include "core/base/clock.h"

#include <jansson.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#define UNITS_LEAST 16  // different things to train on
#define KEEP_SIDE   128 // px that pictures are kept with, at least

typedef struct {
    const char *folder;
    const ak_work_host *host;
    ak_work_orders orders;
    ak_work_progress progress;
    ak_rundir *rundir;
    ak_model *incumbent;
    ak_plan plan;
    ak_run_set set;
    ak_tuner *tuner; // NULL: the weights are not trained
} worker;

const char *ak_work_name(ak_work_phase phase)
{
    static const char *const names[] = {"prepare", "train", "choose", "done"};
    return names[phase];
}

static void tell(worker *w)
{
    w->host->tell(w->host->arg, &w->progress);
}

static void watched(void *arg, size_t done, size_t total)
{
    worker *w = arg;
    w->progress.done = done;
    w->progress.total = total;
    tell(w);
}

// Between blocks of pictures: a pause is waited out here, there is no state to save.
static bool must_stop(void *arg)
{
    worker *w = arg;
    w->host->orders(w->host->arg, &w->orders, false);
    while (w->orders.pause && !w->orders.stop)
        w->host->orders(w->host->arg, &w->orders, true);
    omp_set_num_threads(w->orders.threads);
    return w->orders.stop;
}

static ak_watch watch_of(worker *w)
{
    return (ak_watch){.progress = watched, .stop = must_stop, .arg = w};
}

// --- prepare
// ----------------------------------------------------------------------------------------

static ak_status load_incumbent(worker *w, ak_error *err)
{
    ak_buf file = {0};
    ak_status status = ak_rundir_read(&file, w->folder, AK_RUN_INCUMBENT, err);
    if (status == AK_OK && ak_model_read(&w->incumbent, ak_buf_bytes(&file), err) != AK_OK)
        status = ak_fail_within(err, "%s/%s", w->folder, AK_RUN_INCUMBENT);
    ak_buf_clear(&file);
    return status;
}

static void forget(worker *w)
{
    ak_tuner_free(w->tuner);
    w->tuner = NULL;
    ak_run_set_clear(&w->set);
    ak_plan_clear(&w->plan);
    ak_model_free(w->incumbent);
    w->incumbent = NULL;
    ak_rundir_close(w->rundir);
    w->rundir = NULL;
}

static ak_status prepare(worker *w, ak_error *err)
{
    ak_watch watch = watch_of(w);
    w->progress.phase = AK_WORK_PREPARE;
    ak_status status = ak_rundir_open(&w->rundir, w->folder, err);
    if (status == AK_OK)
        status = load_incumbent(w, err);
    if (status == AK_OK)
        status = ak_plan_make(&w->plan, w->rundir, w->incumbent, &watch, err);
    if (status != AK_OK)
        return status;
    memcpy(w->progress.roles, w->plan.counts, sizeof w->progress.roles);
    w->progress.clustered = 0;
    for (size_t i = 0; i < w->plan.n; i++)
        w->progress.clustered += w->plan.clusters[i] != i;
    const ak_refine_recipe *recipe = &w->rundir->run.recipe;
    int keep = recipe->train.side * 4 / 3 > KEEP_SIDE ? recipe->train.side * 4 / 3 : KEEP_SIDE;
    return ak_run_set_load(&w->set, w->rundir, &w->plan, keep, UNITS_LEAST, &watch, err);
}

// --- train
// ------------------------------------------------------------------------------------------

static ak_status save(worker *w, ak_error *err)
{
    ak_buf state = {0};
    ak_status status = ak_tuner_save(&state, w->tuner, err);
    if (status == AK_OK)
        status = ak_rundir_write(w->folder, AK_RUN_CHECKPOINT, ak_buf_bytes(&state), err);
    ak_buf_clear(&state);
    ak_tuner_progress(&w->progress.training, w->tuner);
    w->progress.saved_step = w->progress.training.step;
    tell(w);
    return status;
}

// A checkpoint that is missing, damaged or another run's: training begins anew.
static void resume(worker *w)
{
    ak_error why = {0};
    ak_buf state = {0};
    ak_status status = ak_rundir_read(&state, w->folder, AK_RUN_CHECKPOINT, &why);
    if (status == AK_OK)
        status = ak_tuner_restore(w->tuner, ak_buf_bytes(&state), &why);
    w->progress.resumed = status == AK_OK;
    ak_buf_clear(&state);
}

static ak_status start(worker *w, ak_error *err)
{
    const ak_run *run = &w->rundir->run;
    ak_tune_options options = {.incumbent = w->incumbent,
                               .set = &w->set,
                               .plan = &w->plan,
                               .recipe = &run->recipe,
                               .seed = run->seed,
                               .budget_s = run->budget_s,
                               .threads = w->orders.threads};
    ak_status status = ak_tuner_new(&w->tuner, &options, err);
    if (status == AK_OK)
        resume(w);
    return status;
}

// What the host wants, before a step: the state is saved before a pause and before the end.
static ak_status obey(worker *w, ak_error *err)
{
    w->host->orders(w->host->arg, &w->orders, false);
    if (w->orders.pause || w->orders.stop) {
        ak_status status = save(w, err);
        while (status == AK_OK && w->orders.pause && !w->orders.stop)
            w->host->orders(w->host->arg, &w->orders, true);
        if (status != AK_OK)
            return status;
    }
    if (w->orders.stop)
        return ak_fail(err, AK_SHUTTING_DOWN,
                       "stopped when it was asked to; goes on from its checkpoint");
    return ak_tuner_threads(w->tuner, w->orders.threads, err);
}

// changed: pictures were removed; the state is saved, and all is to be read again.
static ak_status train(worker *w, bool *changed, ak_error *err)
{
    bool more = true;
    *changed = false;
    double saved = ak_clock_s();
    w->progress.phase = AK_WORK_TRAIN;
    ak_status status = start(w, err);
    while (status == AK_OK && more && !*changed) {
        status = obey(w, err);
        if (status == AK_OK)
            status = ak_tuner_step(w->tuner, &more, err);
        if (status != AK_OK)
            break;
        ak_tuner_progress(&w->progress.training, w->tuner);
        tell(w);
        if (ak_clock_s() - saved >= w->rundir->run.recipe.train.save_s || !more) {
            status = save(w, err);
            saved = ak_clock_s();
            *changed = ak_rundir_changed(w->rundir);
        }
    }
    return status;
}

// --- choose
// -----------------------------------------------------------------------------------------

// What the candidate comes from, and from what it learned.
static json_t *lineage(const worker *w)
{
    const ak_tune_progress *t = &w->progress.training;
    return json_pack("{s:s, s:s, s:I, s:I, s:f, s:I, s:f}", "parent", ak_model_id(w->incumbent),
                     "run", w->rundir->run.id, "seed", (json_int_t)w->rundir->run.seed, "views",
                     (json_int_t)t->views, "seconds", t->seconds, "pictures",
                     (json_int_t)w->set.pictures.n, "loss", t->loss);
}

// Every picture that had a part in it, those that chose the factor among them.
static ak_status write_trained(const worker *w, ak_error *err)
{
    size_t n = w->set.pictures.n + w->set.held_n;
    ak_sha256 *sums = ak_alloc(n, sizeof *sums);
    if (!sums)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu sums", n);
    for (size_t i = 0; i < n; i++) {
        size_t row = i < w->set.pictures.n ? w->set.rows[i] : w->set.held[i - w->set.pictures.n];
        sums[i] = w->rundir->pictures[row].sha256;
    }
    ak_status status = ak_rundir_trained_write(w->folder, sums, n, err);
    free(sums);
    return status;
}

static ak_status choose(worker *w, ak_error *err)
{
    ak_watch watch = watch_of(w);
    w->progress.phase = AK_WORK_CHOOSE;
    ak_model_parts parts = ak_model_parts_of(w->incumbent);
    const float *params = parts.params, *head = parts.head_params;
    if (w->tuner)
        ak_tuner_result(&params, &head, w->tuner);
    json_t *training = lineage(w);
    ak_buf model = {0};
    ak_status status = ak_interpolate(&model, &w->progress.chosen, w->rundir, &w->set, w->incumbent,
                                      params, head, training, &watch, err);
    if (status == AK_OK)
        status = write_trained(w, err);
    if (status == AK_OK)
        status = ak_rundir_write(w->folder, AK_RUN_CANDIDATE, ak_buf_bytes(&model), err);
    if (status == AK_OK) {
        ak_sha256 sum = ak_sha256_of(ak_buf_bytes(&model));
        ak_hex(w->progress.candidate, sum.at, AK_MODEL_ID_HEX / 2);
    }
    json_decref(training);
    ak_buf_clear(&model);
    return status;
}

// The candidate that an earlier start of this worker has written.
static bool is_done(worker *w)
{
    ak_error ignored;
    ak_buf file = {0};
    ak_model *model = NULL;
    if (ak_rundir_read(&file, w->folder, AK_RUN_CANDIDATE, &ignored) == AK_OK &&
        ak_model_read(&model, ak_buf_bytes(&file), &ignored) == AK_OK)
        memcpy(w->progress.candidate, ak_model_id(model), sizeof w->progress.candidate);
    ak_buf_clear(&file);
    bool done = model;
    ak_model_free(model);
    return done;
}

ak_status ak_work(const char *folder, const ak_work_host *host, ak_error *err)
{
    worker w = {.folder = folder, .host = host, .orders = {.threads = 1}};
    ak_status status = AK_OK;
    bool again = !is_done(&w);
    while (again && status == AK_OK) {
        again = false;
        if (must_stop(&w))
            status = ak_fail(err, AK_SHUTTING_DOWN, "stopped before it began");
        if (status == AK_OK)
            status = prepare(&w, err);
        if (status == AK_OK && w.rundir->run.recipe.train.weights)
            status = train(&w, &again, err);
        if (status == AK_OK && !again)
            status = choose(&w, err);
        forget(&w);
    }
    if (status == AK_OK) {
        w.progress.phase = AK_WORK_DONE;
        tell(&w);
    }
    return status;
}
