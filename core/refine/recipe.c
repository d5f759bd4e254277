#include "core/refine/recipe.h"

#include "core/refine/near.h"

#include <string.h>

// The reasons stand in docs/refinement.md.
const ak_refine_recipe ak_refine_recipe_default = {
    .train = {.weights = true,
              .side = 96,
              .batch = 64,
              .replay = 0.5,
              .rate = 0.02f,
              .momentum = 0.9f,
              .warm_up = 0.05,
              .clip = 5.0f,
              .average = 0.99f,
              .frozen_stages = 2,
              .level = AK_TUNE_DESCRIPTOR,
              .tau = 0.1f,
              .contrast = 0.0f, // two views alone pull kinds apart
              .features = 1.0f,
              .relations = 1.0f,
              .feedback = 0.5f,
              .masked = 0.05,
              .neighbours = 0,
              .couples = 0.25,
              .noisy = 0.3f,
              .noisy_q = 0.02f,
              .neighbourhoods = 1.0f,
              .held_out = 0.1,
              .interpolate = true,
              .smoothing = true,
              .smoothing_neighbours = 50,
              .smoothing_ridge = 0.3,
              .save_s = 20},
    .views = {.area_least = 0.5f,
              .area_most = 1.0f,
              .aspect_most = 4.0f / 3.0f,
              .shrink = 0.15f,
              .shrink_least = 0.25f,
              .shrink_most = 0.5f,
              .mirror = 0.5f,
              .jitter = 0.3f,
              .brightness = 0.2f,
              .contrast = 0.2f,
              .saturation = 0.2f,
              .hue = 0.01f,
              .blur = 0.1f,
              .blur_least = 0.1f,
              .blur_most = 2.0f,
              .solarise_from = 128.0f,
              .jpeg_least = 10,
              .jpeg_most = 70,
              .erase_least = 0.02f,
              .erase_most = 0.2f,
              .erase_noise = 0.5f},
    .gate = {.primary = AK_PRIMARY_AUTO,
             .gain_least = 0.005,
             .meaning_gain = 0.01,
             .margin = 0.01,
             .copies_margin = 0.02,
             .parts_margin = 0.03,
             .meaning_margin = 0.02,
             .family_margin = 0.05,
             .old_margin = 0.005,
             .rank_least = 0.9,
             .yardsticks = 40,
             .meaning_least = 100,
             .resamples = 10000,
             .pool = 10000},
};

static const char *const levels[] = {"projection", "descriptor", NULL};
static const char *const primaries[] = {"parts", "meaning", "neighbourhoods", "auto", NULL};

#define TRAIN(type, member, low, high, help)                                                       \
    {                                                                                              \
#member, AK_FIELD_##type, offsetof(ak_refine_recipe, train.member), low, high, help, NULL  \
    }
#define GATE(type, member, low, high, help, names)                                                 \
    {                                                                                              \
#member, AK_FIELD_##type, offsetof(ak_refine_recipe, gate.member), low, high, help, names  \
    }

static const ak_field train_fields[] = {
    TRAIN(BOOL, weights, 0, 1, "train the network; false: fit a smoothing alone"),
    TRAIN(INT, side, 16, 256, "px of the views"),
    TRAIN(COUNT, steps, 0, 1e9, "at most; 0: as many as the budget holds"),
    TRAIN(COUNT, batch, 8, 1024, "pictures a step, two views each"),
    TRAIN(DOUBLE, replay, 0, 0.9, "share of a batch from earlier runs and other collections"),
    TRAIN(FLOAT, rate, 1e-7, 10, "of SGD at its highest"),
    TRAIN(FLOAT, momentum, 0, 0.999, "of SGD"),
    TRAIN(DOUBLE, warm_up, 0, 0.5, "share of the run in which the rate rises"),
    TRAIN(FLOAT, clip, 1e-3, 1e6, "longest gradient"),
    TRAIN(FLOAT, average, 0, 0.99999, "of the weights: share kept a step"),
    TRAIN(INT, frozen_stages, 0, 4, "stages that stay as they are, the stem with the first"),
    {"level", AK_FIELD_CHOICE, offsetof(ak_refine_recipe, train.level), 0, 0, "what is contrasted",
     levels},
    TRAIN(FLOAT, tau, 0.01, 2, "temperature of the contrast"),
    TRAIN(FLOAT, contrast, 0, 100, "weight of two-view NT-Xent"),
    TRAIN(FLOAT, features, 0, 100, "weight of staying near the incumbent's features"),
    TRAIN(FLOAT, relations, 0, 100, "weight of staying near its similarities"),
    TRAIN(FLOAT, feedback, 0, 100, "weight of supervised contrast on feedback pairs"),
    TRAIN(DOUBLE, masked, 0, 0.9, "share of pairs, the most similar, that are no negatives"),
    TRAIN(COUNT, neighbours, 0, AK_NEIGHBOURS_MAX, "mutually among so many nearest: a noisy pair"),
    TRAIN(DOUBLE, couples, 0, 0.75, "share of a batch for noisy pairs"),
    TRAIN(FLOAT, noisy, 0, 100, "weight of RINCE on noisy pairs: of one album, tag, neighbourhood"),
    TRAIN(FLOAT, noisy_q, 0.01, 1, "q of RINCE: 1 trusts no pair more than another"),
    TRAIN(FLOAT, neighbourhoods, 0, 100, "weight of moving towards what is around a picture"),
    TRAIN(DOUBLE, held_out, 0.02, 0.5, "share of the pictures that chooses the factor"),
    TRAIN(BOOL, interpolate, 0, 1, "choose the factor; false: the whole step"),
    TRAIN(BOOL, smoothing, 0, 1, "smooth descriptors towards their neighbourhoods"),
    TRAIN(COUNT, smoothing_neighbours, 1, AK_NEIGHBOURS_MAX, "that a descriptor is smoothed by"),
    TRAIN(DOUBLE, smoothing_ridge, 1e-3, 1e6, "what keeps the smoothing small"),
    TRAIN(DOUBLE, save_s, 0.1, 3600, "seconds between checkpoints"),
    {0}};

