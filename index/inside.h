// The store's inside, for the files of index/ and for tests that count fsyncs, make steps of the
// disk fail, or fold at once. Nothing above index/ includes it.
//
// Threads: any number of callers read; the writer thread (writer.c) owns `catalog` and `proxies`
// and all that changes; the fold thread (fold.c) builds main indexes, cache files and calibrations.
#ifndef AK_INDEX_INSIDE_H
#define AK_INDEX_INSIDE_H

#include "index/blobs.h"
#include "index/generation.h"
#include "index/pins.h"
#include "index/queue.h"
#include "index/readers.h"
#include "index/store.h"

// Writes that only the store itself hands in; `inside` is what the files that make them say.
enum {
    AK_WRITE_MODEL_ADD = 100, // models.c
    AK_WRITE_MODEL_SET,
    AK_WRITE_CHANGE_BEGIN, // change.c
    AK_WRITE_CHANGE_ABANDON,
    AK_WRITE_VECTORS,
    AK_WRITE_SERVE,
};

struct ak_store {
    char *data; // the folder
    ak_store_options options;
    int lock_fd;
    ak_disk disk;
    ak_sql_files *files;
    char id[32];

    // The writer thread's alone once it runs.
    ak_sql *catalog, *proxies;
    ak_blobs blobs;   // reads of it come from any thread
    bool unsettled;   // a group failed half way and what it brought is not removed yet
    bool sweep_due;   // there may be something to clean
    double grumble_s; // when a failed cleaning was last logged

    ak_readers readers;
    ak_pins pins;
    ak_generations generations;

    ak_queue queue;
    pthread_t writer;
    bool writer_runs;

    pthread_mutex_t fold_lock; // guards what follows
    pthread_cond_t fold_wanted;
    bool fold_asked, fold_stop;
    pthread_t folder;
    bool folder_runs;
    pthread_mutex_t folding; // held through a round: the thread's own, or a test's
};

// models.c: model files. The writer puts and removes them.
ak_status ak_models_apply_add(ak_store *store, const ak_write *write, ak_error *err);
ak_status ak_models_apply_set(ak_store *store, const ak_write *write, ak_error *err);
ak_status ak_models_clean_step(ak_store *store, bool *more, ak_error *err);
ak_status ak_models_clean_files(ak_store *store, ak_error *err); // at the start: strays

// room.c: AK_DISK_FULL when fewer bytes are free than options.disk_floor.
ak_status ak_store_room(ak_store *store, ak_error *err);

// writer.c
void ak_writer_sweep(void *store); // there may be something to clean; any thread
ak_status ak_writer_start(ak_store *store, ak_error *err);
void ak_writer_stop(ak_store *store); // after what was handed in

// fold.c
ak_status ak_folder_start(ak_store *store, ak_error *err);
void ak_folder_stop(ak_store *store);
void ak_folder_wake(ak_store *store);
void ak_folder_round(ak_store *store, bool all); // all: whether it is due or not
void ak_folder_drop_cache(ak_store *store, ak_generation *generation); // after it is `dropped`
void ak_folder_cache_path(char out[], size_t size, const ak_store *store, int64_t generation);

// load.c
typedef struct {
    size_t rows;    // images of the collection
    size_t fresh;   // that were not held yet, or showed another picture
    size_t missing; // of those, without a vector
} ak_renewal;

ak_status ak_load_generations(ak_store *store, ak_error *err); // at the start
// One that nobody shares yet, with its vectors and its calibration, as the connection's state has
// them, folded.
ak_status ak_load_aside(ak_generation **out, const ak_generation_row *row, ak_sql *db,
                        ak_error *err);
// The rows of one that nobody shares become those of the connection's state.
ak_status ak_load_renew(ak_renewal *out, ak_generation *generation, ak_sql *db, uint64_t sequence,
                        ak_error *err);

// clean.c, all on the writer thread or before it runs.
// What a group brought whose catalog commit did not come is removed again.
ak_status ak_clean_arrivals(ak_store *store, ak_error *err);
// Files that a crash left in blobs/incoming.
ak_status ak_clean_incoming(ak_store *store, ak_error *err);
// One bounded step of removing what deletions left; *more: there is more to do.
ak_status ak_clean_step(ak_store *store, bool *more, ak_error *err);

#endif
