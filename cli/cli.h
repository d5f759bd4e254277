// The subcommands of akin. Each takes its own arguments, argv[0] being its name, writes its answer
// to standard output and everything else to standard error, and returns the exit status.
#ifndef AK_CLI_CLI_H
#define AK_CLI_CLI_H

#include "core/base/mem.h"

#define AK_VERSION "0.1.0"

enum {
    AK_EXIT_OK = 0,
    AK_EXIT_REFUSED = 1, // some files were refused; each was named
    AK_EXIT_USAGE = 2,
    AK_EXIT_FAILED = 3, // the server or the data failed
};

int ak_cli_serve(int argc, char **argv);
int ak_cli_import(int argc, char **argv);
int ak_cli_search(int argc, char **argv);
int ak_cli_embed(int argc, char **argv);
int ak_cli_eval(int argc, char **argv);
int ak_cli_augment(int argc, char **argv);
int ak_cli_train(int argc, char **argv);
int ak_cli_loss(int argc, char **argv);
int ak_cli_training_runs(int argc, char **argv);
int ak_cli_models(int argc, char **argv);
int ak_cli_refine(int argc, char **argv);
int ak_cli_gate(int argc, char **argv);
void ak_cli_wait_passively(char **argv); // before any OpenMP; may start the process anew
int ak_cli_version(int argc, char **argv);

// The encoder that is built into the binary; no bytes in a build that had none. Static.
ak_bytes ak_shipped_model(void);

#endif
