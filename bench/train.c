// `make bench-train`: views a second of a training step of 128 pictures x 2 views: rn10 at 64 and
// 96 px, rn18 at 96 px.
//
// Our step without augmentation is the trainer's sequence of calls on the same views again and
// again; with augmentation it is ak_trainer itself. PyTorch does the same network and losses
// without the moving average of the weights, with augmentation by torchvision in worker processes.
// "oneDNN's convolutions alone" are the convolutions of the same step (forward, backward data,
// backward weights), all by oneDNN, and nothing else: the rate that a step of that library, which
// is also PyTorch's, would have without any other cost.
//
// --profile: where the time of one of our steps goes, by kind of step, instead.
#include "bench/torch.h"
#include "cli/cli.h"
#include "core/learn/optimiser.h"
#include "core/learn/trainer.h"
#include "core/objective/objective.h"

#include <math.h>
#include <unistd.h>

enum { KEPT_SIDE = 88, PICTURES = 128, VIEWS = 2 * PICTURES, CLASSES = 1000 };

// Everything that the trainer's step touches, but for where the views come from.
typedef struct {
    ak_graph graph;
    ak_head head;
    ak_dnn *dnn, *library; // the latter for oneDNN's convolutions alone
    ak_optimiser *optimiser;
    uint64_t step;
    size_t params, proxies_at;
    float *p, *average, *g, *stats;
    float *features, *dfeatures, *dother, *z, *dz, *work;
    uint32_t labels[VIEWS];
    uint8_t *pixels;
    ak_dnn_type type;
    int times;
} plain;

// The parts of a step, in the order of computing.
enum { LOAD, FORWARD, OBJECTIVES, BACKWARD, UPDATE, PARTS };

static void plain_step(plain *t, double seconds[PARTS])
{
    ak_error err;
    double at[PARTS + 1];
    size_t f = t->graph.features, d = t->head.out;
    float *head = t->p + t->graph.params, *left = t->work;
    at[LOAD] = ak_clock_s();
    bench_ok(ak_dnn_load(t->dnn, t->p, NULL, &err), &err);
    at[FORWARD] = ak_clock_s();
    bench_ok(ak_dnn_forward(t->dnn, t->features, t->pixels, &err), &err);
    at[OBJECTIVES] = ak_clock_s();
    const ak_objective *by_class = ak_objective_find("proxy_softmax");
    const ak_pairs views = {.n = PICTURES,
                            .d = f,
                            .a = t->features,
                            .b = t->features + PICTURES * f,
                            .proxies = t->p + t->proxies_at,
                            .classes = CLASSES,
                            .labels = t->labels};
    ak_pair_gradients to_views = {t->dfeatures, t->dfeatures + PICTURES * f, t->g + t->proxies_at};
    double loss = ak_objective_run(&to_views, by_class, &by_class->defaults, &views, t->work);
    ak_head_forward(t->z, &t->head, head, t->features, VIEWS, left);
    ak_head_stats_update(t->stats + t->graph.stats, &t->head, left, VIEWS, 0.1f);
    const ak_objective *by_view = ak_objective_find("nt_xent");
    const ak_pairs pairs = {.n = PICTURES, .d = d, .a = t->z, .b = t->z + PICTURES * d};
    ak_pair_gradients to_pairs = {t->dz, t->dz + PICTURES * d, NULL};
    loss += ak_objective_run(&to_pairs, by_view, &by_view->defaults, &pairs,
                             left + ak_head_work(&t->head, VIEWS));
    ak_head_backward(t->dother, t->g + t->graph.params, &t->head, head, t->dz, t->features, VIEWS,
                     left);
    for (size_t i = 0; i < VIEWS * f; i++)
        t->dfeatures[i] += t->dother[i];
    if (!isfinite(loss))
        bench_die("the loss is %g", loss);
    at[BACKWARD] = ak_clock_s();
    bench_ok(ak_dnn_backward(t->dnn, t->g, t->dfeatures, &err), &err);
    at[UPDATE] = ak_clock_s();
    ak_dnn_stats(t->stats, t->dnn, 0.1f);
    ak_optimiser_step(t->optimiser, t->p, t->average, t->g, t->step++, 1e-3, 0.999);
    at[PARTS] = ak_clock_s();
    for (int i = 0; i < PARTS && seconds; i++)
        seconds[i] += at[i + 1] - at[i];
}

