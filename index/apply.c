// What each kind of write does to the catalog, and what it asks of the group. Writer thread.
#include "core/base/clock.h"
#include "index/alter.h"
#include "index/group.h"
#include "index/valid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ak_status check_match(const ak_write *write, const char *what, bool found, int64_t version,
                             ak_error *err)
{
    char now[24];
    if (!write->if_match)
        return AK_OK;
    if (!found)
        return ak_fail(err, AK_PRECONDITION_FAILED,
                       "%s is not there, so it has no version \"%.40s\"", what, write->if_match);
    snprintf(now, sizeof now, "%lld", (long long)version);
    if (strcmp(write->if_match, "*") == 0 || strcmp(write->if_match, now) == 0)
        return AK_OK;
    return ak_fail(err, AK_PRECONDITION_FAILED, "%s is at version %s, not \"%.40s\"", what, now,
                   write->if_match);
}

// --- collections -------------------------------------------------------------------------------

static ak_status create_collection(ak_group *group, ak_write *write, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    ak_collection_row row;
    ak_generation *generation = NULL;
    ak_status status = ak_catalog_collection_create(db, write->collection, write->description,
                                                    write->keep_original != 0, err);
    if (status == AK_OK)
        status = ak_catalog_collection(&row, db, write->collection, err);
    if (status != AK_OK)
        return status;
    ak_generation_row made = {.key = row.generation,
                              .collection = row.key,
                              .model_key = row.model_key,
                              .sequence = row.sequence,
                              .dims = row.dims};
    snprintf(made.name, sizeof made.name, "%s", write->collection);
    snprintf(made.model, sizeof made.model, "%s", row.model);
    status = ak_generation_new(&generation, &made, err);
    if (status == AK_OK)
        status = ak_group_serving(group, &(ak_serving_change){generation, true}, err);
    write->created = true;
    return status;
}

static ak_status put_collection(ak_group *group, ak_write *write, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    ak_collection_row row = {0};
    ak_status status = ak_valid_text("description", write->description, AK_CAPTION_MAX, err);
    if (status != AK_OK)
        return status;
    status = ak_catalog_collection(&row, db, write->collection, err);
    if (status != AK_OK && status != AK_UNKNOWN_COLLECTION)
        return status;
    bool found = status == AK_OK;
    status = check_match(write, "the collection", found, row.version, err);
    if (status == AK_OK && found)
        status = ak_catalog_collection_change(db, row.key, write->description, write->keep_original,
                                              err);
    else if (status == AK_OK)
        status = create_collection(group, write, err);
    if (status == AK_OK && write->refine)
        status = ak_catalog_collection_refine(db, write->collection, write->refine > 0, err);
    if (status == AK_OK)
        status = ak_catalog_collection_read(&write->collection_out, db, write->collection, err);
    return status;
}

static ak_status delete_collection(ak_group *group, ak_write *write, ak_error *err)
{
    ak_collection_row row;
    ak_status status = ak_catalog_collection(&row, group->store->catalog, write->collection, err);
    if (status == AK_OK)
        status = check_match(write, "the collection", true, row.version, err);
    if (status == AK_OK)
        status = ak_catalog_collection_drop(group->store->catalog, row.key, err);
    if (status != AK_OK)
        return status;
    group->deleted = true;
    ak_generation *generation = ak_group_generation(group, row.generation);
    ak_generation_keep(generation);
    return ak_group_serving(group, &(ak_serving_change){generation, false}, err);
}

// --- the picture and vector of an image ----------------------------------------------------------

typedef struct {
    int64_t key;
    float *vector; // of the serving model, to be handed to the group
} picture_content;

static ak_status missing(ak_write *write, const ak_collection_row *row, ak_error *err)
{
    write->stale = true;
    return ak_fail(err, AK_CONFLICT,
                   "the picture or its vector of model %s, which serves the collection, is not "
                   "stored: send proxy and vector",
                   row->model);
}

