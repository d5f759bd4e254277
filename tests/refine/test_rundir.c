// The run's folder: what goes in comes out; what is damaged says so.
#include "core/base/file.h"
#include "core/refine/rundir.h"
#include "tests/refine/run_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#define PICTURES 400

static ak_run_collection collections[2] = {{.name = "holiday", .inside = true, .images = 300},
                                           {.name = "work", .images = 100}};

static ak_run a_run(void)
{
    ak_run run = {.id = "run-1",
                  .seed = 5,
                  .budget_s = 30,
                  .same_score = 0.75,
                  .recipe = ak_refine_recipe_default,
                  .collections = collections,
                  .collections_n = 2};
    run.recipe.train.side = 64;
    run.recipe.gate.yardsticks = 20;
    return run;
}

static ak_sha256 sum_of(size_t i)
{
    char text[32];
    int n = snprintf(text, sizeof text, "picture %zu", i);
    return ak_sha256_of((ak_bytes){(const uint8_t *)text, (size_t)n});
}

static size_t proxy_of(uint8_t out[300], size_t i)
{
    ak_random r = ak_random_stream(3, (uint32_t)i, 0, 0);
    size_t n = 100 + ak_random_below(&r, 200);
    out[0] = 0xff;
    for (size_t k = 1; k < n; k++)
        out[k] = (uint8_t)ak_random_u32(&r);
    return n;
}

static const char *const tags[] = {"sea", "a \"quoted\" tag", "Küste"};

static ak_run_picture picture(size_t i)
{
    ak_run_picture p = {.sha256 = sum_of(i), .collection = i < 300 ? 0 : 1, .trained = i % 7 == 0};
    p.role = ak_role_of(&p.sha256, 0.3, i < 300, p.trained);
    if (i % 3 == 0)
        p.album = "summer";
    if (i % 5 == 0) {
        p.tags = tags;
        p.tags_n = 3;
        p.caption = "two children at the sea";
    }
    return p;
}

static ak_rundir_maker *half(const char *folder, const ak_run *run)
{
    ak_error err = {0};
    ak_rundir_maker *m;
    uint8_t proxy[300];
    bool full;
    assert_int_equal(ak_rundir_begin(&m, folder, run, &err), AK_OK);
    assert_int_equal(ak_rundir_incumbent(m, (ak_bytes){(const uint8_t *)"model", 5}, &err), AK_OK);
    for (size_t i = 0; i < PICTURES; i++) {
        ak_run_picture p = picture(i);
        ak_bytes bytes = {proxy, proxy_of(proxy, i)};
        assert_int_equal(ak_rundir_add(m, &p, bytes, &full, &err), AK_OK);
        assert_false(full);
        assert_int_equal(ak_rundir_add(m, &p, bytes, &full, &err), AK_OK); // again: left out
    }
    for (size_t i = 0; i < 10; i++) {
        ak_run_pair pair = {sum_of(i), sum_of(i + 10), i % 2 == 0};
        assert_int_equal(ak_rundir_pair(m, &pair, &err), AK_OK);
    }
    return m;
}

static void make(const char *folder, const ak_run *run)
{
    ak_error err = {0};
    assert_int_equal(ak_rundir_commit(half(folder, run), &err), AK_OK);
}

static void what_was_added_is_read_back(void **state)
{
    (void)state;
    ak_error err = {0};
    ak_run run = a_run();
    char folder[64];
    rig_folder(folder);
    make(folder, &run);
    ak_rundir *r;
    assert_int_equal(ak_rundir_open(&r, folder, &err), AK_OK);
    assert_string_equal(r->run.id, "run-1");
    assert_int_equal(r->run.seed, 5);
    assert_true(r->run.budget_s == 30 && r->run.same_score == 0.75 && !r->run.ask);
    assert_memory_equal(&r->run.recipe, &run.recipe, sizeof run.recipe);
    assert_int_equal(r->run.collections_n, 2);
    assert_string_equal(r->run.collections[1].name, "work");
    assert_true(r->run.collections[0].inside && !r->run.collections[1].inside);
    assert_int_equal(r->pictures_n, PICTURES);
    for (size_t i = 0; i < PICTURES; i++) {
        ak_run_picture want = picture(i), *is = &r->pictures[i];
        uint8_t proxy[300];
        size_t n = proxy_of(proxy, i);
        ak_buf bytes = {0};
        assert_memory_equal(&is->sha256, &want.sha256, sizeof want.sha256);
        assert_true(is->role == want.role && is->trained == want.trained);
        assert_int_equal(is->collection, want.collection);
        assert_int_equal(is->tags_n, want.tags_n);
        for (size_t k = 0; k < want.tags_n; k++)
            assert_string_equal(is->tags[k], tags[k]);
        assert_true(!is->album == !want.album && !is->caption == !want.caption);
        assert_int_equal(ak_rundir_proxy(&bytes, r, i, &err), AK_OK);
        assert_int_equal(bytes.n, n);
        assert_memory_equal(bytes.at, proxy, n);
        assert_int_equal(ak_rundir_find(r, &want.sha256), i);
        ak_buf_clear(&bytes);
    }
    ak_sha256 none = sum_of(9999);
    assert_int_equal(ak_rundir_find(r, &none), -1);
    assert_int_equal(r->pairs_n, 10);
    assert_true(r->pairs[2].similar && !r->pairs[3].similar);
    ak_rundir_close(r);
    ak_rundir_maker *m;
    assert_int_equal(ak_rundir_begin(&m, folder, &run, &err), AK_CONFLICT);
    assert_int_equal(ak_rundir_delete(folder, &err), AK_OK);
    assert_int_equal(access(folder, F_OK), -1);
}

