#include "core/describe/features.h"

#include "core/base/mem.h"

#include <stdlib.h>
#include <string.h>

// Each size keeps weights of its own (about 10 MB in bf16), so there are few.
static const size_t sizes[] = {1, 4, 16, 64};

#define SIZES (sizeof sizes / sizeof *sizes)

struct ak_features {
    ak_graph graph;
    int side;
    const float *params, *stats;
    ak_dnn_type type;
    ak_dnn *nets[SIZES];
    uint8_t *padded; // a last part that fills no network
    float *padded_out;
};

ak_status ak_features_new(ak_features **out, const ak_resnet *net, int side, const float *params,
                          const float *stats, ak_dnn_type type, ak_error *err)
{
    *out = NULL;
    ak_features *f = calloc(1, sizeof *f);
    if (!f)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an encoder");
    f->side = side;
    f->params = params;
    f->stats = stats;
    f->type = type;
    ak_status status = ak_resnet_graph(&f->graph, net, side, err);
    if (status == AK_OK) {
        f->padded = ak_alloc(sizes[SIZES - 1], 3 * (size_t)side * (size_t)side);
        f->padded_out = ak_alloc(sizes[SIZES - 1], f->graph.features * sizeof *f->padded_out);
        if (!f->padded || !f->padded_out)
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an encoder");
    }
    if (status != AK_OK) {
        ak_features_free(f);
        return status;
    }
    *out = f;
    return AK_OK;
}

void ak_features_free(ak_features *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < SIZES; i++)
        ak_dnn_free(f->nets[i]);
    free(f->padded);
    free(f->padded_out);
    free(f);
}

size_t ak_features_count(const ak_features *f)
{
    return f->graph.features;
}

static ak_status net_of(ak_dnn **out, ak_features *f, size_t i, ak_error *err)
{
    ak_status status = AK_OK;
    if (!f->nets[i]) {
        status = ak_dnn_new(&f->nets[i], &f->graph, (int)sizes[i],
                            (ak_dnn_options){.mode = AK_DNN_SERVE, .type = f->type}, err);
        if (status == AK_OK)
            status = ak_dnn_load(f->nets[i], f->params, f->stats, err);
    }
    *out = f->nets[i];
    return status;
}

ak_status ak_features_run(float *out, ak_features *f, const uint8_t *pixels, size_t n,
                          ak_error *err)
{
    size_t bytes = 3 * (size_t)f->side * (size_t)f->side, count = f->graph.features;
    while (n) {
        // The largest network that is filled, or the smallest that holds the rest when that wastes
        // less than another call.
        size_t i = SIZES - 1;
        while (i > 0 && sizes[i] > n)
            i--;
        if (i + 1 < SIZES && 2 * n > sizes[i + 1])
            i++;
        ak_dnn *net;
        ak_status status = net_of(&net, f, i, err);
        if (status != AK_OK)
            return status;
        if (n >= sizes[i]) {
            status = ak_dnn_forward(net, out, pixels, err);
            pixels += sizes[i] * bytes;
            out += sizes[i] * count;
            n -= sizes[i];
        } else {
            memcpy(f->padded, pixels, n * bytes);
            memset(f->padded + n * bytes, 0, (sizes[i] - n) * bytes);
            status = ak_dnn_forward(net, f->padded_out, f->padded, err);
            memcpy(out, f->padded_out, n * count * sizeof *out);
            n = 0;
        }
        if (status != AK_OK)
            return status;
    }
    return AK_OK;
}
