#include "cli/eval.h"

#include <stdio.h>
#include <string.h>

static void print_table(const ak_eval_result *r)
{
    const ak_eval_column *columns = r->measure->columns;
    printf("%-16s", r->measure->name);
    for (size_t c = 0; columns[c].key; c++)
        if (columns[c].title)
            printf("  %8s", columns[c].title);
    printf("\n");
    for (size_t i = 0; i < AK_EVAL_ROWS; i++) {
        const ak_eval_row *row = &r->rows[i];
        if (!row->seeds)
            continue;
        printf("%-16s", row->name);
        for (size_t c = 0; columns[c].key; c++)
            if (columns[c].title)
                printf("  %8.1f", row->values[c]);
        printf("\n");
        if (row->seeds < 2)
            continue;
        printf("  spread of %zu   ", row->seeds);
        for (size_t c = 0; columns[c].key; c++)
            if (columns[c].title)
                printf("  %8.1f", row->most[c] - row->least[c]);
        printf("\n");
    }
    printf("%zu queries\n\n", r->queries);
}

void ak_eval_print(const ak_eval_result *results, size_t count, const ak_eval_data *data,
                   const char *model_id)
{
    for (size_t i = 0; i < count; i++)
        print_table(&results[i]);
    printf("%zu pictures of %zu classes (%zu alone in theirs)", data->own, data->classes,
           data->alone);
    size_t others = data->set.pictures.n - data->own;
    if (others)
        printf(", %zu %s", others, data->bank ? "in the bank" : "distractors");
    printf(", %zu failed; model %s\n", data->set.refused, model_id);
}

static json_t *row_json(const ak_eval_row *row, const ak_eval_column *columns)
{
    json_t *json = json_pack("{s:s}", "name", row->name);
    for (size_t c = 0; columns[c].key; c++)
        json_object_set_new(json, columns[c].key, json_real(row->values[c]));
    if (row->seeds < 2)
        return json;
    json_t *spread = json_object();
    for (size_t c = 0; columns[c].key; c++)
        json_object_set_new(spread, columns[c].key, json_real(row->most[c] - row->least[c]));
    json_object_set_new(json, "seeds", json_integer((json_int_t)row->seeds));
    json_object_set_new(json, "spread", spread);
    return json;
}

static json_t *result_json(const ak_eval_result *r)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < AK_EVAL_ROWS; i++)
        if (r->rows[i].seeds)
            json_array_append_new(rows, row_json(&r->rows[i], r->measure->columns));
    return json_pack("{s:I, s:o}", "queries", (json_int_t)r->queries, "rows", rows);
}

json_t *ak_eval_json(const ak_eval_result *results, size_t count, const ak_eval_data *data,
                     const char *model_id)
{
    const ak_embed_set *set = &data->set;
    size_t others = set->pictures.n - data->own;
    json_t *json =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "model", model_id, "total",
                  (json_int_t)(set->pictures.n + set->refused), "pictures", (json_int_t)data->own,
                  "classes", (json_int_t)data->classes, "alone", (json_int_t)data->alone,
                  data->bank ? "bank" : "distractors", (json_int_t)others);
    for (size_t i = 0; i < count; i++) {
        json_t *result = result_json(&results[i]);
        if (count > 1) {
            json_object_set_new(json, results[i].measure->name, result);
        } else {
            json_object_update(json, result);
            json_decref(result);
        }
    }
    return json;
}
