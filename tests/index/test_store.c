// What each operation of the store does, one claim a test.
#include "tests/index/rig.h"

#include <pthread.h>

typedef struct {
    char *folder;
    ak_store *store;
} place;

static int set_up(void **state)
{
    place *at = malloc(sizeof *at);
    at->folder = rig_folder();
    at->store = rig_open(at->folder);
    *state = at;
    return 0;
}

static int tear_down(void **state)
{
    place *at = *state;
    ak_store_close(at->store);
    rig_remove(at->folder);
    free(at);
    return 0;
}

static void reopen(place *at)
{
    ak_store_close(at->store);
    at->store = rig_open(at->folder);
}

static void added_image_is_found_and_survives_reopening(void **state)
{
    place *at = *state;
    ak_error err = {0};
    assert_int_equal(rig_add(at->store, "a", 1), AK_OK);
    assert_int_equal(rig_add(at->store, "b", 2), AK_OK);
    for (int round = 0; round < 2; round++) {
        float query[DIMS];
        rig_vector(query, 1);
        ak_hits hits = rig_search(at->store, query, 10);
        assert_int_equal(hits.n, 2);
        assert_string_equal(hits.items[0].id, "a");
        assert_float_equal(hits.items[0].score, 1, 1e-6);
        assert_true(isnan(hits.items[0].match));
        assert_true(hits.exact && hits.scanned == 2);
        ak_hits_clear(&hits);

        ak_image_record record;
        rig_ok(ak_store_image(&record, at->store, "c", "b", &err), &err);
        assert_int_equal(record.width, 640);
        assert_int_equal(record.format, AK_FORMAT_JPEG);
        assert_int_equal(record.bytes, 2000);
        assert_int_equal(record.version, 1);
        ak_sha256 sum = rig_sum(2);
        assert_memory_equal(&record.sha256, &sum, sizeof sum);
        ak_image_record_clear(&record);

        ak_buf buf = {0};
        rig_ok(ak_store_proxy(&buf, at->store, "c", "b", &err), &err);
        assert_int_equal(buf.n, 3000);
        assert_memory_equal(buf.at, "proxy 2", 7);
        buf.n = 0;
        rig_ok(ak_store_original(&buf, at->store, "c", "b", &err), &err);
        assert_int_equal(buf.n, 2000);
        assert_memory_equal(buf.at, "original 2", 10);
        buf.n = 0;
        rig_ok(ak_store_model_read(&buf, at->store, MODEL, &err), &err);
        assert_int_equal(buf.n, 7);
        ak_buf_clear(&buf);

        float vector[DIMS];
        ak_generation *generation = rig_generation(at->store);
        rig_ok(ak_store_vector(vector, at->store, generation, "a", &err), &err);
        assert_memory_equal(vector, query, sizeof vector);
        ak_generation_release(generation);

        ak_collection collection = rig_collection(at->store);
        assert_int_equal(collection.images, 2);
        assert_int_equal(collection.pictures, 2);
        assert_int_equal(collection.bytes, 4000);
        assert_string_equal(collection.model, MODEL);
        ak_collection_clear(&collection);
        reopen(at);
    }
}

static void same_bytes_without_an_id_are_the_image_that_is_there(void **state)
{
    place *at = *state;
    char first[AK_ID_MAX + 1], second[AK_ID_MAX + 1];
    bool created;
    assert_int_equal(rig_put(at->store, AK_WRITE_IMAGE_ADD, NULL, 1, &created, first), AK_OK);
    assert_true(created);
    assert_int_equal(strlen(first), 26);
    assert_int_equal(rig_put(at->store, AK_WRITE_IMAGE_ADD, NULL, 1, &created, second), AK_OK);
    assert_false(created);
    assert_string_equal(first, second);
    ak_collection collection = rig_collection(at->store);
    assert_int_equal(collection.images, 1);
    ak_collection_clear(&collection);
}

