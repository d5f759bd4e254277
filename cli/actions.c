#include "cli/actions.h"

#include "cli/cli.h"
#include "cli/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 16
#define NAMES_MAX   256 // bytes of a table's names with their operands

// "list|promote MODEL" or "list, promote MODEL or import FILE".
static void name_all(char out[NAMES_MAX], const ak_action *actions, const char *between,
                     const char *last)
{
    size_t at = 0;
    for (const ak_action *a = actions; a->name && at < NAMES_MAX; a++) {
        const char *before = a == actions ? "" : a[1].name ? between : last;
        at += (size_t)snprintf(out + at, NAMES_MAX - at, "%s%s%s%s", before, a->name,
                               a->operand ? " " : "", a->operand ? a->operand : "");
    }
}

static const ak_action *find(const ak_actions *all, char **operands, size_t given)
{
    for (const ak_action *a = all->actions; a->name; a++)
        if (strcmp(a->name, operands[0]) == 0)
            return given == (a->operand ? 2 : 1) ? a : NULL;
    return NULL;
}

int ak_actions_run(const ak_actions *all, int argc, char **argv)
{
    const char *server = ak_remote_default();
    char names[NAMES_MAX] = "", **operands;
    size_t given = 0, n = 0;
    ak_action_args args = {.own = all->own};
    ak_error err;
    ak_option table[OPTIONS_MAX] = {{AK_OPTION_TEXT, "server", "URL",
                                     "the server (AKIN_SERVER, or http://127.0.0.1:8470)", &server,
                                     0, 0}};
    for (; all->options[n].name && n + 2 < OPTIONS_MAX; n++)
        table[n + 1] = all->options[n];
    name_all(names, all->actions, "|", "|");
    const ak_usage usage = {.command = all->command,
                            .operands = names,
                            .about = all->about,
                            .options = table,
                            .operand_count = 1,
                            .operands_given = &given,
                            .json = &args.json};
    int exit = ak_options_parse(&operands, &usage, argc, argv);
    if (exit != AK_OPTIONS_GO)
        goto done;
    const ak_action *action = find(all, operands, given);
    if (!action) {
        name_all(names, all->actions, ", ", " or ");
        fprintf(stderr, "akin %s: say %s\n", all->command, names);
        exit = AK_EXIT_USAGE;
        goto done;
    }
    args.operand = action->operand ? operands[1] : NULL;
    ak_status status = ak_client_new(&args.client, server, &err);
    if (status == AK_OK)
        status = action->act(&args, &err);
    ak_client_free(args.client);
    exit = status == AK_OK ? AK_EXIT_OK : ak_report_failure(all->command, args.json, &err);
done:
    for (const ak_option *o = all->options; o->name; o++)
        if (o->kind == AK_OPTION_LIST)
            free(((ak_option_list *)o->target)->at);
    return exit;
}

// --- for the actions ---------------------------------------------------------------------------

void ak_action_show(const ak_action_args *args, json_t *answer, void (*print)(const json_t *answer))
{
    if (args->json)
        ak_report_print(json_incref(answer));
    else
        print(answer);
}

ak_status ak_action_call(const ak_action_args *args, const char *method, const char *path,
                         void (*print)(const json_t *answer), ak_error *err)
{
    json_t *answer = NULL;
    ak_status status = ak_remote_json(&answer, args->client, method, path, NULL, err);
    if (status == AK_OK)
        ak_action_show(args, answer, print);
    json_decref(answer);
    return status;
}

void ak_action_set_list(json_t *body, const char *key, const ak_option_list *list)
{
    if (list->n)
        json_object_set_new(body, key, json_array());
    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(json_object_get(body, key), json_string(list->at[i]));
}
