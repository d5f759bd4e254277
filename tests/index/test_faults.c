// Faults of the disk: whatever step fails, the group fails as a whole and nothing stays behind.
#include "core/base/clock.h"
#include "index/migrate.h"
#include "tests/index/rig.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/wait.h>

// What is stored agrees with itself: `images` images of as many pictures, with a proxy, an original
// and a vector each, and nothing else.
static void assert_whole(ak_store *store, const char *folder, int images)
{
    rig_until(store, false, "SELECT count(*) FROM images", images);
    rig_until(store, false, "SELECT count(*) FROM pictures", images);
    rig_until(store, false, "SELECT count(*) FROM dropped", 0);
    rig_until(store, true, "SELECT count(*) FROM proxies", images);
    assert_int_equal(rig_count(store, false, "SELECT count(*) FROM vectors"), images);
    assert_int_equal(rig_count(store, false, "SELECT images FROM collections"), images);
    assert_int_equal(rig_blobs(folder), images);
    float query[DIMS];
    rig_vector(query, 0);
    ak_hits hits = rig_search(store, query, 1000);
    assert_int_equal(hits.n, images);
    ak_hits_clear(&hits);
}

// Three uploads and a replacement at once. Returns how many succeeded, all or none of them.
static int try_group(ak_store *store, uint32_t first, ak_status *status)
{
    rig_upload *uploads = calloc(4, sizeof *uploads);
    atomic_int waiting = 4;
    int fine = 0;
    pthread_mutex_lock(&store->queue.lock); // so that the writer finds the four together
    for (uint32_t i = 0; i < 4; i++) {
        char id[32];
        snprintf(id, sizeof id, "%u", first + i);
        rig_fill(&uploads[i], AK_WRITE_IMAGE_PUT, i < 3 ? id : "replaced", first + i);
        uploads[i].write.done = rig_wait;
        uploads[i].write.arg = &waiting;
        if (store->queue.last)
            store->queue.last->next = &uploads[i].write;
        else
            store->queue.first = &uploads[i].write;
        store->queue.last = &uploads[i].write;
        store->queue.n++;
    }
    pthread_cond_signal(&store->queue.filled);
    pthread_mutex_unlock(&store->queue.lock);
    while (atomic_load(&waiting))
        usleep(200);
    for (int i = 0; i < 4; i++) {
        fine += uploads[i].write.status == AK_OK;
        *status = uploads[i].write.status;
        assert_int_equal(uploads[i].write.status, uploads[0].write.status);
        ak_image_record_clear(&uploads[i].write.record);
    }
    free(uploads);
    return fine;
}

static void a_group_fails_whole_at_every_step(ak_disk_step step, int errnum, ak_status expected)
{
    char *folder = rig_folder();
    ak_store *store = rig_open(folder);
    assert_int_equal(rig_add(store, "replaced", 1), AK_OK);
    int images = 1, failures = 0;
    bool done = false;
    for (long spare = 0; !done; spare++) {
        ak_status status;
        assert_true(spare < 200);
        ak_disk_fail(&store->disk, step, spare, errnum);
        done = try_group(store, 1000 + 10 * (uint32_t)spare, &status) > 0;
        if (!done) {
            failures++;
            assert_int_equal(status, expected);
            float query[DIMS]; // reads go on, and see nothing of it
            rig_vector(query, 1);
            ak_hits hits = rig_search(store, query, 1000);
            assert_int_equal(hits.n, images);
            assert_float_equal(hits.items[0].score, 1, 1e-5);
            ak_hits_clear(&hits);
        } else {
            images += 3;
        }
        ak_disk_fail(&store->disk, step, 0, 0);
        char id[32];
        snprintf(id, sizeof id, "after%ld", spare);
        assert_int_equal(rig_add(store, id, 100000 + (uint32_t)spare), AK_OK);
        images++;
        if (done)
            assert_int_equal(rig_delete(store, "after0"), AK_OK); // cleaning gets another go
        images -= done;
        assert_whole(store, folder, images);
    }
    print_message("step %d: failed at %d places\n", (int)step, failures);
    assert_true(failures > 0);
    ak_store_close(store);
    store = rig_open(folder);
    assert_whole(store, folder, images);
    ak_store_close(store);
    rig_remove(folder);
}