static void same_bytes_with_another_id_share_the_picture_and_are_both_hits(void **state)
{
    place *at = *state;
    bool created;
    assert_int_equal(rig_add(at->store, "b", 1), AK_OK);
    assert_int_equal(rig_put(at->store, AK_WRITE_IMAGE_ADD, "a", 1, &created, NULL), AK_OK);
    assert_true(created);
    assert_int_equal(rig_count(at->store, false, "SELECT count(*) FROM pictures"), 1);
    assert_int_equal(rig_count(at->store, false, "SELECT count(*) FROM vectors"), 1);
    float query[DIMS];
    rig_vector(query, 1);
    ak_hits hits = rig_search(at->store, query, 10);
    assert_int_equal(hits.n, 2);
    assert_string_equal(hits.items[0].id, "a"); // ties by id
    assert_string_equal(hits.items[1].id, "b");
    ak_hits_clear(&hits);
    ak_collection collection = rig_collection(at->store);
    assert_int_equal(collection.images, 2);
    assert_int_equal(collection.pictures, 1);
    assert_int_equal(collection.bytes, 2000);
    ak_collection_clear(&collection);
}

static void an_id_taken_is_refused_by_add_and_replaced_by_put(void **state)
{
    place *at = *state;
    bool created;
    assert_int_equal(rig_add(at->store, "a", 1), AK_OK);
    assert_int_equal(rig_put(at->store, AK_WRITE_IMAGE_ADD, "a", 1, &created, NULL), AK_OK);
    assert_false(created);
    assert_int_equal(rig_add(at->store, "a", 2), AK_ID_TAKEN);
    assert_int_equal(rig_put(at->store, AK_WRITE_IMAGE_PUT, "a", 2, &created, NULL), AK_OK);
    assert_false(created);
    float query[DIMS];
    rig_vector(query, 2);
    ak_hits hits = rig_search(at->store, query, 10);
    assert_int_equal(hits.n, 1);
    assert_float_equal(hits.items[0].score, 1, 1e-6);
    assert_int_equal(hits.items[0].record.version, 2);
    ak_hits_clear(&hits);
    // The replaced picture goes, with its proxy and its original.
    rig_until(at->store, false, "SELECT count(*) FROM pictures", 1);
    rig_until(at->store, false, "SELECT count(*) FROM dropped", 0);
    assert_int_equal(rig_count(at->store, true, "SELECT count(*) FROM proxies"), 1);
    assert_int_equal(rig_blobs(at->folder), 1);
}

static void a_put_of_the_same_bytes_keeps_the_image(void **state)
{
    place *at = *state;
    bool created;
    assert_int_equal(rig_put(at->store, AK_WRITE_IMAGE_PUT, "a", 1, &created, NULL), AK_OK);
    assert_true(created);
    assert_int_equal(rig_put(at->store, AK_WRITE_IMAGE_PUT, "a", 1, &created, NULL), AK_OK);
    assert_false(created);
    ak_image_record record;
    assert_int_equal(ak_store_image(&record, at->store, "c", "a", NULL), AK_OK);
    assert_int_equal(record.version, 1);
    ak_image_record_clear(&record);
}

static void patch_sets_only_what_is_flagged(void **state)
{
    place *at = *state;
    ak_error err = {0};
    const char *tags[] = {"beach", "sun", "beach"};
    assert_int_equal(rig_add(at->store, "a", 1), AK_OK);
    ak_write write = {.kind = AK_WRITE_IMAGE_PATCH, .collection = "c", .id = "a"};
    write.fields = (ak_image_fields){.name = "x/\xc3\xa4.jpg",
                                     .album = "not set",
                                     .metadata = "{\"k\": [1, 2]}",
                                     .tags = tags,
                                     .tag_count = 3,
                                     .taken_at = 1234,
                                     .set_name = true,
                                     .set_metadata = true,
                                     .set_tags = true,
                                     .set_taken_at = true};
    rig_ok(ak_store_write(at->store, &write, &err), &err);
    assert_string_equal(write.record.name, "x/\xc3\xa4.jpg");
    assert_null(write.record.album);
    assert_int_equal(write.record.tag_count, 2); // a tag twice is one
    assert_string_equal(write.record.tags[1], "sun");
    assert_int_equal(write.record.taken_at, 1234);
    assert_int_equal(write.record.version, 2);
    ak_image_record_clear(&write.record);

    write.fields = (ak_image_fields){
        .caption = "sea", .taken_at = AK_TIME_NONE, .set_caption = true, .set_taken_at = true};
    rig_ok(ak_store_write(at->store, &write, &err), &err);
    assert_string_equal(write.record.caption, "sea");
    assert_string_equal(write.record.metadata, "{\"k\": [1, 2]}");
    assert_true(write.record.taken_at == AK_TIME_NONE);
    assert_int_equal(write.record.version, 3);
    ak_image_record_clear(&write.record);

    rig_ok(ak_store_write(at->store, &write, &err), &err); // nothing changes: nor the version
    assert_int_equal(write.record.version, 3);
    ak_image_record_clear(&write.record);

    write.id = "b";
    assert_int_equal(ak_store_write(at->store, &write, &err), AK_UNKNOWN_IMAGE);
}

