// `make bench-embed`: pictures embedded a second, Akin's network and the same one in PyTorch, at
// 64 px and at the side that the shipped model serves at, in batches of 64 and one by one.
//
// Ours begins with bytes and normalises them in the measured time; PyTorch is given its input
// ready.
#include "bench/torch.h"
#include "cli/cli.h"
#include "core/describe/features.h"
#include "core/describe/model_build.h"

#define BATCH 64

typedef struct {
    bench_torch *torch;
    ak_features *features; // ours; NULL: PyTorch's
    ak_embedder *embedder; // or the whole descriptor
    const char *type;
    int side, batch, times;
    const uint8_t *pixels;
    float *out;
} go;

static double run(void *arg)
{
    const go *g = arg;
    ak_error err;
    if (!g->features && !g->embedder)
        return bench_torch_do(g->torch,
                              "{\"do\": \"embed\", \"type\": \"%s\", \"side\": %d, \"batch\": %d, "
                              "\"times\": %d}",
                              g->type, g->side, g->batch, g->times);
    double start = ak_clock_s();
    for (int i = 0; i < g->times; i++)
        bench_ok(g->embedder
                     ? ak_embedder_run(g->out, g->embedder, g->pixels, (size_t)g->batch, &err)
                     : ak_features_run(g->out, g->features, g->pixels, (size_t)g->batch, &err),
                 &err);
    return ak_clock_s() - start;
}

// Both sides compute the same: PyTorch is given our weights, pixels and features.
static void check_same(bench_torch *t, const ak_graph *graph, const float *params,
                       const float *stats, ak_features *features, int side)
{
    enum { N = 4 };
    ak_error err;
    char path[] = P_tmpdir "/akin-bench-XXXXXX";
    size_t bytes = 3 * (size_t)side * (size_t)side * N;
    uint8_t *pixels = bench_pixels(bytes);
    float *out = bench_alloc(N * graph->features, sizeof *out);
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!file)
        bench_die("cannot write %s", path);
    bench_ok(ak_features_run(out, features, pixels, N, &err), &err);
    fwrite(params, sizeof *params, graph->params, file);
    fwrite(stats, sizeof *stats, graph->stats, file);
    fwrite(out, sizeof *out, N * graph->features, file);
    fwrite(pixels, 1, bytes, file);
    if (fclose(file) != 0)
        bench_die("cannot write %s", path);
    double off = bench_torch_do(
        t, "{\"do\": \"check\", \"file\": \"%s\", \"side\": %d, \"batch\": %d}", path, side, N);
    remove(path);
    free(out);
    free(pixels);
    if (!(off < 1e-3))
        bench_die("PyTorch's network is another one: features differ by %g of the largest", off);
    fprintf(stderr, "same network: features in f32 differ by %.1e of the largest at most\n", off);
}

// The statistics of a network that has seen something, so that the check would notice a swap.
static void used(float *params, float *stats, const ak_graph *graph)
{
    ak_random r = ak_random_stream(7, 0, 0, 0);
    for (int i = 0; i < graph->n; i++)
        for (int c = 0; graph->nodes[i].op == AK_OP_BN && c < graph->nodes[i].c; c++) {
            const ak_node *bn = &graph->nodes[i];
            params[bn->param + (size_t)c] = (float)ak_random_range(&r, 0.5, 1.5);
            params[bn->param + (size_t)(bn->c + c)] = (float)ak_random_range(&r, -0.5, 0.5);
            stats[bn->stat + (size_t)c] = (float)ak_random_range(&r, -0.5, 0.5);
            stats[bn->stat + (size_t)(bn->c + c)] = (float)ak_random_range(&r, 0.5, 2);
        }
}

static void measure(json_t *all, const bench_options *o, bench_torch *t, const ak_model *model,
                    const ak_resnet *net, int side)
{
    static const char *names[2][2] = {{"PyTorch f32", "Akin f32"}, {"PyTorch bf16", "Akin bf16"}};
    ak_error err;
    ak_graph graph;
    ak_features *features[2] = {NULL, NULL};
    ak_embedder *embedder = NULL;
    int types = ak_dnn_has_bf16() ? 2 : 1;
    bench_ok(ak_resnet_graph(&graph, net, side, &err), &err);
    float *params = bench_alloc(graph.params, sizeof *params);
    float *stats = bench_alloc(graph.stats, sizeof *stats);
    float *out = bench_alloc(BATCH * (graph.features + 1024), sizeof *out);
    uint8_t *pixels = bench_pixels(3 * (size_t)side * (size_t)side * BATCH);
    ak_graph_init(params, stats, &graph, 1);
    used(params, stats, &graph);
    for (int b = 0; b < types; b++)
        bench_ok(ak_features_new(&features[b], net, side, params, stats,
                                 b ? AK_DNN_BF16 : AK_DNN_F32, &err),
                 &err);
    check_same(t, &graph, params, stats, features[0], side);
    if (model)
        bench_ok(ak_embedder_new(&embedder, model, AK_PRECISION_AUTO, &err), &err);
    for (int batch = BATCH; batch >= 1; batch -= BATCH - 1) {
        bench_case cases[5];
        go goes[5];
        char title[64];
        int n = 0, times = (o->quick ? 2 : 24) * (batch == 1 ? 8 : 1) * 64 / side + 1;
        for (int b = types - 1; b >= 0; b--)
            for (int ours = 0; ours < 2; ours++, n++) {
                goes[n] = (go){.torch = t,
                               .features = ours ? features[b] : NULL,
                               .type = b ? "bf16" : "f32",
                               .side = side,
                               .batch = batch,
                               .times = times,
                               .pixels = pixels,
                               .out = out};
                cases[n] = (bench_case){.name = names[b][ours],
                                        .go = run,
                                        .arg = &goes[n],
                                        .work = (double)batch * times,
                                        .beside = ours ? n - 1 : -1};
            }
        if (embedder) {
            goes[n] = goes[1];
            goes[n].embedder = embedder;
            cases[n] = (bench_case){.name = "Akin, whole descriptor of the model",
                                    .go = run,
                                    .arg = &goes[n],
                                    .work = (double)batch * times,
                                    .beside = 0};
            n++;
        }
        snprintf(title, sizeof title, "embedding at %d px, batch %d", side, batch);
        bench_measure(cases, n, o->rounds);
        bench_show(all, title, "pictures/s", cases, n, o->rounds);
    }
    ak_embedder_free(embedder);
    ak_features_free(features[0]);
    ak_features_free(features[1]);
    free(pixels);
    free(out);
    free(stats);
    free(params);
}

static int side_of(const ak_model *model)
{
    int side = 1;
    while (3 * (size_t)side * (size_t)side < ak_model_input_bytes(model))
        side++;
    return side;
}

int main(int argc, char **argv)
{
    bench_options o = bench_begin(argc, argv);
    json_t *all = bench_json_new(&o);
    ak_error err;
    bench_torch torch;
    ak_model *model = NULL;
    ak_resnet net = AK_RN10;
    if (ak_shipped_model().n) {
        bench_ok(ak_model_read(&model, ak_shipped_model(), &err), &err);
        net = ak_model_parts_of(model).net;
    }
    bench_torch_start(&torch, &net);
    int side = model ? side_of(model) : 96;
    if (side != 64)
        measure(all, &o, &torch, NULL, &net, 64);
    measure(all, &o, &torch, model, &net, side);
    bench_torch_end(&torch);
    ak_model_free(model);
    bench_json_end(all);
    return 0;
}
