#include "core/learn/target.h"

#include "core/nn/dnn.h"

#include <math.h>
#include <string.h>

struct ak_target {
    ak_momentum recipe;
    bool bf16;
    uint64_t seed;
    ak_graph graph;
    ak_head head;
    ak_dnn *dnn; // for a group
    size_t rows, params_n, group;
    uint64_t place;      // where the queue is written next
    float *params;       // encoder | head
    float *stats;        // of the head, which wants some
    float *features, *z; // (rows, ...), in the order of the views
    float *shuffled, *shuffled_z;
    float *queue, *work;
    uint8_t *views; // (rows, side, side, 3), shuffled
    uint32_t *order;
};

static size_t view_bytes(const ak_target *t)
{
    return 3 * (size_t)t->graph.nodes[0].h * (size_t)t->graph.nodes[0].w;
}

ak_status ak_target_graph(ak_target *t, const ak_graph *graph, ak_error *err)
{
    t->graph = *graph;
    ak_dnn_free(t->dnn);
    free(t->views);
    t->dnn = NULL;
    t->views = ak_alloc(t->rows * view_bytes(t), 1);
    if (!t->views)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the momentum encoder");
    ak_dnn_options options = {.mode = AK_DNN_FORWARD,
                              .type = t->bf16 && ak_dnn_has_bf16() ? AK_DNN_BF16 : AK_DNN_F32};
    return ak_dnn_new(&t->dnn, graph, (int)t->group, options, err);
}

static void init_queue(ak_target *t)
{
    ak_random r = ak_random_stream(t->seed, 0x90e0e, 0, 0);
    size_t d = t->head.out;
    for (size_t i = 0; i < t->recipe.queue; i++) {
        double sum = 0;
        for (size_t k = 0; k < d; k++) {
            t->queue[i * d + k] = (float)ak_random_normal(&r);
            sum += (double)t->queue[i * d + k] * (double)t->queue[i * d + k];
        }
        for (size_t k = 0; k < d; k++)
            t->queue[i * d + k] /= (float)sqrt(sum);
    }
}

ak_status ak_target_new(ak_target **out, const ak_recipe *recipe, const ak_graph *graph,
                        const ak_head *head, size_t rows, const float *params, ak_error *err)
{
    ak_target *t = calloc(1, sizeof *t);
    *out = NULL;
    if (!t)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the momentum encoder");
    t->recipe = recipe->momentum;
    t->bf16 = recipe->bf16;
    t->seed = recipe->seed;
    t->head = *head;
    t->rows = rows;
    t->group = rows / (size_t)t->recipe.groups;
    t->params_n = graph->params + ak_head_params(head);
    size_t f = graph->features, d = head->out;
    float **arrays[] = {&t->params,   &t->stats,      &t->features, &t->z,
                        &t->shuffled, &t->shuffled_z, &t->queue,    &t->work};
    size_t lengths[] = {
        t->params_n,         ak_head_stats(head),         rows * f, rows * d, rows * f, rows * d,
        t->recipe.queue * d, ak_head_work(head, t->group)};
    ak_status status = AK_OK;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        if (!(*arrays[i] = ak_alloc(lengths[i] ? lengths[i] : 1, sizeof(float))))
            status = AK_OUT_OF_MEMORY;
    t->order = ak_alloc(rows, sizeof *t->order);
    if (!t->order || status != AK_OK) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the momentum encoder");
    } else {
        memcpy(t->params, params, t->params_n * sizeof *params);
        init_queue(t);
        status = ak_target_graph(t, graph, err);
    }
    if (status != AK_OK) {
        ak_target_free(t);
        return status;
    }
    *out = t;
    return AK_OK;
}

void ak_target_free(ak_target *t)
{
    if (!t)
        return;
    ak_dnn_free(t->dnn);
    float *arrays[] = {t->params,   t->stats,      t->features, t->z,
                       t->shuffled, t->shuffled_z, t->queue,    t->work};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        free(arrays[i]);
    free(t->views);
    free(t->order);
    free(t);
}

ak_status ak_target_forward(ak_target *t, const uint8_t *views, uint64_t step, ak_error *err)
{
    size_t bytes = view_bytes(t), f = t->graph.features, d = t->head.out;
    for (size_t i = 0; i < t->rows; i++)
        t->order[i] = (uint32_t)i;
    if (t->recipe.groups > 1) {
        ak_random r = ak_random_stream(t->seed, 0x5bff1e, (uint32_t)step, (uint32_t)(step >> 32));
        ak_random_shuffle(&r, t->order, (uint32_t)t->rows);
    }
    for (size_t i = 0; i < t->rows; i++)
        memcpy(t->views + i * bytes, views + t->order[i] * bytes, bytes);
    const float *head = t->params + t->graph.params;
    ak_status status = ak_dnn_load(t->dnn, t->params, NULL, err);
    for (size_t at = 0; at < t->rows && status == AK_OK; at += t->group) {
        status = ak_dnn_forward(t->dnn, t->shuffled + at * f, t->views + at * bytes, err);
        ak_head_forward(t->shuffled_z + at * d, &t->head, head, t->shuffled + at * f, t->group,
                        t->work);
    }
    for (size_t i = 0; i < t->rows; i++) {
        memcpy(t->features + t->order[i] * f, t->shuffled + i * f, f * sizeof(float));
        memcpy(t->z + t->order[i] * d, t->shuffled_z + i * d, d * sizeof(float));
    }
    return status;
}

const float *ak_target_features(const ak_target *t)
{
    return t->features;
}

const float *ak_target_projections(const ak_target *t)
{
    return t->z;
}

void ak_target_follow(ak_target *t, const float *params, double progress)
{
    double end = t->recipe.end, start = t->recipe.start;
    float keep = (float)(end - (end - start) * (cos(M_PI * progress) + 1) / 2);
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < t->params_n; i++)
        t->params[i] = keep * t->params[i] + (1 - keep) * params[i];
}

const float *ak_target_queue(const ak_target *t)
{
    return t->queue;
}

void ak_target_enqueue(ak_target *t)
{
    size_t d = t->head.out;
    if (t->recipe.queue == 0)
        return;
    memcpy(t->queue + t->place * d, t->z, t->rows * d * sizeof(float));
    t->place = (t->place + t->rows) % t->recipe.queue;
}

ak_target_state ak_target_state_of(ak_target *t)
{
    return (ak_target_state){t->params, t->queue, t->params_n, t->recipe.queue * t->head.out,
                             &t->place};
}
