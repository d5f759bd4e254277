// The inside of a run's folder, for core/refine/rundir*.c alone.
#ifndef AK_REFINE_RUNDIR_INSIDE_H
#define AK_REFINE_RUNDIR_INSIDE_H

#include "core/refine/rundir.h"

#include <sys/types.h>

#define RUN_FILE      "run.json"
#define PICTURES_FILE "pictures"
#define TABLE_FILE    "pictures.jsonl"
#define PAIRS_FILE    "pairs.jsonl"

#define RUN_VERSION 1
#define TABLE_LIMIT ((size_t)256 << 20) // bytes of a table
#define RUN_LIMIT   ((size_t)4 << 20)   // bytes of run.json

// Where a proxy lies.
typedef struct {
    uint64_t at, bytes;
    ak_sha256 sum;
} place;

struct ak_rundir_inside {
    int fd;             // of the proxies
    ino_t inode;        // of the table
    place *places;      // (pictures_n)
    json_t **texts;     // (pictures_n) what the texts of a row are borrowed from; NULL: it has none
    const char ***tags; // (pictures_n) likewise
    uint32_t *sorted;   // (pictures_n) by sum
};

// folder/name; the caller frees. NULL: no memory.
char *ak_rundir_path(const char *folder, const char *name);

#endif
