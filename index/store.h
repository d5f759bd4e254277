// The store: collections, images, pictures, vectors, models and generations behind one door.
//
// A *picture* is content (one a SHA-256). An *image* is an item of a collection that shows a
// picture. Vectors belong to (model, picture). A *generation* is a model serving a collection,
// with the vectors that its searches look at.
//
// Reads may be called from any thread and never wait for a write. Every change is an ak_write that
// is handed to the one writer thread: it takes all writes that wait, applies them in one
// transaction (each can fail alone), makes durable what they name, commits, publishes the vectors
// to searches, and only then calls each write's done(). What was acknowledged survives kill -9.
#ifndef AK_INDEX_STORE_H
#define AK_INDEX_STORE_H

#include "core/base/hash.h"
#include "core/image/image.h"

#define AK_NAME_MAX       64   // collections and models: [a-z0-9][a-z0-9_-]{0,63}
#define AK_ID_MAX         128  // image ids: A-Z a-z 0-9 . _ : -, not "." or ".."
#define AK_IMAGE_NAME_MAX 1024 // bytes of UTF-8
#define AK_TAGS_MAX       64
#define AK_TAG_MAX        128
#define AK_CAPTION_MAX    8192
#define AK_METADATA_MAX   65536
#define AK_SEARCH_MAX     1000
#define AK_LIST_MAX       1000
#define AK_CHECK_MAX      10000
#define AK_UPLOAD_MODELS  2 // that a collection's uploads are embedded by: serving, and coming

typedef struct ak_store ak_store;
typedef struct ak_generation ak_generation;

typedef struct {
    size_t write_queue;  // writes that may wait; more are AK_OVERLOADED (default 1,024)
    size_t group_writes; // writes of one commit at most (default 256)
    int readers;         // reads at once, a search being one; more wait for a turn (default 4)
    size_t spare_models; // models kept that nothing needs (default 16)
    uint64_t disk_floor; // free bytes under which all but deletions are AK_DISK_FULL (64 MiB)
    double lock_wait_s;  // for a lock whose holder has been killed (default 10); see ak_store_open
} ak_store_options;

#define AK_STORE_OPTIONS_DEFAULT                                                                   \
    ((ak_store_options){.write_queue = 1024,                                                       \
                        .group_writes = 256,                                                       \
                        .readers = 4,                                                              \
                        .spare_models = 16,                                                        \
                        .disk_floor = (uint64_t)64 << 20,                                          \
                        .lock_wait_s = 10})

// location: for the embedded store a folder; it is made when missing, locked against a second
// process, migrated, and what a crash left half done is cleared. AK_CONFLICT while another process
// has it open; but when that one is gone, and a process that it was starting is about to let go of
// the lock, it is waited for. `options` may be NULL.
ak_status ak_store_open(ak_store **out, const char *location, const ak_store_options *options,
                        ak_error *err);
void ak_store_close(ak_store *store); // finishes the writes that were handed in

// Whether a write could succeed now: the folder takes a file, the disk has room.
ak_status ak_store_writable(ak_store *store, ak_error *err);

// Valid names, by API.md; false for anything else.
bool ak_name_valid(const char *name, size_t n);
bool ak_id_valid(const char *id, size_t n);
bool ak_utf8_valid(const char *text, size_t n); // no NUL, no surrogates, nothing overlong

// --- models ------------------------------------------------------------------------------------

// What a model is to this store. Serving (some collection, or new ones: the base model) and
// retained (a collection can be rolled back to it) follow from the collections; the others are what
// it was said to be, and are seen while no collection needs it.
typedef enum {
    AK_MODEL_SERVING,
    AK_MODEL_RETAINED,
    AK_MODEL_CANDIDATE,
    AK_MODEL_REFUSED,
    AK_MODEL_IMPORTED,
    AK_MODEL_STATES
} ak_model_state;

const char *ak_model_state_name(ak_model_state state); // "serving", "retained", ...

typedef struct {
    const char *id; // its file's hash
    int dims;
    ak_model_state state;           // CANDIDATE, REFUSED or IMPORTED
    const char *parent;             // the model that it was refined from; NULL: none
    const char *lineage, *measures; // JSON objects; NULL: {}
} ak_model_facts;

