// All pictures of tars or folders as descriptors, by the way that an upload takes in the server:
// proxy, prepare, embed. Several models, the baselines and altered copies of chosen pictures share
// one reading.
//
// The caller's thread reads; decoding and embedding use the OpenMP threads that it may.
#ifndef AK_EVAL_EMBED_SET_H
#define AK_EVAL_EMBED_SET_H

#include "core/describe/model.h"
#include "core/eval/alter.h"

#define AK_EMBED_SET_MODELS 4
#define AK_EMBED_FILE_LIMIT ((size_t)64 << 20) // bytes of one picture, as the server's default

// What pictures look like to each describer, row by row.
typedef struct {
    size_t n, capacity;
    float *descriptors[AK_EMBED_SET_MODELS]; // each (n, dims of that model)
    float *histograms;                       // (n, AK_HISTOGRAM_BINS), NULL unless asked for
    uint64_t *hashes;                        // (n) perceptual hashes, NULL unless asked for
} ak_embed_rows;

// Zero-initialise, fill by ak_embed_set_add, free with ak_embed_set_clear.
typedef struct {
    ak_embed_rows pictures;
    char **names;       // (pictures.n) paths within their archive, in its order
    int32_t *labels;    // (pictures.n) classes: the first folder of the path
    char **label_names; // (label_count); "" for pictures in no folder
    size_t label_count;
    ak_embed_rows altered; // row i * alteration_count + a: the picture sources[i] altered
    size_t *sources;       // (source_count) rows of pictures
    size_t source_count;
    size_t capacity; // of names, labels and sources
    size_t refused;  // files that are not among the pictures
} ak_embed_set;

typedef struct {
    const ak_model *models[AK_EMBED_SET_MODELS]; // borrowed
    size_t model_count;
    ak_precision precision;
    bool histograms, hashes;
    // Each picture whose ak_alter_rank is at most alter_rank is altered in each of these ways.
    ak_alteration alterations[AK_ALTER_COUNT];
    size_t alteration_count;
    uint64_t seed, alter_rank;
    // Called on the caller's thread, in the order of the archive; NULL is fine.
    void (*refused)(void *arg, const char *name, ak_status status, const char *reason);
    void (*progress)(void *arg, size_t done); // of this archive
    void *arg;
} ak_embed_options;

// How many files the archive names, without reading them.
ak_status ak_embed_set_count(size_t *n, const char *path, ak_error *err);

// Appends the ak_alter_rank of each of those files to ranks (uint64_t).
ak_status ak_embed_set_ranks(ak_buf *ranks, const char *path, uint64_t seed, ak_error *err);

// Appends the pictures of a tar or folder. A picture that cannot be had is counted and named; an
// archive that cannot be read is an error, after which the set can only be cleared. All calls for a
// set take the same models and baselines, and the same alterations or none.
ak_status ak_embed_set_add(ak_embed_set *set, const char *path, const ak_embed_options *options,
                           ak_error *err);
void ak_embed_set_clear(ak_embed_set *set);

#endif
