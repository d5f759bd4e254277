#include "core/refine/near.h"

#include "core/base/mem.h"
#include "core/base/random.h"
#include "core/image/phash.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 256
#define PAIRS 200000

static uint32_t root_of(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

static void join(uint32_t *parent, uint32_t a, uint32_t b)
{
    a = root_of(parent, a);
    b = root_of(parent, b);
    if (a < b)
        parent[b] = a;
    else
        parent[a] = b;
}

ak_status ak_near_clusters(uint32_t *cluster, const float *descriptors, const uint64_t *hashes,
                           size_t n, size_t dims, float score, ak_error *err)
{
    float *s = ak_alloc(BLOCK * BLOCK, sizeof *s); // of one block of pictures with another
    if (!s)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to compare pictures");
    for (size_t i = 0; i < n; i++)
        cluster[i] = (uint32_t)i;
    for (size_t a = 0; a < n; a += BLOCK)
        for (size_t b = a; b < n; b += BLOCK) {
            size_t rows = n - a < BLOCK ? n - a : BLOCK, columns = n - b < BLOCK ? n - b : BLOCK;
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)columns, (int)dims,
                        1, descriptors + a * dims, (int)dims, descriptors + b * dims, (int)dims, 0,
                        s, (int)columns);
            for (size_t i = 0; i < rows; i++)
                for (size_t j = a == b ? i + 1 : 0; j < columns; j++)
                    if (s[i * columns + j] >= score &&
                        ak_phash_distance(hashes[a + i], hashes[b + j]) <= AK_NEAR_HASH_BITS)
                        join(cluster, (uint32_t)(a + i), (uint32_t)(b + j));
        }
    for (size_t i = 0; i < n; i++)
        cluster[i] = root_of(cluster, (uint32_t)i);
    free(s);
    return AK_OK;
}

ak_status ak_near_neighbours(uint32_t *out, const float *descriptors, size_t n, size_t dims,
                             size_t k, ak_error *err)
{
    float *s = ak_alloc(BLOCK * BLOCK, sizeof *s), *best = ak_alloc(BLOCK * k, sizeof *best);
    if (!s || !best) {
        free(s);
        free(best);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to compare pictures");
    }
    for (size_t a = 0; a < n; a += BLOCK) {
        size_t rows = n - a < BLOCK ? n - a : BLOCK;
        for (size_t i = 0; i < rows * k; i++) {
            best[i] = -INFINITY;
            out[a * k + i] = UINT32_MAX;
        }
        for (size_t b = 0; b < n; b += BLOCK) {
            size_t columns = n - b < BLOCK ? n - b : BLOCK;
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)columns, (int)dims,
                        1, descriptors + a * dims, (int)dims, descriptors + b * dims, (int)dims, 0,
                        s, (int)columns);
            for (size_t i = 0; i < rows; i++)
                for (size_t j = 0; j < columns; j++) {
                    float score = s[i * columns + j];
                    if (a + i == b + j || !(score > best[i * k + k - 1]))
                        continue;
                    size_t at = k - 1;
                    for (; at > 0 && score > best[i * k + at - 1]; at--) {
                        best[i * k + at] = best[i * k + at - 1];
                        out[(a + i) * k + at] = out[(a + i) * k + at - 1];
                    }
                    best[i * k + at] = score;
                    out[(a + i) * k + at] = (uint32_t)(b + j);
                }
        }
    }
    free(s);
    free(best);
    return AK_OK;
}

static int rising(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

double ak_near_quantile(const float *descriptors, size_t n, size_t dims, double share,
                        uint64_t seed)
{
    float *s = n < 2 ? NULL : ak_alloc(PAIRS, sizeof *s);
    if (!s)
        return 1;
    ak_random r = ak_random_stream(seed, 0x9a12, 0, 0);
    for (size_t i = 0; i < PAIRS; i++) {
        uint32_t a = ak_random_below(&r, (uint32_t)n), b = ak_random_below(&r, (uint32_t)n - 1);
        b += b >= a;
        s[i] = cblas_sdot((int)dims, descriptors + a * dims, 1, descriptors + b * dims, 1);
    }
    qsort(s, PAIRS, sizeof *s, rising);
    double at = (double)s[(size_t)lround(share * (PAIRS - 1))];
    free(s);
    return at;
}
