// The settings table made usable: defaults, `--set name=value`, and its print-out.
#include "server/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name, *help, *unit; // unit NULL: a text
    size_t offset;
    uint64_t standard, least, most;
    const char *standard_text;
} setting;

static const setting settings[] = {
#define N(name, standard, least, most, unit, help)                                                 \
    {#name, help, unit, offsetof(ak_server_options, name), standard, least, most, NULL},
#define T(name, standard, help)                                                                    \
    {#name, help, NULL, offsetof(ak_server_options, name), 0, 0, 0, standard},
    AK_SETTINGS(N, T)
#undef N
#undef T
};

enum { SETTINGS = sizeof settings / sizeof *settings };

static void *member(ak_server_options *options, const setting *s)
{
    return (char *)options + s->offset;
}

ak_server_options ak_server_defaults(void)
{
    ak_server_options options = {.data = "akin-data", .listen = "127.0.0.1:8470"};
    for (int i = 0; i < SETTINGS; i++) {
        if (settings[i].unit)
            *(uint64_t *)member(&options, &settings[i]) = settings[i].standard;
        else
            strncpy(member(&options, &settings[i]), settings[i].standard_text, AK_SETTING_TEXT - 1);
    }
    return options;
}

static ak_status set_number(uint64_t *out, const setting *s, const char *value, ak_error *err)
{
    char *end;
    errno = 0;
    uint64_t n = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno || n < s->least || n > s->most)
        return ak_fail(err, AK_BAD_VALUE,
                       "setting %s is \"%.64s\"; it takes a whole number of %s from %" PRIu64
                       " to %" PRIu64,
                       s->name, value, s->unit, s->least, s->most);
    *out = n;
    return AK_OK;
}

ak_status ak_server_set(ak_server_options *options, const char *name, const char *value,
                        ak_error *err)
{
    for (int i = 0; i < SETTINGS; i++) {
        const setting *s = &settings[i];
        if (strcmp(s->name, name) != 0)
            continue;
        if (s->unit)
            return set_number(member(options, s), s, value, err);
        if (strlen(value) >= AK_SETTING_TEXT)
            return ak_fail(err, AK_BAD_VALUE, "setting %s has %zu bytes; at most %d", name,
                           strlen(value), AK_SETTING_TEXT - 1);
        strcpy(member(options, s), value);
        return AK_OK;
    }
    return ak_fail(err, AK_BAD_VALUE, "there is no setting \"%.64s\"", name);
}

ak_status ak_server_precision(ak_precision *out, const ak_server_options *options, ak_error *err)
{
    static const char *const names[] = {"auto", "f32", "bf16"};
    static const ak_precision values[] = {AK_PRECISION_AUTO, AK_PRECISION_F32, AK_PRECISION_BF16};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (strcmp(options->precision, names[i]) == 0) {
            *out = values[i];
            return AK_OK;
        }
    }
    return ak_fail(err, AK_BAD_VALUE, "setting precision is \"%.32s\"; it takes auto, f32 or bf16",
                   options->precision);
}

void ak_server_print_settings(FILE *out)
{
    for (int i = 0; i < SETTINGS; i++) {
        const setting *s = &settings[i];
        if (s->unit)
            fprintf(out, "%-24s %12" PRIu64 " %-12s %s\n", s->name, s->standard, s->unit, s->help);
        else
            fprintf(out, "%-24s %12s %-12s %s\n", s->name,
                    *s->standard_text ? s->standard_text : "-", "text", s->help);
    }
}
