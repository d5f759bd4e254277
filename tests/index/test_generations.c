// Changes from one model to another, promotions and rollbacks, against the obvious: every score is
// recomputed from the model's own vectors.
#include "tests/index/two.h"

#include <errno.h>
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
    rig_keep_no_originals(at->store);
    two_add_model(at->store, NEW, NEW_DIMS, AK_MODEL_CANDIDATE);
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

// --- the claims --------------------------------------------------------------------------------

static void a_promotion_serves_the_new_vectors_and_only_those(void **state)
{
    place *at = *state;
    ak_error err = {0};
    float scores[40];
    char model[AK_NAME_MAX + 1];
    int64_t promoted;
    rig_add_many(at->store, "i", 0, 30);
    two_begin(at->store, NEW);
    assert_int_equal(two_missing(at->store, NEW), 30);
    assert_int_equal(two_fill(at->store, NEW, 20), 20);
    assert_int_equal(ak_store_promote(&promoted, at->store, NEW, &err), AK_CONFLICT);
    assert_string_equal(err.text,
                        "10 pictures have no vector of the model yet: embed them, and try again");
    two_search_exactly(scores, 40, model, at->store, 3);
    assert_string_equal(model, MODEL);
    assert_int_equal(two_fill(at->store, NEW, 20), 10);
    rig_ok(ak_store_promote(&promoted, at->store, NEW, &err), &err);
    assert_int_equal(promoted, 1);
    for (int round = 0; round < 2; round++) {
        two_search_exactly(scores, 40, model, at->store, 3);
        assert_string_equal(model, NEW);
        assert_int_equal(two_found(scores, 40), 30);
        assert_true(scores[3] > 0.9999f);
        ak_collection c = rig_collection(at->store);
        assert_string_equal(c.model, NEW);
        assert_string_equal(c.retained, MODEL);
        assert_string_equal(c.coming, "");
        ak_collection_clear(&c);
        reopen(at);
    }
    rig_ok(ak_store_promote(&promoted, at->store, NEW, &err), &err);
    assert_int_equal(promoted, 0); // no change is under way
}

static void a_request_keeps_the_generation_that_it_took_and_sees_deletions_in_it(void **state)
{
    place *at = *state;
    ak_error err = {0};
    ak_hits hits;
    float query[DIMS];
    rig_add_many(at->store, "i", 0, 30);
    ak_generation *old = rig_generation(at->store);
    two_promote(at->store, NEW);
    rig_vector(query, 5);
    ak_search search = {.query = query, .limit = 1000, .min_score = -INFINITY};
    rig_ok(ak_store_search(&hits, at->store, old, &search, &err), &err);
    assert_int_equal(hits.n, 30);
    assert_string_equal(hits.items[0].id, "i5");
    ak_hits_clear(&hits);
    assert_int_equal(rig_delete(at->store, "i5"), AK_OK);
    rig_ok(ak_store_search(&hits, at->store, old, &search, &err), &err);
    assert_int_equal(hits.n, 29);
    ak_hits_clear(&hits);
    rig_ok(ak_store_vector(query, at->store, old, "i6", &err), &err);
    ak_generation_release(old);
}

