// A refinement run's folder: all that a run reads, and all that it leaves.
//
//   run.json          id, seed, budget, what becomes of the result, collections, recipe by value
//   incumbent.model   the model that serves, with the projection head that training goes on from
//   pictures          the proxies (JPEG), one behind the other
//   pictures.jsonl    a line a picture: its place, its checksum, what is known of it
//   pairs.jsonl       a line a feedback pair
//   plan              by the worker: clusters of near-duplicates, and the roles that they leave
//   checkpoint.state  by the worker: where it goes on after a stop, a crash or a reboot
//   candidate.model   by the worker: what it proposes
//   trained.json      by the worker: the pictures that the candidate was trained on
//   verdict.json      by the gate
//
// run.json is written last: a folder without it is what a killed creator left, and may be removed.
// The two tables end with a line that counts and sums them; every proxy has a checksum of its own.
// Files are replaced whole (a temporary name, fsync, rename), so each is the old one or the new
// one.
//
//   daemon:  begin -> incumbent, add ..., pair ... -> commit; later remove; reads the results
//   worker, gate:  open -> rows, proxies -> write
#ifndef AK_REFINE_RUNDIR_H
#define AK_REFINE_RUNDIR_H

#include "core/base/mem.h"
#include "core/refine/recipe.h"
#include "core/refine/yardstick.h"

#define AK_RUN_PICTURES_MAX    40000             // in a folder, yardsticks among them
#define AK_RUN_BYTES_MAX       ((size_t)2 << 30) // of their proxies
#define AK_RUN_PROXY_MAX       ((size_t)4 << 20) // of one
#define AK_RUN_PAIRS_MAX       100000            // of feedback
#define AK_RUN_COLLECTIONS_MAX 64
#define AK_RUN_TAGS_MAX        64   // of a picture; the rest is left out
#define AK_RUN_TEXT_MAX        1024 // bytes of a text; longer ones are cut
#define AK_RUN_TRAIN_LEAST     200  // pictures to train on, yardsticks not counted

#define AK_RUN_ID_MAX 64

typedef struct {
    char name[AK_RUN_TEXT_MAX];
    bool inside;      // the run is for this one; false: it lends replay and old yardsticks
    uint64_t images;  // that it held when the folder was made
    double threshold; // of its yardsticks
} ak_run_collection;

typedef struct {
    char id[AK_RUN_ID_MAX];
    uint64_t seed;   // of the run: views, batches, crops of the gate
    double budget_s; // of training alone; > 0
    bool ask;        // a person promotes or refuses what passes the gate
    double
        same_score; // calibrated: above it two pictures are likely the same. 0: the run finds out
    ak_refine_recipe recipe;
    ak_run_collection *collections; // borrowed by begin; owned by an ak_rundir
    size_t collections_n;
} ak_run;

typedef struct {
    ak_sha256 sha256;  // of the picture's content, not of its proxy
    size_t collection; // index into the run's; a picture of several comes once, of an inside one
    ak_role role;      // ak_role_of
    bool trained;      // an earlier run was trained on it
    const char *album, *caption; // NULL: none
    const char *const *tags;
    size_t tags_n;
} ak_run_picture;

typedef struct {
    ak_sha256 query, result;
    bool similar;
} ak_run_pair;

// --- making one (one thread) --------------------------------------------------------------------

typedef struct ak_rundir_maker ak_rundir_maker;

// Makes the folder; what an earlier, killed creator left in it is removed. run is borrowed until
// commit. AK_CONFLICT when a whole run is there; AK_BAD_VALUE for a budget of 0 or no collection.
ak_status ak_rundir_begin(ak_rundir_maker **out, const char *folder, const ak_run *run,
                          ak_error *err);

ak_status ak_rundir_incumbent(ak_rundir_maker *maker, ak_bytes model, ak_error *err);

// Everything is copied. *full is set when one of the caps is reached and the picture was left out;
// none that follow would be taken either. A picture that is there already is left out silently.
ak_status ak_rundir_add(ak_rundir_maker *maker, const ak_run_picture *picture, ak_bytes proxy,
                        bool *full, ak_error *err);

// Pairs of pictures that are not in the folder do no harm; those over the cap are left out.
ak_status ak_rundir_pair(ak_rundir_maker *maker, const ak_run_pair *pair, ak_error *err);

// Makes the folder whole, or removes it and says why it cannot be a run: AK_CONFLICT with the least
// numbers when there is too little to train on or to measure by. The maker is freed either way.
ak_status ak_rundir_commit(ak_rundir_maker *maker, ak_error *err);

// Removes what was made, and frees the maker. NULL is fine.
void ak_rundir_abandon(ak_rundir_maker *maker);

// --- what becomes of it -------------------------------------------------------------------------

// A picture was deleted: its proxy is overwritten, its row and its pairs are taken out. Sums that
// are not there are passed over. A worker that runs drops it at its next step, a gate is to be
// started again. One caller at a time.
ak_status ak_rundir_remove(const char *folder, const ak_sha256 *sums, size_t n, ak_error *err);

// Removes the folder with all that is in it. Fine when there is none.
ak_status ak_rundir_delete(const char *folder, ak_error *err);

// --- reading (the object is immutable; any thread)
// ------------------------------------------------

typedef struct {
    char *folder;
    ak_run run;
    ak_run_picture *pictures; // (pictures_n)
    size_t pictures_n;
    ak_run_pair *pairs; // (pairs_n)
    size_t pairs_n;
    ak_sha256 table; // of the rows of pictures.jsonl: other pictures, another sum
    struct ak_rundir_inside *inside;
} ak_rundir;

// AK_NOT_FOUND for a folder that is not whole; AK_CORRUPT, with the file and the reason, for one
// that is damaged; AK_BAD_VALUE for one of another version.
ak_status ak_rundir_open(ak_rundir **out, const char *folder, ak_error *err);
void ak_rundir_close(ak_rundir *rundir);

// Whether pictures were removed since it was opened.
bool ak_rundir_changed(const ak_rundir *rundir);

// The proxy of picture i, appended to out. AK_NOT_FOUND when it was removed since.
ak_status ak_rundir_proxy(ak_buf *out, const ak_rundir *rundir, size_t i, ak_error *err);

// The index of a picture, or -1.
ptrdiff_t ak_rundir_find(const ak_rundir *rundir, const ak_sha256 *sum);

// One of the files that are read and replaced whole.
#define AK_RUN_INCUMBENT  "incumbent.model"
#define AK_RUN_PLAN       "plan"
#define AK_RUN_CHECKPOINT "checkpoint.state"
#define AK_RUN_CANDIDATE  "candidate.model"
#define AK_RUN_TRAINED    "trained.json"
#define AK_RUN_VERDICT    "verdict.json"

ak_status ak_rundir_write(const char *folder, const char *name, ak_bytes bytes, ak_error *err);
ak_status ak_rundir_read(ak_buf *out, const char *folder, const char *name, ak_error *err);

// trained.json. The caller frees *sums. AK_CORRUPT when it is no list of sums.
ak_status ak_rundir_trained_write(const char *folder, const ak_sha256 *sums, size_t n,
                                  ak_error *err);
ak_status ak_rundir_trained_read(ak_sha256 **sums, size_t *n, const char *folder, ak_error *err);

#endif
