// The parts of `akin train`: what is shown of a run, and its log.
//
// A run's log is a file of JSON lines, FILE.log beside the model: one object a report. A resumed
// run appends to it. The curves (--plot) are drawn from it.
#ifndef AK_CLI_TRAIN_H
#define AK_CLI_TRAIN_H

#include "core/learn/trainer.h"

typedef struct {
    const ak_recipe *recipe;    // names the terms
    const char *log;            // path
    bool json;                  // lines on standard output rather than a line on standard error
    double next_line, next_log; // when to report again
    double knn;                 // of the last look at the hold-out; NAN: none
} ak_train_report;

void ak_train_report_init(ak_train_report *report, const ak_recipe *recipe, const char *log,
                          bool json);

// Reports when it is time, or when `last` says so. A log that cannot be written is an error.
ak_status ak_train_report_step(ak_train_report *report, const ak_train_progress *progress,
                               bool last, ak_error *err);

typedef struct ak_train_holdout ak_train_holdout;

// Reads and resizes the pictures of a tar or folder, whose first folders are their classes.
ak_status ak_train_holdout_new(ak_train_holdout **out, const char *path, const ak_recipe *recipe,
                               size_t memory_limit, ak_error *err);
void ak_train_holdout_free(ak_train_holdout *holdout);

// Share of the pictures whose class its 20 nearest say.
ak_status ak_train_holdout_knn(double *accuracy, const ak_train_holdout *holdout,
                               const ak_trained *trained, ak_error *err);

// Draws the curves of a log.
ak_status ak_train_plot(const char *out, const char *log, ak_error *err);

#endif
