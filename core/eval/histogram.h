// The colour histogram that Akin is measured against: 16 hues x 4 saturations x 4 values.
//
// Each bin holds the square root of its share of the pixels; so the vector has unit length, and
// the dot product of two is the Bhattacharyya coefficient of their colours. Thread-safe.
#ifndef AK_EVAL_HISTOGRAM_H
#define AK_EVAL_HISTOGRAM_H

#include "core/image/image.h"

#define AK_HISTOGRAM_BINS 256

// out: AK_HISTOGRAM_BINS floats. pixels: not empty; Akin measures the proxy's.
void ak_histogram_make(float *out, const ak_image *pixels);

// The bin of one colour: hue * 16 + saturation * 4 + value. Greys have hue 0.
int ak_histogram_bin(uint8_t r, uint8_t g, uint8_t b);

#endif
