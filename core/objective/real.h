// Files of this folder that include this are built twice: for float32 and, with AK_F64 defined, for
// float64, whose functions and types end in _f64.
#ifndef AK_OBJECTIVE_REAL_H
#define AK_OBJECTIVE_REAL_H

#include <cblas.h>
#include <tgmath.h> // exp() is expf() of a float

#ifdef AK_F64
typedef double real;
#define R(name)    name##_f64
#define cblas_gemm cblas_dgemm
#else
typedef float real;
#define R(name)    name
#define cblas_gemm cblas_sgemm
#endif

#endif
