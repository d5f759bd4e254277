#include "cli/eval.h"
#include "core/eval/copies.h"
#include "core/eval/histogram.h"
#include "core/eval/knn.h"
#include "core/eval/retrieval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ak_status retrieval(double *values, size_t *queries, const ak_eval_data *data,
                           const ak_eval_view *view, ak_error *err)
{
    ak_retrieval m;
    ak_status status = ak_retrieval_measure(&m, view->pictures, data->labels, data->set.pictures.n,
                                            data->own, view->dims, err);
    const double all[] = {m.map, m.p1, m.p10, m.p20, m.r5, m.r10, m.r20};
    memcpy(values, all, sizeof all);
    *queries = m.queries;
    return status;
}

static ak_status knn(double *values, size_t *queries, const ak_eval_data *data,
                     const ak_eval_view *view, ak_error *err)
{
    ak_knn m;
    size_t n =
        data->bank ? data->set.pictures.n : data->own; // distractors have no class to vote for
    ak_status status = ak_knn_measure(&m, view->pictures, data->labels, n, data->own,
                                      data->bank ? data->own : 0, view->dims, err);
    values[0] = m.accuracy;
    *queries = m.queries;
    return status;
}

static ak_status copies(double *values, size_t *queries, const ak_eval_data *data,
                        const ak_eval_view *view, ak_error *err)
{
    ak_copies m;
    const ak_embed_set *set = &data->set;
    ak_status status =
        ak_copies_measure(&m, view->altered, set->sources, set->source_count, AK_ALTER_COPIES,
                          view->pictures, set->pictures.n, view->dims, err);
    double *r1 = values, *mean_r1 = r1 + AK_ALTER_COPIES, *map = mean_r1 + 1;
    double *mean_map = map + AK_ALTER_COPIES;
    for (size_t f = 0; f < AK_ALTER_COPIES; f++) {
        *mean_r1 += (r1[f] = m.r1[f]) / AK_ALTER_COPIES;
        *mean_map += (map[f] = m.map[f]) / AK_ALTER_COPIES;
    }
    mean_map[1] = m.micro_ap;
    *queries = set->source_count;
    return status;
}

// Retrieval where each picture's two parts are a class, among all other parts and all pictures that
// no part was taken of.
static ak_status parts(double *values, size_t *queries, const ak_eval_data *data,
                       const ak_eval_view *view, ak_error *err)
{
    const ak_embed_set *set = &data->set;
    size_t halves = 2 * set->source_count, n = halves, dims = view->dims;
    ak_retrieval m = {0};
    ak_status status = AK_OK;
    if (!halves)
        return ak_fail(err, AK_BAD_VALUE, "there is no picture to take parts of");
    float *rows = ak_alloc(halves + set->pictures.n, dims * sizeof *rows);
    int32_t *labels = ak_alloc(halves + set->pictures.n, sizeof *labels);
    if (!rows || !labels) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu parts", halves);
        goto done;
    }
    memcpy(rows, view->altered, halves * dims * sizeof *rows);
    for (size_t i = 0; i < halves; i++)
        labels[i] = (int32_t)(i / 2);
    for (size_t i = 0, source = 0; i < set->pictures.n; i++) {
        if (source < set->source_count && set->sources[source] == i) { // they ascend
            source++;
            continue;
        }
        memcpy(rows + n * dims, view->pictures + i * dims, dims * sizeof *rows);
        labels[n] = (int32_t)n;
        n++;
    }
    status = ak_retrieval_measure(&m, rows, labels, n, halves, dims, err);
    values[0] = m.p1;
    values[1] = m.map;
    *queries = m.queries;
done:
    free(labels);
    free(rows);
    return status;
}

