// `akin serve`: options in, ak_server_run.
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/base/clock.h"
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ak_status apply_settings(ak_server_options *options, const ak_option_list *list,
                                ak_error *err)
{
    for (size_t i = 0; i < list->n; i++) {
        const char *equals = strchr(list->at[i], '=');
        if (!equals)
            return ak_fail(err, AK_BAD_VALUE, "--set takes NAME=VALUE, not \"%s\"", list->at[i]);
        char *name = ak_strndup(list->at[i], (size_t)(equals - list->at[i]));
        if (!name)
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a setting");
        ak_status status = ak_server_set(options, name, equals + 1, err);
        free(name);
        if (status != AK_OK)
            return status;
    }
    return AK_OK;
}

int ak_cli_serve(int argc, char **argv)
{
    bool json = false, routes = false, settings = false;
    ak_option_list list = {0};
    char **operands;
    ak_error err;
    ak_server_options server = ak_server_defaults();
    const char *folder = getenv("AKIN_DATA");
    if (folder && *folder)
        server.data = folder;
    server.admin_key_file = getenv("AKIN_ADMIN_KEY_FILE");
    server.model_bytes = ak_shipped_model();
    const ak_option table[] = {
        {AK_OPTION_TEXT, "data", "DIR", "the data folder (AKIN_DATA, or ./akin-data)", &server.data,
         0, 0},
        {AK_OPTION_TEXT, "listen", "ADDR:PORT", "where to listen (127.0.0.1:8470)", &server.listen,
         0, 0},
        {AK_OPTION_TEXT, "model", "FILE", "the encoder of a new data folder (the shipped one)",
         &server.model_path, 0, 0},
        {AK_OPTION_LIST, "set", "NAME=VALUE", "change a setting; may be given again", &list, 0, 0},
        {AK_OPTION_FLAG, "settings", NULL, "print the settings and stop", &settings, 0, 0},
        {AK_OPTION_FLAG, "routes", NULL, "print the routes and stop", &routes, 0, 0},
        {0}};
    const ak_usage usage = {
        .command = "serve",
        .operands = "",
        .about = "Serves the REST API until SIGTERM or SIGINT. What it does is logged on standard\n"
                 "error; --json prints one object when it ends.",
        .options = table,
        .json = &json};
    int exit = ak_options_parse(&operands, &usage, argc, argv);
    if (exit != AK_OPTIONS_GO)
        goto done;
    if (apply_settings(&server, &list, &err) != AK_OK) {
        exit = ak_report_failure("serve", json, &err);
        goto done;
    }
    if (routes || settings) {
        if (settings)
            ak_server_print_settings(stdout);
        if (routes)
            ak_server_print_routes(stdout);
        exit = AK_EXIT_OK;
        goto done;
    }
    double started = ak_clock_s();
    if (ak_server_run(&server, &err) != AK_OK) {
        exit = ak_report_failure("serve", json, &err);
        goto done;
    }
    if (json)
        ak_report_print(json_pack("{s:s, s:s, s:f}", "data", server.data, "listen", server.listen,
                                  "seconds", ak_clock_s() - started));
    exit = AK_EXIT_OK;
done:
    free(list.at);
    return exit;
}
