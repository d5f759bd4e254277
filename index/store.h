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

typedef struct ak_store ak_store;
typedef struct ak_generation ak_generation;

typedef struct {
    size_t write_queue;  // writes that may wait; more are AK_OVERLOADED (default 1,024)
    size_t group_writes; // writes of one commit at most (default 256)
    int readers;         // reads at once, a search being one; more wait for a turn (default 4)
    uint64_t disk_floor; // free bytes under which all but deletions are AK_DISK_FULL (64 MiB)
} ak_store_options;

#define AK_STORE_OPTIONS_DEFAULT                                                                   \
    ((ak_store_options){                                                                           \
        .write_queue = 1024, .group_writes = 256, .readers = 4, .disk_floor = (uint64_t)64 << 20})

// location: for the embedded store a folder; it is made when missing, locked against a second
// process, migrated, and what a crash left half done is cleared. `options` may be NULL.
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

// Keeps a model file under the id that the caller gives (its hash); fine when it is there. The
// first one becomes the base model, which new collections are served by. Any thread, at start.
ak_status ak_store_model_add(ak_store *store, const char *id, int dims, ak_bytes file,
                             ak_error *err);
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

// --- reading -----------------------------------------------------------------------------------

typedef struct {
    char name[AK_NAME_MAX + 1];
    char model[AK_NAME_MAX + 1]; // of the serving generation
    char *description;           // "" when none was given
    bool keep_original;
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

// Whether the picture is stored with a vector of the generation's model, so that it need not be
// decoded or embedded again. Only between pin and unpin is the answer still true a moment later.
ak_status ak_store_known(bool *known, ak_store *store, ak_generation *generation,
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

typedef struct ak_write ak_write;
struct ak_write {
    ak_write_kind kind;
    const char *collection;
    const char *id;          // NULL (ADD alone): the store makes a ULID
    const char *if_match;    // NULL, or the version as text that must still be current; "*": any
    ak_image_fields fields;  // ADD, PUT, PATCH
    const char *description; // COLLECTION_PUT, NULL: as it is
    int keep_original;       // COLLECTION_PUT, -1: as it is

    // ADD and PUT. When the picture is known (ak_store_known, pinned) proxy and vector stay empty.
    ak_sha256 sha256;
    ak_image_info info;
    ak_bytes original, proxy;
    const char *model; // of the vector
    const float *vector;
    int dims;

    void (*done)(ak_write *write); // on the writer thread, after the commit; must not block
    void *arg;

    // The answer, valid from done() on; the submitter clears record and collection_out.
    ak_status status;
    ak_error error;
    bool created;                 // 201 rather than 200
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
