// Where akin starts: the processor is checked, then the subcommand is called.
//
// This file alone is compiled for any x86-64. The check runs before the constructors of the
// libraries, because those of FAISS already use AVX2: hence .preinit_array and bare system calls.
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

// A sanitizer's own start comes later than this.
__attribute__((no_sanitize("address", "thread", "undefined"))) static void require_avx2(void)
{
    static const char text[] =
        "akin: this processor lacks AVX2, FMA or F16C, which Akin needs (Intel since Haswell, AMD "
        "since Excavator; in a virtual machine, pass the host's processor through)\n";
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
        __builtin_cpu_supports("f16c"))
        return;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(AK_EXIT_FAILED);
    _exit(AK_EXIT_FAILED);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = require_avx2;

static const struct {
    const char *name, *help;
    int (*run)(int argc, char **argv);
    bool computes; // with OpenMP, beside other threads of its own or of others
} commands[] = {
    {"serve", "serve the REST API from a data folder", ak_cli_serve, true},
    {"import", "upload the pictures of a folder or tar to a server", ak_cli_import, false},
    {"search", "find the pictures that are similar to a file", ak_cli_search, false},
    {"embed", "write the descriptors of a folder or tar to a file", ak_cli_embed, true},
    {"eval", "measure an encoder on a labelled folder or tar", ak_cli_eval, true},
    {"augment", "draw a sheet of a picture's random views", ak_cli_augment, false},
    {"train", "train an encoder", ak_cli_train, true},
    {"loss", "evaluate a contrastive objective on matrices", ak_cli_loss, true},
    {"training-runs", "start and follow refinement on a server", ak_cli_training_runs, false},
    {"models", "list, promote, export and import a server's models", ak_cli_models, false},
    {"refine", "train the model of a refinement run", ak_cli_refine, true},
    {"gate", "judge what a refinement run proposes", ak_cli_gate, true},
    {"version", "print the version", ak_cli_version, false},
};

#define COMMANDS (sizeof commands / sizeof *commands)

static void help(FILE *to)
{
    fputs("akin: similar-image search\n\nusage: akin COMMAND [OPTION]...\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-13s  %s\n", commands[i].name, commands[i].help);
    fputs("\n`akin COMMAND --help` tells its options.\n"
          "Exit status: 0 all well, 1 some files refused, 2 usage, 3 the server or the data "
          "failed.\n",
          to);
}

static int run(int argc, char **argv)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(argv[0], commands[i].name) == 0)
            return commands[i].run(argc, argv);
    fprintf(stderr, "akin: there is no command \"%s\"; see `akin help`\n", argv[0]);
    return AK_EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return AK_EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        char *version[] = {"version", NULL};
        return run(1, version);
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        if (argc > 2) {
            char *asked[] = {argv[2], "--help", NULL};
            return run(2, asked);
        }
        help(stdout);
        return AK_EXIT_OK;
    }
    for (size_t i = 0; i < COMMANDS; i++)
        if (commands[i].computes && strcmp(name, commands[i].name) == 0)
            ak_cli_wait_passively(argv);
    return run(argc - 1, argv + 1);
}
