// `akin loss`: the value and the gradients of an objective on matrices in files, for whoever wants
// to hold ours against theirs.
#include "cli/cli.h"
#include "cli/npy.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/base/file.h"
#include "core/objective/objective.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX  8
#define OPTIONS     8                 // beside the parameters
#define WORK_BYTES  ((size_t)8 << 30) // for similarities and gradients
#define LABEL_BYTES ((size_t)64 << 20)

typedef struct {
    const char *a, *b, *queue, *proxies, *labels, *grad_a, *grad_b; // paths; NULL: not given
    double given[PARAMS_MAX]; // by ak_objective_fields; NAN: not given
    bool list, json;
} request;

typedef struct {
    const ak_objective *objective;
    ak_objective_params params;
    ak_npy a, b, queue, proxies;
    uint32_t *labels;
} inputs;

static double *param_at(ak_objective_params *params, size_t i)
{
    void *at = (char *)params + ak_objective_fields[i].at;
    return at;
}

// --- the list ----------------------------------------------------------------------------------

static void print_list(void)
{
    for (const ak_objective *o = ak_objectives; o->name; o++) {
        ak_objective_params defaults = o->defaults;
        printf("%-13s  %s\n", o->name, o->about);
        if (o->queue || o->proxies || o->labels)
            printf("%-13s  needs%s%s%s\n", "", o->queue ? " --queue" : "",
                   o->proxies ? " --proxies" : "", o->labels ? " --labels" : "");
        for (size_t i = 0; ak_objective_fields[i].key; i++)
            if (o->uses & 1u << i)
                printf("%-13s  --%s %g  %s\n", "", ak_objective_fields[i].key,
                       *param_at(&defaults, i), ak_objective_fields[i].help);
    }
}

static json_t *list_json(void)
{
    json_t *list = json_array();
    for (const ak_objective *o = ak_objectives; o->name; o++) {
        ak_objective_params defaults = o->defaults;
        json_t *params = json_object(), *needs = json_array();
        for (size_t i = 0; ak_objective_fields[i].key; i++)
            if (o->uses & 1u << i)
                json_object_set_new(params, ak_objective_fields[i].key,
                                    json_real(*param_at(&defaults, i)));
        if (o->queue)
            json_array_append_new(needs, json_string("queue"));
        if (o->proxies)
            json_array_append_new(needs, json_string("proxies"));
        if (o->labels)
            json_array_append_new(needs, json_string("labels"));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o}", "name", o->name, "about",
                                              o->about, "parameters", params, "needs", needs));
    }
    return json_pack("{s:o}", "objectives", list);
}

// --- inputs ------------------------------------------------------------------------------------

// What the objective needs must be given; what it does not read is named and left aside.
static ak_status check_given(const inputs *in, request *q, ak_error *err)
{
    const ak_objective *o = in->objective;
    const struct {
        const char *name, **path;
        bool wanted;
    } files[] = {{"queue", &q->queue, o->queue},
                 {"proxies", &q->proxies, o->proxies},
                 {"labels", &q->labels, o->labels}};
    if (!q->a || !q->b)
        return ak_fail(err, AK_BAD_VALUE, "--%s FILE.npy is missing", q->a ? "b" : "a");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (files[i].wanted && !*files[i].path)
            return ak_fail(err, AK_BAD_VALUE, "%s needs --%s", o->name, files[i].name);
        if (!files[i].wanted && *files[i].path) {
            fprintf(stderr, "akin loss: %s does not read --%s\n", o->name, files[i].name);
            *files[i].path = NULL;
        }
    }
    for (size_t i = 0; ak_objective_fields[i].key; i++)
        if (!isnan(q->given[i]) && !(o->uses & 1u << i))
            fprintf(stderr, "akin loss: %s does not read --%s\n", o->name,
                    ak_objective_fields[i].key);
    return AK_OK;
}