static void bad_fields_are_refused_with_value_and_limit(void **state)
{
    place *at = *state;
    ak_error err = {0};
    char *big = malloc(AK_METADATA_MAX + 3);
    const char *tag = "";
    memset(big, 'x', AK_METADATA_MAX + 2);
    big[AK_METADATA_MAX + 2] = 0;
    assert_int_equal(rig_add(at->store, "a", 1), AK_OK);
    const ak_image_fields bad[] = {
        {.name = big, .set_name = true},
        {.name = "\xff", .set_name = true},
        {.metadata = "[1]", .set_metadata = true},
        {.metadata = "{", .set_metadata = true},
        {.metadata = big, .set_metadata = true},
        {.caption = big, .set_caption = true},
        {.tags = &tag, .tag_count = 1, .set_tags = true},
        {.tags = NULL, .tag_count = 65, .set_tags = true},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ak_write write = {.kind = AK_WRITE_IMAGE_PATCH, .collection = "c", .id = "a"};
        write.fields = bad[i];
        assert_int_equal(ak_store_write(at->store, &write, &err), AK_BAD_VALUE);
        if (i == 0)
            assert_string_equal(err.text, "name has 65538 bytes; at most 1024");
    }
    free(big);
    assert_int_equal(rig_add(at->store, "..", 1), AK_BAD_VALUE);
    assert_int_equal(rig_add(at->store, "a/b", 1), AK_BAD_VALUE);
    rig_upload *upload = malloc(sizeof *upload);
    rig_fill(upload, AK_WRITE_IMAGE_ADD, "n", 5);
    upload->vector[3] = NAN;
    assert_int_equal(ak_store_write(at->store, &upload->write, &err), AK_BAD_VECTOR);
    rig_fill(upload, AK_WRITE_IMAGE_ADD, "n", 5);
    upload->write.vectors[0].dims = 3;
    assert_int_equal(ak_store_write(at->store, &upload->write, &err), AK_BAD_VECTOR);
    free(upload);
    ak_collection collection = rig_collection(at->store);
    assert_int_equal(collection.images, 1);
    ak_collection_clear(&collection);
}

static void if_match_guards_put_patch_and_delete(void **state)
{
    place *at = *state;
    ak_error err = {0};
    assert_int_equal(rig_add(at->store, "a", 1), AK_OK);
    ak_write write = {.kind = AK_WRITE_IMAGE_PATCH, .collection = "c", .id = "a", .if_match = "2"};
    write.fields = (ak_image_fields){.name = "n", .set_name = true};
    assert_int_equal(ak_store_write(at->store, &write, &err), AK_PRECONDITION_FAILED);
    write.if_match = "1";
    rig_ok(ak_store_write(at->store, &write, &err), &err);
    ak_image_record_clear(&write.record);
    ak_write removal = {
        .kind = AK_WRITE_IMAGE_DELETE, .collection = "c", .id = "a", .if_match = "1"};
    assert_int_equal(ak_store_write(at->store, &removal, &err), AK_PRECONDITION_FAILED);
    removal.if_match = "2";
    rig_ok(ak_store_write(at->store, &removal, &err), &err);
    assert_int_equal(ak_store_write(at->store, &removal, &err), AK_UNKNOWN_IMAGE);
    rig_upload *upload = malloc(sizeof *upload);
    rig_fill(upload, AK_WRITE_IMAGE_PUT, "z", 1);
    upload->write.if_match = "1";
    assert_int_equal(ak_store_write(at->store, &upload->write, &err), AK_PRECONDITION_FAILED);
    free(upload);
}

