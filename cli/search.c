// `akin search`: sends a picture, prints what is similar.
#include "cli/cli.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "core/base/file.h"
#include "core/image/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((size_t)64 << 20) // the server's default for one picture

static ak_status print_table(const ak_reply *reply, ak_error *err)
{
    json_error_t fault;
    json_t *answer = json_loadb((const char *)reply->body.at, reply->body.n, 0, &fault), *hit;
    json_t *items = json_object_get(answer, "items");
    size_t i;
    if (!json_is_array(items)) {
        json_decref(answer);
        return ak_fail(err, AK_BAD_JSON, "the server's answer to the search has no items");
    }
    printf("%4s  %6s  %6s  %s\n", "rank", "score", "match", "name");
    json_array_foreach(items, i, hit)
    {
        char name[1200], match[16] = "-";
        const char *text = json_string_value(json_object_get(hit, "name"));
        if (!text)
            text = json_string_value(json_object_get(hit, "id"));
        ak_printable(name, sizeof name, text ? text : "");
        json_t *share = json_object_get(hit, "match"); // null in a small collection
        if (json_is_number(share))
            snprintf(match, sizeof match, "%.4f", json_number_value(share));
        printf("%4zu  %6.3f  %6s  %s\n", i + 1, json_number_value(json_object_get(hit, "score")),
               match, name);
    }
    json_decref(answer);
    return AK_OK;
}

static ak_status search(ak_reply *reply, const char *file, const char *server,
                        const char *collection, long limit, ak_error *err)
{
    ak_buf bytes = {0};
    ak_client *client = NULL;
    char rest[64], *path = NULL;
    ak_status status = ak_file_read(&bytes, file, FILE_LIMIT, err);
    if (status == AK_OK)
        status = ak_client_new(&client, server, err);
    if (status != AK_OK)
        goto done;
    snprintf(rest, sizeof rest, "/search?limit=%ld", limit);
    path = ak_remote_path(AK_REMOTE_COLLECTIONS, collection, rest);
    ak_format format = ak_format_sniff(ak_buf_bytes(&bytes));
    const ak_call call = {.method = "POST",
                          .path = path,
                          .content_type =
                              format ? ak_format_media(format) : "application/octet-stream",
                          .body = ak_buf_bytes(&bytes)};
    status = ak_client_call(reply, client, &call, err);
    if (status == AK_OVERLOADED)
        status = ak_client_call_patiently(reply, client, &call, NULL, err);
done:
    free(path);
    ak_client_free(client);
    ak_buf_clear(&bytes);
    return status;
}

int ak_cli_search(int argc, char **argv)
{
    bool json = false;
    const char *server = ak_remote_default(), *collection = "default";
    long limit = 10;
    char **operands;
    ak_reply reply = {0};
    ak_error err;
    const ak_option table[] = {
        {AK_OPTION_TEXT, "server", "URL", "the server (AKIN_SERVER, or http://127.0.0.1:8470)",
         &server, 0, 0},
        {AK_OPTION_TEXT, "collection", "C", "where to search (default)", &collection, 0, 0},
        {AK_OPTION_NUMBER, "limit", "N", "how many to print (10)", &limit, 1, 1000},
        {0}};
    const ak_usage usage = {
        .command = "search",
        .operands = "FILE",
        .about = "Prints the pictures of a collection that are most similar to a file: the cosine\n"
                 "as score, and as match the share of unrelated pairs that score lower. --json\n"
                 "prints the answer of the API as it came. AKIN_KEY: the key.",
        .options = table,
        .operand_count = 1,
        .json = &json};
    int exit = ak_options_parse(&operands, &usage, argc, argv);
    if (exit != AK_OPTIONS_GO)
        return exit;
    ak_status status = search(&reply, operands[0], server, collection, limit, &err);
    if (status == AK_OK && !json)
        status = print_table(&reply, &err);
    else if (status == AK_OK)
        printf("%.*s\n", (int)reply.body.n, (const char *)reply.body.at);
    ak_reply_clear(&reply);
    return status == AK_OK ? AK_EXIT_OK : ak_report_failure("search", json, &err);
}