static double run_plain(void *arg)
{
    plain *t = arg;
    double start = ak_clock_s();
    for (int i = 0; i < t->times; i++)
        plain_step(t, NULL);
    return ak_clock_s() - start;
}

static const unsigned convolutions = 1u << AK_DNN_CONV_FORWARD | 1u << AK_DNN_CONV_BACKWARD_DATA |
                                     1u << AK_DNN_CONV_BACKWARD_WEIGHTS;

// Run once, so that its steps can be repeated in parts.
static void library_new(plain *t)
{
    ak_error err;
    bench_ok(ak_dnn_new(&t->library, &t->graph, VIEWS,
                        (ak_dnn_options){.mode = AK_DNN_TRAIN, .type = t->type, .library = true},
                        &err),
             &err);
    bench_ok(ak_dnn_load(t->library, t->p, NULL, &err), &err);
    bench_ok(ak_dnn_forward(t->library, t->features, t->pixels, &err), &err);
    bench_ok(ak_dnn_backward(t->library, t->g, t->features, &err), &err);
}

static double run_convolutions(void *arg)
{
    plain *t = arg;
    ak_error err;
    double seconds[AK_DNN_KINDS], sum = 0;
    if (!t->library)
        library_new(t);
    for (int i = 0; i < t->times; i++) {
        bench_ok(ak_dnn_time(seconds, t->library, convolutions, t->dother, &err), &err);
        for (int k = 0; k < AK_DNN_KINDS; k++)
            sum += seconds[k];
    }
    return sum;
}

static void plain_new(plain *t, const ak_resnet *net, int side, ak_dnn_type type, int times)
{
    ak_error err;
    bench_ok(ak_resnet_graph(&t->graph, net, side, &err), &err);
    size_t f = t->graph.features;
    t->head = (ak_head){f, 512, 128, 2, false, NULL};
    t->proxies_at = t->graph.params + ak_head_params(&t->head);
    t->params = t->proxies_at + CLASSES * f;
    size_t work = ak_objective_work(ak_objective_find("proxy_softmax"), PICTURES, f, 0, CLASSES);
    size_t contrast = ak_objective_work(ak_objective_find("nt_xent"), PICTURES, t->head.out, 0, 0) +
                      ak_head_work(&t->head, VIEWS);
    float **arrays[] = {&t->p,         &t->average, &t->g, &t->stats, &t->features,
                        &t->dfeatures, &t->dother,  &t->z, &t->dz,    &t->work};
    size_t n = VIEWS * f, out = VIEWS * t->head.out;
    size_t stats = t->graph.stats + ak_head_stats(&t->head);
    size_t lengths[] = {t->params, t->params, t->params, stats, n,
                        n,         n,         out,       out,   work > contrast ? work : contrast};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        *arrays[i] = bench_alloc(lengths[i], sizeof(float));
    ak_graph_init(t->p, t->stats, &t->graph, 1);
    ak_head_init(t->p + t->graph.params, t->stats + t->graph.stats, &t->head, 1);
    ak_random r = ak_random_stream(1, 2, 0, 0);
    for (size_t i = t->proxies_at; i < t->params; i++)
        t->p[i] = (float)(ak_random_normal(&r) / sqrt((double)f));
    for (uint32_t i = 0; i < VIEWS; i++)
        t->labels[i] = i % PICTURES;
    const ak_range all = {0, t->params, true};
    bench_ok(ak_optimiser_new(&t->optimiser, &ak_optimiser_default, &all, 1, t->params, &err),
             &err);
    t->pixels = bench_pixels((size_t)VIEWS * 3 * (size_t)(side * side));
    t->times = times;
    t->type = type;
    bench_ok(ak_dnn_new(&t->dnn, &t->graph, VIEWS,
                        (ak_dnn_options){.mode = AK_DNN_TRAIN, .type = type}, &err),
             &err);
}