// A picture that came without its original before, or for a collection that keeps none.
static ak_status keep_original(ak_group *group, const ak_write *write, const ak_collection_row *row,
                               const ak_picture_row *picture, ak_error *err)
{
    if (!row->keep_original || !write->original.n || picture->original)
        return AK_OK;
    ak_arrival arrival = {&write->sha256, {0}, write->original};
    ak_status status = ak_catalog_picture_keeps(group->store->catalog, picture->key, err);
    return status == AK_OK ? ak_group_arrive(group, &arrival, err) : status;
}

// The same bytes again.
static ak_status see_again(ak_group *group, const ak_write *write, const ak_collection_row *row,
                           ak_error *err)
{
    ak_picture_row picture = {0};
    bool found = false;
    ak_status status =
        ak_catalog_picture(&picture, &found, group->store->catalog, &write->sha256, err);
    return status == AK_OK && found ? keep_original(group, write, row, &picture, err) : status;
}

static ak_status new_picture(picture_content *out, ak_group *group, ak_write *write,
                             const ak_collection_row *row, bool original, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    if (!write->vector_count || !write->proxy.n)
        return missing(write, row, err);
    ak_status status = ak_catalog_picture_insert(&out->key, db, &write->sha256, &write->info,
                                                 write->original.n, original, err);
    ak_arrival arrival = {&write->sha256, write->proxy, {0}};
    if (original)
        arrival.original = write->original;
    return status == AK_OK ? ak_group_arrive(group, &arrival, err) : status;
}

// Keeps a vector that came, unless the picture has one of the model, or the collection has no use
// for it any more.
static ak_status keep_vector(ak_group *group, const ak_write *write, const ak_vector *vector,
                             const ak_collection_row *row, int64_t picture, ak_error *err)
{
    ak_model_row model;
    ak_status status =
        ak_catalog_model_of(&model, group->store->catalog, row->key, vector->model, err);
    if (status != AK_OK || !model.key)
        return status;
    status = ak_valid_vector(vector->at, vector->dims, model.dims, err);
    return status == AK_OK
               ? ak_group_keep_vector(group, &model, picture, &write->sha256, vector->at, err)
               : status;
}

// The stored picture, made when it is new, with the vector of the serving model: the stored one
// when there is one, so that a picture has one vector whoever sent it.
static ak_status find_content(picture_content *out, ak_group *group, ak_write *write,
                              const ak_collection_row *row, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    ak_picture_row picture = {0};
    bool found = false, has_vector = false;
    *out = (picture_content){0};
    bool original = row->keep_original && write->original.n;
    ak_status status = ak_catalog_picture(&picture, &found, db, &write->sha256, err);
    if (status == AK_OK && found) {
        out->key = picture.key;
        status = keep_original(group, write, row, &picture, err);
    } else if (status == AK_OK) {
        status = new_picture(out, group, write, row, original, err);
    }
    for (size_t i = 0; status == AK_OK && i < write->vector_count; i++)
        status = keep_vector(group, write, &write->vectors[i], row, out->key, err);
    if (status != AK_OK)
        return status;
    if (!(out->vector = ak_alloc((size_t)row->dims, sizeof *out->vector)))
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a vector");
    status =
        ak_catalog_vector(out->vector, &has_vector, db, row->model_key, out->key, row->dims, err);
    if (status == AK_OK && !has_vector)
        status = missing(write, row, err);
    if (status != AK_OK) {
        free(out->vector);
        out->vector = NULL;
    }
    return status;
}

// Models that the collection needs beside the serving one may lack a vector of the picture.
static ak_status list_missing(ak_group *group, ak_write *write, const ak_collection_row *row,
                              int64_t picture, ak_error *err)
{
    if (!row->retained && !row->coming)
        return AK_OK;
    return ak_catalog_missing_list(&write->lagging, group->store->catalog, row->key, picture, err);
}

// Takes the content's vector over.
static ak_status show_vector(ak_group *group, const ak_collection_row *row, int64_t image,
                             const ak_sha256 *sum, picture_content *content, ak_error *err)
{
    ak_vector_change change = {ak_group_generation(group, row->generation),
                               {.image = image, .picture = content->key},
                               content->vector};
    memcpy(&change.row.sha_head, sum, sizeof change.row.sha_head);
    content->vector = NULL;
    return ak_group_vector(group, &change, err);
}