static void uploads_during_a_change_bring_both_vectors_or_are_listed(void **state)
{
    place *at = *state;
    ak_error err = {0};
    ak_wanted wanted;
    float scores[40];
    char model[AK_NAME_MAX + 1];
    int64_t promoted;
    rig_add_many(at->store, "i", 0, 10);
    two_begin(at->store, NEW);
    while (two_fill(at->store, NEW, 100))
        continue;
    ak_generation *generation = rig_generation(at->store);
    ak_sha256 sum = rig_sum(10), known = rig_sum(3);
    rig_ok(ak_store_wanted(&wanted, at->store, generation, &sum, &err), &err);
    assert_int_equal(wanted.n, 2);
    assert_string_equal(wanted.ids[0], MODEL);
    assert_string_equal(wanted.ids[1], NEW);
    rig_ok(ak_store_wanted(&wanted, at->store, generation, &known, &err), &err);
    assert_int_equal(wanted.n, 0);
    ak_generation_release(generation);
    assert_int_equal(two_upload_both(at->store, "i10", 10), AK_OK);
    assert_int_equal(two_missing(at->store, NEW), 0);
    assert_int_equal(rig_add(at->store, "i11", 11), AK_OK); // was prepared before the change began
    assert_int_equal(two_missing(at->store, NEW), 1);
    assert_int_equal(ak_store_promote(&promoted, at->store, NEW, &err), AK_CONFLICT);
    assert_int_equal(two_fill(at->store, NEW, 10), 1);
    rig_ok(ak_store_promote(&promoted, at->store, NEW, &err), &err);
    two_search_exactly(scores, 40, model, at->store, 11);
    assert_string_equal(model, NEW);
    assert_int_equal(two_found(scores, 40), 12);
    // One that was prepared before the promotion lacks the vector that serves: it goes again.
    rig_upload *upload = malloc(sizeof *upload);
    rig_fill(upload, AK_WRITE_IMAGE_ADD, "i12", 12);
    assert_int_equal(ak_store_write(at->store, &upload->write, &err), AK_CONFLICT);
    assert_true(upload->write.stale);
    free(upload);
    assert_int_equal(two_upload_both(at->store, "i12", 12), AK_OK);
}

static void a_rollback_gives_bit_identical_answers(void **state)
{
    place *at = *state;
    ak_error err = {0};
    enum { N = 400 };
    ak_hits before, after;
    float query[DIMS], scores[N + 2];
    char model[AK_NAME_MAX + 1];
    int64_t to_come = -1;
    rig_add_many(at->store, "i", 0, N);
    rig_vector(query, 77);
    for (int fold = 0; fold < 2; fold++) {
        before = rig_search(at->store, query, 1000);
        two_promote(at->store, NEW);
        ak_folder_round(at->store, true);
        if (fold)
            reopen(at);
        rig_ok(ak_store_rollback(model, &to_come, at->store, "c", &err), &err);
        assert_string_equal(model, MODEL);
        assert_int_equal(to_come, 0);
        after = rig_search(at->store, query, 1000);
        assert_int_equal(before.n, N);
        assert_int_equal(after.n, N);
        for (int i = 0; i < N; i++) {
            assert_string_equal(before.items[i].id, after.items[i].id);
            assert_memory_equal(&before.items[i].score, &after.items[i].score, sizeof(float));
            assert_memory_equal(&before.items[i].match, &after.items[i].match, sizeof(double));
            assert_false(isnan(before.items[i].match));
        }
        ak_hits_clear(&before);
        ak_hits_clear(&after);
    }
    // And forward again.
    rig_ok(ak_store_rollback(model, &to_come, at->store, "c", &err), &err);
    assert_string_equal(model, NEW);
    two_search_exactly(scores, N + 2, model, at->store, 5);
    assert_int_equal(two_found(scores, N + 2), N);
}

