#include "core/views/recipe.h"

#include <string.h>

#define SIGMA_MOST 20.0

#define ROW(type, key, least, most, help)                                                          \
    {                                                                                              \
#key, type, offsetof(ak_view_recipe, key), least, most, help, NULL                         \
    }
#define REAL(key, least, most, help) ROW(AK_FIELD_FLOAT, key, least, most, help)
#define SHARE(key, help)             REAL(key, 0, 1, help)
#define PROBABILITY(key, help)       REAL(key, 0, 1, "probability: " help)

const ak_field ak_view_fields[] = {
    REAL(area_least, 0.001, 1, "smallest crop, share of the picture's area"),
    REAL(area_most, 0.001, 1, "largest crop, share of the picture's area"),
    REAL(aspect_most, 1, 10, "width : height of a crop, between 1 / this and this"),
    PROBABILITY(shrink, "made and spoilt smaller, then scaled up"),
    REAL(shrink_least, 0.05, 1, "smallest side of it, share of the side"),
    REAL(shrink_most, 0.05, 1, "largest side of it, share of the side"),
    PROBABILITY(mirror, "left and right change places"),
    PROBABILITY(jitter, "colours are changed by the four strengths, in random order"),
    SHARE(brightness, "factor between 1 - this and 1 + this"),
    SHARE(contrast, "factor between 1 - this and 1 + this"),
    SHARE(saturation, "factor between 1 - this and 1 + this"),
    REAL(hue, 0, 0.5, "turn of the colour circle, between -this and this"),
    PROBABILITY(grey, "no colour"),
    PROBABILITY(cast, "red, green and blue are scaled and shifted each by itself"),
    SHARE(cast_gain, "factor between 1 - this and 1 + this"),
    REAL(cast_shift, 0, 128, "shift between -this and this, of 0 to 255"),
    PROBABILITY(blur, "Gaussian blur"),
    REAL(blur_least, 0.01, SIGMA_MOST, "smallest sigma, in pixels of a view of 224 px"),
    REAL(blur_most, 0.01, SIGMA_MOST, "largest sigma, in pixels of a view of 224 px"),
    PROBABILITY(solarise, "bright samples are inverted"),
    REAL(solarise_from, 0, 255, "what is bright"),
    PROBABILITY(jpeg, "encoded and decoded again"),
    ROW(AK_FIELD_INT, jpeg_least, 1, 100, "lowest quality"),
    ROW(AK_FIELD_INT, jpeg_most, 1, 100, "highest quality"),
    PROBABILITY(erase, "a rectangle is filled"),
    REAL(erase_least, 0.001, 1, "smallest rectangle, share of the view"),
    REAL(erase_most, 0.001, 1, "largest rectangle, share of the view"),
    SHARE(erase_noise, "of the rectangles: filled with noise instead of the mean colour"),
    {0}};

const ak_field ak_small_fields[] = {
    {"count", AK_FIELD_INT, offsetof(ak_small_views, count), 0, AK_SMALL_VIEWS_MOST,
     "small views a picture", NULL},
    {"side", AK_FIELD_INT, offsetof(ak_small_views, side), 8, 1024, "of a small view, px", NULL},
    {"area_least", AK_FIELD_FLOAT, offsetof(ak_small_views, area_least), 0.001, 1,
     "smallest crop, share of the picture's area", NULL},
    {"area_most", AK_FIELD_FLOAT, offsetof(ak_small_views, area_most), 0.001, 1,
     "largest crop, share of the picture's area", NULL},
    {0}};

#define VIEWS  "views"
#define SECOND "second_view"
#define SMALL  "small_views"

static bool ends(const char *key, const char *with)
{
    size_t n = strlen(key), m = strlen(with);
    return n >= m && strcmp(key + n - m, with) == 0;
}

static double number(const void *from, const ak_field *f)
{
    const void *at = (const char *)from + f->at;
    return f->type == AK_FIELD_INT ? *(const int *)at : (double)*(const float *)at;
}

// In both tables the row of X_least stands before that of X_most.
static ak_status check(const void *from, const ak_field *f, const char *where, ak_error *err)
{
    for (; f->key; f++)
        if (ends(f->key, "_least") && number(from, f) > number(from, f + 1))
            return ak_fail(err, AK_BAD_VALUE, "%s.%s is %g, above %s.%s, which is %g", where,
                           f->key, number(from, f), where, f[1].key, number(from, f + 1));
    return AK_OK;
}

ak_status ak_view_plan_check(const ak_view_plan *plan, ak_error *err)
{
    ak_status status = check(&plan->first, ak_view_fields, VIEWS, err);
    if (status == AK_OK)
        status = check(&plan->second, ak_view_fields, SECOND, err);
    return status == AK_OK ? check(&plan->small, ak_small_fields, SMALL, err) : status;
}

ak_status ak_view_plan_read(ak_view_plan *plan, const json_t *file, ak_error *err)
{
    const json_t *views = json_object_get(file, VIEWS), *second = json_object_get(file, SECOND),
                 *small = json_object_get(file, SMALL);
    ak_view_plan read = *plan;
    ak_status status = AK_OK;
    if (views) {
        status = ak_fields_read(&read.first, ak_view_fields, views, VIEWS, err);
        read.second = read.first;
    }
    if (status == AK_OK && second)
        status = ak_fields_read(&read.second, ak_view_fields, second, SECOND, err);
    if (status == AK_OK && small)
        status = ak_fields_read(&read.small, ak_small_fields, small, SMALL, err);
    if (status == AK_OK)
        status = ak_view_plan_check(&read, err);
    if (status == AK_OK)
        *plan = read;
    return status;
}

ak_status ak_view_plan_write(json_t *file, const ak_view_plan *plan, ak_error *err)
{
    bool same = memcmp(&plan->first, &plan->second, sizeof plan->first) == 0;
    if (json_object_set_new(file, VIEWS, ak_fields_write(&plan->first, ak_view_fields)) != 0 ||
        (!same &&
         json_object_set_new(file, SECOND, ak_fields_write(&plan->second, ak_view_fields)) != 0) ||
        json_object_set_new(file, SMALL, ak_fields_write(&plan->small, ak_small_fields)) != 0)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to write a recipe");
    return AK_OK;
}
