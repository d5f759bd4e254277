// Recipes: what is done to a picture to make a view of it, and which views a picture gets.
#ifndef AK_VIEWS_RECIPE_H
#define AK_VIEWS_RECIPE_H

#include "core/base/fields.h"

// Named after what is done, a number is the probability of it; the others are its ranges.
typedef struct {
    float area_least, area_most; // of the crop, as shares of the picture
    float aspect_most;           // width : height between 1 / this and this
    float shrink;                // made and spoilt at a share of the side, then scaled up
    float shrink_least, shrink_most;
    float mirror;
    float jitter;
    float brightness, contrast, saturation, hue; // strengths of the jitter; hue in turns
    float grey;
    float cast;                  // of the light: each channel is scaled and shifted by itself
    float cast_gain, cast_shift; // at most, about 1 and, of 0 to 255, about 0
    float blur;
    float blur_least, blur_most; // sigma in pixels of a view of 224 px, scaled to the side
    float solarise;
    float solarise_from; // samples from this on, of 0 to 255, are inverted
    float jpeg;
    int jpeg_least, jpeg_most; // quality
    float erase;
    float erase_least, erase_most; // shares of the view
    float erase_noise;             // of the erased: how many are filled with noise, not the mean
} ak_view_recipe;

#define AK_VIEW_RECIPE_DEFAULT                                                                     \
    ((ak_view_recipe){.area_least = 0.25f,                                                         \
                      .area_most = 1.0f,                                                           \
                      .aspect_most = 4.0f / 3.0f,                                                  \
                      .shrink_least = 0.25f,                                                       \
                      .shrink_most = 0.5f,                                                         \
                      .mirror = 0.5f,                                                              \
                      .jitter = 0.8f,                                                              \
                      .brightness = 0.3f,                                                          \
                      .contrast = 0.3f,                                                            \
                      .saturation = 0.3f,                                                          \
                      .hue = 0.02f,                                                                \
                      .grey = 0.05f,                                                               \
                      .cast_gain = 0.25f,                                                          \
                      .cast_shift = 16.0f,                                                         \
                      .blur_least = 0.1f,                                                          \
                      .blur_most = 2.0f,                                                           \
                      .solarise_from = 128.0f,                                                     \
                      .jpeg_least = 10,                                                            \
                      .jpeg_most = 70,                                                             \
                      .erase_least = 0.02f,                                                        \
                      .erase_most = 0.2f,                                                          \
                      .erase_noise = 0.5f})

// Multi-crop (Caron et al., 2020): further, smaller views of small parts, otherwise made by the
// first view's recipe.
typedef struct {
    int count, side;
    float area_least, area_most;
} ak_small_views;

#define AK_SMALL_VIEWS_MOST 8
#define AK_SMALL_VIEWS_DEFAULT                                                                     \
    ((ak_small_views){.count = 0, .side = 32, .area_least = 0.05f, .area_most = 0.25f})

// All views of a picture.
typedef struct {
    ak_view_recipe first, second;
    ak_small_views small;
} ak_view_plan;

#define AK_VIEW_PLAN_DEFAULT                                                                       \
    ((ak_view_plan){AK_VIEW_RECIPE_DEFAULT, AK_VIEW_RECIPE_DEFAULT, AK_SMALL_VIEWS_DEFAULT})

extern const ak_field ak_view_fields[];  // of ak_view_recipe
extern const ak_field ak_small_fields[]; // of ak_small_views

// Reads the sections "views", "second_view" and "small_views" of a recipe file and passes over the
// others. "views" is both views'; what "second_view" names is the second's alone.
ak_status ak_view_plan_read(ak_view_plan *plan, const json_t *file, ak_error *err);

// Sets the sections in `file`; "second_view" only where the second view differs.
ak_status ak_view_plan_write(json_t *file, const ak_view_plan *plan, ak_error *err);

// AK_BAD_VALUE when the lower end of a range is above its upper end.
ak_status ak_view_plan_check(const ak_view_plan *plan, ak_error *err);

#endif