static void deleted_means_gone(void **state)
{
    place *at = *state;
    assert_int_equal(rig_add(at->store, "a", 1), AK_OK);
    assert_int_equal(rig_add(at->store, "b", 1), AK_OK);
    assert_int_equal(rig_delete(at->store, "a"), AK_OK);
    float query[DIMS];
    rig_vector(query, 1);
    ak_hits hits = rig_search(at->store, query, 10);
    assert_int_equal(hits.n, 1); // the other image of the picture stays
    ak_hits_clear(&hits);
    assert_int_equal(rig_delete(at->store, "b"), AK_OK);
    rig_until(at->store, false, "SELECT count(*) FROM pictures", 0);
    rig_until(at->store, false, "SELECT count(*) FROM dropped", 0);
    assert_int_equal(rig_count(at->store, false, "SELECT count(*) FROM vectors"), 0);
    assert_int_equal(rig_count(at->store, true, "SELECT count(*) FROM proxies"), 0);
    assert_int_equal(rig_blobs(at->folder), 0);
}

static void a_pinned_picture_outlives_its_last_image(void **state)
{
    place *at = *state;
    ak_error err = {0};
    ak_wanted wanted;
    ak_sha256 sum = rig_sum(1);
    ak_generation *generation = rig_generation(at->store);
    assert_int_equal(rig_add(at->store, "a", 1), AK_OK);
    rig_ok(ak_store_pin(at->store, &sum, &err), &err);
    assert_int_equal(rig_delete(at->store, "a"), AK_OK);
    assert_int_equal(rig_add(at->store, "z", 9), AK_OK); // the cleaning after the deletion is over
    rig_ok(ak_store_wanted(&wanted, at->store, generation, &sum, &err), &err);
    assert_int_equal(wanted.n, 0);
    // Nothing is wanted, so neither proxy nor vector is sent.
    rig_upload *upload = malloc(sizeof *upload);
    rig_fill(upload, AK_WRITE_IMAGE_ADD, "b", 1);
    upload->write.vector_count = 0;
    upload->write.proxy = (ak_bytes){0};
    rig_ok(ak_store_write(at->store, &upload->write, &err), &err);
    ak_image_record_clear(&upload->write.record);
    assert_int_equal(rig_delete(at->store, "b"), AK_OK);
    ak_store_unpin(at->store, &sum);
    rig_until(at->store, false, "SELECT count(*) FROM pictures", 1);
    rig_ok(ak_store_wanted(&wanted, at->store, generation, &sum, &err), &err);
    assert_int_equal(wanted.n, 1);
    assert_string_equal(wanted.ids[0], MODEL);
    upload->write.id = "d";
    assert_int_equal(ak_store_write(at->store, &upload->write, &err), AK_CONFLICT);
    free(upload);
    ak_generation_release(generation);
}

static void a_deleted_collection_is_purged_and_its_name_is_free_at_once(void **state)
{
    place *at = *state;
    ak_error err = {0};
    rig_keep_no_originals(at->store);
    rig_add_many(at->store, "i", 0, 1200);
    ak_generation *old = rig_generation(at->store);
    ak_write removal = {.kind = AK_WRITE_COLLECTION_DELETE, .collection = "c"};
    rig_ok(ak_store_write(at->store, &removal, &err), &err);
    ak_generation *none;
    assert_int_equal(ak_store_generation(&none, at->store, "c", &err), AK_UNKNOWN_COLLECTION);
    float query[DIMS];
    rig_vector(query, 1);
    ak_hits hits;
    ak_search search = {.query = query, .limit = 5, .min_score = -1};
    assert_int_equal(ak_store_search(&hits, at->store, old, &search, &err), AK_UNKNOWN_COLLECTION);
    ak_generation_release(old);
    ak_write put = {.kind = AK_WRITE_COLLECTION_PUT, .collection = "c", .keep_original = 0};
    rig_ok(ak_store_write(at->store, &put, &err), &err);
    assert_true(put.created);
    assert_int_equal(put.collection_out.images, 0);
    ak_collection_clear(&put.collection_out);
    assert_int_equal(rig_add(at->store, "i7", 7), AK_OK);
    rig_until(at->store, false, "SELECT count(*) FROM images", 1);
    rig_until(at->store, false, "SELECT count(*) FROM pictures", 1);
    rig_until(at->store, false, "SELECT count(*) FROM collections", 1);
    rig_until(at->store, false, "SELECT count(*) FROM dropped", 0);
    assert_int_equal(rig_count(at->store, true, "SELECT count(*) FROM proxies"), 1);
}

