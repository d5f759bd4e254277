// What the programs of bench/ share: cases measured in turns, medians, ratios, a table or JSON.
//
// All cases go once unmeasured, then round after round, one after the other: what else happens on
// the machine hits all of them alike. A ratio is the median of the rounds' own ratios.
#ifndef AK_BENCH_BENCH_H
#define AK_BENCH_BENCH_H

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/mem.h"
#include "core/nn/dnn.h"

#include <getopt.h>
#include <jansson.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_ROUNDS     7
#define BENCH_ROUNDS_MAX 101

typedef struct {
    const char *name;
    double (*go)(void *arg); // does the work once and returns the seconds that it took
    void *arg;
    double work; // units (pictures, views) in one go
    int beside;  // the case that this one is compared with, -1: none
    double seconds[BENCH_ROUNDS_MAX];
} bench_case;

typedef struct {
    int rounds;
    bool json, quick, profile; // quick: one short round, to see that it works
} bench_options;

__attribute__((noreturn, format(printf, 1, 2))) static inline void bench_die(const char *format,
                                                                             ...)
{
    va_list args;
    va_start(args, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(3);
}

static inline void bench_ok(ak_status status, const ak_error *err)
{
    if (status != AK_OK)
        bench_die("%s", err->text);
}

static inline void *bench_alloc(size_t count, size_t size)
{
    void *at = ak_alloc(count, size);
    if (!at)
        bench_die("no memory for %zu x %zu bytes", count, size);
    return at;
}

static inline bench_options bench_begin(int argc, char **argv)
{
    bench_options o = {.rounds = BENCH_ROUNDS};
    const struct option table[] = {{"rounds", required_argument, NULL, 'r'},
                                   {"json", no_argument, NULL, 'j'},
                                   {"quick", no_argument, NULL, 'q'},
                                   {"profile", no_argument, NULL, 'p'},
                                   {0}};
    int got;
    while ((got = getopt_long(argc, argv, "", table, NULL)) != -1) {
        if (got == 'r')
            o.rounds = atoi(optarg);
        o.json |= got == 'j';
        o.quick |= got == 'q';
        o.profile |= got == 'p';
        if (got == '?')
            exit(2);
    }
    if (o.quick)
        o.rounds = 1;
    if (o.rounds < 1 || o.rounds > BENCH_ROUNDS_MAX)
        bench_die("--rounds: 1 to %d", BENCH_ROUNDS_MAX);
    if (!o.json)
        printf("%d threads; this processor multiplies bf16: %s; medians of %d rounds in turns\n",
               omp_get_max_threads(), ak_dnn_has_bf16() ? "yes" : "no", o.rounds);
    return o;
}

static inline void bench_measure(bench_case *cases, int n, int rounds)
{
    for (int i = 0; i < n; i++)
        cases[i].go(cases[i].arg);
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < n; i++)
            cases[i].seconds[r] = cases[i].go(cases[i].arg);
}

static inline int bench_by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Share q of the values lies below: 0.5 is the median. values are sorted.
static inline double bench_quantile(double *values, int n, double q)
{
    qsort(values, (size_t)n, sizeof *values, bench_by_value);
    double at = q * (n - 1);
    int below = (int)at, above = below + 1 < n ? below + 1 : below;
    return values[below] + (at - below) * (values[above] - values[below]);
}

// The rate of c over the rate of `other`, which may be slower or faster.
static inline double bench_ratio(const bench_case *c, const bench_case *other, int rounds)
{
    double ratios[BENCH_ROUNDS_MAX] = {0};
    for (int r = 0; r < rounds; r++)
        ratios[r] = c->work / c->seconds[r] / (other->work / other->seconds[r]);
    return bench_quantile(ratios, rounds, 0.5);
}

// Prints the rates of the cases in units of work a second, or adds them to `all` when it is set.
static inline void bench_show(json_t *all, const char *title, const char *unit,
                              const bench_case *cases, int n, int rounds)
{
    json_t *rows = json_array();
    if (!all)
        printf("\n%-44s %10s %21s\n", title, unit, "least .. most");
    for (int i = 0; i < n; i++) {
        const bench_case *c = &cases[i];
        const bench_case *other = c->beside >= 0 ? &cases[c->beside] : NULL;
        double rates[BENCH_ROUNDS_MAX] = {0};
        for (int r = 0; r < rounds; r++)
            rates[r] = c->work / c->seconds[r];
        double median = bench_quantile(rates, rounds, 0.5);
        double ratio = other ? bench_ratio(c, other, rounds) : 0;
        json_t *row = json_pack("{s:s, s:s, s:f, s:f, s:f}", "name", c->name, "unit", unit,
                                "median", median, "least", rates[0], "most", rates[rounds - 1]);
        if (other) {
            json_object_set_new(row, "ratio", json_real(ratio));
            json_object_set_new(row, "beside", json_string(other->name));
        }
        json_array_append_new(rows, row);
        if (all)
            continue;
        printf("  %-42s %10.1f %9.1f .. %8.1f", c->name, median, rates[0], rates[rounds - 1]);
        if (other)
            printf("   %.2f x %s", ratio, other->name);
        putchar('\n');
        fflush(stdout);
    }
    if (all)
        json_object_set(all, title, rows);
    json_decref(rows);
}

static inline json_t *bench_json_new(const bench_options *o)
{
    return o->json ? json_pack("{s:i, s:b, s:i}", "threads", omp_get_max_threads(), "bf16",
                               ak_dnn_has_bf16(), "rounds", o->rounds)
                   : NULL;
}

// Prints and frees all; nothing when it is NULL.
static inline void bench_json_end(json_t *all)
{
    if (!all)
        return;
    json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(all);
}

// Bytes that look random enough for a network, always the same.
static inline uint8_t *bench_pixels(size_t n)
{
    uint8_t *pixels = bench_alloc(n, 1);
    uint32_t state = 12345;
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        pixels[i] = (uint8_t)(state >> 24);
    }
    return pixels;
}

#endif
