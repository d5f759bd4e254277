// The catalog's queries. A connection is passed in: a reader's within its transaction, or the
// writer's within its own; nothing here begins, commits, or touches anything but the database.
#ifndef AK_INDEX_CATALOG_H
#define AK_INDEX_CATALOG_H

#include "index/sql.h"
#include "index/store.h"

// --- collections (catalog_collection.c) --------------------------------------------------------

typedef struct {
    int64_t key, generation, model_key, sequence, version, pictures;
    int64_t retained, coming;    // generations; 0: none
    char model[AK_NAME_MAX + 1]; // of the serving generation, as model_key and dims
    int dims;
    bool keep_original;
} ak_collection_row;

ak_status ak_catalog_collection(ak_collection_row *out, ak_sql *db, const char *name,
                                ak_error *err); // AK_UNKNOWN_COLLECTION
// The same for one that may have been dropped meanwhile.
ak_status ak_catalog_sequence(int64_t *sequence, int64_t *pictures, ak_sql *db, int64_t collection,
                              ak_error *err);
ak_status ak_catalog_collection_read(ak_collection *out, ak_sql *db, const char *name,
                                     ak_error *err);
ak_status ak_catalog_collections(ak_collection **items, size_t *n, bool *more, ak_sql *db,
                                 const char *after, size_t limit, ak_error *err);

// With a generation of the base model; AK_CONFLICT while there is no model.
ak_status ak_catalog_collection_create(ak_sql *db, const char *name, const char *description,
                                       bool keep_original, ak_error *err);
ak_status ak_catalog_collection_change(ak_sql *db, int64_t key, const char *description,
                                       int keep_original, ak_error *err);
// Whether training runs may see it.
ak_status ak_catalog_collection_refine(ak_sql *db, const char *name, bool refine, ak_error *err);
// Takes the name away; ak_catalog_purge removes the rest.
ak_status ak_catalog_collection_drop(ak_sql *db, int64_t key, ak_error *err);
ak_status ak_catalog_sequence_set(ak_sql *db, int64_t collection, uint64_t sequence, ak_error *err);

// --- models (catalog_model.c) ------------------------------------------------------------------

typedef struct {
    int64_t key;
    int dims;
} ak_model_row;

ak_status ak_catalog_model(ak_model_row *out, ak_sql *db, const char *id,
                           ak_error *err); // AK_UNKNOWN_MODEL
ak_status ak_catalog_model_add(ak_sql *db, const ak_model_facts *facts, size_t bytes,
                               ak_error *err);
ak_status ak_catalog_model_set(ak_sql *db, int64_t key, ak_model_state state, const char *measures,
                               ak_error *err);
// Newest first; id NULL: all. The caller clears and frees *out, also after an error.
ak_status ak_catalog_models(ak_model_record **out, size_t *n, ak_sql *db, const char *id,
                            ak_error *err);
ak_status ak_catalog_base_model(char id[AK_NAME_MAX + 1], ak_sql *db, ak_error *err);
// A model beyond the `spare` newest of those that nothing needs and that have no vectors any more.
ak_status ak_catalog_model_spare(char id[AK_NAME_MAX + 1], bool *found, ak_sql *db, size_t spare,
                                 ak_error *err);
ak_status ak_catalog_model_drop(ak_sql *db, const char *id, ak_error *err);
// The store's own id, made at the first start.
ak_status ak_catalog_store_id(char id[32], ak_sql *db, ak_error *err);

// --- generations (catalog_generation.c) --------------------------------------------------------

typedef struct {
    int64_t key, collection, model_key, sequence;
    char name[AK_NAME_MAX + 1], model[AK_NAME_MAX + 1]; // of the collection
    int dims;
} ak_generation_row;

typedef enum { AK_ROLE_SERVING, AK_ROLE_RETAINED, AK_ROLE_COMING } ak_role;

// The generations that collections with a name have in the role; model 0: whatever the model.
ak_status ak_catalog_generations(ak_generation_row **out, size_t *n, ak_sql *db, ak_role role,
                                 int64_t model, ak_error *err);
ak_status ak_catalog_generation_new(int64_t *key, ak_sql *db, int64_t collection, int64_t model,
                                    ak_error *err);
ak_status ak_catalog_role_set(ak_sql *db, int64_t collection, ak_role role, int64_t generation,
                              ak_error *err); // 0: none
ak_status ak_catalog_calibration_set(ak_sql *db, int64_t generation, ak_bytes calibration,
                                     ak_error *err);
ak_status ak_catalog_calibration(ak_buf *out, ak_sql *db, int64_t generation, ak_error *err);

// The model that the collection is changing to; key 0: none.
ak_status ak_catalog_model_coming(ak_model_row *out, ak_sql *db, int64_t collection, ak_error *err);
// One of the collection's models (whatever the role) by its id; key 0: it is none of them.
ak_status ak_catalog_model_of(ak_model_row *out, ak_sql *db, int64_t collection, const char *id,
                              ak_error *err);
