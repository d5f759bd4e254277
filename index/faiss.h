// FAISS: the one door to its C API. An index of unit vectors by inner product, flat today.
//
// Adding is for one thread before the index is shared; searches then come from any number of
// threads, each on one OpenMP thread of its own.
#ifndef AK_INDEX_FAISS_H
#define AK_INDEX_FAISS_H

#include "core/base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct ak_faiss ak_faiss;

ak_status ak_faiss_new_flat(ak_faiss **out, int dims, ak_error *err);
void ak_faiss_free(ak_faiss *index); // NULL is fine

ak_status ak_faiss_add(ak_faiss *index, const float *x, size_t n, ak_error *err); // x (n, dims)

// The k best of the index for one query, best first. Where it holds fewer, ids are -1.
ak_status ak_faiss_search(const ak_faiss *index, const float *query, size_t k, float *scores,
                          int64_t *ids, ak_error *err);

const float *ak_faiss_vectors(const ak_faiss *index); // (n, dims), borrowed from the index
size_t ak_faiss_count(const ak_faiss *index);
int ak_faiss_dims(const ak_faiss *index);

// FAISS's own format at the file's position.
ak_status ak_faiss_write(const ak_faiss *index, FILE *file, ak_error *err);
ak_status ak_faiss_read(ak_faiss **out, FILE *file, ak_error *err);

#endif
