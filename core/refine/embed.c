#include "core/refine/embed.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 32 // pictures whose inputs are in memory together

ak_status ak_watch_tell(const ak_watch *watch, size_t done, size_t total, ak_error *err)
{
    if (watch && watch->progress)
        watch->progress(watch->arg, done, total);
    if (watch && watch->stop && watch->stop(watch->arg))
        return ak_fail(err, AK_SHUTTING_DOWN, "stopped when it was asked to");
    return AK_OK;
}

ak_status ak_embedders_init(ak_embedders *e, const ak_model *first, const ak_model *second,
                            ak_error *err)
{
    *e = (ak_embedders){.models = {first, second}, .models_n = second ? 2 : 1};
    ak_status status = AK_OK;
    for (size_t m = 0; m < e->models_n && status == AK_OK; m++)
        status = ak_embedder_new(&e->embedders[m], e->models[m], AK_PRECISION_AUTO, err);
    if (status != AK_OK)
        ak_embedders_clear(e);
    return status;
}

void ak_embedders_clear(ak_embedders *e)
{
    for (size_t m = 0; m < e->models_n; m++)
        ak_embedder_free(e->embedders[m]);
    *e = (ak_embedders){0};
}

// The inputs of one picture for every model: inputs[m] (variants, input bytes).
static ak_status prepare(uint8_t *const *inputs, const ak_embedders *e, const ak_rundir *rundir,
                         size_t i, const ak_variants *v, ak_error *err)
{
    ak_buf proxy = {0};
    ak_image picture = {0}, made[AK_EMBED_VARIANTS] = {0};
    ak_status status = ak_rundir_proxy(&proxy, rundir, i, err);
    if (status == AK_OK)
        status = ak_proxy_read(&picture, ak_buf_bytes(&proxy), err);
    if (status == AK_OK && v->make)
        status = v->make(v->arg, made, &picture, i, err);
    for (size_t k = 0; k < v->variants && status == AK_OK; k++)
        for (size_t m = 0; m < e->models_n && status == AK_OK; m++) {
            size_t bytes = ak_model_input_bytes(e->models[m]);
            status = ak_model_prepare(inputs[m] + k * bytes, e->models[m],
                                      made[k].rgb ? &made[k] : &picture, err);
        }
    for (size_t k = 0; k < v->variants; k++)
        ak_image_clear(&made[k]);
    ak_image_clear(&picture);
    ak_buf_clear(&proxy);
    return status;
}

ak_status ak_run_embed(float *const *out, bool *broken, ak_embedders *e, const ak_rundir *rundir,
                       const uint32_t *chosen, size_t n, const ak_variants *v,
                       const ak_watch *watch, ak_error *err)
{
    uint8_t *inputs[AK_EMBED_MODELS] = {0};
    size_t each[AK_EMBED_MODELS];
    ak_status status = AK_OK;
    for (size_t m = 0; m < e->models_n && status == AK_OK; m++) {
        each[m] = v->variants * ak_model_input_bytes(e->models[m]);
        if (!(inputs[m] = ak_alloc(BLOCK, each[m])))
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for pictures");
    }
    for (size_t from = 0; from < n && status == AK_OK; from += BLOCK) {
        size_t part = n - from < BLOCK ? n - from : BLOCK;
        ak_error why[BLOCK] = {0};
#pragma omp parallel for schedule(dynamic, 1)
        for (size_t i = 0; i < part; i++) {
            uint8_t *at[AK_EMBED_MODELS];
            for (size_t m = 0; m < e->models_n; m++)
                at[m] = inputs[m] + i * each[m];
            prepare(at, e, rundir, chosen[from + i], v, &why[i]);
        }
        for (size_t i = 0; i < part && status == AK_OK; i++) {
            if (broken)
                broken[from + i] = why[i].status != AK_OK;
            else if ((status = why[i].status) != AK_OK)
                *err = why[i];
        }
        for (size_t m = 0; m < e->models_n && status == AK_OK; m++) {
            size_t dims = (size_t)ak_model_dims(e->models[m]);
            float *to = out[m] + from * v->variants * dims;
            status = ak_embedder_run(to, e->embedders[m], inputs[m], part * v->variants, err);
            for (size_t i = 0; i < part; i++)
                if (why[i].status != AK_OK)
                    memset(to + i * v->variants * dims, 0, v->variants * dims * sizeof *to);
        }
        if (status == AK_OK)
            status = ak_watch_tell(watch, from + part, n, err);
    }
    for (size_t m = 0; m < e->models_n; m++)
        free(inputs[m]);
    return status;
}
