// Objectives against reference values, the papers' formulas, central differences and identities.
#include "core/base/mem.h"
#include "core/base/random.h"
#include "tests/objective/slow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CANARY = 16 };

// A problem and its answer, in float64.
typedef struct {
    ak_pairs_f64 in;
    double *a, *b, *target_a, *target_b, *queue, *proxies;
    uint32_t *labels;
    uint8_t *masked;
    double *da, *db, *dproxies;
} problem;

static double *numbers(ak_random *r, size_t n)
{
    double *x = ak_alloc(n, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = r ? ak_random_normal(r) : 0;
    return x;
}

static problem made(ak_random *r, size_t n, size_t d, size_t queued, size_t classes)
{
    problem p = {.a = numbers(r, n * d),
                 .b = numbers(r, n * d),
                 .target_a = numbers(r, n * d),
                 .target_b = numbers(r, n * d),
                 .queue = numbers(r, queued * d + 1),
                 .proxies = numbers(r, classes * d),
                 .labels = ak_alloc(n, sizeof(uint32_t)),
                 .masked = ak_alloc(4 * n * n, 1),
                 .da = numbers(NULL, n * d),
                 .db = numbers(NULL, n * d),
                 .dproxies = numbers(NULL, classes * d)};
    for (size_t i = 0; i < n * d; i++) // views of one picture look alike
        p.b[i] = p.a[i] + 0.7 * p.b[i];
    for (size_t i = 0; i < n; i++)
        p.labels[i] = ak_random_below(r, (uint32_t)classes);
    for (size_t i = 0; i < 2 * n; i++)
        for (size_t k = 0; k <= i; k++)
            p.masked[i * 2 * n + k] = p.masked[k * 2 * n + i] = ak_random_below(r, 4) == 0;
    p.in = (ak_pairs_f64){.n = n,
                          .d = d,
                          .a = p.a,
                          .b = p.b,
                          .queue = p.queue,
                          .queued = queued,
                          .proxies = p.proxies,
                          .classes = classes,
                          .labels = p.labels};
    return p;
}

static void clear(problem *p)
{
    void *all[] = {p->a,      p->b,      p->target_a, p->target_b, p->queue,   p->proxies,
                   p->labels, p->masked, p->da,       p->db,       p->dproxies};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static double loss_of(problem *p, const ak_objective *o, const ak_objective_params *params)
{
    size_t n = ak_objective_work(o, p->in.n, p->in.d, p->in.queued, p->in.classes);
    double *work = ak_alloc(n + CANARY, sizeof *work);
    assert_non_null(work);
    for (size_t i = 0; i < n; i++)
        work[i] = NAN; // what a former run left does not matter
    for (size_t i = 0; i < CANARY; i++)
        work[n + i] = (double)i;
    ak_pair_gradients_f64 out = {p->da, p->db, p->dproxies};
    double loss = ak_objective_run_f64(&out, o, params, &p->in, work);
    for (size_t i = 0; i < CANARY; i++)
        assert_true(work[n + i] == (double)i);
    free(work);
    return loss;
}

static double loss_named(problem *p, const char *name, ak_objective_params params)
{
    return loss_of(p, ak_objective_find(name), &params);
}

static float *narrowed(const double *x, size_t n)
{
    float *y = x ? ak_alloc(n + 1, sizeof *y) : NULL;
    for (size_t i = 0; y && i < n; i++)
        y[i] = (float)x[i];
    return y;
}

// The same problem in float32; its gradients replace those in p.
static double loss_f32(problem *p, const ak_objective *o, const ak_objective_params *params)
{
    const ak_pairs_f64 *in = &p->in;
    size_t n = in->n * in->d;
    float *a = narrowed(in->a, n), *b = narrowed(in->b, n);
    float *ta = narrowed(in->target_a, n), *tb = narrowed(in->target_b, n);
    float *queue = narrowed(in->queue, in->queued * in->d);
    float *proxies = narrowed(in->proxies, in->classes * in->d);
    float *da = ak_alloc(n, sizeof *da), *db = ak_alloc(n, sizeof *db);
    float *dproxies = ak_alloc(in->classes * in->d + 1, sizeof *dproxies);
    float *work =
        ak_alloc(ak_objective_work(o, in->n, in->d, in->queued, in->classes), sizeof *work);
    const ak_pairs pairs = {.n = in->n,
                            .d = in->d,
                            .a = a,
                            .b = b,
                            .target_a = ta,
                            .target_b = tb,
                            .queue = queue,
                            .queued = in->queued,
                            .proxies = proxies,
                            .classes = in->classes,
                            .labels = in->labels,
                            .masked = in->masked};
    ak_pair_gradients out = {da, db, dproxies};
    double loss = ak_objective_run(&out, o, params, &pairs, work);
    for (size_t i = 0; i < n; i++) {
        p->da[i] = (double)da[i];
        p->db[i] = (double)db[i];
    }
    for (size_t i = 0; o->proxies && i < in->classes * in->d; i++)
        p->dproxies[i] = (double)dproxies[i];
    void *all[] = {a, b, ta, tb, queue, proxies, da, db, dproxies, work};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    return loss;
}

static double norm(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static void near(double found, double wanted, double tolerance)
{
    if (!(fabs(found - wanted) <= tolerance))
        fail_msg("%.12f is not %.12f, by %g", found, wanted, found - wanted);
}

// Defaults that leave no member unread at 0.
static ak_objective_params params_of(const ak_objective *o)
{
    ak_objective_params params = o->defaults;
    if (o->uses & AK_USES_SMOOTHING)
        params.smoothing = 0.1;
    return params;
}

// The inputs of the reference values: four pairs of eight numbers, by formula.
static problem reference(const char *name)
{
    static const uint32_t two[] = {0, 1, 0, 1}, three[] = {0, 1, 2, 0};
    ak_random r = ak_random_stream(1, 0, 0, 0);
    problem p = made(&r, 4, 8, 6, 3);
    for (int i = 1; i <= 4; i++)
        for (int k = 1; k <= 8; k++) {
            p.a[(i - 1) * 8 + k - 1] = sin(i * k);
            p.b[(i - 1) * 8 + k - 1] = sin(i * k) + 0.5 * cos(2 * i + 3 * k);
        }
    for (int j = 1; j <= 6; j++)
        for (int k = 1; k <= 8; k++)
            p.queue[(j - 1) * 8 + k - 1] = sin(7 + 0.5 * j * (k + 1));
    for (int c = 1; c <= 3; c++)
        for (int k = 1; k <= 8; k++)
            p.proxies[(c - 1) * 8 + k - 1] = cos(0.3 * c * k + c);
    memcpy(p.labels, strcmp(name, "proxy_softmax") == 0 ? three : two, sizeof two);
    return p;
}

static const struct {
    const char *name;
    ak_objective_params params;
    double loss, norm_da, norm_db, first;
} known[] = {
    {"nt_xent", {.tau = 0.5}, 0.746080152929, 0.197157351355, 0.191086495988, -0.009085297447},
    {"nt_xent", {.tau = 0.1}, 0.027497511990, 0.116317429080, 0.098537296439, -0.000198212435},
    {"info_nce", {.tau = 0.2}, 0.111827941433, 0.084968020975, 0, 0.006128884611},
    {"byol", {.tau = 0}, 0.344955115805, 0.211841024797, 0.231665243932, -0.010323434562},
    {"sup_con", {.tau = 0.1}, 8.307361026359, 1.917418231892, 1.624234653299, 0.047428511630},
    {"triplet", {.margin = 0.2}, 0.742862220136, 0.226375974027, 0.270434872367, -0.035309827126},
    {"siamese", {.margin = 1}, 0.022247418410, 0.027913842123, 0.030167348115, -0.001290429320},
    {"proxy_softmax",
     {.tau = 0.1},
     1.413559124413,
     1.218895325445,
     1.298024045890,
     -0.072378854817},
    {"dcl", {.tau = 0.1}, -5.184807549133, 2.221644151900, 2.361654760474, -0.279575314564},
    {"rince",
     {.tau = 0.5, .q = 0.5, .lambda = 0.05},
     -3.371124373643,
     0.473822877121,
     0.485732948338,
     -0.026136354967},
    {"debiased",
     {.tau = 0.5, .prior = 0.1},
     0.441376143728,
     0.290971659225,
     0.279360277333,
     -0.015565398677},
};

static void reference_values(double (*run)(problem *, const ak_objective *,
                                           const ak_objective_params *),
                             double tolerance)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        problem p = reference(known[i].name);
        near(run(&p, ak_objective_find(known[i].name), &known[i].params), known[i].loss, tolerance);
        near(norm(p.da, 32), known[i].norm_da, tolerance);
        near(norm(p.db, 32), known[i].norm_db, tolerance);
        near(p.da[0], known[i].first, tolerance);
        clear(&p);
    }
}

static void all_have_the_reference_values_in_float64(void **state)
{
    (void)state;
    reference_values(loss_of, 1e-11);
}

static void all_have_the_reference_values_in_float32(void **state)
{
    (void)state;
    reference_values(loss_f32, 1e-5);
}

// Calls check for every objective on problems of random sizes, with and without masks and targets.
static void on_random_problems(void (*check)(problem *, const ak_objective *,
                                             const ak_objective_params *, ak_random *))
{
    for (uint32_t seed = 0; seed < 12; seed++)
        for (const ak_objective *o = ak_objectives; o->name; o++) {
            ak_random r = ak_random_stream(seed, 1, 2, 3);
            size_t n = 1 + ak_random_below(&r, 7), d = 2 + ak_random_below(&r, 9);
            size_t classes = 1 + ak_random_below(&r, 4);
            problem p = made(&r, n, d, ak_random_below(&r, 6), classes);
            p.in.masked = seed % 2 ? p.masked : NULL;
            if (o->one_sided && seed % 3 != 0) {
                p.in.target_a = p.target_a;
                p.in.target_b = p.target_b;
            }
            ak_objective_params params = params_of(o);
            check(&p, o, &params, &r);
            clear(&p);
        }
}

static void check_formula(problem *p, const ak_objective *o, const ak_objective_params *params,
                          ak_random *r)
{
    (void)r;
    double wanted = slow_objective(o, params, &p->in);
    near(loss_of(p, o, params), wanted, 1e-10 * (1 + fabs(wanted)));
    near(loss_f32(p, o, params), wanted, 1e-4 * (1 + fabs(wanted)));
}

static void all_are_the_formulas_of_the_papers_with_and_without_masks(void **state)
{
    (void)state;
    on_random_problems(check_formula);
}

// Differences of x against its gradient dx, n numbers.
static void check_differences(problem *p, const ak_objective *o, const ak_objective_params *params,
                              double *x, const double *dx, size_t n)
{
    const double h = 1e-5;
    double *kept = numbers(NULL, n);
    memcpy(kept, dx, n * sizeof *kept);
    for (size_t i = 0; i < n; i++) {
        double was = x[i];
        x[i] = was + h;
        double up = loss_of(p, o, params);
        x[i] = was - h;
        double down = loss_of(p, o, params);
        x[i] = was;
        double slope = (up - down) / (2 * h);
        if (!(fabs(slope - kept[i]) <= 1e-6 * (1 + fabs(slope))))
            fail_msg("%s: gradient %.9f, difference %.9f", o->name, kept[i], slope);
    }
    free(kept);
}

static void check_gradients(problem *p, const ak_objective *o, const ak_objective_params *params,
                            ak_random *r)
{
    (void)r;
    size_t n = p->in.n * p->in.d;
    bool one_way = o->one_sided && o->queue && !p->in.target_b;
    if (o->one_sided && !p->in.target_b) { // held still while a and b move
        memcpy(p->target_a, p->a, n * sizeof *p->a);
        memcpy(p->target_b, p->b, n * sizeof *p->b);
        if (!one_way) {
            p->in.target_a = p->target_a;
            p->in.target_b = p->target_b;
        }
    }
    loss_of(p, o, params);
    if (one_way) {
        assert_true(norm(p->db, n) == 0);
        check_differences(p, o, params, p->a, p->da, n);
        return;
    }
    check_differences(p, o, params, p->a, p->da, n);
    loss_of(p, o, params);
    check_differences(p, o, params, p->b, p->db, n);
    loss_of(p, o, params);
    if (o->proxies)
        check_differences(p, o, params, p->proxies, p->dproxies, p->in.classes * p->in.d);
}

static void all_gradients_agree_with_central_differences(void **state)
{
    (void)state;
    on_random_problems(check_gradients);
}

static void check_f32_gradients(problem *p, const ak_objective *o,
                                const ak_objective_params *params, ak_random *r)
{
    (void)r;
    size_t n = p->in.n * p->in.d;
    loss_of(p, o, params);
    double *da = numbers(NULL, n), *db = numbers(NULL, n);
    memcpy(da, p->da, n * sizeof *da);
    memcpy(db, p->db, n * sizeof *db);
    loss_f32(p, o, params);
    for (size_t i = 0; i < n; i++) {
        near(p->da[i], da[i], 1e-4 * (1 + norm(da, n)));
        near(p->db[i], db[i], 1e-4 * (1 + norm(db, n)));
    }
    free(da);
    free(db);
}

static void gradients_in_float32_are_those_in_float64(void **state)
{
    (void)state;
    on_random_problems(check_f32_gradients);
}

static void check_orthogonal(problem *p, const ak_objective *o, const ak_objective_params *params,
                             ak_random *r)
{
    (void)r;
    loss_of(p, o, params);
    for (size_t i = 0; i < p->in.n; i++) {
        double a = 0, b = 0;
        for (size_t j = i * p->in.d; j < (i + 1) * p->in.d; j++) {
            a += p->a[j] * p->da[j];
            b += p->b[j] * p->db[j];
        }
        near(a, 0, 1e-12);
        near(b, 0, 1e-12);
    }
}

static void gradients_are_orthogonal_to_the_raw_vectors(void **state)
{
    (void)state;
    on_random_problems(check_orthogonal);
}

static void check_scale(problem *p, const ak_objective *o, const ak_objective_params *params,
                        ak_random *r)
{
    double before = loss_of(p, o, params);
    for (size_t i = 0; i < p->in.n; i++) {
        double by = ak_random_range(r, 0.01, 100), other = ak_random_range(r, 0.01, 100);
        for (size_t j = i * p->in.d; j < (i + 1) * p->in.d; j++) {
            p->a[j] *= by;
            p->b[j] *= other;
            p->target_a[j] *= other;
        }
    }
    near(loss_of(p, o, params), before, 1e-11 * (1 + fabs(before)));
}

static void lengths_of_raw_vectors_do_not_matter(void **state)
{
    (void)state;
    on_random_problems(check_scale);
}

static void reversed(double *x, size_t n, size_t d)
{
    for (size_t i = 0; i < n / 2; i++)
        for (size_t j = 0; j < d; j++) {
            double kept = x[i * d + j];
            x[i * d + j] = x[(n - 1 - i) * d + j];
            x[(n - 1 - i) * d + j] = kept;
        }
}

static void check_order(problem *p, const ak_objective *o, const ak_objective_params *params,
                        ak_random *r)
{
    (void)r;
    size_t n = p->in.n, d = p->in.d;
    p->in.masked = NULL; // it would have to be reversed, too
    double before = loss_of(p, o, params);
    double *sets[] = {p->a, p->b, p->target_a, p->target_b};
    for (size_t i = 0; i < 4; i++)
        reversed(sets[i], n, d);
    for (size_t i = 0; i < n / 2; i++) {
        uint32_t kept = p->labels[i];
        p->labels[i] = p->labels[n - 1 - i];
        p->labels[n - 1 - i] = kept;
    }
    near(loss_of(p, o, params), before, 1e-11 * (1 + fabs(before)));
    if (o->queue && !p->in.target_a)
        return; // holds a against b only
    const double *kept = p->in.a;
    p->in.a = p->in.b;
    p->in.b = kept;
    kept = p->in.target_a;
    p->in.target_a = p->in.target_b;
    p->in.target_b = kept;
    near(loss_of(p, o, params), before, 1e-11 * (1 + fabs(before)));
}

static void order_of_pictures_and_views_does_not_matter(void **state)
{
    (void)state;
    on_random_problems(check_order);
}

static void check_zero_rows(problem *p, const ak_objective *o, const ak_objective_params *params,
                            ak_random *r)
{
    size_t zero = ak_random_below(r, (uint32_t)p->in.n), d = p->in.d;
    memset(p->a + zero * d, 0, d * sizeof *p->a);
    memset(p->target_b + zero * d, 0, d * sizeof *p->a);
    memset(p->proxies, 0, d * sizeof *p->proxies);
    assert_true(isfinite(loss_of(p, o, params)));
    assert_true(norm(p->da + zero * d, d) == 0);
    assert_true(isfinite(norm(p->da, p->in.n * d)) && isfinite(norm(p->db, p->in.n * d)));
    if (o->proxies)
        assert_true(norm(p->dproxies, d) == 0);
    assert_true(isfinite(loss_f32(p, o, params)));
}

static void rows_of_zeros_are_finite_and_get_no_gradient(void **state)
{
    (void)state;
    on_random_problems(check_zero_rows);
}

static void check_all_masked(problem *p, const ak_objective *o, const ak_objective_params *params,
                             ak_random *r)
{
    (void)r;
    size_t n = p->in.n;
    memset(p->masked, 1, 4 * n * n);
    p->in.masked = p->masked;
    double loss = loss_of(p, o, params);
    near(loss, slow_objective(o, params, &p->in), 1e-10 * (1 + fabs(loss)));
    assert_true(isfinite(norm(p->da, n * p->in.d)) && isfinite(norm(p->db, n * p->in.d)));
    if (strcmp(o->name, "nt_xent") == 0 || strcmp(o->name, "dcl") == 0)
        near(loss, 0, 1e-12);
}

static void without_negatives_all_are_finite(void **state)
{
    (void)state;
    on_random_problems(check_all_masked);
}

static void check_least_tau(problem *p, const ak_objective *o, const ak_objective_params *params,
                            ak_random *r)
{
    (void)r;
    ak_objective_params cold = *params;
    cold.tau = ak_objective_fields[0].least;
    if (strcmp(o->name, "rince") == 0)
        return; // is e^{q / tau} by its definition
    memcpy(p->b, p->a, p->in.n * p->in.d * sizeof *p->b);
    assert_true(isfinite(loss_of(p, o, &cold)));
    assert_true(isfinite(loss_f32(p, o, &cold)));
    assert_true(isfinite(norm(p->da, p->in.n * p->in.d)));
}

static void the_least_temperature_does_not_overflow(void **state)
{
    (void)state;
    on_random_problems(check_least_tau);
}

static void identities_between_objectives_hold(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 10; seed++) {
        ak_random r = ak_random_stream(seed, 4, 5, 6);
        size_t n = 2 + ak_random_below(&r, 9), d = 2 + ak_random_below(&r, 12);
        problem p = made(&r, n, d, 1, n);
        p.in.masked = seed % 2 ? p.masked : NULL;
        for (uint32_t i = 0; i < n; i++)
            p.labels[i] = i;
        double contrast = loss_named(&p, "nt_xent", (ak_objective_params){.tau = 0.3});
        near(loss_named(&p, "debiased", (ak_objective_params){.tau = 0.3}), contrast, 1e-12);
        near(loss_named(&p, "sup_con", (ak_objective_params){.tau = 0.3}), contrast, 1e-12);
        near(loss_named(&p, "rince", (ak_objective_params){.tau = 0.3, .q = 1e-9, .lambda = 0.05}) -
                 log(0.05),
             contrast, 1e-6);
        // nt_xent - dcl = mean log(1 + e^{s+} / sum e^{s-})
        double gap = 0;
        for (size_t i = 0; i < 2 * n; i++) {
            double positive = 0, negatives = 0;
            for (size_t k = 0; k < 2 * n; k++) {
                double e = exp(slow_cosine(slow_row(&p.in, i), slow_row(&p.in, k), d) / 0.3);
                if (k != i && k % n == i % n)
                    positive = e;
                else if (k != i && !(p.in.masked && p.masked[i * 2 * n + k]))
                    negatives += e;
            }
            gap += negatives > 0 ? log1p(positive / negatives) / (double)(2 * n) : 0;
        }
        near(contrast - loss_named(&p, "dcl", (ak_objective_params){.tau = 0.3}), gap, 1e-10);

        p.in.masked = NULL;
        for (size_t i = 0; i < n * d; i++)
            p.a[i] = p.b[i] = p.a[i % d];
        near(loss_named(&p, "nt_xent", (ak_objective_params){.tau = 0.3}), log(2 * (double)n - 1),
             1e-12);
        near(loss_named(&p, "byol", (ak_objective_params){.tau = 0}), 0, 1e-12);
        clear(&p);
    }
}

