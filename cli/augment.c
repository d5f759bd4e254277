// `akin augment`: a sheet of a picture's random views, for a person to judge a recipe by eye.
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/base/file.h"
#include "core/views/decode.h"
#include "core/views/views.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT   ((size_t)64 << 20)
#define RECIPE_LIMIT ((size_t)1 << 20)
#define GAP          2 // px between cells
#define PAPER        0xff

typedef struct {
    const char *out, *recipe;
    long side, seed, rows, columns, keep_side;
    bool json;
} job;

static ak_status read_plan(ak_view_plan *plan, const char *path, ak_error *err)
{
    ak_buf text = {0};
    json_error_t where;
    ak_status status = ak_file_read(&text, path, RECIPE_LIMIT, err);
    if (status != AK_OK)
        return status;
    json_t *file = json_loadb((const char *)text.at, text.n, JSON_REJECT_DUPLICATES, &where);
    ak_buf_clear(&text);
    if (!json_is_object(file))
        status = ak_fail(err, AK_BAD_JSON, "%s, line %d: %s", path, file ? 1 : where.line,
                         file ? "a recipe is an object" : where.text);
    else if (!json_object_get(file, "views") && !json_object_get(file, "second_view") &&
             !json_object_get(file, "small_views"))
        status = ak_fail(err, AK_BAD_VALUE,
                         "%s has none of \"views\", \"second_view\" and \"small_views\"", path);
    else if (ak_view_plan_read(plan, file, err) != AK_OK)
        status = ak_fail_within(err, "%s", path);
    json_decref(file);
    return status;
}

// Cells of one side, in rows; a picture that is smaller lies in the middle of its cell.
typedef struct {
    ak_image image;
    int side, columns;
} sheet;

static void put(sheet *s, int cell, const uint8_t *rgb, int width, int height)
{
    int x = GAP + cell % s->columns * (s->side + GAP) + (s->side - width) / 2;
    int y = GAP + cell / s->columns * (s->side + GAP) + (s->side - height) / 2;
    for (int row = 0; row < height; row++)
        memcpy(s->image.rgb + 3 * ((size_t)(y + row) * (size_t)s->image.width + (size_t)x),
               rgb + 3 * (size_t)row * (size_t)width, 3 * (size_t)width);
}

static ak_status put_original(sheet *s, const ak_image *picture, ak_error *err)
{
    int longer = picture->width > picture->height ? picture->width : picture->height;
    int w = (int)((int64_t)picture->width * s->side / longer);
    int h = (int)((int64_t)picture->height * s->side / longer);
    ak_image fitting = {0};
    ak_status status = ak_image_resize(&fitting, picture, w > 0 ? w : 1, h > 0 ? h : 1, err);
    if (status == AK_OK)
        put(s, 0, fitting.rgb, fitting.width, fitting.height);
    ak_image_clear(&fitting);
    return status;
}

// The views as epoch after epoch would make them of picture 0: first, second, small ones.
static ak_status put_views(sheet *s, int cells, const ak_image *picture, const ak_view_plan *plan,
                           uint64_t seed, ak_error *err)
{
    int most = s->side > plan->small.side ? s->side : plan->small.side;
    const ak_view_recipe recipes[] = {plan->first, plan->second, ak_view_small_recipe(plan)};
    uint8_t *view = ak_alloc(3 * (size_t)most * (size_t)most, 1);
    float *work = ak_alloc(ak_view_work(picture->width, picture->height, most), sizeof *work);
    ak_status status = AK_OK;
    if (!view || !work)
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for views of %d px", most);
    int views = 2 + plan->small.count;
    for (int i = 0; i < cells && status == AK_OK; i++) {
        uint32_t epoch = (uint32_t)(i / views), v = (uint32_t)(i % views);
        int side = v < 2 ? s->side : plan->small.side;
        ak_view_make(view, side, picture, &recipes[v < 2 ? v : 2],
                     ak_random_stream(seed, epoch, 0, v + 1), work);
        put(s, i + 1, view, side, side);
    }
    free(view);
    free(work);
    return status;
}

