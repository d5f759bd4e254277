// kNN accuracy on labelled pictures that are not trained on: the averaged encoder's pooled features
// of whole pictures, leave-one-out.
#include "cli/train.h"

#include "core/describe/features.h"
#include "core/eval/knn.h"

#include <math.h>
#include <string.h>

struct ak_train_holdout {
    ak_recipe recipe;
    int side;
    size_t n;
    uint8_t *pixels; // (n, side, side, 3)
    int32_t *labels;
};

ak_status ak_train_holdout_new(ak_train_holdout **out, const char *path, const ak_recipe *recipe,
                               size_t memory_limit, ak_error *err)
{
    ak_pictures set = {0};
    ak_train_holdout *h = calloc(1, sizeof *h);
    *out = NULL;
    if (!h)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a hold-out");
    h->recipe = *recipe;
    h->side = recipe->late_side;
    const ak_pictures_options options = {h->side, memory_limit, NULL};
    ak_status status = ak_pictures_add(&set, path, &options, err);
    if (status == AK_OK)
        status = ak_pictures_index(&set, err);
    size_t bytes = 3 * (size_t)h->side * (size_t)h->side;
    h->n = set.n;
    if (status == AK_OK && (!(h->pixels = ak_alloc(set.n, bytes)) ||
                            !(h->labels = ak_alloc(set.n, sizeof *h->labels))))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a hold-out of %zu pictures", set.n);
    for (size_t i = 0; i < h->n && status == AK_OK; i++) {
        status = ak_image_square(h->pixels + i * bytes, h->side, &set.items[i].image, err);
        h->labels[i] = (int32_t)set.items[i].label;
    }
    ak_pictures_clear(&set);
    if (status != AK_OK) {
        ak_train_holdout_free(h);
        return ak_fail_within(err, "the hold-out %s", path);
    }
    *out = h;
    return AK_OK;
}

void ak_train_holdout_free(ak_train_holdout *h)
{
    if (!h)
        return;
    free(h->pixels);
    free(h->labels);
    free(h);
}

static void normalise(float *x, size_t n, size_t d)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 1e-20;
        for (size_t k = 0; k < d; k++)
            sum += (double)x[i * d + k] * (double)x[i * d + k];
        for (size_t k = 0; k < d; k++)
            x[i * d + k] *= (float)(1 / sqrt(sum));
    }
}

ak_status ak_train_holdout_knn(double *accuracy, const ak_train_holdout *h,
                               const ak_trained *trained, ak_error *err)
{
    ak_features *features = NULL;
    float *x = NULL;
    ak_knn knn;
    ak_status status =
        ak_features_new(&features, trained->net, h->side, trained->params, trained->stats,
                        h->recipe.bf16 && ak_dnn_has_bf16() ? AK_DNN_BF16 : AK_DNN_F32, err);
    if (status != AK_OK)
        return status;
    size_t d = ak_features_count(features);
    if (!(x = ak_alloc(h->n * d, sizeof *x)))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a hold-out's features");
    if (status == AK_OK)
        status = ak_features_run(x, features, h->pixels, h->n, err);
    if (status == AK_OK) {
        normalise(x, h->n, d);
        status = ak_knn_measure(&knn, x, h->labels, h->n, h->n, 0, d, err);
    }
    if (status == AK_OK)
        *accuracy = knn.accuracy;
    free(x);
    ak_features_free(features);
    return status;
}
