// Folding: a new main of the live rows, built aside and swapped in; and samples for calibration.
// The store's fold thread, one fold of a generation at a time.
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/random.h"
#include "index/dot.h"
#include "index/vectors_inside.h"

#include <stdlib.h>
#include <string.h>

static int by_image(const void *a, const void *b)
{
    const ak_live *x = a, *y = b;
    return x->row.image < y->row.image ? -1 : x->row.image > y->row.image;
}

ak_status ak_view_live(ak_live **out, size_t *n, const ak_view *view, ak_place end, int dims,
                       uint64_t sequence, ak_error *err)
{
    size_t most = view->main ? view->main->n : 0, at = view->first.at, found = 0;
    *out = NULL;
    *n = 0;
    for (ak_chunk *chunk = view->first.chunk; chunk; chunk = atomic_load(&chunk->next)) {
        most += chunk == end.chunk ? end.at : chunk->capacity;
        if (chunk == end.chunk)
            break;
    }
    ak_live *live = ak_alloc(most ? most : 1, sizeof *live);
    if (!live)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to list %zu vectors", most);
    const float *vectors = view->main ? ak_faiss_vectors(view->main->index) : NULL;
    for (size_t i = 0; view->main && i < view->main->n; i++)
        if (ak_visible(0, atomic_load(&view->main->died[i]), sequence))
            live[found++] =
                (ak_live){view->main->rows[i], vectors + i * (size_t)dims, &view->main->died[i]};
    for (ak_chunk *chunk = view->first.chunk; chunk; chunk = atomic_load(&chunk->next), at = 0) {
        size_t stop = chunk == end.chunk ? end.at : atomic_load(&chunk->n);
        for (; at < stop; at++)
            if (ak_visible(chunk->born[at], atomic_load(&chunk->died[at]), sequence))
                live[found++] = (ak_live){chunk->rows[at], chunk->vectors + at * (size_t)dims,
                                          &chunk->died[at]};
        if (chunk == end.chunk)
            break;
    }
    qsort(live, found, sizeof *live, by_image);
    *out = live;
    *n = found;
    return AK_OK;
}

// --- the fold ----------------------------------------------------------------------------------

static ak_status build(ak_main **out, const ak_live *live, size_t n, int dims, ak_error *err)
{
    ak_status status = AK_OK;
    ak_faiss *index = NULL;
    size_t numbers = 0, width = (size_t)dims;
    float *x = ak_mul(&numbers, n, width) ? ak_alloc(numbers ? numbers : 1, sizeof *x) : NULL;
    ak_row *rows = ak_alloc(n ? n : 1, sizeof *rows);
    if (!x || !rows) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for an index of %zu vectors", n);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        rows[i] = live[i].row;
        memcpy(x + i * width, live[i].vector, width * sizeof *x);
    }
    status = ak_faiss_new_flat(&index, dims, err);
    if (status == AK_OK && n)
        status = ak_faiss_add(index, x, n, err);
    if (status != AK_OK)
        goto done;
    status = ak_main_new(out, index, rows, n, err);
    index = NULL;
    rows = NULL;
done:
    free(x);
    free(rows);
    ak_faiss_free(index);
    return status;
}

// What died while main was built dies in it too; then the view is exchanged. Under `change`.
static void swap(ak_vectors *vectors, ak_view *view, const ak_live *live)
{
    size_t dead = 0, tail = 0, at = view->first.at;
    for (size_t i = 0; i < view->main->n; i++) {
        uint64_t died = atomic_load(live[i].died);
        atomic_store(&view->main->died[i], died);
        dead += died != 0;
    }
    for (ak_chunk *chunk = view->first.chunk; chunk; chunk = atomic_load(&chunk->next), at = 0)
        for (; at < atomic_load(&chunk->n); at++, tail++)
            dead += atomic_load(&chunk->died[at]) != 0;
    vectors->tail = tail;
    vectors->dead = dead;
    vectors->first_death_s = ak_clock_s();
    pthread_mutex_lock(&vectors->view_lock);
    ak_view *old = vectors->view;
    vectors->view = view;
    pthread_mutex_unlock(&vectors->view_lock);
    ak_view_release(old);
}

