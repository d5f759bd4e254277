// kill -9 at random moments: what was acknowledged is there and whole, nothing is half there.
//
// A child writes from several threads and tells through a pipe what it is about to do and what was
// acknowledged. The parent kills it, opens the folder itself and compares.
#include "tests/index/rig.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { KILLS = 20, THREADS = 3, IDS = 8, PICTURES = 24 };

// Writes below PIPE_BUF are atomic: threads share the pipe.
typedef struct {
    int thread, id;
    uint32_t picture; // 0: deleted
    bool acknowledged;
} note;

typedef struct {
    ak_store *store;
    int pipe, thread;
    uint32_t seed;
} author;

static void tell(int pipe, const note *what)
{
    if (write(pipe, what, sizeof *what) != sizeof *what)
        _exit(3);
}

static void *write_on(void *arg)
{
    author *self = arg;
    ak_random random = ak_random_stream(self->seed, (uint32_t)self->thread, 0, 0);
    for (int i = 0;; i++) {
        note what = {.thread = self->thread, .id = (int)ak_random_below(&random, IDS)};
        char id[32];
        snprintf(id, sizeof id, "%d-%d", what.thread, what.id);
        // Pictures are shared among threads: the last image of one and a new one of it race.
        what.picture = ak_random_below(&random, 3) ? 1 + ak_random_below(&random, PICTURES) : 0;
        tell(self->pipe, &what);
        ak_status status =
            what.picture ? rig_put(self->store, AK_WRITE_IMAGE_PUT, id, what.picture, NULL, NULL)
                         : rig_delete(self->store, id);
        if (status != AK_OK && !(status == AK_UNKNOWN_IMAGE && !what.picture))
            _exit(4);
        what.acknowledged = true;
        tell(self->pipe, &what);
        if (self->thread == 0 && i % 10 == 9)
            ak_folder_round(self->store, true); // killed while it writes an index file, too
    }
    return NULL;
}

static void child(const char *folder, int pipe, uint32_t seed)
{
    author authors[THREADS];
    pthread_t threads[THREADS];
    ak_store *store = rig_open(folder);
    note ready = {.thread = -1};
    tell(pipe, &ready);
    for (int i = 0; i < THREADS; i++) {
        authors[i] = (author){store, pipe, i, seed};
        pthread_create(&threads[i], NULL, write_on, &authors[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

// What each id shows as far as was acknowledged, and what was under way (-1: nothing).
typedef struct {
    int64_t now[THREADS][IDS], next[THREADS][IDS];
} world;

static void assert_image(ak_store *store, ak_generation *generation, const char *id,
                         uint32_t number)
{
    ak_error err = {0};
    ak_buf proxy = {0}, original = {0};
    rig_upload *wanted = malloc(sizeof *wanted);
    float vector[DIMS];
    rig_fill(wanted, AK_WRITE_IMAGE_PUT, id, number);
    rig_ok(ak_store_proxy(&proxy, store, "c", id, &err), &err);
    rig_ok(ak_store_original(&original, store, "c", id, &err), &err);
    rig_ok(ak_store_vector(vector, store, generation, id, &err), &err);
    assert_true(proxy.n == sizeof wanted->proxy && original.n == sizeof wanted->original);
    assert_memory_equal(proxy.at, wanted->proxy, proxy.n);
    assert_memory_equal(original.at, wanted->original, original.n);
    assert_memory_equal(vector, wanted->vector, sizeof vector);
    ak_buf_clear(&proxy);
    ak_buf_clear(&original);
    free(wanted);
}

static int check(const char *folder, world *w)
{
    ak_store *store = rig_open(folder);
    ak_generation *generation = rig_generation(store);
    int images = 0;
    for (int thread = 0; thread < THREADS; thread++)
        for (int i = 0; i < IDS; i++) {
            ak_image_record record;
            char id[32];
            int64_t shows = 0;
            snprintf(id, sizeof id, "%d-%d", thread, i);
            ak_status status = ak_store_image(&record, store, "c", id, NULL);
            for (uint32_t number = 1; status == AK_OK && number <= PICTURES; number++) {
                ak_sha256 sum = rig_sum(number);
                if (memcmp(&sum, &record.sha256, sizeof sum) == 0)
                    shows = number;
            }
            if (status == AK_OK) {
                ak_image_record_clear(&record);
                assert_true(shows > 0);
                assert_image(store, generation, id, (uint32_t)shows);
                images++;
            }
            if (shows != w->now[thread][i] && shows != w->next[thread][i])
                fail_msg("%s shows %d; acknowledged %d, under way %d", id, (int)shows,
                         (int)w->now[thread][i], (int)w->next[thread][i]);
            w->now[thread][i] = shows;
            w->next[thread][i] = -1;
        }
    // Nothing but what these images need, and the counts are right.
    int64_t pictures = rig_count(store, false, "SELECT count(DISTINCT picture) FROM images");
    rig_until(store, false, "SELECT count(*) FROM pictures", pictures);
    rig_until(store, false, "SELECT count(*) FROM dropped", 0);
    rig_until(store, true, "SELECT count(*) FROM proxies", pictures);
    assert_int_equal(rig_blobs(folder), pictures);
    assert_int_equal(rig_count(store, false, "SELECT count(*) FROM vectors"), pictures);
    assert_int_equal(rig_count(store, false, "SELECT pictures FROM collections"), pictures);
    assert_int_equal(rig_count(store, false, "SELECT images FROM collections"), images);
    float query[DIMS];
    rig_vector(query, 1);
    ak_hits hits = rig_search(store, query, 1000);
    assert_int_equal(hits.n, images);
    ak_hits_clear(&hits);
    ak_generation_release(generation);
    ak_store_close(store);
    return images;
}

static void nothing_acknowledged_is_lost_by_kill_9(void **state)
{
    (void)state;
    char *folder = rig_folder();
    world w = {0};
    memset(w.next, -1, sizeof w.next);
    uint32_t seed = (uint32_t)time(NULL);
    print_message("seed %u\n", seed);
    ak_random random = ak_random_stream(seed, 99, 0, 0);
    int acknowledged = 0;
    for (int kill_n = 0; kill_n < KILLS; kill_n++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(ends[0]);
            child(folder, ends[1], seed + (uint32_t)kill_n);
            _exit(5);
        }
        close(ends[1]);
        // The moment is so many notes after the start, and some microseconds more.
        int left = 1 + (int)ak_random_below(&random, 60);
        bool killed = false;
        note what;
        while (read(ends[0], &what, sizeof what) == sizeof what) {
            if (what.thread >= 0) {
                acknowledged += what.acknowledged;
                if (what.acknowledged)
                    w.now[what.thread][what.id] = what.picture;
                w.next[what.thread][what.id] = what.acknowledged ? -1 : (int64_t)what.picture;
            }
            if (!killed && left-- == 0) {
                usleep(ak_random_below(&random, 3000));
                kill(pid, SIGKILL);
                killed = true; // what it had told before is still read
            }
        }
        close(ends[0]);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        check(folder, &w);
    }
    print_message("%d writes acknowledged before %d kills\n", acknowledged, KILLS);
    assert_true(acknowledged > KILLS);
    rig_remove(folder);
}

int main(void)
{
    ak_log_threshold(AK_LOG_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost_by_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
