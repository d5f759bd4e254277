// The lists of a group: they grow as its writes are applied and shrink when one is taken back; and
// the vector of a picture, kept and shown.
#include "index/group.h"

#include <stdlib.h>
#include <string.h>

static bool room(void *items, size_t n, size_t *capacity, size_t size)
{
    void **at = items;
    if (n < *capacity)
        return true;
    size_t wanted = *capacity ? 2 * *capacity : 64;
    void *more = realloc(*at, wanted * size);
    if (!more)
        return false;
    *at = more;
    *capacity = wanted;
    return true;
}

static ak_status no_memory(ak_error *err)
{
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for another write");
}

ak_status ak_group_arrive(ak_group *group, const ak_arrival *arrival, ak_error *err)
{
    if (!room(&group->arrivals, group->n.arrivals, &group->capacity.arrivals, sizeof *arrival))
        return no_memory(err);
    group->arrivals[group->n.arrivals++] = *arrival;
    return AK_OK;
}

ak_status ak_group_vector(ak_group *group, const ak_vector_change *change, ak_error *err)
{
    if (!room(&group->vectors, group->n.vectors, &group->capacity.vectors, sizeof *change)) {
        free(change->vector);
        return no_memory(err);
    }
    group->vectors[group->n.vectors++] = *change;
    return AK_OK;
}

ak_status ak_group_serving(ak_group *group, const ak_serving_change *change, ak_error *err)
{
    if (!room(&group->serving, group->n.serving, &group->capacity.serving, sizeof *change)) {
        ak_generation_release(change->generation);
        return no_memory(err);
    }
    group->serving[group->n.serving++] = *change;
    return AK_OK;
}

void ak_group_back(ak_group *group, ak_group_mark mark)
{
    while (group->n.vectors > mark.vectors)
        free(group->vectors[--group->n.vectors].vector);
    while (group->n.serving > mark.serving)
        ak_generation_release(group->serving[--group->n.serving].generation);
    group->n.arrivals = mark.arrivals;
}

void ak_group_clear(ak_group *group)
{
    ak_group_back(group, (ak_group_mark){0});
    free(group->arrivals);
    free(group->vectors);
    free(group->serving);
    free(group->touched);
}

ak_generation *ak_group_generation(ak_group *group, int64_t key)
{
    for (size_t i = group->n.serving; i-- > 0;)
        if (group->serving[i].generation->key == key)
            return group->serving[i].generation;
    ak_generation *generation = ak_generations_keyed(&group->store->generations, key);
    ak_generation_release(generation); // the table holds it, and only the writer changes the table
    return generation;
}

static ak_status show_vector(ak_group *group, const ak_model_row *model, int64_t picture,
                             const ak_sha256 *sum, const float *vector, ak_error *err)
{
    ak_rows *rows = NULL;
    bool more = false;
    ak_status status = ak_sql_query(
        &rows, group->store->catalog, err,
        "SELECT i.key, g.key FROM images i JOIN collections c ON c.key = i.collection JOIN "
        "generations g ON g.key = c.serving_generation WHERE i.picture = ? AND g.model = ? AND "
        "c.name IS NOT NULL",
        ak_int(picture), ak_int(model->key));
    while (status == AK_OK && (status = ak_sql_next(rows, &more, err)) == AK_OK && more) {
        ak_vector_change change = {ak_group_generation(group, ak_sql_int(rows, 1)),
                                   {.image = ak_sql_int(rows, 0), .picture = picture},
                                   ak_alloc((size_t)model->dims, sizeof *vector)};
        if (!change.vector) {
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a vector");
            break;
        }
        memcpy(change.vector, vector, (size_t)model->dims * sizeof *vector);
        memcpy(&change.row.sha_head, sum, sizeof change.row.sha_head);
        status = ak_group_vector(group, &change, err);
    }
    ak_sql_end(rows);
    return status;
}

ak_status ak_group_keep_vector(ak_group *group, const ak_model_row *model, int64_t picture,
                               const ak_sha256 *sum, const float *vector, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    bool stored = false;
    ak_status status = ak_catalog_vector(NULL, &stored, db, model->key, picture, model->dims, err);
    if (status == AK_OK && !stored)
        status = ak_catalog_vector_insert(db, model->key, picture, vector, model->dims, err);
    return status == AK_OK && !stored ? show_vector(group, model, picture, sum, vector, err)
                                      : status;
}