static void collection_settings_change_one_by_one(void **state)
{
    place *at = *state;
    ak_error err = {0};
    ak_write put = {.kind = AK_WRITE_COLLECTION_PUT,
                    .collection = "c",
                    .description = "d",
                    .keep_original = -1};
    rig_ok(ak_store_write(at->store, &put, &err), &err);
    assert_false(put.created);
    assert_true(put.collection_out.keep_original);
    assert_string_equal(put.collection_out.description, "d");
    assert_int_equal(put.collection_out.version, 2);
    ak_collection_clear(&put.collection_out);
    put.description = NULL;
    put.keep_original = 0;
    put.if_match = "2";
    rig_ok(ak_store_write(at->store, &put, &err), &err);
    assert_string_equal(put.collection_out.description, "d");
    assert_false(put.collection_out.keep_original);
    ak_collection_clear(&put.collection_out);
    assert_int_equal(ak_store_write(at->store, &put, &err), AK_PRECONDITION_FAILED);
    ak_buf buf = {0};
    assert_int_equal(rig_add(at->store, "a", 1), AK_OK);
    assert_int_equal(ak_store_original(&buf, at->store, "c", "a", &err), AK_NOT_FOUND);
    assert_int_equal(rig_blobs(at->folder), 0);
    put.if_match = NULL;
    put.keep_original = 1;
    rig_ok(ak_store_write(at->store, &put, &err), &err);
    ak_collection_clear(&put.collection_out);
    assert_int_equal(rig_add(at->store, "a", 1), AK_OK); // the same bytes: now they are kept
    rig_ok(ak_store_original(&buf, at->store, "c", "a", &err), &err);
    ak_buf_clear(&buf);
    put = (ak_write){.kind = AK_WRITE_COLLECTION_PUT, .collection = "Bad", .keep_original = -1};
    assert_int_equal(ak_store_write(at->store, &put, &err), AK_BAD_VALUE);

    ak_collection *items;
    size_t n;
    bool more;
    for (int i = 0; i < 3; i++) {
        char name[] = "d0";
        name[1] = (char)('0' + i);
        put = (ak_write){.kind = AK_WRITE_COLLECTION_PUT, .collection = name, .keep_original = -1};
        rig_ok(ak_store_write(at->store, &put, &err), &err);
        ak_collection_clear(&put.collection_out);
    }
    rig_ok(ak_store_collections(&items, &n, &more, at->store, "c", 2, &err), &err);
    assert_true(n == 2 && more);
    assert_string_equal(items[0].name, "d0");
    for (size_t i = 0; i < n; i++)
        ak_collection_clear(&items[i]);
    free(items);
}

static void a_list_goes_on_after_inserts_and_deletes(void **state)
{
    place *at = *state;
    ak_error err = {0};
    rig_keep_no_originals(at->store);
    for (int order = AK_ORDER_CREATED; order <= AK_ORDER_ID; order++) {
        char prefix[] = "a0-";
        prefix[1] = (char)('0' + order);
        rig_add_many(at->store, prefix, 100, 100);
        ak_position after = {0};
        bool more = true, first = true;
        int seen[100] = {0}, pages = 0;
        while (more) {
            ak_image_record *items;
            size_t n;
            rig_ok(ak_store_images(&items, &n, &more, at->store, "c", (ak_order)order,
                                   first ? NULL : &after, 7, &err),
                   &err);
            first = false;
            for (size_t i = 0; i < n; i++) {
                if (strncmp(items[i].id, prefix, 3) == 0)
                    seen[atoi(items[i].id + 3) - 100]++;
                after.created_at = items[i].created_at;
                strcpy(after.id, items[i].id);
                ak_image_record_clear(&items[i]);
            }
            free(items);
            char id[64];
            snprintf(id, sizeof id, "0-%d-%d", order, pages);
            assert_int_equal(rig_add(at->store, id, (uint32_t)(1000 + order * 1000 + pages)),
                             AK_OK);
            if (pages++ == 2 && after.id[0]) // what was just seen goes: the place stays
                assert_int_equal(rig_delete(at->store, after.id), AK_OK);
            assert_true(pages < 300);
        }
        for (int i = 0; i < 100; i++)
            assert_int_equal(seen[i], 1);
    }
}

static void collect(void *arg, size_t i, const char *id)
{
    char *text = arg;
    sprintf(text + strlen(text), "%zu:%s ", i, id);
}