static void plain_clear(plain *t)
{
    float *arrays[] = {t->p,         t->average, t->g, t->stats, t->features,
                       t->dfeatures, t->dother,  t->z, t->dz,    t->work};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(t->pixels);
    ak_dnn_free(t->dnn);
    ak_dnn_free(t->library);
    ak_optimiser_free(t->optimiser);
}

// --- with augmentation -------------------------------------------------------------------------

typedef struct {
    ak_trainer *trainer;
    int times;
} whole;

// The loader is a few batches ahead after a pause: those are used up before the clock starts, and
// made again before the next case's turn.
static double run_whole(void *arg)
{
    enum { AHEAD = 4 };
    const whole *w = arg;
    ak_error err;
    bool more;
    double start = 0;
    for (int i = 0; i < AHEAD + w->times; i++) {
        if (i == AHEAD)
            start = ak_clock_s();
        bench_ok(ak_trainer_step(w->trainer, &more, &err), &err);
    }
    double seconds = ak_clock_s() - start;
    usleep(1000000);
    return seconds;
}

static void make_pictures(ak_pictures *set)
{
    enum { N = 2048 };
    ak_error err;
    *set = (ak_pictures){.items = bench_alloc(N, sizeof *set->items), .n = N, .capacity = N};
    set->classes = bench_alloc(CLASSES, sizeof *set->classes);
    set->classes_n = CLASSES;
    uint8_t *noise = bench_pixels((size_t)3 * KEPT_SIDE * 120 + N);
    for (size_t i = 0; i < N; i++) {
        ak_image *image = &set->items[i].image;
        bench_ok(ak_image_init(image, KEPT_SIDE + (int)(i % 30), KEPT_SIDE, &err), &err);
        memcpy(image->rgb, noise + i, (size_t)3 * (size_t)image->width * KEPT_SIDE);
        set->items[i].label = (uint32_t)(i % CLASSES);
    }
    free(noise);
}

// --- what is printed ---------------------------------------------------------------------------

typedef struct {
    bench_torch *torch;
    const char *job, *type;
    ak_resnet net;
    int side, times;
} torch_go;

static double run_torch(void *arg)
{
    const torch_go *g = arg;
    bench_torch_net(g->torch, &g->net);
    return bench_torch_do(g->torch,
                          "{\"do\": \"%s\", \"type\": \"%s\", \"side\": %d, \"batch\": %d, "
                          "\"times\": %d, \"classes\": %d}",
                          g->job, g->type, g->side, VIEWS, g->times, CLASSES);
}

// Multiply-adds of all convolutions in a step, a view; the stem needs no gradient of its input.
static double step_macs(const ak_graph *g)
{
    const ak_node *stem = &g->nodes[1];
    return 3 * ak_graph_macs(g) - (double)stem->c * stem->h * stem->w * 3 * stem->k * stem->k;
}

enum { TORCH, STEP, ALONE, KINDS };

typedef struct {
    const char *name;
    ak_resnet net;
    int side;
    ak_dnn_type type;
} shape;

// The cases of one shape: PyTorch's step, ours, oneDNN's convolutions.
static void cases_of(bench_case cases[KINDS], char names[KINDS][64], plain *step, torch_go *go,
                     const shape *s, int times)
{
    static const char *const formats[KINDS] = {"PyTorch, %s", "Akin, %s",
                                               "oneDNN's convolutions alone, %s"};
    double work = (double)VIEWS * times;
    plain_new(step, &s->net, s->side, s->type, times);
    go->net = s->net;
    go->side = s->side;
    go->type = s->type == AK_DNN_BF16 ? "bf16" : "f32";
    go->times = times;
    for (int k = 0; k < KINDS; k++)
        snprintf(names[k], sizeof names[k], formats[k], s->name);
    cases[TORCH] = (bench_case){names[TORCH], run_torch, go, work, -1, {0}};
    cases[STEP] = (bench_case){names[STEP], run_plain, step, work, -1, {0}};
    cases[ALONE] = (bench_case){names[ALONE], run_convolutions, step, work, -1, {0}};
}

