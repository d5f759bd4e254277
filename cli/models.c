// `akin models`: what serves, what could, and the way from one to the other.
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/watch.h"
#include "core/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODELS     "/v1/admin/models"
#define FILE_LIMIT ((size_t)256 << 20)

typedef struct {
    const char *server, *operand, *output;
    ak_option_list collections;
    bool force, json;
    ak_client *client;
} command;

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "-";
}

// "<before><escaped><after>"; the caller frees. NULL: no memory, err filled.
static char *path_of(const char *before, const char *name, const char *after, ak_error *err)
{
    char *path = NULL, *escaped = ak_url_escape(name);
    if (!escaped || asprintf(&path, "%s%s%s", before, escaped, after) < 0) {
        path = NULL;
        ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a request");
    }
    free(escaped);
    return path;
}

static ak_status do_list(command *c, ak_error *err)
{
    json_t *answer = NULL, *model;
    size_t i;
    ak_status status = ak_remote_json(&answer, c->client, "GET", MODELS, NULL, err);
    if (status == AK_OK && c->json) {
        ak_report_print(json_incref(answer));
    } else if (status == AK_OK) {
        printf("%-32s  %-9s  %-24s  %-32s  %s\n", "model", "state", "created", "parent", "run");
        json_array_foreach(json_object_get(answer, "items"), i, model)
        {
            printf("%-32s  %-9s  %-24s  %-32s  %s%s\n", text_of(model, "id"),
                   text_of(model, "state"), text_of(model, "created_at"), text_of(model, "parent"),
                   text_of(json_object_get(model, "lineage"), "run"),
                   json_is_true(json_object_get(model, "base")) ? "  (of new collections)" : "");
        }
    }
    json_decref(answer);
    return status;
}

static ak_status do_promote(command *c, ak_error *err)
{
    json_t *body = json_pack("{s:b}", "force", c->force), *job = NULL, *end = NULL;
    char *path = path_of(MODELS "/", c->operand, ":promote", err);
    if (c->collections.n)
        json_object_set_new(body, "collections", json_array());
    for (size_t i = 0; i < c->collections.n; i++)
        json_array_append_new(json_object_get(body, "collections"),
                              json_string(c->collections.at[i]));
    ak_status status =
        path ? ak_remote_json(&job, c->client, "POST", path, body, err) : err->status;
    if (status == AK_OK)
        status = ak_watch_job(&end, c->client, text_of(job, "id"), c->json, err);
    if (status == AK_OK && strcmp(text_of(end, "state"), "succeeded") != 0)
        status = ak_fail(err, AK_CONFLICT, "the promotion was %.16s: %.300s", text_of(end, "state"),
                         text_of(end, "error"));
    else if (status == AK_OK && c->json)
        ak_report_print(json_incref(end));
    else if (status == AK_OK)
        printf("model %s serves\n", c->operand);
    json_decref(body);
    json_decref(job);
    json_decref(end);
    free(path);
    return status;
}

static ak_status do_rollback(command *c, ak_error *err)
{
    json_t *answer = NULL;
    char *path = path_of("/v1/admin/collections/", c->operand, ":rollback", err);
    ak_status status =
        path ? ak_remote_json(&answer, c->client, "POST", path, NULL, err) : err->status;
    if (status == AK_OK && c->json)
        ak_report_print(json_incref(answer));
    else if (status == AK_OK)
        printf("\"%s\" is served by model %s again; %lld pictures are still to come\n", c->operand,
               text_of(answer, "model"),
               (long long)json_integer_value(json_object_get(answer, "to_come")));
    json_decref(answer);
    free(path);
    return status;
}