typedef struct {
    char id[AK_NAME_MAX + 1], parent[AK_NAME_MAX + 1]; // parent "": none
    int dims;
    uint64_t bytes;
    ak_model_state state;
    bool base, needed;        // needed: a collection is served by it, changes or can go back to it
    char *lineage, *measures; // JSON objects
    int64_t created_at;
} ak_model_record;

void ak_model_record_clear(ak_model_record *record);

// Keeps a model file; fine when it is there, which then stays as it is. The first one becomes the
// base model, which new collections are served by. Of models that nothing needs the newest
// options.spare_models stay; older ones are removed.
ak_status ak_store_model_add(ak_store *store, const ak_model_facts *facts, ak_bytes file,
                             ak_error *err);
// Changes state (as in ak_model_facts) and, unless it is NULL, measures.
ak_status ak_store_model_set(ak_store *store, const char *id, ak_model_state state,
                             const char *measures, ak_error *err);
ak_status ak_store_model(ak_model_record *out, ak_store *store, const char *id, ak_error *err);
// All of them, newest first. The caller clears and frees *items.
ak_status ak_store_models(ak_model_record **items, size_t *n, ak_store *store, ak_error *err);
ak_status ak_store_model_read(ak_buf *out, ak_store *store, const char *id, ak_error *err);
// The base model's id, or "" when there is none yet.
ak_status ak_store_base_model(char id[AK_NAME_MAX + 1], ak_store *store, ak_error *err);

// --- generations -------------------------------------------------------------------------------

// The generation that serves the collection, with a reference that the caller releases.
ak_status ak_store_generation(ak_generation **out, ak_store *store, const char *collection,
                              ak_error *err);
void ak_generation_release(ak_generation *generation); // NULL is fine
const char *ak_generation_model(const ak_generation *generation);
int ak_generation_dims(const ak_generation *generation);

// --- from one model to another -------------------------------------------------------------------
//
// A change is begun, embedded and promoted:
//   ak_store_change_begin     uploads to these collections bring vectors of both models from now on
//   ak_store_missing, ak_store_picture_proxy, ak_store_put_vectors   until nothing is missing
//   ak_store_promote          all of its collections at one instant, or none
// It outlives a restart; who began it goes on, or abandons it. A collection that is deleted leaves
// the change. The model that served before is retained: later uploads are listed as missing for it
// and filled in behind, deletions reach it at once, and ak_store_rollback goes back to it.

// AK_CONFLICT when one of the collections is changing to another model already. Those that the
// model serves already are passed over, and so is a change to this model that has begun.
ak_status ak_store_change_begin(ak_store *store, const char *model, const char *const *collections,
                                size_t n, ak_error *err);
// The change to this model is over without effect; its vectors are removed bit by bit. Fine when
// there is none.
ak_status ak_store_change_abandon(ak_store *store, const char *model, ak_error *err);

// A page of the pictures that need a vector of the model and have none, by key after *after (0 at
// first). sums: room for limit. *n = 0 at the end.
ak_status ak_store_missing(ak_sha256 *sums, size_t *n, int64_t *after, ak_store *store,
                           const char *model, size_t limit, ak_error *err);
// How many need one, and how many of them have none.
ak_status ak_store_coverage(int64_t *needed, int64_t *missing, ak_store *store, const char *model,
                            ak_error *err);
// A model whose vectors are missing though no change to it is under way: one that is retained, or
// was rolled back to. *found false: there is none.
ak_status ak_store_lagging(char model[AK_NAME_MAX + 1], bool *found, ak_store *store,
                           ak_error *err);

// The proxy of a picture, appended to out. AK_NOT_FOUND when it has been removed.
ak_status ak_store_picture_proxy(ak_buf *out, ak_store *store, const ak_sha256 *sum, ak_error *err);

// Vectors (n, dims) of pictures that may have gone meanwhile. Searches of generations that the
// model serves see them at once. Waits for the commit.
ak_status ak_store_put_vectors(ak_store *store, const char *model, int dims, const ak_sha256 *sums,
                               const float *vectors, size_t n, ak_error *err);

