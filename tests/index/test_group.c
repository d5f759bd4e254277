// Group commit: the fsyncs of a group do not grow with its writes but by one an original.
#include "tests/index/rig.h"

#include <pthread.h>

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool entered, go;
} gate;

static void hold(ak_write *write) // the writer stands here until the group has gathered
{
    gate *at = write->arg;
    pthread_mutex_lock(&at->lock);
    at->entered = true;
    pthread_cond_broadcast(&at->changed);
    while (!at->go)
        pthread_cond_wait(&at->changed, &at->lock);
    pthread_mutex_unlock(&at->lock);
}

// fsyncs of one group of n uploads.
static long fsyncs_of(ak_store *store, uint32_t first, int n)
{
    gate at = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
    rig_upload *uploads = calloc((size_t)n, sizeof *uploads);
    atomic_int waiting = n;
    ak_write held = {.kind = AK_WRITE_COLLECTION_PUT,
                     .collection = "c",
                     .keep_original = -1,
                     .done = hold,
                     .arg = &at};
    assert_int_equal(ak_store_submit(store, &held, NULL), AK_OK);
    pthread_mutex_lock(&at.lock);
    while (!at.entered)
        pthread_cond_wait(&at.changed, &at.lock);
    pthread_mutex_unlock(&at.lock);
    for (int i = 0; i < n; i++) {
        char id[32];
        snprintf(id, sizeof id, "%d", (int)first + i);
        rig_fill(&uploads[i], AK_WRITE_IMAGE_ADD, id, first + (uint32_t)i);
        uploads[i].write.done = rig_wait;
        uploads[i].write.arg = &waiting;
        assert_int_equal(ak_store_submit(store, &uploads[i].write, NULL), AK_OK);
    }
    long before = atomic_load(&store->disk.count[AK_DISK_SYNC]);
    pthread_mutex_lock(&at.lock);
    at.go = true;
    pthread_cond_broadcast(&at.changed);
    pthread_mutex_unlock(&at.lock);
    while (atomic_load(&waiting))
        usleep(200);
    long syncs = atomic_load(&store->disk.count[AK_DISK_SYNC]) - before;
    for (int i = 0; i < n; i++) {
        assert_int_equal(uploads[i].write.status, AK_OK);
        ak_image_record_clear(&uploads[i].write.record);
    }
    ak_collection_clear(&held.collection_out);
    free(uploads);
    return syncs;
}

static void a_group_of_64_makes_a_constant_number_of_fsyncs(void **state)
{
    (void)state;
    char *folder = rig_folder();
    ak_store *store = rig_open(folder);
    ak_error err = {0};
    fsyncs_of(store, 5000, 3); // the first files of the logs and folders
    long one = fsyncs_of(store, 0, 1), many = fsyncs_of(store, 100, 64);
    print_message("with originals: %ld fsyncs for 1 upload, %ld for 64\n", one, many);
    assert_true(many - 64 <= one + 3); // a new folder of blobs, a checkpoint
    ak_write write = {.kind = AK_WRITE_COLLECTION_PUT, .collection = "c", .keep_original = 0};
    rig_ok(ak_store_write(store, &write, &err), &err);
    ak_collection_clear(&write.collection_out);
    one = fsyncs_of(store, 1000, 1), many = fsyncs_of(store, 2000, 64);
    print_message("without: %ld fsyncs for 1 upload, %ld for 64\n", one, many);
    assert_true(many <= one + 3);
    ak_store_close(store);
    rig_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_of_64_makes_a_constant_number_of_fsyncs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