static ak_status do_export(command *c, ak_error *err)
{
    ak_reply reply = {0};
    char *path = path_of(MODELS "/", c->operand, "/checkpoint", err), *file = NULL;
    ak_status status =
        path ? ak_client_call(&reply, c->client, &(ak_call){.method = "GET", .path = path}, err)
             : err->status;
    if (status == AK_OK &&
        asprintf(&file, "%s%s", c->output ? c->output : c->operand, c->output ? "" : ".akin") < 0) {
        file = NULL;
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a name");
    }
    if (status == AK_OK)
        status = ak_file_replace(file, ak_buf_bytes(&reply.body), err);
    if (status == AK_OK && c->json)
        ak_report_print(json_pack("{s:s, s:s, s:I}", "model", c->operand, "file", file, "bytes",
                                  (json_int_t)reply.body.n));
    else if (status == AK_OK)
        printf("%s, %zu bytes\n", file, reply.body.n);
    ak_reply_clear(&reply);
    free(path);
    free(file);
    return status;
}

static ak_status do_import(command *c, ak_error *err)
{
    ak_buf file = {0};
    ak_reply reply = {0};
    ak_status status = ak_file_read(&file, c->operand, FILE_LIMIT, err);
    const ak_call call = {.method = "POST",
                          .path = MODELS,
                          .content_type = "application/octet-stream",
                          .body = ak_buf_bytes(&file)};
    if (status == AK_OK)
        status = ak_client_call(&reply, c->client, &call, err);
    json_t *model =
        status == AK_OK ? json_loadb((const char *)reply.body.at, reply.body.n, 0, NULL) : NULL;
    if (status == AK_OK && c->json)
        ak_report_print(json_incref(model));
    else if (status == AK_OK)
        printf("model %s, %s\n", text_of(model, "id"), text_of(model, "state"));
    json_decref(model);
    ak_reply_clear(&reply);
    ak_buf_clear(&file);
    return status;
}

static const struct {
    const char *name;
    bool takes_operand;
    ak_status (*act)(command *c, ak_error *err);
} actions[] = {{"list", false, do_list},
               {"promote", true, do_promote},
               {"rollback", true, do_rollback},
               {"export", true, do_export},
               {"import", true, do_import}};

int ak_cli_models(int argc, char **argv)
{
    command c = {.server = ak_remote_default()};
    char **operands;
    size_t given = 0, action = 0;
    ak_error err;
    const ak_option table[] = {
        {AK_OPTION_TEXT, "server", "URL", "the server (AKIN_SERVER, or http://127.0.0.1:8470)",
         &c.server, 0, 0},
        {AK_OPTION_LIST, "collection", "C", "promote: for this one; may be given again",
         &c.collections, 0, 0},
        {AK_OPTION_FLAG, "force", NULL, "promote: even what the gate refused", &c.force, 0, 0},
        {AK_OPTION_TEXT, "output", "FILE", "export: to this file (MODEL.akin)", &c.output, 0, 0},
        {0}};
    const ak_usage usage = {
        .command = "models",
        .operands = "list|promote MODEL|rollback COLLECTION|export MODEL|import FILE",
        .about = "The models of a server. promote embeds the pictures by the model, then lets it\n"
                 "serve; rollback lets the one before serve again, at once. AKIN_KEY: the key.",
        .options = table,
        .operand_count = 1,
        .operands_given = &given,
        .json = &c.json};
    int exit = ak_options_parse(&operands, &usage, argc, argv);
    if (exit != AK_OPTIONS_GO)
        goto done;
    while (action < sizeof actions / sizeof *actions && strcmp(actions[action].name, operands[0]))
        action++;
    if (action == sizeof actions / sizeof *actions || given != 1u + actions[action].takes_operand) {
        fputs("akin models: say list, promote MODEL, rollback COLLECTION, export MODEL or import "
              "FILE\n",
              stderr);
        exit = AK_EXIT_USAGE;
        goto done;
    }
    c.operand = given == 2 ? operands[1] : NULL;
    ak_status status = ak_client_new(&c.client, c.server, &err);
    if (status == AK_OK)
        status = actions[action].act(&c, &err);
    ak_client_free(c.client);
    exit = status == AK_OK ? AK_EXIT_OK : ak_report_failure("models", c.json, &err);
done:
    free(c.collections.at);
    return exit;
}
