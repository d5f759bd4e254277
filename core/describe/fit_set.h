// Pictures that a whitening is fitted on: what they are to the network, and what belongs together.
//
// Belongs together: pictures of one kind, as the caller knows them; of the first FIT_VARIANTS two
// parts that hardly overlap; and such a picture and a copy of it, cut, shrunk, compressed, blurred
// or recoloured as people do to pictures that they pass on.
#ifndef AK_DESCRIBE_FIT_SET_H
#define AK_DESCRIBE_FIT_SET_H

#include "core/describe/scatter.h"
#include "core/image/image.h"

#define AK_FIT_VARIANTS 4000 // pictures that parts and copies are made of

// How much each sort of pairs counts.
typedef struct {
    float kin, parts, copies;
} ak_fit_weights;

#define AK_FIT_WEIGHTS_DEFAULT ((ak_fit_weights){.kin = 1, .parts = 1, .copies = 1})

typedef struct {
    // Borrowed until the next call; NULL: stop, which ends the fit with AK_SHUTTING_DOWN.
    const ak_image *(*picture)(void *arg, size_t i);
    void *arg;
    size_t n;
    const ak_pair *kin; // (kin_n) pictures of one kind, by label or as neighbours
    size_t kin_n;
    ak_fit_weights weights;
    uint64_t seed; // of parts and copies
} ak_fit_set;

// Vectors to fit on: the n pictures, then of the first so many the one part, the other, the copy.
size_t ak_fit_rows(const ak_fit_set *set);

// The input of such a row, (side, side, 3).
ak_status ak_fit_input(uint8_t *input, int side, const ak_fit_set *set, size_t row, ak_error *err);

// The scatter, normed, of the rows x (rows, d); out is initialised.
ak_status ak_fit_scatter(ak_scatter *out, const ak_fit_set *set, const float *x, ak_error *err);

#endif
