// The colour histogram that Akin is measured against: the bins of core/image/hsv.h.
//
// Each bin holds the square root of its share of the pixels; so the vector has unit length, and
// the dot product of two is the Bhattacharyya coefficient of their colours. Thread-safe.
#ifndef AK_EVAL_HISTOGRAM_H
#define AK_EVAL_HISTOGRAM_H

#include "core/image/hsv.h"
#include "core/image/image.h"

#define AK_HISTOGRAM_BINS AK_HSV_BINS

// out: AK_HISTOGRAM_BINS floats. pixels: not empty; Akin measures the proxy's.
void ak_histogram_make(float *out, const ak_image *pixels);

#endif