static void the_same_bits_come_out_again(void **state)
{
    (void)state;
    for (const ak_objective *o = ak_objectives; o->name; o++) {
        ak_random r = ak_random_stream(7, 0, 0, 0);
        problem p = made(&r, 61, 33, 40, 5);
        ak_objective_params params = params_of(o);
        double first = loss_f32(&p, o, &params), da = norm(p.da, 61 * 33);
        for (int i = 0; i < 5; i++) {
            assert_true(loss_f32(&p, o, &params) == first);
            assert_true(norm(p.da, 61 * 33) == da);
        }
        clear(&p);
    }
}

static void the_table_names_all_and_its_defaults_are_in_range(void **state)
{
    (void)state;
    static const char *const names[] = {"nt_xent", "info_nce",      "byol", "triplet", "siamese",
                                        "sup_con", "proxy_softmax", "dcl",  "rince",   "debiased"};
    size_t n = 0;
    for (const ak_objective *o = ak_objectives; o->name; o++, n++) {
        assert_true(o->about && *o->about);
        for (size_t i = 0; ak_objective_fields[i].key; i++) {
            const ak_field *f = &ak_objective_fields[i];
            double value;
            memcpy(&value, (const char *)&o->defaults + f->at, sizeof value);
            if (o->uses & 1u << i)
                assert_true(value >= f->least && value <= f->most);
            else
                assert_true(value == 0);
        }
    }
    assert_int_equal(n, sizeof names / sizeof *names);
    for (size_t i = 0; i < n; i++)
        assert_ptr_equal(ak_objective_find(names[i]), &ak_objectives[i]);
    assert_null(ak_objective_find("nt-xent"));
}

