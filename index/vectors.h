// A generation's vectors: main, tail and tombstones behind one interface.
//
// main is an immutable FAISS index, replaced as a whole; the tail holds what came since, scanned
// exactly, in chunks that never move; every row carries the sequence at which it was born and at
// which it died. A search is given a sequence and sees a row iff it was born and had not died by
// then. An update is a removal and an append of one batch, hence of one sequence: a search sees one
// or the other.
//
// The sequence that the writer publishes is the one that its catalog transaction commits
// (collections.sequence). Rows are laid down just before that commit and a search goes by the
// sequence that its own catalog snapshot holds, so catalog and vectors change at the same instant.
//
// A row is an image: two images of one picture are two rows. Threads: one writer (begin to publish
// or retract), one folder (fold), any number of searches, which take no lock but a short leaf lock
// for a reference.
#ifndef AK_INDEX_VECTORS_H
#define AK_INDEX_VECTORS_H

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Folding pays when tail and tombstones exceed AK_FOLD_ROWS and a quarter of main. A tombstone is
// folded away after AK_FOLD_DELETED_S at the latest, so that what was deleted leaves memory and the
// cache file.
#define AK_FOLD_ROWS      4096
#define AK_FOLD_DELETED_S 300.0

typedef struct ak_vectors ak_vectors;
typedef struct ak_main ak_main; // index/main.h

typedef struct {
    int64_t image, picture; // keys in the catalog
    uint64_t sha_head;      // first bytes of the picture's SHA-256, to know a cached row by
} ak_row;

// Empty, at the sequence that the catalog holds (1 or more).
ak_status ak_vectors_new(ak_vectors **out, int dims, uint64_t sequence, ak_error *err);
void ak_vectors_free(ak_vectors *vectors); // NULL is fine

// Before the vectors are shared: takes over a main (its reference). Rows whose `died` is set are
// dead from the start.
ak_status ak_vectors_adopt(ak_vectors *vectors, ak_main *main, ak_error *err);

// --- the writer --------------------------------------------------------------------------------

// A batch under a sequence that is greater than the published one.
void ak_vectors_begin(ak_vectors *vectors, uint64_t sequence);
// vector (dims) is copied. Both fail for want of memory alone; retract then.
ak_status ak_vectors_append(ak_vectors *vectors, const ak_row *row, const float *vector,
                            ak_error *err);
ak_status ak_vectors_remove(ak_vectors *vectors, int64_t image, ak_error *err); // fine when absent
void ak_vectors_publish(ak_vectors *vectors);                                   // after the commit
void ak_vectors_retract(ak_vectors *vectors); // instead: nobody has seen or will see the batch

// --- searches ----------------------------------------------------------------------------------

typedef struct {
    const float *query; // (dims)
    size_t k;
    double min_score;
    const int64_t *exclude; // image keys
    size_t exclude_count;
} ak_vectors_query;

typedef struct {
    ak_row row;
    float score; // in -1 .. 1
} ak_found;

typedef struct {
    ak_found *items; // best first; the k best and all that tie with the last of them
    size_t n;
    int64_t scanned;
    int rounds; // searches of main: over-fetch doubles until k live ones are found
    bool stale; // the sequence is older than main, nothing was searched: take a newer one
} ak_vectors_answer;

ak_status ak_vectors_search(ak_vectors_answer *out, ak_vectors *vectors, uint64_t sequence,
                            const ak_vectors_query *query, ak_error *err);
void ak_vectors_answer_clear(ak_vectors_answer *answer);

uint64_t ak_vectors_published(ak_vectors *vectors);

// The rows that are live now, by ascending image. The caller frees *rows.
ak_status ak_vectors_rows(ak_row **rows, size_t *n, ak_vectors *vectors, ak_error *err);

// Scores of `pairs` random pairs of rows that show different pictures, from a fixed seed; *n is
// less when there are too few rows. *rows: how many there are to draw from.
ak_status ak_vectors_sample(float *scores, size_t *n, size_t *rows, ak_vectors *vectors,
                            size_t pairs, ak_error *err);

// --- folding -----------------------------------------------------------------------------------

typedef struct {
    size_t main, tail, dead; // rows; dead ones count in main or tail as well
} ak_vectors_sizes;

ak_vectors_sizes ak_vectors_size(ak_vectors *vectors);
bool ak_vectors_fold_due(ak_vectors *vectors);

// Builds a main of the live rows and swaps it in. One thread at a time.
ak_status ak_vectors_fold(ak_vectors *vectors, ak_error *err);

ak_main *ak_vectors_main(ak_vectors *vectors); // with a reference (ak_main_release), or NULL

#endif