static ak_status read_labels(inputs *in, const char *path, ak_error *err)
{
    ak_buf text = {0};
    ak_status status = ak_file_read(&text, path, LABEL_BYTES, err);
    if (status == AK_OK && !ak_buf_append(&text, "", 1))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the labels");
    in->labels = ak_alloc(in->a.rows, sizeof *in->labels);
    if (status == AK_OK && !in->labels)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the labels");
    size_t n = 0;
    char *line = (char *)text.at, *end = (char *)text.at + text.n - 1, *next;
    for (; status == AK_OK && line < end; line = next, n++) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        if (stop > line && stop[-1] == '\r')
            stop--;
        *stop = '\0';
        long label;
        if (!ak_options_number(&label, line, 0, UINT32_MAX))
            status = ak_fail(err, AK_BAD_VALUE,
                             "%s: line %zu is \"%.40s\"; it must be a whole number from 0", path,
                             n + 1, line);
        else if (in->objective->proxies && (size_t)label >= in->proxies.rows)
            status = ak_fail(err, AK_BAD_VALUE,
                             "%s: line %zu is class %ld, but there are %zu proxies (classes 0 to "
                             "%zu)",
                             path, n + 1, label, in->proxies.rows, in->proxies.rows - 1);
        else if (n < in->a.rows)
            in->labels[n] = (uint32_t)label;
    }
    if (status == AK_OK && n != in->a.rows)
        status = ak_fail(err, AK_BAD_VALUE, "%s has %zu labels for %zu pairs; one a pair is needed",
                         path, n, in->a.rows);
    ak_buf_clear(&text);
    return status;
}

// All matrices of as many columns and of one type: float64 if one of them is.
static ak_status read_inputs(inputs *in, const request *q, ak_error *err)
{
    struct {
        const char *path;
        ak_npy *to;
    } files[] = {
        {q->a, &in->a}, {q->b, &in->b}, {q->queue, &in->queue}, {q->proxies, &in->proxies}};
    bool wide = false;
    ak_status status = AK_OK;
    for (size_t i = 0; i < sizeof files / sizeof *files && status == AK_OK; i++) {
        if (!files[i].path)
            continue;
        status = ak_npy_read(files[i].to, files[i].path, err);
        wide = wide || files[i].to->f64;
        if (status == AK_OK && files[i].to->dims != in->a.dims)
            status = ak_fail(err, AK_BAD_VALUE, "%s has %zu columns, but %s has %zu", files[i].path,
                             files[i].to->dims, q->a, in->a.dims);
    }
    if (status == AK_OK && in->a.rows != in->b.rows)
        status =
            ak_fail(err, AK_BAD_VALUE, "%s has %zu rows, but %s has %zu; row i of both is a pair",
                    q->b, in->b.rows, q->a, in->a.rows);
    for (size_t i = 0; wide && i < sizeof files / sizeof *files && status == AK_OK; i++)
        status = ak_npy_widen(files[i].to, err);
    if (status == AK_OK && q->labels)
        status = read_labels(in, q->labels, err);
    return status;
}

// --- the loss ----------------------------------------------------------------------------------

// Work and three gradients of `size` bytes a number, side by side in *memory.
static ak_status make_room(void **memory, size_t *work, const inputs *in, size_t size,
                           ak_error *err)
{
    size_t n = in->a.rows, d = in->a.dims;
    *work = ak_objective_work(in->objective, n, d, in->queue.rows, in->proxies.rows);
    size_t all = *work + 2 * n * d + in->proxies.rows * d;
    if (all > WORK_BYTES / size)
        return ak_fail(err, AK_BAD_VALUE,
                       "%zu pairs of %zu numbers need %.1f GiB of memory; %zu GiB are possible", n,
                       d, (double)all * (double)size / (1 << 30), WORK_BYTES >> 30);
    *memory = ak_alloc(all, size);
    return *memory ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu pairs", n);
}

static ak_status loss_f32(double *loss, const inputs *in, const request *q, ak_error *err)
{
    size_t n = in->a.rows, d = in->a.dims, work;
    void *memory = NULL;
    ak_status status = make_room(&memory, &work, in, sizeof(float), err);
    if (status != AK_OK)
        return status;
    float *da = (float *)memory + work, *db = da + n * d;
    ak_pair_gradients out = {da, db, db + n * d};
    const ak_pairs pairs = {.n = n,
                            .d = d,
                            .a = in->a.f32,
                            .b = in->b.f32,
                            .queue = in->queue.f32,
                            .queued = in->queue.rows,
                            .proxies = in->proxies.f32,
                            .classes = in->proxies.rows,
                            .labels = in->labels};
    *loss = ak_objective_run(&out, in->objective, &in->params, &pairs, memory);
    if (q->grad_a)
        status = ak_npy_write(q->grad_a, da, n, d, err);
    if (status == AK_OK && q->grad_b)
        status = ak_npy_write(q->grad_b, db, n, d, err);
    free(memory);
    return status;
}

