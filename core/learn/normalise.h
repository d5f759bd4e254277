// Rows scaled to unit length, and the way back.
#ifndef AK_LEARN_NORMALISE_H
#define AK_LEARN_NORMALISE_H

#include <stddef.h>

// u = x / |x| by row, norm = |x|; a row of zeros stays zeros (norm 1).
void ak_rows_normalise(float *u, float *norm, const float *x, size_t n, size_t d);

// dx = (du - u (u . du)) / norm: what is left of du when the length cannot change.
void ak_rows_normalise_backward(float *dx, const float *du, const float *u, const float *norm,
                                size_t n, size_t d);

#endif