static void what_was_trained_on_is_read_back_or_said_to_be_damaged(void **state)
{
    (void)state;
    ak_error err = {0};
    ak_run run = a_run();
    char folder[64];
    ak_sha256 sums[3] = {sum_of(3), sum_of(1), sum_of(2)}, *back;
    size_t n;
    rig_folder(folder);
    make(folder, &run);
    for (size_t wanted = 0; wanted <= 3; wanted += 3) {
        assert_int_equal(ak_rundir_trained_write(folder, sums, wanted, &err), AK_OK);
        assert_int_equal(ak_rundir_trained_read(&back, &n, folder, &err), AK_OK);
        assert_int_equal(n, wanted);
        assert_memory_equal(back, sums, n * sizeof *sums);
        free(back);
    }
    static const char *const damaged[] = {
        "", "{", "[]", "{\"sha256\": 1}", "{\"sha256\": [7]}", "{\"sha256\": [\"ab\"]}"};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        ak_bytes bytes = {(const uint8_t *)damaged[i], strlen(damaged[i])};
        assert_int_equal(ak_rundir_write(folder, AK_RUN_TRAINED, bytes, &err), AK_OK);
        assert_int_equal(ak_rundir_trained_read(&back, &n, folder, &err), AK_CORRUPT);
        assert_non_null(strstr(err.text, AK_RUN_TRAINED));
        assert_null(back);
    }
    ak_rundir_delete(folder, &err);
}

static void a_killed_creator_leaves_nothing_that_looks_whole(void **state)
{
    (void)state;
    ak_error err = {0};
    ak_run run = a_run();
    char folder[64];
    rig_folder(folder);
    ak_rundir_maker *killed = half(folder, &run); // never committed, as if the process had ended
    ak_rundir *r;
    assert_int_equal(ak_rundir_open(&r, folder, &err), AK_NOT_FOUND);
    make(folder, &run); // the next creator begins afresh
    assert_int_equal(ak_rundir_open(&r, folder, &err), AK_OK);
    assert_int_equal(r->pictures_n, PICTURES);
    ak_rundir_close(r);
    ak_rundir_abandon(killed);
}

static void too_little_to_train_on_is_refused_with_the_least_number(void **state)
{
    (void)state;
    ak_error err = {0};
    ak_run run = a_run();
    char folder[64];
    rig_folder(folder);
    run.recipe.gate.yardsticks = 100000;
    assert_int_equal(ak_rundir_commit(half(folder, &run), &err), AK_CONFLICT);
    assert_non_null(strstr(err.text, "at least 100000 are needed"));
    assert_int_equal(access(folder, F_OK), -1);
    run = a_run();
    ak_rundir_maker *m;
    assert_int_equal(ak_rundir_begin(&m, folder, &run, &err), AK_OK);
    assert_int_equal(ak_rundir_incumbent(m, (ak_bytes){(const uint8_t *)"m", 1}, &err), AK_OK);
    assert_int_equal(ak_rundir_commit(m, &err), AK_CONFLICT);
    assert_non_null(strstr(err.text, "at least 200 are needed"));
    run.budget_s = 0;
    assert_int_equal(ak_rundir_begin(&m, folder, &run, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "budget of 0"));
}

// What happens to byte `at` of a file: flipped, or the file ends there.
static void damage(const char *folder, const char *name, off_t at, bool cut)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (cut) {
        assert_int_equal(truncate(path, at), 0);
        return;
    }
    int fd = open(path, O_RDWR);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x04;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void every_damaged_file_is_named(void **state)
{
    (void)state;
    const char *const files[] = {"pictures.jsonl", "pairs.jsonl", "pictures", "run.json"};
    for (int f = 0; f < 4; f++)
        for (int cut = 0; cut < 2; cut++)
            for (int k = 0; k < 5; k++) {
                ak_error err = {0};
                ak_run run = a_run();
                char folder[64], path[128];
                struct stat st;
                rig_folder(folder);
                make(folder, &run);
                snprintf(path, sizeof path, "%s/%s", folder, files[f]);
                assert_int_equal(stat(path, &st), 0);
                damage(folder, files[f], st.st_size * k / 5, cut);
                ak_rundir *r;
                ak_status status = ak_rundir_open(&r, folder, &err);
                for (size_t i = 0; status == AK_OK && i < r->pictures_n; i++) {
                    ak_buf bytes = {0};
                    status = ak_rundir_proxy(&bytes, r, i, &err);
                    ak_buf_clear(&bytes);
                }
                // A flipped bit in run.json may be another number: it has no sum, it is for people.
                if (f < 3 || cut) {
                    assert_int_not_equal(status, AK_OK);
                    assert_non_null(strstr(err.text, files[f]));
                }
                ak_rundir_close(r);
                assert_int_equal(ak_rundir_delete(folder, &err), AK_OK);
            }
}