// A step's rate as a share of what oneDNN's convolutions alone have.
static void show_share(json_t *shares, bool text, const bench_case *step, const bench_case *alone,
                       const ak_graph *g, int rounds)
{
    double share = bench_ratio(step, alone, rounds);
    double seconds[BENCH_ROUNDS_MAX] = {0};
    memcpy(seconds, alone->seconds, sizeof seconds);
    double gflops = 2e-9 * step_macs(g) * alone->work / bench_quantile(seconds, rounds, 0.5);
    if (text)
        printf("  %-42s %9.1f%% of oneDNN's convolutions alone (%.0f GFLOP/s)\n", step->name,
               100 * share, gflops);
    json_array_append_new(shares, json_pack("{s:s, s:f, s:f}", "name", step->name, "share", share,
                                            "convolutions_gflops", gflops));
}

static void compare(json_t *all, const bench_options *o)
{
    enum { SHAPES = 4 };
    const shape in_f32 = {"rn10, 64 px, f32", AK_RN10, 64, AK_DNN_F32};
    const shape shapes[SHAPES] = {{"rn10, 64 px, bf16", AK_RN10, 64, AK_DNN_BF16},
                                  {"rn10, 96 px, bf16", AK_RN10, 96, AK_DNN_BF16},
                                  {"rn18, 96 px, bf16", AK_RN18, 96, AK_DNN_BF16},
                                  in_f32};
    static plain steps[SHAPES];
    static char names[SHAPES][KINDS][64];
    bench_case cases[KINDS * SHAPES + 2];
    torch_go goes[SHAPES] = {0}, augmented;
    ak_error err;
    bench_torch torch;
    ak_pictures pictures;
    int n = 0, times = o->quick ? 1 : 2, count = ak_dnn_has_bf16() ? SHAPES : 1;
    double work = (double)VIEWS * times;
    const shape *from = ak_dnn_has_bf16() ? shapes : &in_f32;
    bench_torch_start(&torch, &from->net);
    for (int i = 0; i < count; i++, n += KINDS) {
        goes[i] = (torch_go){.torch = &torch, .job = "train"};
        cases_of(cases + n, names[i], &steps[i], &goes[i], &from[i], times);
        cases[n + STEP].beside = n + TORCH;
    }
    make_pictures(&pictures);
    ak_recipe recipe = ak_recipe_default();
    recipe.late_from = 1;
    recipe.optimiser.rate = 1e-3;
    const ak_train_length length = {.views = 1ull << 50, .threads = omp_get_max_threads()};
    whole trainer = {.times = times};
    bench_ok(ak_trainer_new(&trainer.trainer, &pictures, &recipe, &length, NULL, &err), &err);
    augmented = goes[0];
    augmented.job = "augmented";
    cases[n] =
        (bench_case){"PyTorch, as the first, augmented", run_torch, &augmented, work, -1, {0}};
    cases[n + 1] = (bench_case){"Akin, as the first, augmented", run_whole, &trainer, work, n, {0}};
    n += 2;
    usleep(1000000);
    bench_measure(cases, n, o->rounds);
    bench_show(all, "training, 128 pictures x 2 views", "views/s", cases, n, o->rounds);

    json_t *shares = json_array();
    for (int i = 0; i < count; i++)
        show_share(shares, !all, &cases[KINDS * i + STEP], &cases[KINDS * i + ALONE],
                   &steps[i].graph, o->rounds);
    show_share(shares, !all, &cases[n - 1], &cases[ALONE], &steps[0].graph, o->rounds);
    double kept = bench_ratio(&cases[n - 1], &cases[STEP], o->rounds);
    if (!all)
        printf("  %-42s %9.1f%% of the rate without\n", cases[n - 1].name, 100 * kept);
    if (all) {
        json_object_set(all, "share of oneDNN's convolutions alone", shares);
        json_object_set_new(all, "augmented, of the rate without", json_real(kept));
    }
    json_decref(shares);
    ak_trainer_free(trainer.trainer);
    ak_pictures_clear(&pictures);
    for (int i = 0; i < count; i++)
        plain_clear(&steps[i]);
    bench_torch_end(&torch);
}