static ak_status draw(sheet *s, const job *j, const char *path, const ak_view_plan *plan,
                      ak_error *err)
{
    ak_buf file = {0}, png = {0};
    ak_image picture = {0};
    ak_status status = ak_file_read(&file, path, FILE_LIMIT, err);
    if (status == AK_OK &&
        ak_decode_kept(&picture, ak_buf_bytes(&file), (int)j->keep_side, err) != AK_OK)
        status = ak_fail_within(err, "%s", path);
    int width = GAP + (int)j->columns * (s->side + GAP),
        height = GAP + (int)j->rows * (s->side + GAP);
    if (status == AK_OK)
        status = ak_image_init(&s->image, width, height, err);
    if (status == AK_OK) {
        memset(s->image.rgb, PAPER, 3 * (size_t)width * (size_t)height);
        status = put_original(s, &picture, err);
    }
    if (status == AK_OK)
        status =
            put_views(s, (int)(j->rows * j->columns) - 1, &picture, plan, (uint64_t)j->seed, err);
    if (status == AK_OK)
        status = ak_image_encode_png(&png, &s->image, err);
    if (status == AK_OK)
        status = ak_file_replace(j->out, ak_buf_bytes(&png), err);
    ak_image_clear(&picture);
    ak_buf_clear(&file);
    ak_buf_clear(&png);
    return status;
}

static int parse(job *j, char ***operands, int argc, char **argv)
{
    const ak_option table[] = {
        {AK_OPTION_TEXT, "grid", "OUT.png", "the sheet; top left is the picture itself", &j->out, 0,
         0},
        {AK_OPTION_TEXT, "recipe", "FILE",
         "JSON with \"views\", \"second_view\", \"small_views\" (the defaults)", &j->recipe, 0, 0},
        {AK_OPTION_NUMBER, "side", "PX", "of the views (64)", &j->side, 8, 1024},
        {AK_OPTION_NUMBER, "seed", "N", "1", &j->seed, 0, 1e15},
        {AK_OPTION_NUMBER, "rows", "N", "of the sheet (8)", &j->rows, 1, 64},
        {AK_OPTION_NUMBER, "columns", "N", "of the sheet (12)", &j->columns, 1, 64},
        {AK_OPTION_NUMBER, "keep-side", "PX", "shorter side that the picture is kept with (128)",
         &j->keep_side, 8, 1024},
        {0}};
    const ak_usage usage = {.command = "augment",
                            .operands = "FILE",
                            .about = "Draws random views of a picture as training sees them: first "
                                     "view, second view, small\nviews, and again.",
                            .options = table,
                            .operand_count = 1,
                            .json = &j->json};
    int status = ak_options_parse(operands, &usage, argc, argv);
    if (status == AK_OPTIONS_GO && !j->out) {
        fputs("akin augment: --grid OUT.png is missing\nsee `akin augment --help`\n", stderr);
        return AK_EXIT_USAGE;
    }
    return status;
}

int ak_cli_augment(int argc, char **argv)
{
    job j = {.side = 64, .seed = 1, .rows = 8, .columns = 12, .keep_side = 128};
    char **operands;
    int wrong = parse(&j, &operands, argc, argv);
    if (wrong != AK_OPTIONS_GO)
        return wrong;
    ak_error err;
    ak_view_plan plan = AK_VIEW_PLAN_DEFAULT;
    sheet s = {.side = (int)j.side, .columns = (int)j.columns};
    json_t *recipe = json_object();
    ak_status status = j.recipe ? read_plan(&plan, j.recipe, &err) : AK_OK;
    if (status == AK_OK && plan.small.count && plan.small.side > s.side)
        status = ak_fail(&err, AK_BAD_VALUE, "small_views.side is %d, above --side %d",
                         plan.small.side, s.side);
    if (status == AK_OK)
        status = ak_view_plan_write(recipe, &plan, &err);
    if (status == AK_OK)
        status = draw(&s, &j, operands[0], &plan, &err);
    if (status != AK_OK)
        wrong = ak_report_failure("augment", j.json, &err);
    else if (j.json)
        ak_report_print(json_pack("{s:s, s:i, s:i, s:i, s:i, s:I, s:O}", "grid", j.out, "views",
                                  (int)(j.rows * j.columns) - 1, "width", s.image.width, "height",
                                  s.image.height, "side", s.side, "seed", (json_int_t)j.seed,
                                  "recipe", recipe));
    else
        printf("%s: %d views of %d px\n", j.out, (int)(j.rows * j.columns) - 1, s.side);
    json_decref(recipe);
    ak_image_clear(&s.image);
    return status == AK_OK ? AK_EXIT_OK : wrong;
}
