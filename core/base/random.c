#include "core/base/random.h"

#include <math.h>

void ak_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t x0 = counter[0], x1 = counter[1], x2 = counter[2], x3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * x0, p1 = (uint64_t)0xCD9E8D57u * x2;
        uint32_t y0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0, y2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
        x1 = (uint32_t)p1;
        x3 = (uint32_t)p0;
        x0 = y0;
        x2 = y2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

ak_random ak_random_stream(uint64_t seed, uint32_t a, uint32_t b, uint32_t c)
{
    return (ak_random){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)}, .counter = {0, a, b, c}, .used = 4};
}

uint32_t ak_random_u32(ak_random *r)
{
    if (r->used == 4) {
        ak_philox(r->out, r->counter, r->key);
        r->counter[0]++;
        r->used = 0;
    }
    return r->out[r->used++];
}

uint64_t ak_random_u64(ak_random *r)
{
    uint64_t high = ak_random_u32(r);
    return high << 32 | ak_random_u32(r);
}

uint32_t ak_random_below(ak_random *r, uint32_t n)
{
    // Lemire's multiplication without the rejection: a bias of n / 2^32, far below what matters.
    return (uint32_t)(((uint64_t)ak_random_u32(r) * n) >> 32);
}

double ak_random_uniform(ak_random *r)
{
    return (double)(ak_random_u64(r) >> 11) * 0x1p-53;
}

double ak_random_range(ak_random *r, double low, double high)
{
    return low + (high - low) * ak_random_uniform(r);
}

double ak_random_normal(ak_random *r)
{
    double u = 1.0 - ak_random_uniform(r), v = ak_random_uniform(r); // Box-Muller, u in (0, 1]
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void ak_random_shuffle(ak_random *r, uint32_t *items, uint32_t n)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = ak_random_below(r, i), item = items[i - 1];
        items[i - 1] = items[j];
        items[j] = item;
    }
}
