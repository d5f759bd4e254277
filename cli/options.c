#include "cli/options.h"

#include "cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_MAX 32
#define HELP        1 // values of getopt beside an option's place in the table, from FIRST on
#define JSON        2
#define FIRST       256

bool ak_options_number(long *out, const char *text, long least, long most)
{
    char *end;
    if (!(*text >= '0' && *text <= '9') && *text != '-') // strtol would skip spaces
        return false;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || *end || end == text || value < least || value > most)
        return false;
    *out = value;
    return true;
}

static bool real(double *out, const char *text, double least, double most)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (errno || *end || end == text || !(value >= least && value <= most))
        return false;
    *out = value;
    return true;
}

static void print_option(const char *name, const char *value, const char *help)
{
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", name, value ? " " : "", value ? value : "");
    printf("  %-24s  %s\n", left, help);
}

static void print_help(const ak_usage *usage)
{
    printf("usage: akin %s%s%s [OPTION]...\n\n%s\n\n", usage->command, *usage->operands ? " " : "",
           usage->operands, usage->about);
    for (const ak_option *o = usage->options; o->name; o++)
        print_option(o->name, o->value, o->help);
    print_option("json", NULL, "print one JSON object instead of text");
    print_option("help", NULL, "print this");
}

static int mistake(const ak_usage *usage)
{
    fprintf(stderr, "see `akin %s --help`\n", usage->command);
    return AK_EXIT_USAGE;
}

static bool list_add(ak_option_list *list, const char *text)
{
    const char **at = realloc(list->at, (list->n + 1) * sizeof *at);
    if (!at)
        return false;
    list->at = at;
    at[list->n++] = text;
    return true;
}

static bool set(const ak_option *o, const ak_usage *usage, const char *text)
{
    switch (o->kind) {
    case AK_OPTION_FLAG:
        *(bool *)o->target = true;
        return true;
    case AK_OPTION_TEXT:
        *(const char **)o->target = text;
        return true;
    case AK_OPTION_LIST:
        return list_add(o->target, text);
    case AK_OPTION_NUMBER:
        if (ak_options_number(o->target, text, (long)o->least, (long)o->most))
            return true;
        fprintf(stderr, "akin %s: --%s is \"%s\"; it must be a whole number from %.0f to %.0f\n",
                usage->command, o->name, text, o->least, o->most);
        return false;
    case AK_OPTION_REAL:
        if (real(o->target, text, o->least, o->most))
            return true;
        fprintf(stderr, "akin %s: --%s is \"%s\"; it must be a number from %g to %g\n",
                usage->command, o->name, text, o->least, o->most);
        return false;
    }
    return false;
}

int ak_options_parse(char ***operands, const ak_usage *usage, int argc, char **argv)
{
    struct option table[OPTIONS_MAX + 3] = {0};
    int n = 0;
    for (; n < OPTIONS_MAX && usage->options[n].name; n++) {
        bool flag = usage->options[n].kind == AK_OPTION_FLAG;
        table[n] = (struct option){usage->options[n].name, flag ? no_argument : required_argument,
                                   NULL, FIRST + n};
    }
    table[n] = (struct option){"help", no_argument, NULL, HELP};
    table[n + 1] = (struct option){"json", no_argument, NULL, JSON};

    optind = 0; // starts afresh, whoever parsed before
    opterr = 0;
    int got;
    while ((got = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        if (got == HELP || got == 'h') {
            print_help(usage);
            return AK_EXIT_OK;
        } else if (got == JSON) {
            *usage->json = true;
        } else if (got >= FIRST) {
            if (!set(&usage->options[got - FIRST], usage, optarg))
                return mistake(usage);
        } else {
            const char *what = got == ':' ? "needs a value" : "is not an option here";
            // A long option is the argument just read; a short one stands in optopt.
            if (optopt > 0 && optopt < FIRST && optopt != HELP && optopt != JSON)
                fprintf(stderr, "akin %s: -%c %s\n", usage->command, optopt, what);
            else
                fprintf(stderr, "akin %s: %s %s\n", usage->command, argv[optind - 1], what);
            return mistake(usage);
        }
    }
    size_t given = (size_t)(argc - optind);
    if (usage->operands_given)
        *usage->operands_given = given;
    if (given < usage->operand_count || (given > usage->operand_count && !usage->operands_given)) {
        if (given < usage->operand_count)
            fprintf(stderr, "akin %s: %s is missing\n", usage->command, usage->operands);
        else
            fprintf(stderr, "akin %s: \"%s\" is one argument too many\n", usage->command,
                    argv[(size_t)optind + usage->operand_count]);
        return mistake(usage);
    }
    *operands = argv + optind;
    return AK_OPTIONS_GO;
}