static void later_uploads_and_deletions_reach_the_retained_model(void **state)
{
    place *at = *state;
    ak_error err = {0};
    float scores[40];
    char model[AK_NAME_MAX + 1];
    int64_t to_come = 0;
    bool lagging;
    rig_add_many(at->store, "i", 0, 20);
    two_promote(at->store, NEW);
    rig_ok(ak_store_lagging(model, &lagging, at->store, &err), &err);
    assert_false(lagging);
    for (uint32_t i = 20; i < 25; i++) {
        char id[16];
        float vector[NEW_DIMS];
        rig_upload *upload = malloc(sizeof *upload);
        snprintf(id, sizeof id, "i%u", i);
        rig_fill(upload, AK_WRITE_IMAGE_ADD, id, i);
        two_new_vector(vector, i);
        upload->write.vectors[0] = (ak_vector){NEW, vector, NEW_DIMS};
        rig_ok(ak_store_write(at->store, &upload->write, &err), &err);
        assert_true(upload->write.lagging);
        ak_image_record_clear(&upload->write.record);
        free(upload);
    }
    assert_int_equal(rig_delete(at->store, "i3"), AK_OK);
    assert_int_equal(rig_delete(at->store, "i20"), AK_OK);
    rig_ok(ak_store_lagging(model, &lagging, at->store, &err), &err);
    assert_true(lagging);
    assert_string_equal(model, MODEL);
    assert_int_equal(two_fill(at->store, MODEL, 1), 1);
    rig_ok(ak_store_rollback(model, &to_come, at->store, "c", &err), &err);
    assert_int_equal(to_come, 3);
    two_search_exactly(scores, 40, model, at->store, 21);
    assert_string_equal(model, MODEL);
    assert_int_equal(two_found(scores, 40), 20); // 19 of the first, and the one that was filled in
    rig_ok(ak_store_lagging(model, &lagging, at->store, &err), &err);
    assert_true(lagging);
    assert_int_equal(two_fill(at->store, MODEL, 100), 3);
    two_search_exactly(scores, 40, model, at->store, 23);
    assert_int_equal(two_found(scores, 40), 23); // at once
    assert_true(isnan(scores[3]) && isnan(scores[20]) && scores[23] > 0.9999f);
    reopen(at);
    two_search_exactly(scores, 40, model, at->store, 23);
    assert_int_equal(two_found(scores, 40), 23);
}

static void what_nothing_needs_goes_bit_by_bit_when_its_last_request_ends(void **state)
{
    place *at = *state;
    ak_error err = {0};
    rig_add_many(at->store, "i", 0, 700);
    ak_generation *first = rig_generation(at->store);
    two_promote(at->store, NEW);
    rig_until(at->store, false, "SELECT count(*) FROM vectors", 1400);
    two_promote(at->store, MODEL); // the first generation is dropped, its model serves again
    rig_until(at->store, false, "SELECT count(*) FROM generations", 3);
    ak_generation_release(first);
    rig_until(at->store, false, "SELECT count(*) FROM generations", 2);
    rig_until(at->store, false, "SELECT count(*) FROM vectors", 1400);
    two_add_model(at->store, "m3", DIMS, AK_MODEL_CANDIDATE);
    const char *collections[] = {"c"};
    rig_ok(ak_store_change_begin(at->store, "m3", collections, 1, &err), &err);
    two_fill(at->store, "m3", 300);
    assert_int_equal(ak_store_change_begin(at->store, NEW, collections, 1, &err), AK_CONFLICT);
    rig_ok(ak_store_change_abandon(at->store, "m3", &err), &err);
    rig_until(at->store, false, "SELECT count(*) FROM vectors", 1400);
    rig_until(at->store, false, "SELECT count(*) FROM missing", 0);
    rig_until(at->store, false, "SELECT count(*) FROM generations", 2);
}

static void a_picture_of_two_collections_keeps_what_each_needs(void **state)
{
    place *at = *state;
    ak_error err = {0};
    ak_write put = {.kind = AK_WRITE_COLLECTION_PUT, .collection = "d", .keep_original = 0};
    rig_ok(ak_store_write(at->store, &put, &err), &err);
    ak_collection_clear(&put.collection_out);
    rig_add_many(at->store, "i", 0, 10);
    for (uint32_t i = 0; i < 10; i++) {
        char id[16];
        rig_upload *upload = malloc(sizeof *upload);
        snprintf(id, sizeof id, "j%u", i);
        rig_fill(upload, AK_WRITE_IMAGE_ADD, id, i);
        upload->write.collection = "d";
        rig_ok(ak_store_write(at->store, &upload->write, &err), &err);
        ak_image_record_clear(&upload->write.record);
        free(upload);
    }
    two_promote(at->store, NEW);
    two_promote(at->store, MODEL);
    assert_int_equal(rig_delete(at->store, "i4"), AK_OK); // "d" still shows it, by MODEL
    rig_until(at->store, false, "SELECT count(*) FROM vectors", 19);
    ak_write removal = {.kind = AK_WRITE_COLLECTION_DELETE, .collection = "c"};
    rig_ok(ak_store_write(at->store, &removal, &err), &err);
    rig_until(at->store, false, "SELECT count(*) FROM vectors", 10);
    rig_until(at->store, false, "SELECT count(*) FROM pictures", 10);
}

