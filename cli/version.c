// `akin version`.
#include "cli/cli.h"
#include "cli/options.h"

#include <stdio.h>

int ak_cli_version(int argc, char **argv)
{
    bool json = false;
    char **operands;
    const ak_option options[] = {{0}};
    const ak_usage usage = {.command = "version",
                            .operands = "",
                            .about = "Prints the version of this program.",
                            .options = options,
                            .json = &json};
    int status = ak_options_parse(&operands, &usage, argc, argv);
    if (status != AK_OPTIONS_GO)
        return status;
    printf(json ? "{\"version\": \"%s\"}\n" : "akin %s\n", AK_VERSION);
    return AK_EXIT_OK;
}
