#include "core/learn/recipe.h"

#include "core/base/file.h"

#include <string.h>

#define PATH_LIMIT   128               // bytes of a path in a recipe
#define RECIPE_LIMIT ((size_t)1 << 20) // bytes of a recipe file

// Half of the views are spoilt as copies are: what finds its other view then finds its copies, and
// the sharpness of a source is no clue to the class.
static ak_view_recipe default_views(void)
{
    ak_view_recipe v = AK_VIEW_RECIPE_DEFAULT;
    v.shrink = 0.5f;
    v.shrink_least = 0.25f;
    v.shrink_most = 1.0f;
    v.jpeg = 0.3f;
    v.blur = 0.2f;
    v.blur_most = 6.0f;
    v.cast = 0.4f;
    return v;
}

ak_recipe ak_recipe_default(void)
{
    ak_recipe r = {
        .net = AK_RN10,
        .head = AK_HEAD_PROJECTION,
        .predictor = AK_HEAD_PREDICTOR,
        .terms = {{.objective = ak_objective_find("proxy_softmax"),
                   .params = {.tau = 0.05, .smoothing = 0.1},
                   .level = AK_LEVEL_FEATURES,
                   .weight = 1},
                  {.objective = ak_objective_find("nt_xent"),
                   .params = {.tau = 0.2},
                   .level = AK_LEVEL_PROJECTION,
                   .weight = 0.5f}},
        .terms_n = 2,
        .momentum = {.start = 0.99, .end = 1, .queue = 4096, .groups = 4},
        .views = AK_VIEW_PLAN_DEFAULT,
        .batch = 128,
        .mask_labels = true,
        .side = 64,
        .late_side = 96,
        .late_from = 0.8,
        .average = 0.999f,
        .describe = {.side = 112,
                     .dims = 256,
                     .power = 0.75f,
                     .shrink = 0.1f,
                     .colour = 3.7f,
                     .layout = 0.4f,
                     .palette = 0.35f,
                     .pairs = AK_FIT_WEIGHTS_DEFAULT,
                     .fit = 12000},
        .seed = 1,
        .bf16 = true,
    };
    r.views.first = r.views.second = default_views();
    r.optimiser = ak_optimiser_default;
    return r;
}

#define AT(member) offsetof(ak_recipe, member)
static const ak_field top_fields[] = {
    {"batch", AK_FIELD_COUNT, AT(batch), 2, 4096, "pictures a step, two views each", NULL},
    {"pictures_per_class", AK_FIELD_COUNT, AT(pictures_per_class), 0, 4096,
     "of a class in a batch; 0: as the shuffle brings them", NULL},
    {"mask_labels", AK_FIELD_BOOL, AT(mask_labels), 0, 0,
     "pictures of one class are no negatives of each other", NULL},
    {"side", AK_FIELD_INT, AT(side), 8, 1024, "px of the views", NULL},
    {"late_side", AK_FIELD_INT, AT(late_side), 8, 1024, "px of the views late in the run", NULL},
    {"late_from", AK_FIELD_DOUBLE, AT(late_from), 0, 1, "share of the run, from where it is late",
     NULL},
    {"average", AK_FIELD_FLOAT, AT(average), 0, 0.999999, "share that the moving average keeps",
     NULL},
    {"seed", AK_FIELD_COUNT, AT(seed), 0, 9e15, "of everything random", NULL},
    {"bf16", AK_FIELD_BOOL, AT(bf16), 0, 0, "compute in bf16 where the processor has it", NULL},
    {0}};
#undef AT

#define AT(member) offsetof(ak_momentum, member)
static const ak_field momentum_fields[] = {
    {"start", AK_FIELD_DOUBLE, AT(start), 0, 1, "share that the momentum encoder keeps at first",
     NULL},
    {"end", AK_FIELD_DOUBLE, AT(end), 0, 1, "the same at the end of the run", NULL},
    {"queue", AK_FIELD_COUNT, AT(queue), 0, 1 << 20, "keys in the queue", NULL},
    {"groups", AK_FIELD_INT, AT(groups), 1, 64,
     "parts of the shuffled keys with batch statistics of their own", NULL},
    {0}};
#undef AT

