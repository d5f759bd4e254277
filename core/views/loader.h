// Batches of views, made ahead of the network by threads of their own.
//
// Batch number k of a run depends on the seed and k alone: the order is a fresh shuffle of all
// pictures each epoch (the last, partial batch of an epoch is dropped), and each view has its own
// random stream by (seed, epoch, picture, view).
#ifndef AK_VIEWS_LOADER_H
#define AK_VIEWS_LOADER_H

#include "core/views/pictures.h"
#include "core/views/views.h"

typedef struct ak_loader ak_loader;

typedef struct {
    uint8_t *views;   // (2 batch, side, side, 3): first views, then second views
    uint32_t *labels; // (2 batch)
} ak_batch;

// pictures and recipe are borrowed. batch: pictures; AK_BAD_VALUE when the set has fewer.
// first: number of the batch to begin with.
ak_status ak_loader_new(ak_loader **out, const ak_pictures *pictures, const ak_view_recipe *recipe,
                        int side, size_t batch, uint64_t seed, uint64_t first, int threads,
                        ak_error *err);

// The next batch, borrowed until the next call. One caller.
const ak_batch *ak_loader_next(ak_loader *loader);

// Pictures and views of another size from the next batch on.
ak_status ak_loader_side(ak_loader *loader, int side, ak_error *err);

void ak_loader_free(ak_loader *loader);

#endif
