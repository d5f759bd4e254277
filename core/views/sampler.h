// Samplers: which pictures a batch is made of.
#ifndef AK_VIEWS_SAMPLER_H
#define AK_VIEWS_SAMPLER_H

#include "core/views/pictures.h"

typedef struct {
    // Fills out (batch) with the pictures of batch number k. The loader calls it once for each k,
    // in rising order, from one thread at a time, up to AK_LOADER_AHEAD batches before the batch is
    // read. A run can be resumed where the choice depends on k alone.
    void (*choose)(void *arg, uint32_t *out, size_t batch, uint64_t k);
    void *arg;
    // No picture comes twice within so many batches, which are then an epoch; 0: it may.
    uint64_t epoch_batches;
    void (*free)(void *arg); // NULL is fine
} ak_sampler;

// All pictures in a fresh shuffle each epoch; its last, partial batch is dropped. AK_BAD_VALUE when
// there are fewer pictures than a batch has.
ak_status ak_sampler_epochs(ak_sampler *out, size_t pictures, size_t batch, uint64_t seed,
                            ak_error *err);

// per_class pictures of each of batch / per_class classes, the classes drawn evenly, whatever their
// size. Of a smaller class pictures come again in the same batch, in other views.
ak_status ak_sampler_classes(ak_sampler *out, const ak_pictures *pictures, size_t per_class,
                             size_t batch, uint64_t seed, ak_error *err);

void ak_sampler_clear(ak_sampler *sampler);

#endif
