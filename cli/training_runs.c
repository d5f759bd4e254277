// `akin training-runs`: refinement on a server, begun, followed, cancelled.
#include "cli/actions.h"
#include "cli/cli.h"
#include "cli/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS "/v1/admin/training-runs"

typedef struct {
    const char *recipe, *promote;
    ak_option_list collections;
    long budget_s, seed;
    bool watch;
} options;

// --- tables ------------------------------------------------------------------------------------

static void print_gate(const json_t *gate)
{
    size_t i;
    json_t *row;
    if (json_array_size(gate) == 0)
        return;
    printf("\n%-26s %9s %9s %9s  %s\n", "", "incumbent", "candidate", "change", "bounds");
    json_array_foreach(gate, i, row)
    {
        double before = json_number_value(json_object_get(row, "incumbent"));
        double after = json_number_value(json_object_get(row, "candidate"));
        double low = json_number_value(json_object_get(row, "low"));
        double high = json_number_value(json_object_get(row, "high"));
        const json_t *decides = json_object_get(row, "decides");
        printf("%-26s %9.4f %9.4f %+9.4f", ak_remote_text(row, "measure"), before, after,
               after - before);
        if (low < high)
            printf("  %+.4f .. %+.4f", low, high);
        printf("  %s%s\n", json_is_true(json_object_get(row, "primary")) ? "primary, " : "",
               json_is_false(decides)                         ? "told"
               : json_is_true(json_object_get(row, "passed")) ? "passed"
                                                              : "FAILED");
    }
}

static void print_run(const json_t *run)
{
    printf("run        %s\nstate      %s, %s\nincumbent  %s\ncandidate  %s\n",
           ak_remote_text(run, "id"), ak_remote_text(run, "state"), ak_remote_text(run, "stage"),
           ak_remote_text(run, "incumbent"), ak_remote_text(run, "model"));
    printf("decision   %s\nreason     %s\n", ak_remote_text(run, "decision"),
           ak_remote_text(run, "reason"));
    print_gate(json_object_get(run, "gate"));
}

static void print_list(const json_t *answer)
{
    size_t i;
    json_t *run;
    printf("%-26s  %-24s  %-9s  %-9s  %s\n", "run", "created", "state", "decision", "reason");
    json_array_foreach(json_object_get(answer, "items"), i, run)
    {
        printf("%-26s  %-24s  %-9s  %-9s  %s\n", ak_remote_text(run, "id"),
               ak_remote_text(run, "created_at"), ak_remote_text(run, "state"),
               ak_remote_text(run, "decision"), ak_remote_text(run, "reason"));
    }
}

// --- actions -----------------------------------------------------------------------------------

// A run that failed or was cancelled is a failure of the command, a refused candidate is none.
static ak_status judge(const json_t *run, ak_error *err)
{
    const char *state = ak_remote_text(run, "state");
    if (strcmp(state, "failed") == 0)
        return ak_fail(err, AK_CONFLICT, "the run failed: %.300s", ak_remote_text(run, "error"));
    if (strcmp(state, "cancelled") == 0)
        return ak_fail(err, AK_CONFLICT, "the run was cancelled");
    return AK_OK;
}

static ak_status watch(const ak_action_args *args, const char *id, ak_error *err)
{
    json_t *run = NULL;
    ak_status status = ak_watch_job(&run, args->client, id, args->json, err);
    if (status == AK_OK)
        status = judge(run, err);
    if (run && (status == AK_OK || !args->json)) // as JSON there is one object, then the error
        ak_action_show(args, run, print_run);
    json_decref(run);
    return status;
}

static ak_status do_start(const ak_action_args *args, ak_error *err)
{
    const options *o = args->own;
    json_t *body = json_object(), *run = NULL;
    ak_action_set_list(body, "collections", &o->collections);
    if (o->recipe)
        json_object_set_new(body, "recipe", json_string(o->recipe));
    if (o->promote)
        json_object_set_new(body, "promote", json_string(o->promote));
    if (o->budget_s >= 0)
        json_object_set_new(body, "budget_s", json_integer(o->budget_s));
    if (o->seed >= 0)
        json_object_set_new(body, "seed", json_integer(o->seed));
    ak_status status = ak_remote_json(&run, args->client, "POST", RUNS, body, err);
    json_decref(body);
    if (status == AK_OK && o->watch) {
        if (!args->json)
            fprintf(stderr, "run %s; it goes on when this command is interrupted\n",
                    ak_remote_text(run, "id"));
        status = watch(args, ak_remote_text(run, "id"), err);
    } else if (status == AK_OK) {
        ak_action_show(args, run, print_run);
    }
    json_decref(run);
    return status;
}

static ak_status do_list(const ak_action_args *args, ak_error *err)
{
    return ak_action_call(args, "GET", RUNS, print_list, err);
}

static ak_status one(const ak_action_args *args, const char *method, ak_error *err)
{
    char *path = ak_remote_path(RUNS "/", args->operand, "");
    ak_status status = ak_action_call(args, method, path, print_run, err);
    free(path);
    return status;
}

static ak_status do_show(const ak_action_args *args, ak_error *err)
{
    return one(args, "GET", err);
}

static ak_status do_cancel(const ak_action_args *args, ak_error *err)
{
    return one(args, "DELETE", err);
}

static ak_status do_watch(const ak_action_args *args, ak_error *err)
{
    return watch(args, args->operand, err);
}

static const ak_action actions[] = {{"start", NULL, do_start}, {"list", NULL, do_list},
                                    {"show", "ID", do_show},   {"cancel", "ID", do_cancel},
                                    {"watch", "ID", do_watch}, {0}};

int ak_cli_training_runs(int argc, char **argv)
{
    options o = {.budget_s = -1, .seed = -1};
    const ak_option table[] = {
        {AK_OPTION_LIST, "collection", "C", "start: for this one; may be given again (all)",
         &o.collections, 0, 0},
        {AK_OPTION_TEXT, "recipe", "NAME", "start: default, or smoothing, which trains no network",
         &o.recipe, 0, 0},
        {AK_OPTION_NUMBER, "budget", "SECONDS", "start: of training", &o.budget_s, 1, 604800},
        {AK_OPTION_TEXT, "promote", "HOW", "start: auto, or ask", &o.promote, 0, 0},
        {AK_OPTION_NUMBER, "seed", "N", "start: repeats a run", &o.seed, 0, 1e15},
        {AK_OPTION_FLAG, "watch", NULL, "start: and follow it to its end", &o.watch, 0, 0},
        {0}};
    const ak_actions all = {
        .command = "training-runs",
        .about = "Refinement on a server: a run trains its model on its own pictures and serves\n"
                 "the result only when it is measured to be better. AKIN_KEY: the key.",
        .actions = actions,
        .options = table,
        .own = &o};
    return ak_actions_run(&all, argc, argv);
}
