// Batches of views, made ahead of the network by threads of their own.
//
// Batch number k of a run depends on the seed and k alone, on no number of threads and on no start:
// each view has a random stream of its own by (seed, epoch, picture, view), or by (seed, batch,
// picture, place and view) with a sampler that may choose a picture twice in an epoch.
#ifndef AK_VIEWS_LOADER_H
#define AK_VIEWS_LOADER_H

#include "core/views/pictures.h"
#include "core/views/recipe.h"
#include "core/views/sampler.h"

#define AK_LOADER_AHEAD 3 // batches that are in the making or made

typedef struct ak_loader ak_loader;

typedef struct {
    const ak_pictures *pictures; // borrowed
    ak_view_plan plan;
    int side;
    size_t batch; // pictures, of all ranks together
    uint64_t seed;
    uint64_t first; // number of the batch to begin with
    int threads;
    const ak_sampler *sampler; // borrowed; NULL: ak_sampler_epochs
    int rank, ranks;           // this process makes part `rank` of `ranks` of each batch; 0, 0: all
} ak_loader_options;

// n: batch / ranks.
typedef struct {
    size_t n;
    uint8_t *views;   // (2 n, side, side, 3): first views, then second views
    uint8_t *small;   // (small.count n, small.side, small.side, 3), one view of all n after another
    uint32_t *labels; // (2 n)
    uint32_t *chosen; // (n) pictures, as indices into the set
} ak_batch;

ak_status ak_loader_new(ak_loader **out, const ak_loader_options *options, ak_error *err);

// The next batch, borrowed until the next call. One caller.
const ak_batch *ak_loader_next(ak_loader *loader);

// First and second views of another size from the next batch on.
ak_status ak_loader_side(ak_loader *loader, int side, ak_error *err);

void ak_loader_free(ak_loader *loader);

#endif