// Generations that served, and that requests still hold, lose the row as well.
static ak_status hide_vector(ak_group *group, const ak_collection_row *row, int64_t image,
                             ak_error *err)
{
    ak_vector_change change = {ak_group_generation(group, row->generation), {.image = image}, NULL};
    ak_status status = ak_group_vector(group, &change, err);
    for (size_t i = 0; status == AK_OK; i++) {
        change.generation = ak_generations_past(&group->store->generations, row->key, i);
        if (!change.generation)
            break;
        status = ak_group_vector(group, &change, err);
    }
    return status;
}

// --- images ------------------------------------------------------------------------------------

static ak_status create_image(int64_t *key, ak_group *group, ak_write *write,
                              const ak_collection_row *row, const char *id, ak_error *err)
{
    picture_content content;
    ak_status status = find_content(&content, group, write, row, err);
    if (status == AK_OK)
        status = ak_catalog_image_insert(key, group->store->catalog, row->key, id, content.key,
                                         &write->fields, err);
    if (status == AK_OK)
        status = show_vector(group, row, *key, &write->sha256, &content, err);
    if (status == AK_OK)
        status = list_missing(group, write, row, content.key, err);
    free(content.vector);
    write->created = status == AK_OK;
    return status;
}

// The image that an ADD of these bytes is answered with, when there is one.
static ak_status find_same(int64_t *key, bool *found, ak_sql *db, const ak_write *write,
                           const ak_collection_row *row, ak_error *err)
{
    ak_image_row image;
    ak_picture_row picture;
    ak_status status;
    *found = false;
    if (write->id) {
        status = ak_catalog_image(&image, found, db, row->key, write->id, err);
        if (status == AK_OK && *found &&
            memcmp(&image.sha256, &write->sha256, sizeof image.sha256) != 0)
            return ak_fail(err, AK_ID_TAKEN, "\"%s\" is another picture; PUT would replace it",
                           write->id);
    } else {
        status = ak_catalog_picture(&picture, found, db, &write->sha256, err);
        if (status == AK_OK && *found)
            status = ak_catalog_image_of(&image, found, db, row->key, picture.key, err);
    }
    if (status == AK_OK && *found)
        *key = image.key;
    return status;
}

static ak_status add_image(ak_group *group, ak_write *write, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    ak_collection_row row;
    char made[AK_ULID_TEXT];
    int64_t key = 0;
    bool found = false;
    ak_status status = write->id ? ak_valid_id(write->id, err) : AK_OK;
    if (status == AK_OK)
        status = ak_catalog_collection(&row, db, write->collection, err);
    if (status == AK_OK)
        status = find_same(&key, &found, db, write, &row, err);
    if (status != AK_OK)
        return status;
    if (found) {
        status = see_again(group, write, &row, err);
    } else {
        ak_ulid(made);
        status = create_image(&key, group, write, &row, write->id ? write->id : made, err);
    }
    return status == AK_OK ? ak_catalog_record(&write->record, db, key, err) : status;
}

static ak_status replace_image(ak_group *group, ak_write *write, const ak_collection_row *row,
                               const ak_image_row *image, ak_error *err)
{
    picture_content content;
    ak_status status = find_content(&content, group, write, row, err);
    if (status == AK_OK)
        status = ak_catalog_image_show(group->store->catalog, row->key, image, content.key, err);
    if (status == AK_OK)
        status = hide_vector(group, row, image->key, err);
    if (status == AK_OK)
        status = show_vector(group, row, image->key, &write->sha256, &content, err);
    if (status == AK_OK)
        status = list_missing(group, write, row, content.key, err);
    free(content.vector);
    group->deleted = true;
    return status;
}

