// The inner product that every score in an answer comes from, whatever found the candidate: so the
// same two vectors have the same score to the last bit in the main index, the tail, and after a
// restart.
#ifndef AK_INDEX_DOT_H
#define AK_INDEX_DOT_H

#include <string.h>

static inline float ak_dot(const float *a, const float *b, int n)
{
    typedef float lanes __attribute__((vector_size(32)));
    enum { WIDE = 8, SUMS = 4 };
    lanes sum[SUMS] = {{0}};
    int i = 0;
    for (; i + WIDE * SUMS <= n; i += WIDE * SUMS)
        for (int j = 0; j < SUMS; j++) {
            lanes x, y;
            memcpy(&x, a + i + WIDE * j, sizeof x);
            memcpy(&y, b + i + WIDE * j, sizeof y);
            sum[j] += x * y;
        }
    lanes all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    float total = 0;
    for (int j = 0; j < WIDE; j++)
        total += all[j];
    for (; i < n; i++)
        total += a[i] * b[i];
    return total;
}

#endif
