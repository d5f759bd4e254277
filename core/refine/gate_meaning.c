#include "core/refine/gate_meaning.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define WORD_LEAST 4
#define PAIRS_MAX  ((size_t)8 << 20)

// A text that a row of the gallery bears; in lower case, hashed.
typedef struct {
    uint64_t text;
    uint32_t row;
} mark;

typedef struct {
    uint32_t query, row;
} pair;

typedef struct {
    ak_buf marks, pairs; // of mark, of pair
    bool enough;         // memory
} collected;

static void put_mark(collected *c, const char *text, size_t n, uint32_t row)
{
    mark m = {.text = 14695981039346656037u, .row = row}; // FNV-1a
    for (size_t i = 0; i < n; i++)
        m.text = (m.text ^ (uint8_t)tolower((unsigned char)text[i])) * 1099511628211u;
    c->enough = c->enough && ak_buf_append(&c->marks, &m, sizeof m);
}

static void put_pair(collected *c, uint32_t query, uint32_t row, size_t n)
{
    pair p = {query, row};
    if (query < n && query != row && c->pairs.n < PAIRS_MAX * sizeof p)
        c->enough = c->enough && ak_buf_append(&c->pairs, &p, sizeof p);
}

static bool in_word(char c)
{
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

static void put_words(collected *c, const char *text, uint32_t row)
{
    while (*text) {
        size_t n = 0;
        while (in_word(text[n]))
            n++;
        if (n >= WORD_LEAST)
            put_mark(c, text, n, row);
        text += n + (text[n] != 0);
    }
}

static void put_marks(collected *c, const ak_run_picture *p, ak_meaning what, uint32_t row)
{
    if (what == AK_MEANING_ALBUMS && p->album)
        put_mark(c, p->album, strlen(p->album), row);
    if (what == AK_MEANING_WORDS && p->caption)
        put_words(c, p->caption, row);
    for (size_t k = 0; what == AK_MEANING_TAGS && k < p->tags_n; k++)
        put_mark(c, p->tags[k], strlen(p->tags[k]), row);
}

static int by_text(const void *a, const void *b)
{
    const mark *x = a, *y = b;
    if (x->text != y->text)
        return x->text < y->text ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static void pair_marks(collected *c, size_t n, size_t most)
{
    mark *m = (mark *)c->marks.at;
    size_t total = c->marks.n / sizeof *m;
    if (!total)
        return;
    qsort(m, total, sizeof *m, by_text);
    for (size_t from = 0, to; from < total; from = to) {
        for (to = from; to < total && m[to].text == m[from].text; to++)
            ;
        for (size_t i = from; i < to && to - from <= most; i++)
            for (size_t j = from; j < to && m[i].row < n; j++)
                put_pair(c, m[i].row, m[j].row, n);
    }
}

static ak_status pair_feedback(collected *c, const ak_rundir *rundir, const uint32_t *rows,
                               size_t n, size_t count, ak_error *err)
{
    uint32_t *row_of = ak_alloc(rundir->pictures_n, sizeof *row_of); // plus 1; 0: not there
    if (!row_of)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for feedback");
    for (size_t i = 0; i < count; i++)
        row_of[rows[i]] = (uint32_t)i + 1;
    for (size_t i = 0; i < rundir->pairs_n; i++) {
        ptrdiff_t a = ak_rundir_find(rundir, &rundir->pairs[i].query);
        ptrdiff_t b = ak_rundir_find(rundir, &rundir->pairs[i].result);
        if (!rundir->pairs[i].similar || a < 0 || b < 0 || !row_of[a] || !row_of[b])
            continue;
        put_pair(c, row_of[a] - 1, row_of[b] - 1, n);
        put_pair(c, row_of[b] - 1, row_of[a] - 1, n);
    }
    free(row_of);
    return AK_OK;
}

static int by_query(const void *a, const void *b)
{
    const pair *x = a, *y = b;
    if (x->query != y->query)
        return x->query < y->query ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

// Sorted pairs, each once, to lists.
static ak_status to_lists(ak_common *out, collected *c, size_t n, ak_error *err)
{
    pair *p = (pair *)c->pairs.at;
    size_t total = c->pairs.n / sizeof *p, kept = 0;
    out->relevant = ak_alloc(total + 1, sizeof *out->relevant);
    out->start = ak_alloc(n + 1, sizeof *out->start);
    if (!c->enough || !out->relevant || !out->start)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for what pictures have in common");
    if (total)
        qsort(p, total, sizeof *p, by_query);
    for (size_t i = 0, at = 0; i < n; i++) {
        out->start[i] = kept;
        for (; at < total && p[at].query == i; at++)
            if (kept == out->start[i] || out->relevant[kept - 1] != p[at].row)
                out->relevant[kept++] = p[at].row;
        out->queries += kept > out->start[i];
    }
    out->start[n] = kept;
    return AK_OK;
}

ak_status ak_meaning_find(ak_common *out, const ak_rundir *rundir, const uint32_t *rows, size_t n,
                          size_t count, ak_meaning what, ak_error *err)
{
    *out = (ak_common){0};
    collected c = {.enough = true};
    ak_status status = AK_OK;
    for (size_t i = 0; i < count; i++)
        put_marks(&c, &rundir->pictures[rows[i]], what, (uint32_t)i);
    pair_marks(&c, n, count / (what == AK_MEANING_WORDS ? 50 : 10));
    if (what == AK_MEANING_FEEDBACK)
        status = pair_feedback(&c, rundir, rows, n, count, err);
    if (status == AK_OK)
        status = to_lists(out, &c, n, err);
    if (status != AK_OK)
        ak_common_clear(out);
    ak_buf_clear(&c.marks);
    ak_buf_clear(&c.pairs);
    return status;
}

void ak_common_clear(ak_common *common)
{
    free(common->relevant);
    free(common->start);
    *common = (ak_common){0};
}