static void check_names_the_ids_of_known_bytes(void **state)
{
    place *at = *state;
    ak_error err = {0};
    char text[200] = "";
    assert_int_equal(rig_add(at->store, "b", 1), AK_OK);
    assert_int_equal(rig_add(at->store, "a", 1), AK_OK);
    assert_int_equal(rig_add(at->store, "x", 3), AK_OK);
    ak_sha256 sums[] = {rig_sum(2), rig_sum(1), rig_sum(3)};
    rig_ok(ak_store_check(at->store, "c", sums, 3, collect, text, &err), &err);
    assert_string_equal(text, "1:b 1:a 2:x ");
}

typedef struct {
    ak_store *store;
    pthread_barrier_t *start;
    uint32_t number;
    int created;
    char id[AK_ID_MAX + 1];
} racer;

static void *race(void *arg)
{
    racer *self = arg;
    pthread_barrier_wait(self->start);
    bool created;
    if (rig_put(self->store, AK_WRITE_IMAGE_ADD, NULL, self->number, &created, self->id) != AK_OK)
        return NULL;
    self->created += created;
    return self;
}

static void two_threads_with_the_same_bytes_make_one_image(void **state)
{
    place *at = *state;
    for (uint32_t round = 0; round < 50; round++) {
        pthread_barrier_t start;
        pthread_t threads[2];
        racer racers[2] = {{at->store, &start, round, 0, ""}, {at->store, &start, round, 0, ""}};
        pthread_barrier_init(&start, NULL, 2);
        for (int i = 0; i < 2; i++)
            pthread_create(&threads[i], NULL, race, &racers[i]);
        for (int i = 0; i < 2; i++) {
            void *fine;
            pthread_join(threads[i], &fine);
            assert_non_null(fine);
        }
        pthread_barrier_destroy(&start);
        assert_int_equal(racers[0].created + racers[1].created, 1);
        assert_string_equal(racers[0].id, racers[1].id);
    }
    ak_collection collection = rig_collection(at->store);
    assert_int_equal(collection.images, 50);
    ak_collection_clear(&collection);
}

enum { ROUNDS = 150, FIRST = 9000 };

static void *replace_on(void *arg)
{
    ak_store *store = arg;
    for (uint32_t i = 1; i <= ROUNDS; i++)
        if (rig_put(store, AK_WRITE_IMAGE_PUT, "u", FIRST + i, NULL, NULL) != AK_OK)
            return NULL;
    return arg;
}

static void a_search_among_replacements_sees_one_picture_or_the_next(void **state)
{
    place *at = *state;
    pthread_t thread;
    void *fine = NULL;
    float query[DIMS], shown[DIMS];
    rig_keep_no_originals(at->store);
    rig_add_many(at->store, "i", 0, 20);
    assert_int_equal(rig_add(at->store, "u", FIRST), AK_OK);
    rig_vector(query, 5);
    pthread_create(&thread, NULL, replace_on, at->store);
    for (uint32_t last = FIRST; last < FIRST + ROUNDS;) {
        ak_hits hits = rig_search(at->store, query, 100);
        int found = 0;
        assert_int_equal(hits.n, 21);
        for (size_t i = 0; i < hits.n; i++) {
            if (strcmp(hits.items[i].id, "u") != 0)
                continue;
            found++;
            for (ak_sha256 sum;
                 sum = rig_sum(last), memcmp(&sum, &hits.items[i].record.sha256, sizeof sum) != 0;)
                assert_true(++last <= FIRST + ROUNDS); // never an older one than before
            rig_vector(shown, last);
            float score = 0;
            for (int j = 0; j < DIMS; j++)
                score += query[j] * shown[j];
            assert_float_equal(hits.items[i].score, score, 1e-5);
        }
        assert_int_equal(found, 1);
        ak_hits_clear(&hits);
        ak_folder_round(at->store, true);
    }
    pthread_join(thread, &fine);
    assert_non_null(fine);
}

static void a_second_opener_is_refused(void **state)
{
    place *at = *state;
    ak_store *second;
    ak_error err = {0};
    assert_int_equal(ak_store_open(&second, at->folder, NULL, &err), AK_CONFLICT);
    assert_non_null(strstr(err.text, "in use by another process"));
}

