// Bins of colours: 16 hues x 4 saturations x 4 values.
#ifndef AK_IMAGE_HSV_H
#define AK_IMAGE_HSV_H

#include <stdint.h>

#define AK_HSV_BINS 256

// hue * 16 + saturation * 4 + value; greys have hue 0. In integers, so that a colour on the edge
// of a bin falls the same way everywhere.
int ak_hsv_bin(uint8_t r, uint8_t g, uint8_t b);

#endif
