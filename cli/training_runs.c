// `akin training-runs`: refinement on a server, begun, followed, cancelled.
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS "/v1/admin/training-runs"

typedef struct {
    const char *server, *recipe, *promote;
    ak_option_list collections;
    long budget_s, seed;
    bool watch, json;
    const char *id;
    ak_client *client;
} command;

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

// --- tables ------------------------------------------------------------------------------------

static void print_gate(const json_t *gate)
{
    size_t i;
    json_t *row;
    if (json_array_size(gate) == 0)
        return;
    printf("\n%-26s %9s %9s %9s  %s\n", "", "incumbent", "candidate", "change", "bounds");
    json_array_foreach((json_t *)(uintptr_t)gate, i, row)
    {
        double before = json_number_value(json_object_get(row, "incumbent"));
        double after = json_number_value(json_object_get(row, "candidate"));
        double low = json_number_value(json_object_get(row, "low"));
        double high = json_number_value(json_object_get(row, "high"));
        const json_t *decides = json_object_get(row, "decides");
        printf("%-26s %9.4f %9.4f %+9.4f", text_of(row, "measure"), before, after, after - before);
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
    printf("run        %s\nstate      %s, %s\nincumbent  %s\ncandidate  %s\n", text_of(run, "id"),
           text_of(run, "state"), text_of(run, "stage"), text_of(run, "incumbent"),
           text_of(run, "model"));
    printf("decision   %s\nreason     %s\n", text_of(run, "decision"), text_of(run, "reason"));
    print_gate(json_object_get(run, "gate"));
}

static void print_list(const json_t *answer)
{
    size_t i;
    json_t *run;
    printf("%-26s  %-24s  %-9s  %-9s  %s\n", "run", "created", "state", "decision", "reason");
    json_array_foreach(json_object_get(answer, "items"), i, run)
    {
        printf("%-26s  %-24s  %-9s  %-9s  %s\n", text_of(run, "id"), text_of(run, "created_at"),
               text_of(run, "state"), text_of(run, "decision"), text_of(run, "reason"));
    }
}

// --- actions -----------------------------------------------------------------------------------

// A run that failed or was cancelled is a failure of the command, a refused candidate is none.
static ak_status judge(const json_t *run, ak_error *err)
{
    const char *state = text_of(run, "state");
    if (strcmp(state, "failed") == 0)
        return ak_fail(err, AK_CONFLICT, "the run failed: %.300s", text_of(run, "error"));
    if (strcmp(state, "cancelled") == 0)
        return ak_fail(err, AK_CONFLICT, "the run was cancelled");
    return AK_OK;
}

static void show(json_t *run, const command *c)
{
    if (c->json)
        ak_report_print(json_incref(run));
    else
        print_run(run);
}

static ak_status watch(const command *c, ak_error *err)
{
    json_t *run = NULL;
    ak_status status = ak_watch_job(&run, c->client, c->id, c->json, err);
    if (status == AK_OK)
        status = judge(run, err);
    if (run && (status == AK_OK || !c->json)) // as JSON there is one object, then the error
        show(run, c);
    json_decref(run);
    return status;
}

static ak_status start(command *c, ak_error *err)
{
    json_t *body = json_object(), *run = NULL;
    if (c->collections.n)
        json_object_set_new(body, "collections", json_array());
    for (size_t i = 0; i < c->collections.n; i++)
        json_array_append_new(json_object_get(body, "collections"),
                              json_string(c->collections.at[i]));
    if (c->recipe)
        json_object_set_new(body, "recipe", json_string(c->recipe));
    if (c->promote)
        json_object_set_new(body, "promote", json_string(c->promote));
    if (c->budget_s >= 0)
        json_object_set_new(body, "budget_s", json_integer(c->budget_s));
    if (c->seed >= 0)
        json_object_set_new(body, "seed", json_integer(c->seed));
    ak_status status = ak_remote_json(&run, c->client, "POST", RUNS, body, err);
    json_decref(body);
    if (status == AK_OK && c->watch) {
        if (!c->json)
            fprintf(stderr, "run %s; it goes on when this command is interrupted\n",
                    text_of(run, "id"));
        c->id = text_of(run, "id");
        status = watch(c, err);
    } else if (status == AK_OK) {
        show(run, c);
    }
    json_decref(run);
    return status;
}

static ak_status one(const command *c, const char *method, ak_error *err)
{
    json_t *run = NULL;
    char *path = NULL, *escaped = ak_url_escape(c->id);
    ak_status status = escaped && asprintf(&path, RUNS "/%s", escaped) >= 0
                           ? AK_OK
                           : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a request");
    if (status == AK_OK)
        status = ak_remote_json(&run, c->client, method, path, NULL, err);
    if (status == AK_OK)
        show(run, c);
    json_decref(run);
    free(escaped);
    free(path);
    return status;
}

static ak_status do_list(command *c, ak_error *err)
{
    json_t *answer = NULL;
    ak_status status = ak_remote_json(&answer, c->client, "GET", RUNS, NULL, err);
    if (status == AK_OK && c->json)
        ak_report_print(json_incref(answer));
    else if (status == AK_OK)
        print_list(answer);
    json_decref(answer);
    return status;
}

static ak_status do_show(command *c, ak_error *err)
{
    return one(c, "GET", err);
}

static ak_status do_cancel(command *c, ak_error *err)
{
    return one(c, "DELETE", err);
}

static ak_status do_watch(command *c, ak_error *err)
{
    return watch(c, err);
}

static const struct {
    const char *name;
    bool takes_id;
    ak_status (*act)(command *c, ak_error *err);
} actions[] = {{"start", false, start},
               {"list", false, do_list},
               {"show", true, do_show},
               {"cancel", true, do_cancel},
               {"watch", true, do_watch}};

int ak_cli_training_runs(int argc, char **argv)
{
    command c = {.server = ak_remote_default(), .budget_s = -1, .seed = -1};
    char **operands;
    size_t given = 0, action = 0;
    ak_error err;
    const ak_option table[] = {
        {AK_OPTION_TEXT, "server", "URL", "the server (AKIN_SERVER, or http://127.0.0.1:8470)",
         &c.server, 0, 0},
        {AK_OPTION_LIST, "collection", "C", "start: for this one; may be given again (all)",
         &c.collections, 0, 0},
        {AK_OPTION_TEXT, "recipe", "NAME", "start: default, or smoothing, which trains no network",
         &c.recipe, 0, 0},
        {AK_OPTION_NUMBER, "budget", "SECONDS", "start: of training", &c.budget_s, 1, 604800},
        {AK_OPTION_TEXT, "promote", "HOW", "start: auto, or ask", &c.promote, 0, 0},
        {AK_OPTION_NUMBER, "seed", "N", "start: repeats a run", &c.seed, 0, 1e15},
        {AK_OPTION_FLAG, "watch", NULL, "start: and follow it to its end", &c.watch, 0, 0},
        {0}};
    const ak_usage usage = {
        .command = "training-runs",
        .operands = "start|list|show ID|cancel ID|watch ID",
        .about = "Refinement on a server: a run trains its model on its own pictures and serves\n"
                 "the result only when it is measured to be better. AKIN_KEY: the key.",
        .options = table,
        .operand_count = 1,
        .operands_given = &given,
        .json = &c.json};
    int exit = ak_options_parse(&operands, &usage, argc, argv);
    if (exit != AK_OPTIONS_GO)
        goto done;
    while (action < sizeof actions / sizeof *actions && strcmp(actions[action].name, operands[0]))
        action++;
    if (action == sizeof actions / sizeof *actions || given != 1u + actions[action].takes_id) {
        fputs("akin training-runs: say start, list, show ID, cancel ID or watch ID\n", stderr);
        exit = AK_EXIT_USAGE;
        goto done;
    }
    c.id = given == 2 ? operands[1] : NULL;
    ak_status status = ak_client_new(&c.client, c.server, &err);
    if (status == AK_OK)
        status = actions[action].act(&c, &err);
    ak_client_free(c.client);
    exit = status == AK_OK ? AK_EXIT_OK : ak_report_failure("training-runs", c.json, &err);
done:
    free(c.collections.at);
    return exit;
}