static const ak_field gate_fields[] = {
    GATE(CHOICE, primary, 0, 0, "the measure that must gain", primaries),
    GATE(DOUBLE, gain_least, 0, 1, "that the primary measure must gain", NULL),
    GATE(DOUBLE, meaning_gain, 0, 1, "where that is meaning, as a share of the incumbent's", NULL),
    GATE(DOUBLE, margin, 0, 1, "by which no other measure's lower bound may fall", NULL),
    GATE(DOUBLE, copies_margin, 0, 1, "the same for copies, the mean of all families", NULL),
    GATE(DOUBLE, parts_margin, 0, 1, "the same for parts, where they are not primary", NULL),
    GATE(DOUBLE, meaning_margin, 0, 1, "the same for meaning, as a share of the incumbent's", NULL),
    GATE(DOUBLE, family_margin, 0, 1, "the same for one family of copies", NULL),
    GATE(DOUBLE, old_margin, 0, 1, "the same for old ground", NULL),
    GATE(DOUBLE, rank_least, 0, 1, "effective rank, candidate : incumbent", NULL),
    GATE(COUNT, yardsticks, 2, 1e6, "yardsticks, at least", NULL),
    GATE(COUNT, meaning_least, 2, 1e6, "yardsticks with something in common, at least", NULL),
    GATE(COUNT, resamples, 100, 1e6, "of the bootstrap", NULL),
    GATE(COUNT, pool, 10, 1e5, "pictures to search among, at most", NULL),
    {0}};

static const struct {
    const char *key;
    const ak_field *fields;
    size_t at; // what their places are counted from
} groups[] = {{"train", train_fields, 0},
              {"views", ak_view_fields, offsetof(ak_refine_recipe, views)},
              {"gate", gate_fields, 0}};

#define GROUPS (sizeof groups / sizeof *groups)

ak_status ak_refine_recipe_named(ak_refine_recipe *out, const char *name, ak_error *err)
{
    *out = ak_refine_recipe_default;
    if (strcmp(name, "default") == 0)
        return AK_OK;
    if (strcmp(name, "smoothing") == 0) {
        out->train.weights = false;
        out->train.smoothing = true;
        return AK_OK;
    }
    return ak_fail(err, AK_BAD_VALUE, "there is no recipe \"%s\"; possible are default, smoothing",
                   name);
}

ak_status ak_refine_recipe_read(ak_refine_recipe *recipe, const json_t *object, ak_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return ak_fail(err, AK_BAD_VALUE, "the recipe must be an object");
    json_object_foreach((json_t *)object, key, value)
    {
        size_t i = 0;
        while (i < GROUPS && strcmp(groups[i].key, key) != 0)
            i++;
        if (i == GROUPS)
            return ak_fail(err, AK_BAD_VALUE,
                           "there is no \"recipe.%s\"; possible are train, views, gate", key);
        char where[32] = "recipe.";
        strcat(where, groups[i].key);
        ak_status status =
            ak_fields_read((char *)recipe + groups[i].at, groups[i].fields, value, where, err);
        if (status != AK_OK)
            return status;
    }
    ak_view_plan plan = AK_VIEW_PLAN_DEFAULT;
    plan.first = plan.second = recipe->views;
    return ak_view_plan_check(&plan, err);
}

json_t *ak_refine_recipe_write(const ak_refine_recipe *recipe)
{
    json_t *object = json_object();
    for (size_t i = 0; i < GROUPS && object; i++)
        if (json_object_set_new(
                object, groups[i].key,
                ak_fields_write((const char *)recipe + groups[i].at, groups[i].fields)) != 0) {
            json_decref(object);
            object = NULL;
        }
    return object;
}