// Lists as missing what pictures of the collection lack of its retained and coming models: of one
// picture, or of all (0). *listed: whether something was.
ak_status ak_catalog_missing_list(bool *listed, ak_sql *db, int64_t collection, int64_t picture,
                                  ak_error *err);
ak_status ak_catalog_missing(ak_sha256 *sums, size_t *n, int64_t *after, ak_sql *db, int64_t model,
                             size_t limit, ak_error *err);
// Of the needs for the model in a collection (0: in all), how many are not met.
ak_status ak_catalog_missing_count(int64_t *n, ak_sql *db, int64_t model, int64_t collection,
                                   ak_error *err);
// A model that lacks vectors and that no collection is changing to.
ak_status ak_catalog_lagging(char id[AK_NAME_MAX + 1], bool *found, ak_sql *db, ak_error *err);

// --- images, read (catalog_image.c) ------------------------------------------------------------

typedef struct {
    int64_t key, picture, version;
    ak_sha256 sha256;
} ak_image_row;

ak_status ak_catalog_image(ak_image_row *out, bool *found, ak_sql *db, int64_t collection,
                           const char *id, ak_error *err);
// The first image of the collection that shows the picture.
ak_status ak_catalog_image_of(ak_image_row *out, bool *found, ak_sql *db, int64_t collection,
                              int64_t picture, ak_error *err);
ak_status ak_catalog_record(ak_image_record *out, ak_sql *db, int64_t image, ak_error *err);
ak_status ak_catalog_images(ak_image_record **items, size_t *n, bool *more, ak_sql *db,
                            int64_t collection, ak_order order, const ak_position *after,
                            size_t limit, ak_error *err);
ak_status ak_catalog_check(ak_sql *db, int64_t collection, const ak_sha256 *sum, size_t i,
                           void (*found)(void *arg, size_t i, const char *id), void *arg,
                           ak_error *err);

// --- images, written (catalog_write.c) ---------------------------------------------------------

ak_status ak_catalog_image_insert(int64_t *key, ak_sql *db, int64_t collection, const char *id,
                                  int64_t picture, const ak_image_fields *fields, ak_error *err);
// What is set and differs; *changed says whether anything did. Grows the version then.
ak_status ak_catalog_image_change(bool *changed, ak_sql *db, int64_t image,
                                  const ak_image_fields *fields, ak_error *err);
ak_status ak_catalog_image_show(ak_sql *db, int64_t collection, const ak_image_row *image,
                                int64_t picture, ak_error *err); // another picture from now on
ak_status ak_catalog_image_delete(ak_sql *db, int64_t collection, const ak_image_row *image,
                                  ak_error *err);

// --- pictures and vectors (catalog_picture.c) --------------------------------------------------

typedef struct {
    int64_t key;
    bool original; // kept
} ak_picture_row;

ak_status ak_catalog_picture(ak_picture_row *out, bool *found, ak_sql *db, const ak_sha256 *sum,
                             ak_error *err);
ak_status ak_catalog_picture_insert(int64_t *key, ak_sql *db, const ak_sha256 *sum,
                                    const ak_image_info *info, uint64_t bytes, bool original,
                                    ak_error *err);
ak_status ak_catalog_picture_keeps(ak_sql *db, int64_t picture, ak_error *err); // its original
ak_status ak_catalog_vector_insert(ak_sql *db, int64_t model, int64_t picture, const float *vector,
                                   int dims, ak_error *err);
ak_status ak_catalog_vector(float *out, bool *found, ak_sql *db, int64_t model, int64_t picture,
                            int dims, ak_error *err);

// --- what is left behind (catalog_clean.c) -----------------------------------------------------

// Up to `limit` images of dropped collections; *more: call again.
ak_status ak_catalog_purge(bool *more, ak_sql *db, size_t limit, ak_error *err);

// Puts up to `limit` pictures of generations that have no role any more into `unused`, and removes
// generations that are done. `held` says which ones requests still look at: they wait.
ak_status ak_catalog_sweep(bool *more, ak_sql *db, size_t limit,
                           bool (*held)(void *arg, int64_t generation), void *arg, ak_error *err);

// Sums of pictures that may have lost a need, up to limit. The caller frees *sums.
ak_status ak_catalog_unused(ak_sha256 **sums, size_t *n, ak_sql *db, size_t limit, ak_error *err);
// Drops the picture, whose sum is then listed as dropped; while it is shown, only those of its
// vectors that nothing needs.
ak_status ak_catalog_picture_trim(ak_sql *db, const ak_sha256 *sum, ak_error *err);
ak_status ak_catalog_dropped(ak_sha256 **sums, size_t *n, ak_sql *db, size_t limit, ak_error *err);
ak_status ak_catalog_dropped_done(ak_sql *db, const ak_sha256 *sum, ak_error *err);

#endif
