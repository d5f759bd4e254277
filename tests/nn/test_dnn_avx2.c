// The same claims on a processor that has no more than AVX2: f32, blocks of eight channels.
#define FORCED_ISA "avx2"
#include "tests/nn/test_dnn.c"
