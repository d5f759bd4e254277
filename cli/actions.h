// A command that is a set of actions on a server: `akin models list|promote MODEL|...`.
//
// The command has a table of its actions, its own options, and what each action does. What is the
// same in all of them is here: --server, --json and --help, the mistakes, the connection, an answer
// as text or JSON, the exit status.
#ifndef AK_CLI_ACTIONS_H
#define AK_CLI_ACTIONS_H

#include "cli/options.h"
#include "cli/remote.h"

// What an action works with; all of it is borrowed.
typedef struct {
    ak_client *client;
    const char *operand; // NULL when the action takes none
    bool json;           // asked for
    const void *own;     // the command's: where its options' targets are
} ak_action_args;

typedef struct {
    const char *name;
    const char *operand; // as --help calls it; NULL: it takes none
    ak_status (*act)(const ak_action_args *args, ak_error *err);
} ak_action;

typedef struct {
    const char *command;      // "models"
    const char *about;        // some lines for --help
    const ak_action *actions; // ended by one without a name
    const ak_option *options; // beside --server, likewise; lists of theirs are freed by the run
    const void *own;
} ak_actions;

// Does what the command line says; returns the exit status.
int ak_actions_run(const ak_actions *all, int argc, char **argv);

// --- for the actions ---------------------------------------------------------------------------

// The answer on standard output: as JSON where that is asked for, else by print.
void ak_action_show(const ak_action_args *args, json_t *answer,
                    void (*print)(const json_t *answer));

// ak_remote_json, and its answer shown.
ak_status ak_action_call(const ak_action_args *args, const char *method, const char *path,
                         void (*print)(const json_t *answer), ak_error *err);

// Sets what was given of an option as an array of texts; nothing when it was not given.
void ak_action_set_list(json_t *body, const char *key, const ak_option_list *list);

#endif