ak_status ak_vectors_fold(ak_vectors *vectors, ak_error *err)
{
    ak_status status = AK_OK;
    ak_live *live = NULL;
    ak_main *main = NULL;
    size_t n = 0;
    ak_view *view = ak_alloc(1, sizeof *view);
    if (!view)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to fold");

    pthread_mutex_lock(&vectors->change); // no batch is under way
    ak_view *old = ak_view_take(vectors);
    ak_place end = vectors->end;
    uint64_t sequence = atomic_load(&vectors->published);
    pthread_mutex_unlock(&vectors->change);

    status = ak_view_live(&live, &n, old, end, vectors->dims, sequence, err);
    if (status == AK_OK)
        status = build(&main, live, n, vectors->dims, err);
    if (status != AK_OK)
        goto done;
    *view = (ak_view){.references = 1, .main = main, .first = end, .base = sequence};
    atomic_fetch_add(&end.chunk->references, 1);
    pthread_mutex_lock(&vectors->change);
    swap(vectors, view, live);
    pthread_mutex_unlock(&vectors->change);
    view = NULL;
done:
    free(view);
    free(live);
    ak_view_release(old);
    return status;
}

ak_vectors_sizes ak_vectors_size(ak_vectors *vectors)
{
    pthread_mutex_lock(&vectors->change);
    ak_main *main = vectors->view->main;
    ak_vectors_sizes sizes = {main ? main->n : 0, vectors->tail, vectors->dead};
    pthread_mutex_unlock(&vectors->change);
    return sizes;
}

bool ak_vectors_fold_due(ak_vectors *vectors)
{
    pthread_mutex_lock(&vectors->change);
    ak_main *main = vectors->view->main;
    size_t waiting = vectors->tail + vectors->dead;
    bool due = (waiting >= AK_FOLD_ROWS && waiting >= (main ? main->n / 4 : 0)) ||
               (vectors->dead && ak_clock_s() - vectors->first_death_s > AK_FOLD_DELETED_S);
    pthread_mutex_unlock(&vectors->change);
    return due;
}

ak_main *ak_vectors_main(ak_vectors *vectors)
{
    ak_view *view = ak_view_take(vectors);
    ak_main *main = view->main;
    if (main)
        ak_main_keep(main);
    ak_view_release(view);
    return main;
}

// --- samples -----------------------------------------------------------------------------------

static ak_status live_now(ak_live **live, size_t *n, const ak_view *view, ak_vectors *vectors,
                          ak_error *err)
{
    uint64_t sequence = ak_vectors_published(vectors);
    // The end as of now: rows beyond the sequence are passed over.
    ak_place end = view->first;
    for (ak_chunk *next; (next = atomic_load(&end.chunk->next));)
        end.chunk = next;
    end.at = atomic_load(&end.chunk->n);
    return ak_view_live(live, n, view, end, vectors->dims, sequence, err);
}

ak_status ak_vectors_rows(ak_row **rows, size_t *n, ak_vectors *vectors, ak_error *err)
{
    ak_live *live = NULL;
    *rows = NULL;
    ak_view *view = ak_view_take(vectors);
    ak_status status = live_now(&live, n, view, vectors, err);
    if (status == AK_OK && !(*rows = ak_alloc(*n + 1, sizeof **rows)))
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to list %zu images", *n);
    for (size_t i = 0; status == AK_OK && i < *n; i++)
        (*rows)[i] = live[i].row;
    free(live);
    ak_view_release(view);
    return status;
}

ak_status ak_vectors_sample(float *scores, size_t *n, size_t *rows, ak_vectors *vectors,
                            size_t pairs, ak_error *err)
{
    ak_live *live = NULL;
    *n = 0;
    ak_view *view = ak_view_take(vectors);
    ak_status status = live_now(&live, rows, view, vectors, err);
    ak_random random = ak_random_stream(1, 0, 0, 0);
    for (size_t i = 0; status == AK_OK && *rows >= 2 && i < 2 * pairs && *n < pairs; i++) {
        const ak_live *a = &live[ak_random_below(&random, (uint32_t)*rows)];
        const ak_live *b = &live[ak_random_below(&random, (uint32_t)*rows)];
        if (a->row.picture != b->row.picture)
            scores[(*n)++] = ak_dot(a->vector, b->vector, vectors->dims);
    }
    free(live);
    ak_view_release(view);
    return status;
}
