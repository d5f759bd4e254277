// Counter-based random numbers: Philox 4x32-10 (Salmon et al., SC 2011).
//
// A stream is named by its key and counter, not by how many numbers were drawn before it, so that
// any number of workers draws the same numbers for (seed, epoch, picture, view).
#ifndef AK_BASE_RANDOM_H
#define AK_BASE_RANDOM_H

#include <stdint.h>

typedef struct {
    uint32_t key[2], counter[4], out[4];
    unsigned used; // words of out that were handed out
} ak_random;

// out = Philox 4x32-10 of counter under key.
void ak_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

// The stream of (seed; a, b, c): b and c at most 2^32 - 1 each, a likewise.
ak_random ak_random_stream(uint64_t seed, uint32_t a, uint32_t b, uint32_t c);

uint32_t ak_random_u32(ak_random *r);
uint64_t ak_random_u64(ak_random *r);
uint32_t ak_random_below(ak_random *r, uint32_t n);                // uniform in 0 .. n - 1, n > 0
double ak_random_uniform(ak_random *r);                            // uniform in [0, 1)
double ak_random_range(ak_random *r, double low, double high);     // uniform in [low, high)
double ak_random_normal(ak_random *r);                             // mean 0, variance 1
void ak_random_shuffle(ak_random *r, uint32_t *items, uint32_t n); // Fisher-Yates

#endif
