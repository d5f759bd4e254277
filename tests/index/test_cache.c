// The index file: with it a start is quick, without it, with an old or a damaged one, it is right.
#include "tests/index/rig.h"

enum { IMAGES = 300 };

typedef struct {
    char *folder, path[4096];
    ak_hits hits; // before the store was closed
} place;

static void search_all(ak_store *store, ak_hits *hits)
{
    float query[DIMS];
    rig_vector(query, 17);
    *hits = rig_search(store, query, 50);
}

static int set_up(void **state)
{
    place *at = calloc(1, sizeof *at);
    at->folder = rig_folder();
    ak_store *store = rig_open(at->folder);
    rig_keep_no_originals(store);
    rig_add_many(store, "i", 0, IMAGES);
    ak_folder_round(store, true); // main, and its file
    ak_generation *generation = rig_generation(store);
    ak_folder_cache_path(at->path, sizeof at->path, store, generation->key);
    assert_int_equal(ak_vectors_size(generation->vectors).main, IMAGES);
    ak_generation_release(generation);
    search_all(store, &at->hits);
    ak_store_close(store);
    assert_int_equal(access(at->path, F_OK), 0);
    *state = at;
    return 0;
}

static int tear_down(void **state)
{
    place *at = *state;
    ak_hits_clear(&at->hits);
    rig_remove(at->folder);
    free(at);
    return 0;
}

// The same answers to the last bit; cached: rows that came from the file.
static void same_after_opening(place *at, size_t cached)
{
    ak_store *store = rig_open(at->folder);
    ak_generation *generation = rig_generation(store);
    assert_int_equal(ak_vectors_size(generation->vectors).main, cached);
    ak_generation_release(generation);
    ak_hits hits;
    search_all(store, &hits);
    assert_int_equal(hits.n, at->hits.n);
    for (size_t i = 0; i < hits.n; i++) {
        assert_string_equal(hits.items[i].id, at->hits.items[i].id);
        assert_true(hits.items[i].score == at->hits.items[i].score);
        assert_true(hits.items[i].match == at->hits.items[i].match);
    }
    ak_hits_clear(&hits);
    ak_store_close(store);
}

static void a_good_file_is_used(void **state)
{
    same_after_opening(*state, IMAGES);
}

static void a_missing_file_is_made_up_for(void **state)
{
    place *at = *state;
    unlink(at->path);
    same_after_opening(at, 0);
}

static void a_flipped_bit_anywhere_is_noticed(void **state)
{
    place *at = *state;
    struct stat st;
    assert_int_equal(stat(at->path, &st), 0);
    const long long places[] = {0, 9, 14, 50, 130, 170, 400, st.st_size / 2, st.st_size - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        FILE *file = fopen(at->path, "r+");
        for (int twice = 0; twice < 2; twice++) {
            fseek(file, (long)places[i], SEEK_SET);
            int c = fgetc(file);
            fseek(file, (long)places[i], SEEK_SET);
            fputc(c ^ 4, file);
            fflush(file);
            same_after_opening(at, twice ? IMAGES : 0);
        }
        fclose(file);
    }
}

static void a_file_cut_short_is_noticed(void **state)
{
    place *at = *state;
    struct stat st;
    assert_int_equal(stat(at->path, &st), 0);
    const long long sizes[] = {st.st_size - 1, st.st_size / 2, 200, 100, 0};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(truncate(at->path, (off_t)sizes[i]), 0);
        same_after_opening(at, 0);
    }
}

static void an_old_file_is_completed_from_the_catalog(void **state)
{
    place *at = *state;
    ak_store *store = rig_open(at->folder);
    assert_int_equal(rig_delete(store, at->hits.items[0].id), AK_OK);
    assert_int_equal(rig_delete(store, at->hits.items[3].id), AK_OK);
    assert_int_equal(rig_add(store, "new", 17), AK_OK);
    assert_int_equal(rig_put(store, AK_WRITE_IMAGE_PUT, at->hits.items[7].id, 5000, NULL, NULL),
                     AK_OK);
    ak_hits_clear(&at->hits);
    search_all(store, &at->hits);
    ak_store_close(store);
    assert_string_equal(at->hits.items[0].id, "new");
    // What the file still has counts as main and is dead there.
    ak_hits match_differs = at->hits;
    for (size_t i = 0; i < match_differs.n; i++)
        match_differs.items[i].match = 0;
    store = rig_open(at->folder);
    ak_generation *generation = rig_generation(store);
    ak_vectors_sizes sizes = ak_vectors_size(generation->vectors);
    assert_int_equal(sizes.main, IMAGES);
    assert_int_equal(sizes.dead, 3);
    assert_int_equal(sizes.tail, 2);
    ak_generation_release(generation);
    ak_hits hits;
    search_all(store, &hits);
    assert_int_equal(hits.n, at->hits.n);
    for (size_t i = 0; i < hits.n; i++) {
        assert_string_equal(hits.items[i].id, at->hits.items[i].id);
        assert_true(hits.items[i].score == at->hits.items[i].score);
    }
    ak_hits_clear(&hits);
    ak_folder_round(store, true); // and its file has it no more
    ak_store_close(store);
    store = rig_open(at->folder);
    generation = rig_generation(store);
    sizes = ak_vectors_size(generation->vectors);
    assert_true(sizes.main == IMAGES - 1 && sizes.dead == 0 && sizes.tail == 0);
    ak_generation_release(generation);
    ak_store_close(store);
}

static void a_file_of_another_store_is_refused(void **state)
{
    place *at = *state;
    place *other;
    void *made;
    set_up(&made);
    other = made;
    char command[9000];
    snprintf(command, sizeof command, "cp %s %s", other->path, at->path);
    assert_int_equal(system(command), 0);
    tear_down(&made);
    same_after_opening(at, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    ak_log_threshold(AK_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(a_good_file_is_used),
        TEST(a_missing_file_is_made_up_for),
        TEST(a_flipped_bit_anywhere_is_noticed),
        TEST(a_file_cut_short_is_noticed),
        TEST(an_old_file_is_completed_from_the_catalog),
        TEST(a_file_of_another_store_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
