// All pictures of a tar or a folder as descriptors, by the way that an upload takes in the server:
// proxy, prepare, embed. Several models and the histogram share one reading and one decoding.
//
// The caller's thread reads; decoding and embedding use the OpenMP threads that it may.
#ifndef AK_EVAL_EMBED_SET_H
#define AK_EVAL_EMBED_SET_H

#include "core/describe/model.h"

#define AK_EMBED_SET_MODELS 4
#define AK_EMBED_FILE_LIMIT ((size_t)64 << 20) // bytes of one picture, as the server's default

typedef struct {
    size_t n;
    char **names;       // (n) paths within the archive, in its order
    int32_t *labels;    // (n) classes: the first folder of the path
    char **label_names; // (label_count); "" for pictures in no folder
    size_t label_count;
    float *descriptors[AK_EMBED_SET_MODELS]; // each (n, dims of that model)
    float *histograms;                       // (n, AK_HISTOGRAM_BINS), NULL unless asked for
    size_t refused;                          // files that are not among the n
} ak_embed_set;

typedef struct {
    const ak_model *models[AK_EMBED_SET_MODELS]; // borrowed
    size_t model_count;
    ak_precision precision;
    bool histograms;
    // Called on the caller's thread, in the order of the archive; NULL is fine.
    void (*refused)(void *arg, const char *name, ak_status status, const char *reason);
    void (*progress)(void *arg, size_t done);
    void *arg;
} ak_embed_options;

// How many files the archive names, without reading them.
ak_status ak_embed_set_count(size_t *n, const char *path, ak_error *err);

// A picture that cannot be had is counted and named; an archive that cannot be read is an error.
ak_status ak_embed_set_make(ak_embed_set *out, const char *path, const ak_embed_options *options,
                            ak_error *err);
void ak_embed_set_clear(ak_embed_set *set);

#endif