// Makes the model serve all collections that change to it: loads their vectors aside, then names
// the new generations in one transaction. AK_CONFLICT while a picture lacks its vector: embed
// those, and try again. *promoted: how many collections; 0 when no change to it is under way.
ak_status ak_store_promote(int64_t *promoted, ak_store *store, const char *model, ak_error *err);

// The retained generation serves again, and the one that served is retained. model: which one
// serves now; *to_come: pictures that lack its vector and cannot be found until it is there.
// AK_CONFLICT when none is retained.
ak_status ak_store_rollback(char model[AK_NAME_MAX + 1], int64_t *to_come, ak_store *store,
                            const char *collection, ak_error *err);

// --- reading -----------------------------------------------------------------------------------

typedef struct {
    char name[AK_NAME_MAX + 1];
    char model[AK_NAME_MAX + 1];    // of the serving generation
    char retained[AK_NAME_MAX + 1]; // that a rollback goes to; "": none
    char coming[AK_NAME_MAX + 1];   // that it is changing to; "": none
    char *description;              // "" when none was given
    bool keep_original;
    bool refine; // training runs may see it
    int64_t images, pictures;
    uint64_t bytes;                 // of the originals
    int64_t created_at, updated_at; // ms since 1970
    int64_t version;                // grows with every change of the collection's own settings
    const char *tier;               // "flat"
} ak_collection;

typedef struct {
    char id[AK_ID_MAX + 1];
    char *name, *album, *caption; // NULL: not given
    char **tags;
    size_t tag_count;
    int64_t taken_at; // ms since 1970; AK_TIME_NONE: not given
    char *metadata;   // JSON object as text; NULL: not given
    ak_sha256 sha256;
    int width, height;
    ak_format format;
    uint64_t bytes;
    int64_t created_at, updated_at;
    int64_t version; // grows with every change of this image
} ak_image_record;

#define AK_TIME_NONE INT64_MIN

void ak_collection_clear(ak_collection *collection);
void ak_image_record_clear(ak_image_record *record);

ak_status ak_store_collection(ak_collection *out, ak_store *store, const char *name, ak_error *err);

// Collections by name, after `after` (NULL: from the start). *items is an array of *n that the
// caller clears one by one and frees; *more says whether others follow.
ak_status ak_store_collections(ak_collection **items, size_t *n, bool *more, ak_store *store,
                               const char *after, size_t limit, ak_error *err);

ak_status ak_store_image(ak_image_record *out, ak_store *store, const char *collection,
                         const char *id, ak_error *err);

typedef enum { AK_ORDER_CREATED, AK_ORDER_CREATED_DESC, AK_ORDER_ID } ak_order;

// A place in a list: the last image seen. A list that starts after it survives inserts and deletes.
typedef struct {
    int64_t created_at;
    char id[AK_ID_MAX + 1];
} ak_position;

ak_status ak_store_images(ak_image_record **items, size_t *n, bool *more, ak_store *store,
                          const char *collection, ak_order order, const ak_position *after,
                          size_t limit, ak_error *err);

// For each of n sums the ids that show it: calls found(arg, i, id) in order of i.
ak_status ak_store_check(ak_store *store, const char *collection, const ak_sha256 *sums, size_t n,
                         void (*found)(void *arg, size_t i, const char *id), void *arg,
                         ak_error *err);

// The proxy of an image's picture, appended to out.
ak_status ak_store_proxy(ak_buf *out, ak_store *store, const char *collection, const char *id,
                         ak_error *err);

// The original of an image's picture as it came, appended to out. AK_NOT_FOUND where none is kept.
ak_status ak_store_original(ak_buf *out, ak_store *store, const char *collection, const char *id,
                            ak_error *err);

// The stored vector (dims of the generation) of an image.
ak_status ak_store_vector(float *out, ak_store *store, ak_generation *generation, const char *id,
                          ak_error *err);

// The models whose vector an upload of the picture must bring: of the model that serves the
// collection and of the one that it is changing to, those that the picture has no vector of.
// None: it need not be decoded or embedded again. Only between pin and unpin is a stored vector
// still there a moment later; a change meanwhile makes the write `stale`.
typedef struct {
    char ids[AK_UPLOAD_MODELS][AK_NAME_MAX + 1]; // the serving one first
    size_t n;
} ak_wanted;