static ak_status loss_f64(double *loss, const inputs *in, const request *q, ak_error *err)
{
    size_t n = in->a.rows, d = in->a.dims, work;
    void *memory = NULL;
    ak_status status = make_room(&memory, &work, in, sizeof(double), err);
    if (status != AK_OK)
        return status;
    double *da = (double *)memory + work, *db = da + n * d;
    ak_pair_gradients_f64 out = {da, db, db + n * d};
    const ak_pairs_f64 pairs = {.n = n,
                                .d = d,
                                .a = in->a.f64,
                                .b = in->b.f64,
                                .queue = in->queue.f64,
                                .queued = in->queue.rows,
                                .proxies = in->proxies.f64,
                                .classes = in->proxies.rows,
                                .labels = in->labels};
    *loss = ak_objective_run_f64(&out, in->objective, &in->params, &pairs, memory);
    if (q->grad_a)
        status = ak_npy_write_f64(q->grad_a, da, n, d, err);
    if (status == AK_OK && q->grad_b)
        status = ak_npy_write_f64(q->grad_b, db, n, d, err);
    free(memory);
    return status;
}

static ak_status evaluate(double *loss, const char *name, request *q, ak_error *err)
{
    inputs in = {.objective = ak_objective_find(name)};
    if (!in.objective)
        return ak_fail(err, AK_BAD_VALUE, "there is no objective \"%s\"; see `akin loss --list`",
                       name);
    in.params = in.objective->defaults;
    for (size_t i = 0; ak_objective_fields[i].key; i++)
        if (!isnan(q->given[i]))
            *param_at(&in.params, i) = q->given[i];
    ak_status status = check_given(&in, q, err);
    if (status == AK_OK)
        status = read_inputs(&in, q, err);
    if (status == AK_OK)
        status = in.a.f64 ? loss_f64(loss, &in, q, err) : loss_f32(loss, &in, q, err);
    if (status == AK_OK && !isfinite(*loss))
        status =
            ak_fail(err, AK_BAD_VALUE, "the loss is %g: it overflows; a higher --tau helps", *loss);
    free(in.labels);
    ak_npy_clear(&in.a);
    ak_npy_clear(&in.b);
    ak_npy_clear(&in.queue);
    ak_npy_clear(&in.proxies);
    return status;
}

int ak_cli_loss(int argc, char **argv)
{
    request q = {0};
    size_t given = 0;
    char **operands;
    ak_option table[OPTIONS + PARAMS_MAX + 1] = {
        {AK_OPTION_TEXT, "a", "A.npy", "one view, a row each", &q.a, 0, 0},
        {AK_OPTION_TEXT, "b", "B.npy", "the other view of the same", &q.b, 0, 0},
        {AK_OPTION_TEXT, "queue", "Q.npy", "negatives (info_nce)", &q.queue, 0, 0},
        {AK_OPTION_TEXT, "proxies", "P.npy", "a row a class (proxy_softmax)", &q.proxies, 0, 0},
        {AK_OPTION_TEXT, "labels", "L.txt", "the pairs' classes, one a line", &q.labels, 0, 0},
        {AK_OPTION_TEXT, "grad-a", "GA.npy", "write the gradient of A", &q.grad_a, 0, 0},
        {AK_OPTION_TEXT, "grad-b", "GB.npy", "write the gradient of B", &q.grad_b, 0, 0},
        {AK_OPTION_FLAG, "list", NULL, "name the objectives with their parameters", &q.list, 0, 0}};
    for (size_t i = 0; i < PARAMS_MAX && ak_objective_fields[i].key; i++) {
        const ak_field *f = &ak_objective_fields[i];
        q.given[i] = NAN;
        table[OPTIONS + i] =
            (ak_option){AK_OPTION_REAL, f->key, "X", f->help, &q.given[i], f->least, f->most};
    }
    const ak_usage usage = {
        .command = "loss",
        .operands = "NAME",
        .about =
            "Evaluates the contrastive objective NAME on two matrices of raw vectors, one pair a\n"
            "row, as .npy files of float32 or float64; computes in float64 when one of the files\n"
            "is. `akin loss --list` names the objectives.",
        .options = table,
        .operands_given = &given,
        .json = &q.json};
    int status = ak_options_parse(&operands, &usage, argc, argv);
    if (status != AK_OPTIONS_GO)
        return status;
    if (q.list) {
        if (q.json)
            ak_report_print(list_json());
        else
            print_list();
        return AK_EXIT_OK;
    }
    if (given != 1) {
        fprintf(stderr, "akin loss: %s\nsee `akin loss --help`\n",
                given ? "one NAME is possible" : "NAME is missing");
        return AK_EXIT_USAGE;
    }
    double loss = 0;
    ak_error err;
    if (evaluate(&loss, operands[0], &q, &err) != AK_OK)
        return ak_report_failure("loss", q.json, &err);
    if (q.json)
        printf("{\"objective\": \"%s\", \"loss\": %.17g}\n", operands[0], loss);
    else
        printf("%.12g\n", loss);
    return AK_EXIT_OK;
}
