// The main index's life: made whole, shared by reference count.
#include "index/main.h"

#include "core/base/mem.h"

#include <stdlib.h>

ak_status ak_main_new(ak_main **out, ak_faiss *index, ak_row *rows, size_t n, ak_error *err)
{
    *out = NULL;
    ak_main *main = ak_alloc(1, sizeof *main);
    _Atomic uint64_t *died = ak_alloc(n ? n : 1, sizeof *died);
    if (!main || !died) {
        free(main);
        free(died);
        free(rows);
        ak_faiss_free(index);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an index of %zu rows", n);
    }
    *main = (ak_main){.references = 1, .index = index, .n = n, .rows = rows, .died = died};
    *out = main;
    return AK_OK;
}

void ak_main_keep(ak_main *main)
{
    atomic_fetch_add_explicit(&main->references, 1, memory_order_relaxed);
}

void ak_main_release(ak_main *main)
{
    if (!main || atomic_fetch_sub_explicit(&main->references, 1, memory_order_acq_rel) != 1)
        return;
    ak_faiss_free(main->index);
    free(main->rows);
    free(main->died);
    free(main);
}