ak_status ak_store_wanted(ak_wanted *out, ak_store *store, ak_generation *generation,
                          const ak_sha256 *sha256, ak_error *err);
ak_status ak_store_pin(ak_store *store, const ak_sha256 *sha256, ak_error *err);
void ak_store_unpin(ak_store *store, const ak_sha256 *sha256);

// --- searching ---------------------------------------------------------------------------------

typedef struct {
    char id[AK_ID_MAX + 1];
    char *name;   // NULL: none
    float score;  // cosine
    double match; // share of unrelated pairs that score lower; NAN under 200 pictures
    ak_image_record record;
} ak_hit;

typedef struct {
    const float *query;         // (dims), unit length
    size_t limit;               // 1 .. AK_SEARCH_MAX
    double min_score;           // -INFINITY: none
    const char *const *exclude; // ids that are left out of the answer
    size_t exclude_count;
} ak_search;

typedef struct {
    ak_hit *items; // best first, ties by id
    size_t n;
    bool exact;
    int64_t scanned; // vectors whose distance was computed
} ak_hits;

ak_status ak_store_search(ak_hits *out, ak_store *store, ak_generation *generation,
                          const ak_search *search, ak_error *err);
void ak_hits_clear(ak_hits *hits);

// --- writing -----------------------------------------------------------------------------------

typedef enum {
    AK_WRITE_COLLECTION_PUT,    // create, or change the settings that are set
    AK_WRITE_COLLECTION_DELETE, // with its images
    AK_WRITE_IMAGE_ADD,         // POST: same bytes again are the image that is there
    AK_WRITE_IMAGE_PUT,         // create or replace
    AK_WRITE_IMAGE_PATCH,       // the members that are set
    AK_WRITE_IMAGE_DELETE,
} ak_write_kind;

// What a client may set of an image. The members whose flag is set are changed, by PUT as by PATCH;
// the others stay as they are (a new image: not given). A text that is NULL, or AK_TIME_NONE, takes
// the member away. An image's version grows only when something of it changed.
typedef struct {
    const char *name, *album, *caption, *metadata;
    const char *const *tags;
    size_t tag_count;
    int64_t taken_at;
    bool set_name, set_album, set_caption, set_metadata, set_tags, set_taken_at;
} ak_image_fields;

typedef struct {
    const char *model;
    const float *at; // (dims), unit length
    int dims;
} ak_vector;

typedef struct ak_write ak_write;
struct ak_write {
    ak_write_kind kind;
    const char *collection;
    const char *id;          // NULL (ADD alone): the store makes a ULID
    const char *if_match;    // NULL, or the version as text that must still be current; "*": any
    ak_image_fields fields;  // ADD, PUT, PATCH
    const char *description; // COLLECTION_PUT, NULL: as it is
    int keep_original;       // COLLECTION_PUT, -1: as it is
    int refine;              // COLLECTION_PUT, 1: yes, -1: no, 0: as it is

    // ADD and PUT. A picture that lacks no vector (ak_store_wanted, pinned) brings none, and no
    // proxy. `stale` is set in the answer when a vector is missing all the same.
    ak_sha256 sha256;
    ak_image_info info;
    ak_bytes original, proxy;
    ak_vector vectors[AK_UPLOAD_MODELS];
    size_t vector_count;
    void *inside; // the store's own writes

    void (*done)(ak_write *write); // on the writer thread, after the commit; must not block
    void *arg;

    // The answer, valid from done() on; the submitter clears record and collection_out.
    ak_status status;
    ak_error error;
    bool created;                 // 201 rather than 200
    bool stale;                   // failed for want of a vector: ask ak_store_wanted again
    bool lagging;                 // the retained model has no vector of the picture yet
    ak_image_record record;       // ADD, PUT, PATCH
    ak_collection collection_out; // COLLECTION_PUT

    ak_write *next; // the store's
};

// Hands the write in; everything that it points to stays the caller's and lives until done().
// AK_OVERLOADED when the queue is full, AK_SHUTTING_DOWN: done() is then not called.
ak_status ak_store_submit(ak_store *store, ak_write *write, ak_error *err);

// Submits and waits; returns the write's own status, with its error in err. done and arg are the
// store's meanwhile.
ak_status ak_store_write(ak_store *store, ak_write *write, ak_error *err);

#endif
