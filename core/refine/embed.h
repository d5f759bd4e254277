// Pictures of a run as descriptors, by one model or by two: whole, or altered in several ways.
//
// One caller; decoding, altering and embedding use the OpenMP threads that it may.
#ifndef AK_REFINE_EMBED_H
#define AK_REFINE_EMBED_H

#include "core/describe/model.h"
#include "core/refine/rundir.h"

#define AK_EMBED_VARIANTS 8
#define AK_EMBED_MODELS   2

// How far something is, and whether it is to stop. Called often, on the caller's thread.
typedef struct {
    void (*progress)(void *arg, size_t done, size_t total); // NULL is fine
    bool (*stop)(void *arg);                                // NULL: never
    void *arg;
} ak_watch;

// AK_SHUTTING_DOWN once the watch says so.
ak_status ak_watch_tell(const ak_watch *watch, size_t done, size_t total, ak_error *err);

// Makes the variants of picture number i of the run; a variant that is left empty is the picture as
// it is. Called by several threads at once. status: why the picture has none, if it has not.
typedef struct {
    size_t variants;
    ak_status (*make)(void *arg, ak_image *variants, const ak_image *picture, size_t i,
                      ak_error *err);
    void *arg;
} ak_variants;

typedef struct {
    const ak_model *models[AK_EMBED_MODELS]; // borrowed
    size_t models_n;
    ak_embedder *embedders[AK_EMBED_MODELS];
} ak_embedders;

ak_status ak_embedders_init(ak_embedders *e, const ak_model *first, const ak_model *second,
                            ak_error *err); // second may be NULL
void ak_embedders_clear(ak_embedders *e);

// out[m] (n, variants, dims of model m) for the pictures at indices chosen (n). broken: NULL, or
// (n) where a picture that cannot be read is noted, its rows zeros; without it that is an error.
ak_status ak_run_embed(float *const *out, bool *broken, ak_embedders *e, const ak_rundir *rundir,
                       const uint32_t *chosen, size_t n, const ak_variants *variants,
                       const ak_watch *watch, ak_error *err);

#endif
