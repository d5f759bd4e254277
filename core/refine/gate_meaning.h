// What pictures have in common by what people said of them: feedback, tags, albums, captions'
// words.
#ifndef AK_REFINE_GATE_MEANING_H
#define AK_REFINE_GATE_MEANING_H

#include "core/refine/rundir.h"

typedef enum {
    AK_MEANING_FEEDBACK, // pairs called similar
    AK_MEANING_TAGS,
    AK_MEANING_ALBUMS,
    AK_MEANING_WORDS,
    AK_MEANINGS
} ak_meaning;

// For each of the first n rows of a gallery the rows that have something in common with it, without
// itself, rising and each once: relevant[start[i]] .. relevant[start[i + 1] - 1].
typedef struct {
    uint32_t *relevant;
    size_t *start;  // (n + 1)
    size_t queries; // that have any
} ak_common;

// rows (count): the gallery's pictures as indices into the run's. What more than a tenth of the
// gallery shares (words: a fiftieth) says little and counts nothing.
ak_status ak_meaning_find(ak_common *out, const ak_rundir *rundir, const uint32_t *rows, size_t n,
                          size_t count, ak_meaning what, ak_error *err);
void ak_common_clear(ak_common *common);

#endif
