// What a training run is made of: network, objectives, views, optimiser, schedule, descriptor.
//
// A recipe is a JSON file; what it leaves out is as ak_recipe_default() has it. The named recipes
// are such texts, built in. A run's state holds its recipe, so that it goes on only with the same.
#ifndef AK_LEARN_RECIPE_H
#define AK_LEARN_RECIPE_H

#include "core/base/fields.h"
#include "core/base/mem.h"
#include "core/describe/fit_set.h"
#include "core/learn/optimiser.h"
#include "core/nn/graph.h"
#include "core/nn/head.h"
#include "core/objective/objective.h"
#include "core/views/recipe.h"

#define AK_TERMS_MAX 4

// Where a term of the loss reads: the pooled features, the projection of those by the head, or the
// prediction that BYOL's predictor makes of the projection.
typedef enum { AK_LEVEL_FEATURES, AK_LEVEL_PROJECTION, AK_LEVEL_PREDICTION, AK_LEVELS } ak_level;

// One objective with a weight. The loss is the weighted sum of the terms.
typedef struct {
    const ak_objective *objective;
    ak_objective_params params;
    int level; // ak_level
    float weight;
} ak_term;

// The momentum encoder that gives targets and keys, where an objective asks for those.
typedef struct {
    double start, end; // share of it that a step keeps, from start to end by a cosine
    uint64_t queue;    // keys in the queue; a multiple of the batch's 2 n
    int groups;        // parts of the shuffled key batch with batch statistics of their own
} ak_momentum;

// How the model describes pictures once it is trained (core/describe).
typedef struct {
    int side;
    uint64_t dims;                 // of the whitened part
    float power, shrink;           // of the whitening
    float colour, layout, palette; // weights of these parts
    ak_fit_weights pairs;          // that the whitening is learned from
    uint64_t fit;                  // training pictures that the whitening is fitted on
} ak_describe_recipe;

typedef struct {
    ak_resnet net;
    ak_head head, predictor; // their `in` and the predictor's `out` follow from the others
    ak_term terms[AK_TERMS_MAX];
    size_t terms_n;
    ak_momentum momentum;
    ak_view_plan views;
    uint64_t batch;              // pictures a step, two views each
    uint64_t pictures_per_class; // in a batch; 0: whatever the shuffle brings
    bool mask_labels;            // pictures of one class are no negatives of each other
    int side;                    // px, for the first part of the run
    int late_side;               // px, from late_from on
    double late_from;            // share of the run
    ak_optimiser_settings optimiser;
    float average; // moving average of the weights: share kept a step
    ak_describe_recipe describe;
    uint64_t seed;
    bool bf16; // used where the processor has it
} ak_recipe;

ak_recipe ak_recipe_default(void);

// Reads over what *recipe holds. where: the file's name, for messages.
ak_status ak_recipe_read(ak_recipe *recipe, ak_bytes text, const char *where, ak_error *err);

// One value by its path, as a command line gives it: "views.hue=0.02", "objectives.0.tau=0.1".
ak_status ak_recipe_set(ak_recipe *recipe, const char *assignment, ak_error *err);

// A new JSON object with every value; NULL when there is no memory.
json_t *ak_recipe_write(const ak_recipe *recipe);

// Whether a term is one-sided, and so wants the momentum encoder; whether one reads predictions.
bool ak_recipe_wants_target(const ak_recipe *recipe);
bool ak_recipe_wants_predictor(const ak_recipe *recipe);

// AK_BAD_VALUE for what is possible value by value but not together.
ak_status ak_recipe_check(const ak_recipe *recipe, ak_error *err);

// The built-in recipes; the list ends with one without a name.
typedef struct {
    const char *name, *about, *text;
} ak_named_recipe;

extern const ak_named_recipe ak_named_recipes[];

// A built-in recipe by name, or the file of that path, read over the default.
ak_status ak_recipe_load(ak_recipe *recipe, const char *name_or_path, ak_error *err);

#endif