static void deletions_during_each_phase_leave_nothing(void **state)
{
    place *at = *state;
    ak_error err = {0};
    float scores[40];
    char model[AK_NAME_MAX + 1];
    int64_t promoted, to_come;
    rig_add_many(at->store, "i", 0, 20);
    two_begin(at->store, NEW);
    assert_int_equal(rig_delete(at->store, "i0"), AK_OK); // missing still
    assert_int_equal(two_fill(at->store, NEW, 10), 10);
    assert_int_equal(rig_delete(at->store, "i1"), AK_OK); // there already
    while (two_fill(at->store, NEW, 10))
        continue;
    rig_ok(ak_store_promote(&promoted, at->store, NEW, &err), &err);
    assert_int_equal(rig_delete(at->store, "i2"), AK_OK);
    two_search_exactly(scores, 40, model, at->store, 9);
    assert_int_equal(two_found(scores, 40), 17);
    rig_ok(ak_store_rollback(model, &to_come, at->store, "c", &err), &err);
    assert_int_equal(rig_delete(at->store, "i3"), AK_OK);
    two_search_exactly(scores, 40, model, at->store, 9);
    assert_int_equal(two_found(scores, 40), 16);
    rig_until(at->store, false, "SELECT count(*) FROM pictures", 16);
    rig_until(at->store, false, "SELECT count(*) FROM vectors", 32);
    assert_int_equal(rig_count(at->store, false, "SELECT count(*) FROM missing"), 0);
    // The collection itself goes while it changes.
    two_begin(at->store, NEW);
    ak_write removal = {.kind = AK_WRITE_COLLECTION_DELETE, .collection = "c"};
    rig_ok(ak_store_write(at->store, &removal, &err), &err);
    rig_ok(ak_store_promote(&promoted, at->store, NEW, &err), &err);
    assert_int_equal(promoted, 0);
    rig_until(at->store, false, "SELECT count(*) FROM pictures", 0);
    rig_until(at->store, false, "SELECT count(*) FROM vectors", 0);
    rig_until(at->store, false, "SELECT count(*) FROM generations", 0);
    assert_int_equal(rig_count(at->store, false, "SELECT count(*) FROM missing"), 0);
}