static void row(json_t *rows, bool text, const char *name, double seconds, double step)
{
    json_array_append_new(rows, json_pack("{s:s, s:f, s:f}", "part", name, "ms", 1e3 * seconds,
                                          "share", seconds / step));
    if (text)
        printf("  %-42s %10.2f %8.1f%%\n", name, 1e3 * seconds, 100 * seconds / step);
}

// Each part is a median over the steps, so they need not add up to the whole exactly.
static void profile(json_t *all, const bench_options *o, ak_dnn_type type)
{
    static const char *const names[AK_DNN_KINDS] = {
        [AK_DNN_LOAD] = "weights into oneDNN's order",
        [AK_DNN_CONV_FORWARD] = "convolutions, forward",
        [AK_DNN_CONV_BACKWARD_DATA] = "convolutions, backward data",
        [AK_DNN_CONV_BACKWARD_WEIGHTS] = "convolutions, backward weights",
        [AK_DNN_BATCH_NORM] = "batch norm, both ways",
        [AK_DNN_ELEMENTWISE] = "sums and ReLU, both ways",
        [AK_DNN_POOL] = "pooling, both ways",
        [AK_DNN_REORDER] = "reorders of pixels and weight gradients",
    };
    static plain t;
    ak_error err;
    int steps = o->quick ? 1 : 3 * o->rounds;
    double parts[PARTS][3 * BENCH_ROUNDS_MAX] = {0};
    double kinds[AK_DNN_KINDS][3 * BENCH_ROUNDS_MAX] = {0};
    double whole_s[3 * BENCH_ROUNDS_MAX] = {0};
    const ak_resnet net = AK_RN10;
    plain_new(&t, &net, 64, type, 1);
    plain_step(&t, NULL);
    for (int i = 0; i < steps; i++) {
        double part[PARTS] = {0}, kind[AK_DNN_KINDS];
        plain_step(&t, part);
        bench_ok(ak_dnn_time(kind, t.dnn, ~0u, t.dother, &err), &err);
        whole_s[i] = 0;
        for (int j = 0; j < PARTS; j++)
            whole_s[i] += parts[j][i] = part[j];
        for (int j = 0; j < AK_DNN_KINDS; j++)
            kinds[j][i] = kind[j];
    }
    double step = bench_quantile(whole_s, steps, 0.5), known = 0, network = 0;
    json_t *rows = json_array();
    if (!all)
        printf("\n%-44s %10s %9s\n",
               type == AK_DNN_BF16 ? "one training step, bf16" : "one training step, f32", "ms",
               "share");
    for (int j = 0; j < AK_DNN_KINDS; j++) {
        double seconds = bench_quantile(kinds[j], steps, 0.5);
        known += seconds;
        row(rows, !all, names[j], seconds, step);
    }
    network = bench_quantile(parts[LOAD], steps, 0.5) + bench_quantile(parts[FORWARD], steps, 0.5) +
              bench_quantile(parts[BACKWARD], steps, 0.5);
    row(rows, !all, "pixels normalised, parameters copied, rest", network - known, step);
    row(rows, !all, "objectives and head", bench_quantile(parts[OBJECTIVES], steps, 0.5), step);
    row(rows, !all, "optimiser and averages", bench_quantile(parts[UPDATE], steps, 0.5), step);
    row(rows, !all, "the step", step, step);
    if (all)
        json_object_set(all, type == AK_DNN_BF16 ? "step, bf16" : "step, f32", rows);
    json_decref(rows);
    plain_clear(&t);
}

int main(int argc, char **argv)
{
    ak_cli_wait_passively(argv); // as `akin train` does
    bench_options o = bench_begin(argc, argv);
    json_t *all = bench_json_new(&o);
    if (o.profile) {
        if (ak_dnn_has_bf16())
            profile(all, &o, AK_DNN_BF16);
        profile(all, &o, AK_DNN_F32);
    } else {
        compare(all, &o);
    }
    bench_json_end(all);
    return 0;
}