static ak_status put_image(ak_group *group, ak_write *write, ak_error *err)
{
    ak_sql *db = group->store->catalog;
    ak_collection_row row;
    ak_image_row image = {0};
    bool found = false, changed;
    ak_status status = ak_valid_id(write->id, err);
    if (status == AK_OK)
        status = ak_catalog_collection(&row, db, write->collection, err);
    if (status == AK_OK)
        status = ak_catalog_image(&image, &found, db, row.key, write->id, err);
    if (status == AK_OK)
        status = check_match(write, "the image", found, image.version, err);
    if (status != AK_OK)
        return status;
    if (!found) {
        status = create_image(&image.key, group, write, &row, write->id, err);
    } else {
        if (memcmp(&image.sha256, &write->sha256, sizeof image.sha256) != 0)
            status = replace_image(group, write, &row, &image, err);
        else
            status = see_again(group, write, &row, err);
        if (status == AK_OK)
            status = ak_catalog_image_change(&changed, db, image.key, &write->fields, err);
    }
    return status == AK_OK ? ak_catalog_record(&write->record, db, image.key, err) : status;
}

static ak_status find_image(ak_collection_row *row, ak_image_row *image, ak_group *group,
                            const ak_write *write, ak_error *err)
{
    bool found = false;
    const char *id = write->id ? write->id : "";
    ak_status status = ak_catalog_collection(row, group->store->catalog, write->collection, err);
    if (status == AK_OK)
        status = ak_catalog_image(image, &found, group->store->catalog, row->key, id, err);
    if (status == AK_OK && !found)
        return ak_fail(err, AK_UNKNOWN_IMAGE, "there is no image \"%.128s\" in \"%s\"", id,
                       write->collection);
    return status == AK_OK ? check_match(write, "the image", true, image->version, err) : status;
}

static ak_status patch_image(ak_group *group, ak_write *write, ak_error *err)
{
    ak_collection_row row;
    ak_image_row image;
    bool changed;
    ak_status status = find_image(&row, &image, group, write, err);
    if (status == AK_OK)
        status = ak_catalog_image_change(&changed, group->store->catalog, image.key, &write->fields,
                                         err);
    return status == AK_OK
               ? ak_catalog_record(&write->record, group->store->catalog, image.key, err)
               : status;
}

static ak_status delete_image(ak_group *group, ak_write *write, ak_error *err)
{
    ak_collection_row row;
    ak_image_row image;
    ak_status status = find_image(&row, &image, group, write, err);
    if (status == AK_OK)
        status = ak_catalog_image_delete(group->store->catalog, row.key, &image, err);
    group->deleted = true;
    return status == AK_OK ? hide_vector(group, &row, image.key, err) : status;
}

ak_status ak_apply(ak_group *group, ak_write *write, ak_error *err)
{
    if ((int)write->kind == AK_WRITE_ALTER) {
        const ak_alteration *alteration = (const ak_alteration *)write;
        return alteration->apply(group->store->catalog, alteration->arg, err);
    }
    if ((int)write->kind == AK_WRITE_MODEL_ADD)
        group->deleted = true; // an older one may have to go
    if ((int)write->kind == AK_WRITE_MODEL_ADD)
        return ak_models_apply_add(group->store, write, err);
    if ((int)write->kind == AK_WRITE_MODEL_SET)
        return ak_models_apply_set(group->store, write, err);
    if ((int)write->kind >= AK_WRITE_CHANGE_BEGIN)
        return ak_change_apply(group, write, err);
    ak_status status = ak_valid_collection(write->collection, err);
    if (status == AK_OK)
        status = ak_valid_fields(&write->fields, err);
    if (status != AK_OK)
        return status;
    switch (write->kind) {
    case AK_WRITE_COLLECTION_PUT:
        return put_collection(group, write, err);
    case AK_WRITE_COLLECTION_DELETE:
        return delete_collection(group, write, err);
    case AK_WRITE_IMAGE_ADD:
        return add_image(group, write, err);
    case AK_WRITE_IMAGE_PUT:
        return put_image(group, write, err);
    case AK_WRITE_IMAGE_PATCH:
        return patch_image(group, write, err);
    case AK_WRITE_IMAGE_DELETE:
        return delete_image(group, write, err);
    }
    return ak_fail(err, AK_INTERNAL, "there is no write of kind %d", (int)write->kind);
}