static void models_are_listed_described_and_bounded(void **state)
{
    place *at = *state;
    ak_error err = {0};
    ak_model_record *items, one;
    size_t n;
    two_add_model(at->store, NEW, NEW_DIMS, AK_MODEL_REFUSED); // it is there: nothing changes
    rig_ok(ak_store_models(&items, &n, at->store, &err), &err);
    assert_int_equal(n, 2);
    assert_string_equal(items[0].id, NEW);
    assert_int_equal(items[0].state, AK_MODEL_CANDIDATE);
    assert_string_equal(items[0].parent, MODEL);
    assert_int_equal(items[1].state, AK_MODEL_SERVING);
    assert_true(items[1].base && !items[0].base && !items[0].needed);
    for (size_t i = 0; i < n; i++)
        ak_model_record_clear(&items[i]);
    free(items);
    rig_ok(ak_store_model_set(at->store, NEW, AK_MODEL_REFUSED, "{\"map\": 0.4}", &err), &err);
    assert_int_equal(ak_store_model_set(at->store, NEW, AK_MODEL_SERVING, NULL, &err),
                     AK_BAD_VALUE);
    assert_int_equal(ak_store_model_set(at->store, NEW, AK_MODEL_REFUSED, "[1]", &err),
                     AK_BAD_VALUE);
    assert_int_equal(ak_store_model_set(at->store, "none", AK_MODEL_REFUSED, NULL, &err),
                     AK_UNKNOWN_MODEL);
    rig_ok(ak_store_model(&one, at->store, NEW, &err), &err);
    assert_int_equal(one.state, AK_MODEL_REFUSED);
    assert_string_equal(one.measures, "{\"map\": 0.4}");
    ak_model_record_clear(&one);
    rig_add_many(at->store, "i", 0, 3);
    two_promote(at->store, NEW);
    rig_ok(ak_store_model(&one, at->store, NEW, &err), &err);
    assert_int_equal(one.state, AK_MODEL_SERVING);
    ak_model_record_clear(&one);
    ak_store_close(at->store);
    ak_store_options options = AK_STORE_OPTIONS_DEFAULT;
    options.disk_floor = 0;
    options.spare_models = 2;
    rig_ok(ak_store_open(&at->store, at->folder, &options, &err), &err);
    for (int i = 0; i < 5; i++) {
        char id[16];
        snprintf(id, sizeof id, "spare%d", i);
        two_add_model(at->store, id, DIMS, AK_MODEL_REFUSED);
    }
    rig_until(at->store, false, "SELECT count(*) FROM models", 4);
    assert_int_equal(rig_count(at->store, false,
                               "SELECT count(*) FROM models WHERE id IN ('m1', 'm2', 'spare3', "
                               "'spare4')"),
                     4);
    ak_buf file = {0};
    for (int i = 0; i < 5000; i++) { // the file goes after the row
        file.n = 0;
        if (ak_store_model_read(&file, at->store, "spare0", &err) == AK_UNKNOWN_MODEL)
            break;
        usleep(2000);
    }
    assert_int_equal(ak_store_model_read(&file, at->store, "spare0", &err), AK_UNKNOWN_MODEL);
    rig_ok(ak_store_model_read(&file, at->store, MODEL, &err), &err);
    ak_buf_clear(&file);
}

static void a_promotion_that_the_disk_refuses_changes_nothing_and_can_be_repeated(void **state)
{
    place *at = *state;
    ak_error err = {0};
    float scores[40];
    char model[AK_NAME_MAX + 1];
    int64_t promoted, to_come;
    rig_add_many(at->store, "i", 0, 20);
    two_begin(at->store, NEW);
    while (two_fill(at->store, NEW, 100))
        continue;
    long before = atomic_load(&at->store->disk.count[AK_DISK_COMMIT]);
    ak_disk_fail(&at->store->disk, AK_DISK_COMMIT, 0, ENOSPC);
    assert_int_equal(ak_store_promote(&promoted, at->store, NEW, &err), AK_DISK_FULL);
    assert_true(atomic_load(&at->store->disk.count[AK_DISK_COMMIT]) > before);
    two_search_exactly(scores, 40, model, at->store, 3);
    assert_string_equal(model, MODEL);
    ak_disk_fail(&at->store->disk, AK_DISK_COMMIT, 0, 0);
    rig_ok(ak_store_promote(&promoted, at->store, NEW, &err), &err);
    assert_int_equal(promoted, 1);
    ak_disk_fail(&at->store->disk, AK_DISK_SYNC, 0, EIO);
    assert_int_equal(ak_store_rollback(model, &to_come, at->store, "c", &err), AK_IO);
    ak_disk_fail(&at->store->disk, AK_DISK_SYNC, 0, 0);
    two_search_exactly(scores, 40, model, at->store, 3);
    assert_string_equal(model, NEW);
    rig_ok(ak_store_rollback(model, &to_come, at->store, "c", &err), &err);
    two_search_exactly(scores, 40, model, at->store, 3);
    assert_string_equal(model, MODEL);
    assert_int_equal(two_found(scores, 40), 20);
}

