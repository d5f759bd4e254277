#include "core/refine/kmeans.h"

#include "core/base/mem.h"
#include "core/base/random.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 20
#define BLOCK  256 // rows at a time

// Whether a label changed. scores (BLOCK, k) is scratch.
static bool assign(uint32_t *labels, float *scores, const float *centres, const float *x, size_t n,
                   size_t d, size_t k)
{
    bool changed = false;
    for (size_t first = 0; first < n; first += BLOCK) {
        size_t rows = n - first < BLOCK ? n - first : BLOCK;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)k, (int)d, 1,
                    x + first * d, (int)d, centres, (int)d, 0, scores, (int)k);
        for (size_t i = 0; i < rows; i++) {
            const float *row = scores + i * k;
            uint32_t best = 0;
            for (uint32_t c = 1; c < k; c++)
                best = row[c] > row[best] ? c : best;
            changed = changed || labels[first + i] != best;
            labels[first + i] = best;
        }
    }
    return changed;
}

// Means of the rows by label; a centre without rows becomes a row drawn at random.
static void move(float *centres, const uint32_t *labels, const float *x, size_t n, size_t d,
                 size_t k, ak_random *r)
{
    memset(centres, 0, k * d * sizeof *centres);
    for (size_t i = 0; i < n; i++)
        cblas_saxpy((int)d, 1, x + i * d, 1, centres + labels[i] * d, 1);
    for (size_t c = 0; c < k; c++) {
        float length = cblas_snrm2((int)d, centres + c * d, 1);
        if (length > 0)
            cblas_sscal((int)d, 1 / length, centres + c * d, 1);
        else
            memcpy(centres + c * d, x + ak_random_below(r, (uint32_t)n) * d, d * sizeof *centres);
    }
}

ak_status ak_kmeans(float *centres, uint32_t *labels, const float *x, size_t n, size_t d, size_t k,
                    uint64_t seed, ak_error *err)
{
    if (k == 0 || k > n)
        return ak_fail(err, AK_BAD_VALUE, "%zu clusters of %zu pictures; 1 to %zu", k, n, n);
    float *scores = ak_alloc(BLOCK * k, sizeof *scores);
    uint32_t *order = ak_alloc(n, sizeof *order);
    if (!scores || !order) {
        free(scores);
        free(order);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for %zu clusters", k);
    }
    ak_random r = ak_random_stream(seed, 0x3ea5, 0, 0);
    for (size_t i = 0; i < n; i++)
        order[i] = (uint32_t)i;
    ak_random_shuffle(&r, order, (uint32_t)n);
    for (size_t c = 0; c < k; c++)
        memcpy(centres + c * d, x + order[c] * d, d * sizeof *centres);
    memset(labels, 0, n * sizeof *labels);
    for (int round = 0; round < ROUNDS && assign(labels, scores, centres, x, n, d, k); round++)
        move(centres, labels, x, n, d, k, &r);
    assign(labels, scores, centres, x, n, d, k);
    free(scores);
    free(order);
    return AK_OK;
}
