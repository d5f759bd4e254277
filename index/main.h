// The main part of a generation's vectors: an immutable FAISS index and what its rows are.
// Reference-counted. `died` alone changes after it is shared: the writer sets it, searches read it.
#ifndef AK_INDEX_MAIN_H
#define AK_INDEX_MAIN_H

#include "index/faiss.h"
#include "index/vectors.h"

#include <stdatomic.h>

struct ak_main {
    atomic_size_t references;
    ak_faiss *index;
    size_t n;
    ak_row *rows;           // (n) by ascending image
    _Atomic uint64_t *died; // (n) 0: alive
};

// With one reference; takes over index and rows (both freed when it fails).
ak_status ak_main_new(ak_main **out, ak_faiss *index, ak_row *rows, size_t n, ak_error *err);
void ak_main_keep(ak_main *main);
void ak_main_release(ak_main *main); // NULL is fine

#endif
