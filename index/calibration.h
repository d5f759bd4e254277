// Calibration of one generation: the share of unrelated pairs of its collection that score lower.
//
// Unrelated pairs are random pairs of images that show different pictures, drawn with a fixed seed.
// Immutable once made; the generation shares it by reference count.
#ifndef AK_INDEX_CALIBRATION_H
#define AK_INDEX_CALIBRATION_H

#include "core/base/mem.h"
#include "index/vectors.h"

#include <stdatomic.h>

#define AK_CALIBRATION_PICTURES 200   // fewer give no calibration
#define AK_CALIBRATION_PAIRS    20000 // resolves 1/20,000; takes about 2 ms

typedef struct {
    atomic_size_t references;
    size_t rows; // of the generation when it was made
    size_t n;
    float scores[]; // (n) ascending
} ak_calibration;

ak_status ak_calibration_make(ak_calibration **out, ak_vectors *vectors, ak_error *err);
// As bytes, appended; and made of such bytes: *out NULL when they are none.
ak_status ak_calibration_write(ak_buf *out, const ak_calibration *calibration, ak_error *err);
ak_status ak_calibration_read(ak_calibration **out, ak_bytes bytes, ak_error *err);
void ak_calibration_release(ak_calibration *calibration); // NULL is fine

double ak_calibration_match(const ak_calibration *calibration, float score); // in 0 .. 1

// Whether it was made of so different a number of rows that it should be made again.
bool ak_calibration_old(const ak_calibration *calibration, size_t rows);

#endif
