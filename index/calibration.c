// Calibration: made by the fold thread or by the first search that wants it.
#include "index/calibration.h"

#include <stdlib.h>
#include <string.h>

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

typedef struct {
    uint64_t rows, n; // then n floats
} shape;

ak_status ak_calibration_write(ak_buf *out, const ak_calibration *calibration, ak_error *err)
{
    shape head = {calibration->rows, calibration->n};
    bool fine = ak_buf_append(out, &head, sizeof head) &&
                ak_buf_append(out, calibration->scores, calibration->n * sizeof(float));
    return fine ? AK_OK : ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a calibration");
}

ak_status ak_calibration_read(ak_calibration **out, ak_bytes bytes, ak_error *err)
{
    shape head = {0};
    *out = NULL;
    if (bytes.n >= sizeof head)
        memcpy(&head, bytes.at, sizeof head);
    if (!head.n || head.n > AK_CALIBRATION_PAIRS || bytes.n != sizeof head + head.n * sizeof(float))
        return AK_OK;
    ak_calibration *made = ak_alloc(1, sizeof *made + head.n * sizeof(float));
    if (!made)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a calibration");
    atomic_init(&made->references, 1);
    made->rows = head.rows;
    made->n = head.n;
    memcpy(made->scores, bytes.at + sizeof head, made->n * sizeof(float));
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
