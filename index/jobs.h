// Jobs, feedback, and what refinement must remember, as the store keeps them.
//
// Writes wait for their commit; reads may be called from any thread.
#ifndef AK_INDEX_JOBS_H
#define AK_INDEX_JOBS_H

#include "core/base/clock.h"
#include "index/store.h"

// --- jobs (jobs.c)
// --------------------------------------------------------------------------------

typedef struct {
    int64_t key; // grows from job to job
    char id[AK_ULID_TEXT];
    char kind[24], state[16];
    bool cancel; // asked to stop
    int64_t done, total, event;
    char *request, *result;                   // JSON objects
    char *report;                             // JSON; NULL: none. Lists leave it out
    char *error;                              // NULL: none
    int64_t created_at, started_at, ended_at; // ms since 1970; AK_TIME_NONE
} ak_job_record;

void ak_job_record_clear(ak_job_record *record);

// A key that a client gave, and what its request was. `answer` is what was answered first.
typedef struct {
    const char *key;
    ak_sha256 request;
    const char *answer;
} ak_job_key;

#define AK_JOB_KEY_MS (INT64_C(24) * 3600 * 1000) // how long a key is remembered

// Keeps a new job, and the key unless it is NULL. Of jobs that have ended the newest `keep` stay.
ak_status ak_store_job_add(ak_store *store, const ak_job_record *record, const ak_job_key *key,
                           size_t keep, ak_error *err);
// Keeps state, counts, result, report, error and times.
ak_status ak_store_job_set(ak_store *store, const ak_job_record *record, ak_error *err);
// Keeps the counts alone, of a job that has not ended.
ak_status ak_store_job_count(ak_store *store, const ak_job_record *record, ak_error *err);

// Keeps that it was asked to stop.
ak_status ak_store_job_cancel(ak_store *store, const char *id, ak_error *err);

// AK_NOT_FOUND. The caller clears *out.
ak_status ak_store_job(ak_job_record *out, ak_store *store, const char *id, ak_error *err);

// Newest first, before the key `before` (INT64_MAX: from the newest). kind NULL: all kinds; open:
// those alone that have not ended. The caller clears and frees *items.
ak_status ak_store_jobs(ak_job_record **items, size_t *n, bool *more, ak_store *store,
                        const char *kind, bool open, int64_t before, size_t limit, ak_error *err);

// The answer that this key got in the last 24 hours; *answer stays NULL when there is none, and is
// the caller's to free. AK_KEY_REUSED when the request was another one.
ak_status ak_store_job_answer(char **answer, ak_store *store, const ak_job_key *key, ak_error *err);

// --- feedback (feedback.c)
// ------------------------------------------------------------------------

// What a person says of two images of a collection; the last word counts.
ak_status ak_store_feedback(ak_store *store, const char *collection, const char *query,
                            const char *result, bool similar, ak_error *err);

// Calls pair() for each judgement in collections that may be refined on.
ak_status ak_store_feedback_each(ak_store *store,
                                 ak_status (*pair)(void *arg, const ak_sha256 *query,
                                                   const ak_sha256 *result, bool similar,
                                                   ak_error *err),
                                 void *arg, ak_error *err);

// --- refinement (refine.c, refine_walk.c)
// ------------------------------------------------------------

typedef struct {
    char name[AK_NAME_MAX + 1], model[AK_NAME_MAX + 1];
    bool refine;      // may be refined on
    int64_t pictures; // that it holds
    int64_t news;     // images that came after the last run
    int64_t mark;     // the last image
    double yardstick; // share of its pictures that are yardsticks; 1: no run yet
} ak_refine_facts;

// All collections, by name. The caller frees *items.
ak_status ak_store_refine_facts(ak_refine_facts **items, size_t *n, ak_store *store, ak_error *err);

// A run takes the collection into account: its mark, and its share, which only falls.
ak_status ak_store_refine_mark(ak_store *store, const ak_refine_facts *facts, ak_error *err);

// How far the mean of the newest vectors (at most `limit`) is from that of as many older ones, as a
// distance between unit vectors, less what chance explains. 0 when either has under `least`.
ak_status ak_store_drift(double *drift, ak_store *store, const char *collection, int64_t least,
                         int64_t limit, ak_error *err);

typedef struct {
    int64_t key;
    ak_sha256 sha256;
    bool trained;                // the model, or one that it comes from, was trained on it
    const char *collection;      // that holds it: an inside one, when there is one
    bool inside;                 // it is one of those that were asked for
    double yardstick;            // the greatest share of the collections that hold it
    const char *album, *caption; // NULL: none
    const char *const *tags;     // of one image that shows it
    size_t tags_n;
    ak_bytes proxy;
} ak_refine_picture;

// Calls take() for each picture of collections that may be refined on, by key, once each; in
// between no lock is held. What was deleted meanwhile is passed over. `want` is asked before a
// proxy is read.
typedef struct {
    const char *model;         // whose training counts
    const char *const *inside; // (n) names
    size_t n;
    bool (*want)(void *arg, const ak_refine_picture *picture);
    ak_status (*take)(void *arg, const ak_refine_picture *picture, ak_error *err);
    void *arg;
} ak_refine_walk;

ak_status ak_store_refine_walk(ak_store *store, const ak_refine_walk *walk, ak_error *err);

// A model was trained on these pictures.
ak_status ak_store_trained(ak_store *store, const char *model, const ak_sha256 *sums, size_t n,
                           ak_error *err);

// Pictures that were deleted since the training run began, at most limit.
ak_status ak_store_removals(ak_sha256 *sums, size_t *n, ak_store *store, size_t limit,
                            ak_error *err);
// These were taken out of the run's folder.
ak_status ak_store_removals_done(ak_store *store, const ak_sha256 *sums, size_t n, ak_error *err);

#endif
