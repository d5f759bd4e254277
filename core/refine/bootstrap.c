#include "core/refine/bootstrap.h"

#include "core/base/mem.h"
#include "core/base/random.h"

#include <math.h>
#include <stdlib.h>

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

ak_status ak_bootstrap(ak_paired *out, const double *incumbent, const double *candidate, size_t n,
                       uint64_t resamples, uint64_t seed, ak_error *err)
{
    *out = (ak_paired){0};
    double *means = ak_alloc(resamples, sizeof *means), *gains = ak_alloc(n, sizeof *gains);
    if (!means || !gains || n == 0 || resamples == 0) {
        free(means);
        free(gains);
        return ak_fail(err, n && resamples ? AK_OUT_OF_MEMORY : AK_BAD_VALUE,
                       "%llu resamples of %zu pictures", (unsigned long long)resamples, n);
    }
    for (size_t i = 0; i < n; i++) {
        gains[i] = candidate[i] - incumbent[i];
        out->incumbent += incumbent[i];
        out->candidate += candidate[i];
    }
    out->incumbent /= (double)n;
    out->candidate /= (double)n;
#pragma omp parallel for schedule(static)
    for (uint64_t r = 0; r < resamples; r++) {
        ak_random stream = ak_random_stream(seed, 0xb007, (uint32_t)r, 0);
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += gains[ak_random_below(&stream, (uint32_t)n)];
        means[r] = sum / (double)n;
    }
    qsort(means, resamples, sizeof *means, rising);
    size_t tail = (size_t)floor((1 - AK_BOOTSTRAP_LEVEL) * (double)resamples);
    out->low = means[tail];
    out->high = means[resamples - 1 - tail];
    free(means);
    free(gains);
    return AK_OK;
}