const ak_eval_measure ak_eval_measures[] = {
    {.name = "retrieval",
     .about = "each picture against all others: those of its class must come first",
     .columns = {{"map", "mAP"},
                 {"p1", "P@1"},
                 {"p10", "P@10"},
                 {"p20", "P@20"},
                 {"r5", "R@5"},
                 {"r10", "R@10"},
                 {"r20", "R@20"}},
     .measure = retrieval},
    {.name = "knn",
     .about = "is a picture's class what its 20 nearest say, weighted by exp(cosine / 0.07)",
     .columns = {{"accuracy", "kNN-20"}},
     .measure = knn},
    {.name = "copies",
     .about = "altered pictures must find theirs among all: R@1 each, and average precision",
     .first = AK_ALTER_CROP,
     .alterations = AK_ALTER_COPIES,
     .columns = {{"r1_crop", "crop"},
                 {"r1_jpeg", "JPEG"},
                 {"r1_colour", "colour"},
                 {"r1_blur", "blur"},
                 {"r1_mirror", "mirror"},
                 {"r1_rotation", "rotation"},
                 {"r1", "R@1"},
                 {"map_crop", NULL},
                 {"map_jpeg", NULL},
                 {"map_colour", NULL},
                 {"map_blur", NULL},
                 {"map_mirror", NULL},
                 {"map_rotation", NULL},
                 {"map", "mAP"},
                 {"micro_ap", "microAP"}},
     .measure = copies},
    {.name = "parts",
     .about = "two crops of a picture that hardly overlap must find each other among all: R@1, mAP",
     .first = AK_ALTER_PART_A,
     .alterations = 2,
     .columns = {{"r1", "R@1"}, {"map", "mAP"}},
     .measure = parts},
    {0}};

// (n, 64) of +-1/8 from n hashes: the dot product of two is 1 - 2 * their distance / 64.
static float *hash_vectors(const uint64_t *hashes, size_t n)
{
    float *out = ak_alloc(n, 64 * sizeof *out);
    for (size_t i = 0; out && i < 64 * n; i++)
        out[i] = hashes[i / 64] >> i % 64 & 1 ? 0.125f : -0.125f;
    return out;
}

// One measure's alterations of those that the set has, row by row.
static float *altered_of(const ak_eval_measure *measure, const float *altered, size_t dims,
                         const ak_eval_data *data, const ak_embed_options *options)
{
    size_t n = data->set.source_count, count = measure->alterations, first = 0;
    while (options->alterations[first] != measure->first)
        first++;
    float *out = ak_alloc(n * count, dims * sizeof *out);
    for (size_t i = 0; out && i < n; i++)
        memcpy(out + i * count * dims, altered + (i * options->alteration_count + first) * dims,
               count * dims * sizeof *out);
    return out;
}

// A describer's values, added to its row.
static ak_status measure_one(ak_eval_result *result, ak_eval_row *row, ak_eval_view view,
                             const ak_eval_data *data, const ak_embed_options *options,
                             ak_error *err)
{
    double values[AK_EVAL_COLUMNS] = {0};
    float *altered = NULL;
    if (result->measure->alterations && data->set.source_count) {
        altered = altered_of(result->measure, view.altered, view.dims, data, options);
        if (!altered)
            return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the altered pictures");
    }
    view.altered = altered;
    ak_status status = result->measure->measure(values, &result->queries, data, &view, err);
    free(altered);
    for (size_t c = 0; c < AK_EVAL_COLUMNS; c++) {
        double value = 100 * values[c];
        row->least[c] = row->seeds ? fmin(row->least[c], value) : value;
        row->most[c] = row->seeds ? fmax(row->most[c], value) : value;
        row->values[c] += (value - row->values[c]) / (double)(row->seeds + 1);
    }
    row->seeds++;
    return status;
}

ak_status ak_eval_measure_all(ak_eval_result *result, const ak_eval_measure *measure,
                              const ak_eval_data *data, const ak_embed_options *options,
                              ak_error *err)
{
    const ak_embed_rows *pictures = &data->set.pictures, *altered = &data->set.altered;
    *result = (ak_eval_result){.measure = measure,
                               .rows = {{.name = "model"},
                                        {.name = "random weights"},
                                        {.name = "HSV histogram"},
                                        {.name = "perceptual hash"}}};
    ak_status status = AK_OK;
    float *hashes = hash_vectors(pictures->hashes, pictures->n);
    float *altered_hashes = hash_vectors(altered->hashes, altered->n);
    if (!hashes || !altered_hashes)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the hashes");
    for (size_t m = 0; m < options->model_count && status == AK_OK; m++) {
        const ak_eval_view view = {pictures->descriptors[m], altered->descriptors[m],
                                   (size_t)ak_model_dims(options->models[m])};
        status = measure_one(result, &result->rows[m > 0], view, data, options, err);
    }
    const ak_eval_view colours = {pictures->histograms, altered->histograms, AK_HISTOGRAM_BINS};
    if (status == AK_OK)
        status = measure_one(result, &result->rows[2], colours, data, options, err);
    const ak_eval_view hashed = {hashes, altered_hashes, 64};
    if (status == AK_OK)
        status = measure_one(result, &result->rows[3], hashed, data, options, err);
    free(altered_hashes);
    free(hashes);
    return status;
}
