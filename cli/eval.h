// Between the files of `akin eval`: what was embedded, what is measured on it, how it is shown.
//
//   eval.c           the command: options, reading, embedding
//   eval_measures.c  the table of measures
//   eval_report.c    tables and JSON
#ifndef AK_CLI_EVAL_H
#define AK_CLI_EVAL_H

#include "cli/report.h"
#include "core/eval/embed_set.h"

#define AK_EVAL_RANDOM_MAX (AK_EMBED_SET_MODELS - 1) // random nets beside the model
#define AK_EVAL_COLUMNS    16
#define AK_EVAL_ROWS       4 // model, random weights, histogram, perceptual hash

// The pictures: those of PATHs first, then distractors or the bank.
typedef struct {
    ak_embed_set set;
    size_t own;            // pictures of PATHs
    size_t classes, alone; // of those: classes, pictures alone in theirs
    int32_t *labels;       // (pictures) as the set's, but a label of its own for each distractor
    bool bank;             // the rest are no distractors but vote
} ak_eval_data;

// The pictures as one describer sees them: unit vectors, compared by the dot product. Borrowed.
typedef struct {
    const float *pictures, *altered; // (n, dims); altered: of one measure, (queries, alterations)
    size_t dims;
} ak_eval_view;

typedef struct {
    const char *key;   // in the JSON
    const char *title; // in the table; NULL: it stands in the JSON alone
} ak_eval_column;

typedef struct {
    const char *name, *about;
    ak_alteration first; // altered pictures that it needs: so many from this one on
    size_t alterations;
    ak_eval_column columns[AK_EVAL_COLUMNS]; // ended by one without a key
    // values: a share, 0 to 1, for each column
    ak_status (*measure)(double *values, size_t *queries, const ak_eval_data *data,
                         const ak_eval_view *view, ak_error *err);
} ak_eval_measure;

extern const ak_eval_measure ak_eval_measures[]; // ended by one without a name

typedef struct {
    const char *name;
    size_t seeds;                   // that the values are the mean of; 0: the row is empty
    double values[AK_EVAL_COLUMNS]; // per cent
    double least[AK_EVAL_COLUMNS], most[AK_EVAL_COLUMNS]; // of the seeds
} ak_eval_row;

typedef struct {
    const ak_eval_measure *measure;
    ak_eval_row rows[AK_EVAL_ROWS];
    size_t queries;
} ak_eval_result;

// Measures all that was embedded by these options: models[0] is the model, the others random nets.
ak_status ak_eval_measure_all(ak_eval_result *result, const ak_eval_measure *measure,
                              const ak_eval_data *data, const ak_embed_options *options,
                              ak_error *err);

void ak_eval_print(const ak_eval_result *results, size_t count, const ak_eval_data *data,
                   const char *model_id);

// With one measure its members stand beside the set's, with several each measure's under its name.
json_t *ak_eval_json(const ak_eval_result *results, size_t count, const ak_eval_data *data,
                     const char *model_id);

#endif