static void excluded_ids_and_low_scores_are_left_out(void **state)
{
    place *at = *state;
    ak_error err = {0};
    rig_add_many(at->store, "i", 0, 50);
    const char *exclude[] = {"i3", "nobody"};
    float query[DIMS];
    rig_vector(query, 3);
    ak_generation *generation = rig_generation(at->store);
    ak_search search = {.query = query,
                        .limit = 100,
                        .min_score = -INFINITY,
                        .exclude = exclude,
                        .exclude_count = 2};
    ak_hits hits;
    rig_ok(ak_store_search(&hits, at->store, generation, &search, &err), &err);
    assert_int_equal(hits.n, 49);
    ak_hits_clear(&hits);
    search.exclude_count = 0;
    search.min_score = 0.9;
    rig_ok(ak_store_search(&hits, at->store, generation, &search, &err), &err);
    assert_int_equal(hits.n, 1);
    ak_hits_clear(&hits);
    search.limit = 0;
    assert_int_equal(ak_store_search(&hits, at->store, generation, &search, &err), AK_BAD_VALUE);
    query[0] = NAN;
    search.limit = 1;
    assert_int_equal(ak_store_search(&hits, at->store, generation, &search, &err), AK_BAD_VECTOR);
    ak_generation_release(generation);
}

static void match_is_there_from_200_pictures_on(void **state)
{
    place *at = *state;
    float query[DIMS];
    rig_vector(query, 3);
    rig_keep_no_originals(at->store);
    rig_add_many(at->store, "i", 0, 199);
    ak_hits hits = rig_search(at->store, query, 199);
    assert_true(isnan(hits.items[0].match));
    ak_hits_clear(&hits);
    rig_add_many(at->store, "i", 199, 1);
    hits = rig_search(at->store, query, 200);
    assert_float_equal(hits.items[0].match, 1, 1e-6);
    for (size_t i = 1; i < hits.n; i++)
        assert_true(hits.items[i].match <= hits.items[i - 1].match);
    assert_true(hits.items[199].match < 0.05);
    assert_true(fabs(hits.items[100].match - 0.5) < 0.15); // random vectors: half score lower
    ak_hits_clear(&hits);
}

static void a_full_queue_and_a_closing_store_refuse(void **state)
{
    place *at = *state;
    ak_error err = {0};
    ak_store_close(at->store);
    ak_store_options options = AK_STORE_OPTIONS_DEFAULT;
    options.write_queue = 1;
    at->store = rig_open_with(at->folder, &options);
    pthread_mutex_lock(&at->store->queue.lock);
    at->store->queue.n = 1; // as if one waited
    pthread_mutex_unlock(&at->store->queue.lock);
    ak_write write = {.kind = AK_WRITE_COLLECTION_PUT, .collection = "c", .keep_original = -1};
    assert_int_equal(ak_store_submit(at->store, &write, &err), AK_OVERLOADED);
    pthread_mutex_lock(&at->store->queue.lock);
    at->store->queue.n = 0;
    pthread_mutex_unlock(&at->store->queue.lock);
    at->store->options.disk_floor = UINT64_MAX;
    assert_int_equal(ak_store_writable(at->store, &err), AK_DISK_FULL);
    assert_int_equal(rig_add(at->store, "a", 1), AK_DISK_FULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(added_image_is_found_and_survives_reopening),
        TEST(same_bytes_without_an_id_are_the_image_that_is_there),
        TEST(same_bytes_with_another_id_share_the_picture_and_are_both_hits),
        TEST(an_id_taken_is_refused_by_add_and_replaced_by_put),
        TEST(a_put_of_the_same_bytes_keeps_the_image),
        TEST(patch_sets_only_what_is_flagged),
        TEST(bad_fields_are_refused_with_value_and_limit),
        TEST(if_match_guards_put_patch_and_delete),
        TEST(deleted_means_gone),
        TEST(a_pinned_picture_outlives_its_last_image),
        TEST(a_deleted_collection_is_purged_and_its_name_is_free_at_once),
        TEST(collection_settings_change_one_by_one),
        TEST(a_list_goes_on_after_inserts_and_deletes),
        TEST(check_names_the_ids_of_known_bytes),
        TEST(two_threads_with_the_same_bytes_make_one_image),
        TEST(a_search_among_replacements_sees_one_picture_or_the_next),
        TEST(a_second_opener_is_refused),
        TEST(excluded_ids_and_low_scores_are_left_out),
        TEST(match_is_there_from_200_pictures_on),
        TEST(a_full_queue_and_a_closing_store_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