#define AT(member) offsetof(ak_describe_recipe, member)
static const ak_field describe_fields[] = {
    {"side", AK_FIELD_INT, AT(side), 16, 512, "px that the model serves at", NULL},
    {"dims", AK_FIELD_COUNT, AT(dims), 1, 4096, "of the whitened part of a descriptor", NULL},
    {"power", AK_FIELD_FLOAT, AT(power), 0, 2, "of the whitening", NULL},
    {"shrink", AK_FIELD_FLOAT, AT(shrink), 0, 10, "of the whitening, in mean eigenvalues", NULL},
    {"colour", AK_FIELD_FLOAT, AT(colour), 0, 1000, "weight of the colour part, 0: none", NULL},
    {"layout", AK_FIELD_FLOAT, AT(layout), 0, 1000, "weight of the layout part, 0: none", NULL},
    {"palette", AK_FIELD_FLOAT, AT(palette), 0, 1000, "weight of the palette part, 0: none", NULL},
    {"kin", AK_FIELD_FLOAT, AT(pairs.kin), 0, 1000, "weight of pairs of one class", NULL},
    {"parts", AK_FIELD_FLOAT, AT(pairs.parts), 0, 1000, "of parts of one picture", NULL},
    {"copies", AK_FIELD_FLOAT, AT(pairs.copies), 0, 1000, "of a picture and its copy", NULL},
    {"fit", AK_FIELD_COUNT, AT(fit), 2, 1e7, "training pictures to fit the whitening on", NULL},
    {0}};
#undef AT

static const char *const levels[] = {"features", "projection", "prediction", NULL};

#define AT(member) offsetof(ak_term, member)
static const ak_field term_fields[] = {
    {"on", AK_FIELD_CHOICE, AT(level), 0, 0, "where the objective reads", levels},
    {"weight", AK_FIELD_FLOAT, AT(weight), 0, 1000, "of the objective in the loss", NULL},
    {0}};
#undef AT

// The members that are objects, each with a table of its own.
typedef struct {
    const char *key;
    size_t at;
    const ak_field *table;
} part;

static const part parts[] = {
    {"net", offsetof(ak_recipe, net), ak_resnet_fields},
    {"head", offsetof(ak_recipe, head), ak_head_fields},
    {"predictor", offsetof(ak_recipe, predictor), ak_head_fields},
    {"momentum", offsetof(ak_recipe, momentum), momentum_fields},
    {"optimiser", offsetof(ak_recipe, optimiser), ak_optimiser_fields},
    {"describe", offsetof(ak_recipe, describe), describe_fields},
};
// Read and written by core/views.
static const char *const view_sections[] = {"views", "second_view", "small_views", NULL};

#define PARTS (sizeof parts / sizeof *parts)

// Targets without negatives need a predictor before them, or the embedding collapses.
static int default_level(const ak_objective *o)
{
    return o->proxies                  ? AK_LEVEL_FEATURES
           : o->one_sided && !o->queue ? AK_LEVEL_PREDICTION
                                       : AK_LEVEL_PROJECTION;
}

#define PARAMS 6

// The parameters that the objective reads.
static void params_of(ak_field out[PARAMS + 1], const ak_objective *o)
{
    for (size_t i = 0; ak_objective_fields[i].key; i++)
        if (o->uses & 1u << i)
            *out++ = ak_objective_fields[i];
    *out = (ak_field){0};
}

// A key of an objective's entry is its name, one of the term's or one of the objective's own.
static ak_status read_term(ak_term *term, const json_t *entry, const char *where, ak_error *err)
{
    const char *name = json_string_value(json_object_get(entry, "name"));
    if (!name)
        return ak_fail(err, AK_BAD_VALUE, "%s has no \"name\" of an objective", where);
    const ak_objective *o = ak_objective_find(name);
    if (!o)
        return ak_fail(err, AK_BAD_VALUE,
                       "%s: there is no objective \"%s\"; `akin loss --list` names them", where,
                       name);
    *term =
        (ak_term){.objective = o, .params = o->defaults, .level = default_level(o), .weight = 1};
    json_t *mine = json_object(), *its = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)entry, key, value)
    {
        bool of_term = strcmp(key, "on") == 0 || strcmp(key, "weight") == 0;
        if (strcmp(key, "name") != 0)
            json_object_set(of_term ? mine : its, key, value);
    }
    ak_field params[PARAMS + 1];
    params_of(params, o);
    ak_status status = ak_fields_read(term, term_fields, mine, where, err);
    if (status == AK_OK)
        status = ak_fields_read(&term->params, params, its, where, err);
    json_decref(mine);
    json_decref(its);
    return status;
}

