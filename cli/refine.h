// What cli/refine.c and cli/refine_make.c share.
#ifndef AK_CLI_REFINE_H
#define AK_CLI_REFINE_H

#include "cli/options.h"
#include "core/refine/rundir.h"

// How a developer makes a run's folder without a daemon.
typedef struct {
    const char *data;       // the run's collection: a tar or folder
    ak_option_list more;    // further ones of the same collection
    ak_option_list old;     // other collections, one each
    const char *model;      // the incumbent
    const char *captions;   // lines of name, tab, caption; a name may come again
    const char *feedback;   // lines of name, tab, name, tab, similar or different
    const char *recipe;     // by name
    ak_option_list changes; // "train.rate=0.01"
    long seed;
    double budget_s, same_score;
    bool trained; // the other collections were trained on before
} ak_refine_make;

ak_status ak_refine_make_folder(const char *folder, const ak_refine_make *make, ak_error *err);

#endif