static void parameters_matter_where_the_table_says_so(void **state)
{
    (void)state;
    for (const ak_objective *o = ak_objectives; o->name; o++)
        for (size_t i = 0; ak_objective_fields[i].key; i++) {
            ak_random r = ak_random_stream(8, 0, 0, 0);
            problem p = made(&r, 6, 5, 4, 2);
            ak_objective_params params = params_of(o);
            double before = loss_of(&p, o, &params), value;
            char *at = (char *)&params + ak_objective_fields[i].at;
            memcpy(&value, at, sizeof value);
            value = value * 1.5 + 0.01;
            memcpy(at, &value, sizeof value);
            assert_int_equal(loss_of(&p, o, &params) != before, (o->uses & 1u << i) != 0);
            clear(&p);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_have_the_reference_values_in_float64),
        cmocka_unit_test(all_have_the_reference_values_in_float32),
        cmocka_unit_test(all_are_the_formulas_of_the_papers_with_and_without_masks),
        cmocka_unit_test(all_gradients_agree_with_central_differences),
        cmocka_unit_test(gradients_in_float32_are_those_in_float64),
        cmocka_unit_test(gradients_are_orthogonal_to_the_raw_vectors),
        cmocka_unit_test(lengths_of_raw_vectors_do_not_matter),
        cmocka_unit_test(order_of_pictures_and_views_does_not_matter),
        cmocka_unit_test(rows_of_zeros_are_finite_and_get_no_gradient),
        cmocka_unit_test(without_negatives_all_are_finite),
        cmocka_unit_test(the_least_temperature_does_not_overflow),
        cmocka_unit_test(identities_between_objectives_hold),
        cmocka_unit_test(the_same_bits_come_out_again),
        cmocka_unit_test(the_table_names_all_and_its_defaults_are_in_range),
        cmocka_unit_test(parameters_matter_where_the_table_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
