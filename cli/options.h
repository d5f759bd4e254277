// Options and operands of a subcommand, from one table that is also its --help.
#ifndef AK_CLI_OPTIONS_H
#define AK_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    AK_OPTION_FLAG,   // target: bool
    AK_OPTION_TEXT,   // target: const char *, borrowed from argv; left alone when not given
    AK_OPTION_NUMBER, // target: long, between least and most
    AK_OPTION_REAL,   // target: double, between least and most
    AK_OPTION_LIST,   // target: ak_option_list; may be given again and again
} ak_option_kind;

typedef struct {
    const char **at; // borrowed from argv; the array is freed by the caller
    size_t n;
} ak_option_list;

typedef struct {
    ak_option_kind kind;
    const char *name;  // without the dashes
    const char *value; // as --help calls it; NULL for a flag
    const char *help;
    void *target;
    double least, most;
} ak_option;

typedef struct {
    const char *command;      // "import"
    const char *operands;     // "DIR|TAR", "" for none
    const char *about;        // some lines for --help
    const ak_option *options; // ended by one without a name; --help and --json are added
    size_t operand_count;     // exactly so many must stand,
    size_t *operands_given;   // or, when this is not NULL, so many and more: their number
    bool *json;
} ak_usage;

#define AK_OPTIONS_GO (-1)

// AK_OPTIONS_GO: go on, with the operands in *operands (borrowed from argv). Else the exit status:
// --help was printed (0), or the mistake and a hint (2).
int ak_options_parse(char ***operands, const ak_usage *usage, int argc, char **argv);

// A whole number and nothing else, in decimal digits; false when text is not one or out of range.
bool ak_options_number(long *out, const char *text, long least, long most);

#endif
