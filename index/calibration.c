// Calibration: made by the fold thread or by the first search that wants it.
#include "index/calibration.h"

#include "core/base/mem.h"

#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

ak_status ak_calibration_make(ak_calibration **out, ak_vectors *vectors, ak_error *err)
{
    *out = NULL;
    ak_calibration *made = ak_alloc(1, sizeof *made + AK_CALIBRATION_PAIRS * sizeof(float));
    if (!made)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a calibration");
    ak_status status =
        ak_vectors_sample(made->scores, &made->n, &made->rows, vectors, AK_CALIBRATION_PAIRS, err);
    if (status != AK_OK) {
        free(made);
        return status;
    }
    qsort(made->scores, made->n, sizeof *made->scores, ascending);
    atomic_init(&made->references, 1);
    *out = made;
    return AK_OK;
}

void ak_calibration_release(ak_calibration *calibration)
{
    if (calibration &&
        atomic_fetch_sub_explicit(&calibration->references, 1, memory_order_acq_rel) == 1)
        free(calibration);
}

double ak_calibration_match(const ak_calibration *calibration, float score)
{
    size_t low = 0, high = calibration->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (calibration->scores[middle] < score)
            low = middle + 1;
        else
            high = middle;
    }
    return calibration->n ? (double)low / (double)calibration->n : 0;
}

bool ak_calibration_old(const ak_calibration *calibration, size_t rows)
{
    return rows > calibration->rows + calibration->rows / 4 ||
           rows < calibration->rows - calibration->rows / 4;
}
