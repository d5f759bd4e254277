// What a refinement run is told: how to train, and how to judge.
//
// A recipe travels by value in the run's run.json, so a run can be repeated when the defaults have
// changed. Three objects of fields: "train", "views", "gate".
#ifndef AK_REFINE_RECIPE_H
#define AK_REFINE_RECIPE_H

#include "core/base/fields.h"
#include "core/views/recipe.h"

typedef enum {
    AK_PRIMARY_PARTS,
    AK_PRIMARY_MEANING,
    AK_PRIMARY_NEIGHBOURHOODS,
    AK_PRIMARY_AUTO, // meaning where there is enough of it, else neighbourhoods
} ak_primary;

// What the contrast and feedback see: the projection by the head, or what the whitening makes of
// the features (the descriptor without its colour part), which is what is searched by.
typedef enum { AK_TUNE_PROJECTION, AK_TUNE_DESCRIPTOR } ak_tune_level;

typedef struct {
    struct {
        bool weights;              // train the network at all
        int side;                  // px of the views
        uint64_t steps;            // at most; 0: as many as the budget holds
        uint64_t batch;            // pictures a step, two views each
        double replay;             // share of a batch from earlier runs and other collections
        float rate, momentum;      // of SGD
        double warm_up;            // share of the run
        float clip;                // longest gradient
        float average;             // of the weights: share kept a step
        int frozen_stages;         // of the network, counted from the stem
        int level;                 // ak_tune_level
        float tau;                 // of the contrast
        float contrast;            // weight of two-view NT-Xent on the projection
        float features, relations; // weights of the distillation to the incumbent
        float feedback;            // weight of supervised contrast on feedback pairs
        double masked;             // share of pairs, the most similar ones, that are no negatives
        uint64_t neighbours;  // pictures that are mutually among so many nearest are noisy pairs
        double couples;       // share of a batch for noisy pairs
        float noisy, noisy_q; // weight and q of RINCE on pairs from albums and tags
        float neighbourhoods; // weight of 1 - cosine to what is around a picture
        double held_out;      // share of the pictures that is kept to choose the factor by
        bool interpolate;     // choose the factor; false: the whole step
        bool smoothing;       // fit it (core/refine/smoothing.h)
        uint64_t smoothing_neighbours;
        double smoothing_ridge;
        double save_s; // between checkpoints
    } train;
    ak_view_recipe views;
    struct {
        int primary;            // ak_primary
        double gain_least;      // that the primary measure must gain, 0.005: half a point
        double meaning_gain;    // the same where that is meaning, as a share of the incumbent's
        double margin;          // by which no other measure's lower bound may fall
        double copies_margin;   // the same for copies, the mean of all families
        double parts_margin;    // the same for parts, where they are not primary
        double meaning_margin;  // the same for meaning, as a share of the incumbent's
        double family_margin;   // the same for one family of copies
        double old_margin;      // the same for old ground
        double rank_least;      // effective rank, candidate : incumbent
        uint64_t yardsticks;    // at least; fewer are refused
        uint64_t meaning_least; // yardsticks with something in common, before meaning counts
        uint64_t resamples;     // of the bootstrap
        uint64_t pool;          // pictures to search among, at most
    } gate;
} ak_refine_recipe;

extern const ak_refine_recipe ak_refine_recipe_default;

// A recipe by name ("default", "smoothing"). AK_BAD_VALUE names those there are.
ak_status ak_refine_recipe_named(ak_refine_recipe *out, const char *name, ak_error *err);

// Changes what the object names; the rest stays.
ak_status ak_refine_recipe_read(ak_refine_recipe *recipe, const json_t *object, ak_error *err);

// NULL: no memory.
json_t *ak_refine_recipe_write(const ak_refine_recipe *recipe);

#endif