static ak_status read_terms(ak_recipe *r, const json_t *list, ak_error *err)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n < 1 || n > AK_TERMS_MAX)
        return ak_fail(err, AK_BAD_VALUE, "objectives must be a list of 1 to %d", AK_TERMS_MAX);
    for (size_t i = 0; i < n; i++) {
        char where[32];
        snprintf(where, sizeof where, "objectives.%zu", i);
        ak_status status = read_term(&r->terms[i], json_array_get(list, i), where, err);
        if (status != AK_OK)
            return status;
    }
    r->terms_n = n;
    return AK_OK;
}

static ak_status read_json(ak_recipe *r, const json_t *object, ak_error *err)
{
    if (!json_is_object(object))
        return ak_fail(err, AK_BAD_VALUE, "a recipe must be a JSON object");
    json_t *rest = json_copy((json_t *)object);
    if (!rest)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a recipe");
    ak_status status = ak_view_plan_read(&r->views, rest, err);
    for (const char *const *key = view_sections; *key; key++)
        json_object_del(rest, *key);
    for (size_t i = 0; i < PARTS && status == AK_OK; i++) {
        json_t *value = json_object_get(rest, parts[i].key);
        if (value)
            status =
                ak_fields_read((char *)r + parts[i].at, parts[i].table, value, parts[i].key, err);
        json_object_del(rest, parts[i].key);
    }
    json_t *list = json_object_get(rest, "objectives");
    if (list && status == AK_OK)
        status = read_terms(r, list, err);
    json_object_del(rest, "objectives");
    if (status == AK_OK)
        status = ak_fields_read(r, top_fields, rest, "", err);
    json_decref(rest);
    return status;
}

static ak_status read_whole(ak_recipe *recipe, const json_t *object, ak_error *err)
{
    ak_recipe read = *recipe;
    ak_status status = read_json(&read, object, err);
    if (status == AK_OK)
        *recipe = read;
    return status;
}

ak_status ak_recipe_read(ak_recipe *recipe, ak_bytes text, const char *where, ak_error *err)
{
    json_error_t at;
    json_t *object = json_loadb((const char *)text.at, text.n, JSON_REJECT_DUPLICATES, &at);
    if (!object)
        return ak_fail(err, AK_BAD_VALUE, "%s:%d: %s", where, at.line, at.text);
    ak_status status = read_whole(recipe, object, err);
    json_decref(object);
    return status == AK_OK || !err ? status : ak_fail_within(err, "%s", where);
}