static void a_disk_full_at_any_write_leaves_nothing(void **state)
{
    (void)state;
    a_group_fails_whole_at_every_step(AK_DISK_WRITE, ENOSPC, AK_DISK_FULL);
}

static void a_failing_fsync_leaves_nothing(void **state)
{
    (void)state;
    a_group_fails_whole_at_every_step(AK_DISK_SYNC, EIO, AK_IO);
}

static void a_failing_rename_leaves_nothing(void **state)
{
    (void)state;
    a_group_fails_whole_at_every_step(AK_DISK_RENAME, ENOSPC, AK_DISK_FULL);
}

static void a_failing_commit_leaves_nothing(void **state)
{
    (void)state;
    a_group_fails_whole_at_every_step(AK_DISK_COMMIT, ENOSPC, AK_DISK_FULL);
}

static void a_disk_gone_read_only_says_so(void **state)
{
    (void)state;
    a_group_fails_whole_at_every_step(AK_DISK_WRITE, EROFS, AK_READ_ONLY);
}

static void a_bad_write_does_not_fail_its_group(void **state)
{
    (void)state;
    char *folder = rig_folder();
    ak_store *store = rig_open(folder);
    rig_upload *uploads = calloc(3, sizeof *uploads);
    atomic_int waiting = 3;
    for (uint32_t i = 0; i < 3; i++) {
        rig_fill(&uploads[i], AK_WRITE_IMAGE_PUT, i == 1 ? "a b" : i == 0 ? "a" : "c", i);
        uploads[i].write.done = rig_wait;
        uploads[i].write.arg = &waiting;
        assert_int_equal(ak_store_submit(store, &uploads[i].write, NULL), AK_OK);
    }
    while (atomic_load(&waiting))
        usleep(200);
    assert_int_equal(uploads[0].write.status, AK_OK);
    assert_int_equal(uploads[1].write.status, AK_BAD_VALUE);
    assert_int_equal(uploads[2].write.status, AK_OK);
    for (int i = 0; i < 3; i++)
        ak_image_record_clear(&uploads[i].write.record);
    free(uploads);
    assert_whole(store, folder, 2);
    ak_store_close(store);
    rig_remove(folder);
}

static void a_folder_that_cannot_be_written_is_refused(void **state)
{
    (void)state;
    char *folder = rig_folder();
    assert_int_equal(chmod(folder, 0555), 0);
    pid_t child = fork();
    if (child == 0) { // root may write anywhere: be somebody else
        ak_store *store;
        if (geteuid() == 0 && seteuid(65534) != 0)
            _exit(99);
        _exit((int)ak_store_open(&store, folder, NULL, NULL));
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), AK_READ_ONLY);
    rig_remove(folder);
}

// --- a lock that a killed process left -----------------------------------------------------------

// A process that has the folder open forks one that stays for some milliseconds, and is killed.
static pid_t left_lock(const char *folder, int stays_ms)
{
    int told[2];
    pid_t heir = 0;
    assert_int_equal(pipe(told), 0);
    pid_t holder = fork();
    assert_true(holder >= 0);
    if (holder == 0) {
        ak_store *store;
        if (ak_store_open(&store, folder, NULL, NULL) != AK_OK)
            _exit(1);
        if ((heir = fork()) == 0) {
            usleep((useconds_t)stays_ms * 1000);
            _exit(0);
        }
        if (write(told[1], &heir, sizeof heir) != sizeof heir)
            _exit(1);
        pause();
    }
    close(told[1]);
    assert_int_equal(read(told[0], &heir, sizeof heir), sizeof heir);
    close(told[0]);
    kill(holder, SIGKILL);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    return heir;
}

