// Eigenvalues and eigenvectors of a symmetric matrix, by LAPACK.
#ifndef AK_DESCRIBE_EIGEN_H
#define AK_DESCRIBE_EIGEN_H

#include "core/base/error.h"

#include <stddef.h>

// a (d, d), the lower triangle filled, becomes the eigenvectors, one a row; values (d) rise.
ak_status ak_eigen_symmetric(float *a, float *values, size_t d, ak_error *err);

#endif