static json_t *write_terms(const ak_recipe *r)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->terms_n; i++) {
        const ak_term *term = &r->terms[i];
        json_t *entry = json_pack("{s:s}", "name", term->objective->name);
        json_t *mine = ak_fields_write(term, term_fields);
        ak_field params[PARAMS + 1];
        params_of(params, term->objective);
        json_t *its = ak_fields_write(&term->params, params);
        bool whole = entry && mine && its && json_object_update(entry, mine) == 0 &&
                     json_object_update(entry, its) == 0;
        json_decref(mine);
        json_decref(its);
        if (!whole || json_array_append_new(list, entry) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

json_t *ak_recipe_write(const ak_recipe *recipe)
{
    json_t *object = ak_fields_write(recipe, top_fields);
    bool whole = object && json_object_set_new(object, "objectives", write_terms(recipe)) == 0;
    for (size_t i = 0; i < PARTS && whole; i++)
        whole = json_object_set_new(
                    object, parts[i].key,
                    ak_fields_write((const char *)recipe + parts[i].at, parts[i].table)) == 0;
    if (whole && ak_view_plan_write(object, &recipe->views, NULL) == AK_OK)
        return object;
    json_decref(object);
    return NULL;
}

// A value as JSON, or a word without quotes as a text.
static json_t *value_of(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    return value ? value : json_string(text);
}

// Puts value at the dotted path below object, whose parents must be there.
static bool put(json_t *object, char *path, json_t *value)
{
    char *rest = NULL, *key = strtok_r(path, ".", &rest);
    while (key && *rest) {
        object = json_is_array(object) ? json_array_get(object, strtoul(key, NULL, 10))
                                       : json_object_get(object, key);
        key = strtok_r(NULL, ".", &rest);
    }
    return key && (json_is_array(object) ? json_array_set(object, strtoul(key, NULL, 10), value)
                                         : json_object_set(object, key, value)) == 0;
}

ak_status ak_recipe_set(ak_recipe *recipe, const char *assignment, ak_error *err)
{
    const char *equals = strchr(assignment, '=');
    char path[PATH_LIMIT];
    if (!equals || equals == assignment || equals - assignment >= PATH_LIMIT)
        return ak_fail(err, AK_BAD_VALUE, "\"%s\" is no KEY=VALUE", assignment);
    snprintf(path, sizeof path, "%.*s", (int)(equals - assignment), assignment);
    json_t *object = ak_recipe_write(recipe), *value = value_of(equals + 1);
    ak_status status;
    if (!object || !value)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a recipe");
    else if (!put(object, path, value))
        status = ak_fail(err, AK_BAD_VALUE, "a recipe has no place for \"%s\"", assignment);
    else
        status = read_whole(recipe, object, err);
    json_decref(object);
    json_decref(value);
    return status;
}

ak_status ak_recipe_load(ak_recipe *recipe, const char *name_or_path, ak_error *err)
{
    *recipe = ak_recipe_default();
    for (const ak_named_recipe *named = ak_named_recipes; named->name; named++)
        if (strcmp(named->name, name_or_path) == 0)
            return ak_recipe_read(recipe,
                                  (ak_bytes){(const uint8_t *)named->text, strlen(named->text)},
                                  named->name, err);
    ak_buf text = {0};
    ak_status status = ak_file_read(&text, name_or_path, RECIPE_LIMIT, err);
    if (status == AK_OK)
        status = ak_recipe_read(recipe, ak_buf_bytes(&text), name_or_path, err);
    else if (!strchr(name_or_path, '/') && !strchr(name_or_path, '.'))
        status =
            ak_fail(err, AK_NOT_FOUND,
                    "there is no recipe \"%s\"; `akin train --recipes` names them", name_or_path);
    ak_buf_clear(&text);
    return status;
}

bool ak_recipe_wants_target(const ak_recipe *r)
{
    for (size_t i = 0; i < r->terms_n; i++)
        if (r->terms[i].objective->one_sided)
            return true;
    return false;
}

bool ak_recipe_wants_predictor(const ak_recipe *r)
{
    for (size_t i = 0; i < r->terms_n; i++)
        if (r->terms[i].level == AK_LEVEL_PREDICTION)
            return true;
    return false;
}

ak_status ak_recipe_check(const ak_recipe *r, ak_error *err)
{
    bool target = ak_recipe_wants_target(r);
    if (target && r->momentum.queue % (2 * r->batch) != 0)
        return ak_fail(err, AK_BAD_VALUE,
                       "momentum.queue is %llu; it must be a multiple of twice the batch (%llu)",
                       (unsigned long long)r->momentum.queue, (unsigned long long)(2 * r->batch));
    if (target && 2 * r->batch % (uint64_t)r->momentum.groups != 0)
        return ak_fail(err, AK_BAD_VALUE, "momentum.groups is %d; it must divide %llu",
                       r->momentum.groups, (unsigned long long)(2 * r->batch));
    if (r->pictures_per_class > 0 && r->batch % r->pictures_per_class != 0)
        return ak_fail(err, AK_BAD_VALUE, "pictures_per_class is %llu; it must divide the batch",
                       (unsigned long long)r->pictures_per_class);
    ak_status status = ak_view_plan_check(&r->views, err);
    if (status != AK_OK)
        return status;
    double weight = 0;
    for (size_t i = 0; i < r->terms_n; i++) {
        weight += (double)r->terms[i].weight;
        for (size_t j = 0; j < i; j++)
            if (r->terms[i].objective->proxies && r->terms[j].objective->proxies)
                return ak_fail(err, AK_BAD_VALUE, "two objectives with class proxies; one at most");
    }
    return weight > 0 ? AK_OK
                      : ak_fail(err, AK_BAD_VALUE, "the weights of the objectives are all 0");
}
