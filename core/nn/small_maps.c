// With vdpbf16ps, the sum of two products a lane: the two are two pictures, so both operands are
// first laid out in pairs of pictures, (channels / 16, cells, pairs, 16, 2).
#include "core/nn/small_maps.h"

#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

enum { BLOCK = 16, TAPS_MAX = AK_SMALL_MAPS_K * AK_SMALL_MAPS_K };

static size_t pairs_of(const ak_small_maps *s)
{
    return (s->batch + 1) / 2;
}

size_t ak_small_maps_work(const ak_small_maps *s)
{
    size_t numbers = s->ic * (size_t)(s->h * s->w) + s->oc * (size_t)(s->oh * s->ow);
    return numbers * pairs_of(s) * 2 * sizeof(uint16_t);
}

// to (c / 16, cells, pairs, 16, 2) from x (batch, c / 16, cells, 16); the odd picture's pair is 0.
TARGET static void pair_up(uint16_t *to, const uint16_t *x, size_t batch, size_t c, size_t cells)
{
    size_t pairs = (batch + 1) / 2, picture = c * cells;
#pragma omp parallel for schedule(static)
    for (size_t at = 0; at < c / BLOCK * cells; at++)
        for (size_t n = 0; n < pairs; n++) {
            const uint16_t *a = x + 2 * n * picture + at * BLOCK;
            __m256i first = _mm256_loadu_si256((const void *)a), second = _mm256_setzero_si256();
            if (2 * n + 1 < batch)
                second = _mm256_loadu_si256((const void *)(a + picture));
            __m512i low = _mm512_cvtepu16_epi32(first);
            __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16);
            _mm512_store_si512(to + (at * pairs + n) * 2 * BLOCK, _mm512_or_si512(low, high));
        }
}

// The part of the map in which a tap's cell lies within the input: outputs from .. to.
static void range_of(int *from, int *to, int outputs, int inputs, int stride, int offset)
{
    *from = offset < 0 ? (-offset + stride - 1) / stride : 0;
    *to = offset > inputs - 1 ? 0 : (inputs - 1 - offset) / stride + 1;
    *to = *to < outputs ? *to : outputs;
}

// tile (16 inputs, 16 outputs) of one tap; x, dy: the two blocks in pairs.
TARGET static void tile_of(float *tile, const uint16_t *x, const uint16_t *dy,
                           const ak_small_maps *s, int row, int column)
{
    __m512 sum[BLOCK];
    size_t pairs = pairs_of(s);
    int r0, r1, c0, c1;
    range_of(&r0, &r1, s->oh, s->h, s->stride, row - s->pad);
    range_of(&c0, &c1, s->ow, s->w, s->stride, column - s->pad);
#pragma GCC unroll 16
    for (int i = 0; i < BLOCK; i++)
        sum[i] = _mm512_setzero_ps();
    for (int r = r0; r < r1; r++)
        for (int c = c0; c < c1; c++) {
            size_t from =
                (size_t)((r * s->stride + row - s->pad) * s->w + c * s->stride + column - s->pad);
            const int32_t *a = (const int32_t *)x + from * pairs * BLOCK;
            const int32_t *b = (const int32_t *)dy + (size_t)(r * s->ow + c) * pairs * BLOCK;
            for (size_t n = 0; n < pairs; n++, a += BLOCK, b += BLOCK) {
                __m512bh outputs = (__m512bh)_mm512_load_si512(b);
#pragma GCC unroll 16
                for (int i = 0; i < BLOCK; i++)
                    sum[i] = _mm512_dpbf16_ps(sum[i], outputs, (__m512bh)_mm512_set1_epi32(a[i]));
            }
        }
#pragma GCC unroll 16
    for (int i = 0; i < BLOCK; i++)
        _mm512_storeu_ps(tile + i * BLOCK, sum[i]);
}

void ak_small_maps_weights(float *dw, const uint16_t *x, const uint16_t *dy, const ak_small_maps *s,
                           void *work)
{
    size_t cells = (size_t)(s->h * s->w), outputs = (size_t)(s->oh * s->ow), pairs = pairs_of(s);
    size_t taps = (size_t)(s->k * s->k);
    uint16_t *xs = work, *dys = xs + s->ic * cells * pairs * 2;
    pair_up(xs, x, s->batch, s->ic, cells);
    pair_up(dys, dy, s->batch, s->oc, outputs);
#pragma omp parallel for collapse(2) schedule(static)
    for (size_t o = 0; o < s->oc; o += BLOCK)
        for (size_t i = 0; i < s->ic; i += BLOCK) {
            float tile[TAPS_MAX][BLOCK * BLOCK];
            for (size_t t = 0; t < taps; t++)
                tile_of(tile[t], xs + i * cells * pairs * 2, dys + o * outputs * pairs * 2, s,
                        (int)t / s->k, (int)t % s->k);
            for (size_t a = 0; a < BLOCK; a++)
                for (size_t b = 0; b < BLOCK; b++)
                    for (size_t t = 0; t < taps; t++)
                        dw[((o + a) * s->ic + i + b) * taps + t] = tile[t][b * BLOCK + a];
        }
}