// --- at the same time --------------------------------------------------------------------------

enum { SEARCHERS = 2, START = 300, MORE = 60 };

typedef struct {
    ak_store *store;
    atomic_bool *stop;
    atomic_int *answers; // by model
} searcher;

static void *search_on(void *arg)
{
    searcher *self = arg;
    float scores[START + MORE];
    char model[AK_NAME_MAX + 1];
    for (uint32_t i = 0; !atomic_load(self->stop); i++) {
        two_search_exactly(scores, START + MORE, model, self->store, i % START);
        // What was there at the beginning is in every answer.
        for (int j = 1; j < START; j++)
            assert_false(isnan(scores[j]));
        assert_true(scores[i % START] > 0.9999f || i % START == 0);
        atomic_fetch_add(&self->answers[strcmp(model, NEW) == 0], 1);
    }
    return NULL;
}

static void *upload_on(void *arg)
{
    searcher *self = arg;
    for (uint32_t i = START; i < START + MORE; i++) {
        char id[16];
        snprintf(id, sizeof id, "i%u", i);
        assert_int_equal(two_upload_both(self->store, id, i), AK_OK);
        if (i == START + MORE / 2)
            assert_int_equal(rig_delete(self->store, "i0"), AK_OK);
    }
    return NULL;
}

static void searches_and_uploads_go_on_through_changes_and_never_mix(void **state)
{
    place *at = *state;
    ak_error err = {0};
    atomic_bool stop = false;
    atomic_int answers[2] = {0, 0};
    pthread_t threads[SEARCHERS], uploads;
    char model[AK_NAME_MAX + 1];
    int64_t to_come;
    float scores[START + MORE];
    rig_add_many(at->store, "i", 0, START);
    searcher self = {at->store, &stop, answers};
    for (int i = 0; i < SEARCHERS; i++)
        pthread_create(&threads[i], NULL, search_on, &self);
    pthread_create(&uploads, NULL, upload_on, &self);
    for (int round = 0; round < 3; round++) {
        int old = atomic_load(&answers[0]), new = atomic_load(&answers[1]);
        int64_t promoted;
        ak_status status;
        two_begin(at->store, NEW);
        do {
            while (two_fill(at->store, NEW, 50))
                continue;
            status = ak_store_promote(&promoted, at->store, NEW, &err);
        } while (status == AK_CONFLICT);
        rig_ok(status, &err);
        while (atomic_load(&answers[1]) < new + 3)
            usleep(500);
        ak_folder_round(at->store, true);
        rig_ok(ak_store_rollback(model, &to_come, at->store, "c", &err), &err);
        while (atomic_load(&answers[0]) < old + 3)
            usleep(500);
    }
    pthread_join(uploads, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < SEARCHERS; i++)
        pthread_join(threads[i], NULL);
    while (two_fill(at->store, MODEL, 50))
        continue;
    two_search_exactly(scores, START + MORE, model, at->store, 5);
    assert_int_equal(two_found(scores, START + MORE), START + MORE - 1);
}

int main(void)
{
    ak_log_threshold(AK_LOG_ERROR);
    two_init();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_promotion_serves_the_new_vectors_and_only_those),
        TEST(a_request_keeps_the_generation_that_it_took_and_sees_deletions_in_it),
        TEST(uploads_during_a_change_bring_both_vectors_or_are_listed),
        TEST(a_rollback_gives_bit_identical_answers),
        TEST(later_uploads_and_deletions_reach_the_retained_model),
        TEST(what_nothing_needs_goes_bit_by_bit_when_its_last_request_ends),
        TEST(a_picture_of_two_collections_keeps_what_each_needs),
        TEST(deletions_during_each_phase_leave_nothing),
        TEST(models_are_listed_described_and_bounded),
        TEST(a_promotion_that_the_disk_refuses_changes_nothing_and_can_be_repeated),
        TEST(searches_and_uploads_go_on_through_changes_and_never_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
