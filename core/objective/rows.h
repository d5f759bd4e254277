// Rows scaled to unit length and back, and the soft maximum of a row.
#ifndef AK_OBJECTIVE_ROWS_H
#define AK_OBJECTIVE_ROWS_H

#include "core/objective/real.h"

#include <stddef.h>

// u = x / |x| by row, norm = |x|; a row of zeros stays zeros.
void R(ak_rows_normalise)(real *u, real *norm, const real *x, size_t n, size_t d);

// dx = (du - u (u . du)) / norm: what is left of du when the length cannot change; 0 where the norm
// is 0.
void R(ak_rows_normalise_backward)(real *dx, const real *du, const real *u, const real *norm,
                                   size_t n, size_t d);

// Returns log sum exp(row / tau), the maximum taken out, and leaves its derivatives in row. A row
// of nothing but -INFINITY gives -INFINITY and zeros.
double R(ak_log_sum_exp)(real *row, size_t n, double tau);

#endif