static void a_lock_that_a_killed_process_left_is_waited_for(void **state)
{
    (void)state;
    char *folder = rig_folder();
    ak_store_close(rig_open(folder));
    left_lock(folder, 300);
    ak_store_close(rig_open(folder));
    rig_remove(folder);
}

static void a_left_lock_that_stays_is_a_conflict(void **state)
{
    (void)state;
    char *folder = rig_folder();
    ak_store *store;
    ak_error err = {0};
    ak_store_options options = AK_STORE_OPTIONS_DEFAULT;
    options.lock_wait_s = 0.2;
    ak_store_close(rig_open(folder));
    pid_t heir = left_lock(folder, 60000);
    double begun = ak_clock_s();
    assert_int_equal(ak_store_open(&store, folder, &options, &err), AK_CONFLICT);
    assert_true(ak_clock_s() - begun >= 0.2);
    assert_non_null(strstr(err.text, "in use by another process"));
    kill(heir, SIGKILL);
    ak_store_close(rig_open(folder)); // its end is waited for as well
    rig_remove(folder);
}

// --- databases that this binary must not touch ---------------------------------------------------

static ak_status reopen_after(const char *folder, const char *file, const char *change,
                              ak_error *err)
{
    char path[4096];
    ak_disk disk = {0};
    ak_sql_files *files;
    ak_sql *db;
    ak_store *store;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    rig_ok(ak_sql_files_new(&files, &disk, err), err);
    rig_ok(ak_sql_open(&db, files, path, AK_SQL_WRITE, err), err);
    rig_ok(ak_sql_script(db, change, err), err);
    ak_sql_close(db);
    ak_sql_files_free(files);
    ak_status status = ak_store_open(&store, folder, NULL, err);
    if (status == AK_OK)
        ak_store_close(store);
    return status;
}

static void a_newer_database_is_refused(void **state)
{
    (void)state;
    static const char *const files[] = {"catalog.db", "proxies.db"};
    for (int i = 0; i < 2; i++) {
        char *folder = rig_folder();
        ak_error err = {0};
        ak_store_close(rig_open(folder));
        assert_int_equal(reopen_after(folder, files[i],
                                      "INSERT INTO migrations VALUES (99, 'later', '00', 0)", &err),
                         AK_CONFLICT);
        assert_non_null(strstr(err.text, "newer Akin"));
        assert_int_equal(
            reopen_after(folder, files[i], "DELETE FROM migrations WHERE number = 99", &err),
            AK_OK);
        assert_int_equal(
            reopen_after(folder, files[i], "UPDATE migrations SET sha256 = '00'", &err),
            AK_CORRUPT);
        rig_remove(folder);
    }
}

static void a_damaged_catalog_is_named(void **state)
{
    (void)state;
    char *folder = rig_folder(), path[4096];
    ak_error err = {0};
    ak_store *store;
    ak_store_close(rig_open(folder));
    snprintf(path, sizeof path, "%s/catalog.db", folder);
    FILE *file = fopen(path, "r+");
    for (int i = 0; i < 4096; i++)
        fputc('x', file);
    fclose(file);
    assert_int_equal(ak_store_open(&store, folder, NULL, &err), AK_CORRUPT);
    assert_non_null(strstr(err.text, "catalog.db"));
    rig_remove(folder);
}

int main(void)
{
    ak_log_threshold(AK_LOG_ERROR + 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_full_at_any_write_leaves_nothing),
        cmocka_unit_test(a_failing_fsync_leaves_nothing),
        cmocka_unit_test(a_failing_rename_leaves_nothing),
        cmocka_unit_test(a_failing_commit_leaves_nothing),
        cmocka_unit_test(a_disk_gone_read_only_says_so),
        cmocka_unit_test(a_bad_write_does_not_fail_its_group),
        cmocka_unit_test(a_folder_that_cannot_be_written_is_refused),
        cmocka_unit_test(a_lock_that_a_killed_process_left_is_waited_for),
        cmocka_unit_test(a_left_lock_that_stays_is_a_conflict),
        cmocka_unit_test(a_newer_database_is_refused),
        cmocka_unit_test(a_damaged_catalog_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
