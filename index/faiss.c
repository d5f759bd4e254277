// The one file that includes FAISS. Its exceptions come as error codes; the text is per thread.
#include "index/faiss.h"

#include "core/base/mem.h"

#include <faiss/c_api/IndexFlat_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_io_c.h>
#include <omp.h>
#include <stdlib.h>

struct ak_faiss {
    FaissIndex *index;
    float *vectors; // the flat index's own matrix
};

static ak_status fail(ak_error *err, const char *what)
{
    const char *why = faiss_get_last_error();
    return ak_fail(err, AK_INTERNAL, "FAISS cannot %s: %.300s", what,
                   why ? why : "no reason given");
}

// Takes over `index`; finds the matrix again, which an addition may have moved.
static ak_status look(ak_faiss *index, ak_error *err)
{
    FaissIndexFlat *flat = faiss_IndexFlat_cast(index->index);
    size_t n = 0;
    if (!flat)
        return ak_fail(err, AK_CORRUPT, "the index is not a flat one");
    faiss_IndexFlat_xb(flat, &index->vectors, &n);
    if (n != ak_faiss_count(index) * (size_t)ak_faiss_dims(index))
        return ak_fail(err, AK_CORRUPT, "the index holds %zu numbers for %zu vectors", n,
                       ak_faiss_count(index));
    return AK_OK;
}

ak_status ak_faiss_new_flat(ak_faiss **out, int dims, ak_error *err)
{
    FaissIndexFlat *flat = NULL;
    *out = NULL;
    ak_faiss *index = ak_alloc(1, sizeof *index);
    if (!index)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an index");
    if (faiss_IndexFlat_new_with(&flat, dims, METRIC_INNER_PRODUCT) != 0) {
        free(index);
        return fail(err, "make an index");
    }
    index->index = (FaissIndex *)flat;
    *out = index;
    return AK_OK;
}

void ak_faiss_free(ak_faiss *index)
{
    if (!index)
        return;
    faiss_Index_free(index->index);
    free(index);
}

ak_status ak_faiss_add(ak_faiss *index, const float *x, size_t n, ak_error *err)
{
    omp_set_num_threads(1);
    if (faiss_Index_add(index->index, (int64_t)n, x) != 0)
        return fail(err, "add vectors");
    return look(index, err);
}

ak_status ak_faiss_search(const ak_faiss *index, const float *query, size_t k, float *scores,
                          int64_t *ids, ak_error *err)
{
    omp_set_num_threads(1); // a team a search fights with the other searches
    if (faiss_Index_search(index->index, 1, query, (int64_t)k, scores, ids) != 0)
        return fail(err, "search");
    return AK_OK;
}

const float *ak_faiss_vectors(const ak_faiss *index)
{
    return index->vectors;
}

size_t ak_faiss_count(const ak_faiss *index)
{
    return (size_t)faiss_Index_ntotal(index->index);
}

int ak_faiss_dims(const ak_faiss *index)
{
    return faiss_Index_d(index->index);
}

ak_status ak_faiss_write(const ak_faiss *index, FILE *file, ak_error *err)
{
    return faiss_write_index(index->index, file) == 0 ? AK_OK : fail(err, "write an index");
}

ak_status ak_faiss_read(ak_faiss **out, FILE *file, ak_error *err)
{
    *out = NULL;
    ak_faiss *index = ak_alloc(1, sizeof *index);
    if (!index)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an index");
    if (faiss_read_index(file, 0, &index->index) != 0) {
        free(index);
        return fail(err, "read an index");
    }
    ak_status status = look(index, err);
    if (status != AK_OK) {
        ak_faiss_free(index);
        return status;
    }
    *out = index;
    return AK_OK;
}