static void a_removed_picture_is_gone_from_all_files(void **state)
{
    (void)state;
    ak_error err = {0};
    ak_run run = a_run();
    char folder[64];
    rig_folder(folder);
    make(folder, &run);
    ak_rundir *before, *after;
    ak_buf bytes = {0};
    assert_int_equal(ak_rundir_open(&before, folder, &err), AK_OK);
    ak_sha256 gone[] = {sum_of(4), sum_of(77), sum_of(123456)};
    assert_int_equal(ak_rundir_remove(folder, gone, 3, &err), AK_OK);
    assert_int_equal(ak_rundir_proxy(&bytes, before, 4, &err), AK_NOT_FOUND);
    assert_int_equal(ak_rundir_open(&after, folder, &err), AK_OK);
    assert_int_equal(after->pictures_n, PICTURES - 2);
    assert_int_equal(ak_rundir_find(after, &gone[0]), -1);
    assert_int_equal(after->pairs_n, 9); // (4, 14) went with 4
    for (size_t i = 0; i < after->pictures_n; i++)
        assert_int_equal(ak_rundir_proxy(&bytes, after, i, &err), AK_OK);
    bytes.n = 0;
    uint8_t proxy[300];
    size_t n = proxy_of(proxy, 77);
    assert_int_equal(ak_rundir_read(&bytes, folder, "pictures", &err), AK_OK);
    assert_null(memmem(bytes.at, bytes.n, proxy, n));
    ak_buf_clear(&bytes);
    ak_rundir_close(before);
    ak_rundir_close(after);
    ak_rundir_delete(folder, &err);
}

static void a_yardsticks_share_falls_with_the_collection_and_never_rises(void **state)
{
    (void)state;
    assert_true(ak_yardstick_threshold(1, 0) == 0.3 && ak_yardstick_threshold(1, 1000) == 0.3);
    assert_true(ak_yardstick_threshold(1, 4000) == 0.1 &&
                ak_yardstick_threshold(1, 1000000) == 0.05);
    assert_true(ak_yardstick_threshold(0.1, 100) == 0.1);
    size_t below = 0;
    for (size_t i = 0; i < 20000; i++) {
        ak_sha256 sum = sum_of(i);
        double u = ak_yardstick_u(&sum);
        assert_true(u >= 0 && u < 1);
        below += u < 0.3;
        // Falling t: what is a yardstick now was one before, so it was never trained on.
        if (ak_role_of(&sum, 0.1, true, false) == AK_ROLE_YARDSTICK)
            assert_int_equal(ak_role_of(&sum, 0.3, true, false), AK_ROLE_YARDSTICK);
        assert_int_not_equal(ak_role_of(&sum, 0.3, true, true), AK_ROLE_YARDSTICK);
    }
    assert_in_range(below, 5800, 6200); // 6000 expected, deviation 65
}

static void a_recipe_with_a_mistake_says_which(void **state)
{
    (void)state;
    const char *const wrong[][2] = {
        {"{\"train\": {\"rates\": 1}}", "recipe.train.rates"},
        {"{\"train\": {\"rate\": -1}}", "recipe.train.rate is -1"},
        {"{\"gate\": {\"primary\": \"luck\"}}", "recipe.gate.primary is \"luck\""},
        {"{\"extra\": {}}", "recipe.extra"},
        {"{\"views\": {\"area_least\": 0.9, \"area_most\": 0.5}}", "area_least is 0.9, above"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ak_error err = {0};
        ak_refine_recipe recipe = ak_refine_recipe_default;
        json_t *object = json_loads(wrong[i][0], 0, NULL);
        assert_int_equal(ak_refine_recipe_read(&recipe, object, &err), AK_BAD_VALUE);
        assert_non_null(strstr(err.text, wrong[i][1]));
        json_decref(object);
    }
    ak_error err = {0};
    ak_refine_recipe recipe;
    assert_int_equal(ak_refine_recipe_named(&recipe, "fast", &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "default"));
    assert_int_equal(ak_refine_recipe_named(&recipe, "smoothing", &err), AK_OK);
    assert_true(!recipe.train.weights && recipe.train.smoothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_read_back),
        cmocka_unit_test(what_was_trained_on_is_read_back_or_said_to_be_damaged),
        cmocka_unit_test(a_killed_creator_leaves_nothing_that_looks_whole),
        cmocka_unit_test(too_little_to_train_on_is_refused_with_the_least_number),
        cmocka_unit_test(every_damaged_file_is_named),
        cmocka_unit_test(a_removed_picture_is_gone_from_all_files),
        cmocka_unit_test(a_yardsticks_share_falls_with_the_collection_and_never_rises),
        cmocka_unit_test(a_recipe_with_a_mistake_says_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
