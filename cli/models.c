// `akin models`: what serves, what could, and the way from one to the other.
#include "cli/actions.h"
#include "cli/cli.h"
#include "cli/report.h"
#include "cli/watch.h"
#include "core/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODELS     "/v1/admin/models"
#define FILE_LIMIT ((size_t)256 << 20)

typedef struct {
    const char *output;
    ak_option_list collections;
    bool force;
} options;

static void print_list(const json_t *answer)
{
    size_t i;
    json_t *model;
    printf("%-32s  %-9s  %-24s  %-32s  %s\n", "model", "state", "created", "parent", "run");
    json_array_foreach(json_object_get(answer, "items"), i, model)
    {
        printf("%-32s  %-9s  %-24s  %-32s  %s%s\n", ak_remote_text(model, "id"),
               ak_remote_text(model, "state"), ak_remote_text(model, "created_at"),
               ak_remote_text(model, "parent"),
               ak_remote_text(json_object_get(model, "lineage"), "run"),
               json_is_true(json_object_get(model, "base")) ? "  (of new collections)" : "");
    }
}

static ak_status do_list(const ak_action_args *args, ak_error *err)
{
    return ak_action_call(args, "GET", MODELS, print_list, err);
}

static ak_status do_promote(const ak_action_args *args, ak_error *err)
{
    const options *o = args->own;
    json_t *body = json_pack("{s:b}", "force", o->force), *job = NULL, *end = NULL;
    char *path = ak_remote_path(MODELS "/", args->operand, ":promote");
    ak_action_set_list(body, "collections", &o->collections);
    ak_status status = ak_remote_json(&job, args->client, "POST", path, body, err);
    if (status == AK_OK)
        status = ak_watch_job(&end, args->client, ak_remote_text(job, "id"), args->json, err);
    if (status == AK_OK && strcmp(ak_remote_text(end, "state"), "succeeded") != 0)
        status = ak_fail(err, AK_CONFLICT, "the promotion was %.16s: %.300s",
                         ak_remote_text(end, "state"), ak_remote_text(end, "error"));
    else if (status == AK_OK && args->json)
        ak_report_print(json_incref(end));
    else if (status == AK_OK)
        printf("model %s serves\n", args->operand);
    json_decref(body);
    json_decref(job);
    json_decref(end);
    free(path);
    return status;
}

static ak_status do_rollback(const ak_action_args *args, ak_error *err)
{
    json_t *answer = NULL;
    char *path = ak_remote_path("/v1/admin/collections/", args->operand, ":rollback");
    ak_status status = ak_remote_json(&answer, args->client, "POST", path, NULL, err);
    if (status == AK_OK && args->json)
        ak_report_print(json_incref(answer));
    else if (status == AK_OK)
        printf("\"%s\" is served by model %s again; %lld pictures are still to come\n",
               args->operand, ak_remote_text(answer, "model"),
               (long long)json_integer_value(json_object_get(answer, "to_come")));
    json_decref(answer);
    free(path);
    return status;
}

static ak_status do_export(const ak_action_args *args, ak_error *err)
{
    const options *o = args->own;
    ak_reply reply = {0};
    char *path = ak_remote_path(MODELS "/", args->operand, "/checkpoint"), *file = NULL;
    const ak_call call = {.method = "GET", .path = path};
    ak_status status = ak_client_call(&reply, args->client, &call, err);
    if (status == AK_OK && asprintf(&file, "%s%s", o->output ? o->output : args->operand,
                                    o->output ? "" : ".akin") < 0) {
        file = NULL;
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a name");
    }
    if (status == AK_OK)
        status = ak_file_replace(file, ak_buf_bytes(&reply.body), err);
    if (status == AK_OK && args->json)
        ak_report_print(json_pack("{s:s, s:s, s:I}", "model", args->operand, "file", file, "bytes",
                                  (json_int_t)reply.body.n));
    else if (status == AK_OK)
        printf("%s, %zu bytes\n", file, reply.body.n);
    ak_reply_clear(&reply);
    free(path);
    free(file);
    return status;
}

static void print_imported(const json_t *model)
{
    printf("model %s, %s\n", ak_remote_text(model, "id"), ak_remote_text(model, "state"));
}

static ak_status do_import(const ak_action_args *args, ak_error *err)
{
    ak_buf file = {0};
    json_t *model = NULL;
    ak_status status = ak_file_read(&file, args->operand, FILE_LIMIT, err);
    const ak_call call = {.method = "POST",
                          .path = MODELS,
                          .content_type = "application/octet-stream",
                          .body = ak_buf_bytes(&file)};
    if (status == AK_OK)
        status = ak_remote_answer(&model, args->client, &call, err);
    if (status == AK_OK)
        ak_action_show(args, model, print_imported);
    json_decref(model);
    ak_buf_clear(&file);
    return status;
}

static const ak_action actions[] = {{"list", NULL, do_list},
                                    {"promote", "MODEL", do_promote},
                                    {"rollback", "COLLECTION", do_rollback},
                                    {"export", "MODEL", do_export},
                                    {"import", "FILE", do_import},
                                    {0}};

int ak_cli_models(int argc, char **argv)
{
    options o = {0};
    const ak_option table[] = {
        {AK_OPTION_LIST, "collection", "C", "promote: for this one; may be given again",
         &o.collections, 0, 0},
        {AK_OPTION_FLAG, "force", NULL, "promote: even what the gate refused", &o.force, 0, 0},
        {AK_OPTION_TEXT, "output", "FILE", "export: to this file (MODEL.akin)", &o.output, 0, 0},
        {0}};
    const ak_actions all = {
        .command = "models",
        .about = "The models of a server. promote embeds the pictures by the model, then lets it\n"
                 "serve; rollback lets the one before serve again, at once. AKIN_KEY: the key.",
        .actions = actions,
        .options = table,
        .own = &o};
    return ak_actions_run(&all, argc, argv);
}
