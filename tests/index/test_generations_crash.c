// kill -9 at random moments of changes, promotions, rollbacks and what is cleaned after them: the
// old or the new model serves, whole; what was under way goes on; nothing is left over.
//
// A child changes the collection back and forth while a thread of it uploads and deletes. The
// parent kills it, opens the folder itself and compares. AKIN_TEST_LONG=1: many kills.
#include "tests/index/two.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { KILLS = 15, KILLS_LONG = 200, START = 40 };

typedef struct {
    ak_store *store;
    uint32_t seed;
} author;

// Pictures of their own ids come and go; those below START stay.
static void *upload_on(void *arg)
{
    author *self = arg;
    ak_random random = ak_random_stream(self->seed, 1, 0, 0);
    for (;;) {
        char id[16];
        uint32_t number = START + ak_random_below(&random, 60);
        snprintf(id, sizeof id, "i%u", number);
        ak_status status = ak_random_below(&random, 3) ? two_upload_both(self->store, id, number)
                                                       : rig_delete(self->store, id);
        if (status != AK_OK && status != AK_UNKNOWN_IMAGE)
            _exit(4);
    }
    return NULL;
}

static void tell(int pipe, char phase)
{
    if (write(pipe, &phase, 1) != 1)
        _exit(3);
}

static void child(const char *folder, int pipe, uint32_t seed)
{
    pthread_t thread;
    ak_error err = {0};
    char model[AK_NAME_MAX + 1];
    int64_t n;
    ak_store *store = rig_open(folder);
    author self = {store, seed};
    ak_random random = ak_random_stream(seed, 2, 0, 0);
    pthread_create(&thread, NULL, upload_on, &self);
    for (;;) {
        ak_collection c = rig_collection(store);
        const char *to = strcmp(c.model, NEW) == 0 ? MODEL : NEW;
        ak_collection_clear(&c);
        tell(pipe, 'b');
        two_begin(store, to);
        tell(pipe, 'e');
        for (int i = 0; two_fill(store, to, 10) && i < 40; i++)
            if (i == 3 && ak_random_below(&random, 4) == 0)
                rig_ok(ak_store_change_abandon(store, to, &err), &err);
        tell(pipe, 'p');
        ak_status status = ak_store_promote(&n, store, to, &err);
        if (status != AK_OK && status != AK_CONFLICT)
            _exit(5);
        if (ak_random_below(&random, 2)) {
            tell(pipe, 'r');
            status = ak_store_rollback(model, &n, store, "c", &err);
            if (status != AK_OK && status != AK_CONFLICT)
                _exit(6);
        }
        if (ak_random_below(&random, 4) == 0)
            ak_folder_round(store, true);
    }
}

static int64_t images_in(ak_store *store)
{
    ak_collection c = rig_collection(store);
    int64_t images = c.images;
    ak_collection_clear(&c);
    return images;
}

// *serving: the model. The change that was under way is ended one way or the other.
static void check(const char *folder, bool go_on)
{
    enum { MOST = START + 60 };
    ak_error err = {0};
    float scores[MOST];
    char model[AK_NAME_MAX + 1], coming[AK_NAME_MAX + 1];
    int64_t promoted;
    ak_store *store = rig_open(folder);
    // What serves is whole: images that lack its vector are listed, and no others are missing.
    two_search_exactly(scores, MOST, model, store, 7);
    assert_int_equal(two_found(scores, MOST) + (size_t)two_missing(store, model), images_in(store));
    assert_int_equal(rig_count(store, false,
                               "SELECT count(*) FROM needs n WHERE NOT EXISTS (SELECT 1 FROM "
                               "vectors v WHERE v.picture = n.picture AND v.model = n.model) AND "
                               "NOT EXISTS (SELECT 1 FROM missing x WHERE x.picture = n.picture "
                               "AND x.model = n.model)"),
                     0);
    ak_collection c = rig_collection(store);
    strcpy(coming, c.coming);
    ak_collection_clear(&c);
    if (coming[0] && go_on) {
        while (two_fill(store, coming, 50))
            continue;
        rig_ok(ak_store_promote(&promoted, store, coming, &err), &err);
        assert_int_equal(promoted, 1);
    } else if (coming[0]) {
        rig_ok(ak_store_change_abandon(store, coming, &err), &err);
    }
    while (two_fill(store, MODEL, 50) || two_fill(store, NEW, 50))
        continue;
    two_search_exactly(scores, MOST, model, store, 7);
    assert_int_equal(two_found(scores, MOST), images_in(store));
    for (int i = 0; i < START; i++)
        assert_false(isnan(scores[i]));
    // Nothing but what is needed.
    rig_until(store, false, "SELECT count(*) FROM generations",
              rig_count(store, false,
                        "SELECT count(*) FROM generations g JOIN collections c ON g.key IN "
                        "(c.serving_generation, c.retained_generation)"));
    rig_until(store, false, "SELECT count(*) FROM unused", 0);
    rig_until(store, false,
              "SELECT count(*) FROM vectors v WHERE NOT EXISTS (SELECT 1 FROM needs n WHERE "
              "n.picture = v.picture AND n.model = v.model)",
              0);
    assert_int_equal(rig_count(store, false, "SELECT count(*) FROM missing"), 0);
    ak_store_close(store);
}

static void kill_9_at_any_moment_leaves_one_model_serving_whole(void **state)
{
    (void)state;
    char *folder = rig_folder();
    int kills = getenv("AKIN_TEST_LONG") ? KILLS_LONG : KILLS, phases[128] = {0};
    uint32_t seed = (uint32_t)time(NULL);
    print_message("seed %u\n", seed);
    ak_random random = ak_random_stream(seed, 99, 0, 0);
    ak_store *store = rig_open(folder);
    rig_keep_no_originals(store);
    two_add_model(store, NEW, NEW_DIMS, AK_MODEL_CANDIDATE);
    rig_add_many(store, "i", 0, START);
    ak_store_close(store);
    for (int kill_n = 0; kill_n < kills; kill_n++) {
        int ends[2];
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(ends[0]);
            child(folder, ends[1], seed + (uint32_t)kill_n);
            _exit(7);
        }
        close(ends[1]);
        int left = 1 + (int)ak_random_below(&random, 12);
        bool killed = false;
        for (char phase; read(ends[0], &phase, 1) == 1;) {
            if (killed || left--)
                continue;
            usleep(ak_random_below(&random, 8000));
            kill(pid, SIGKILL);
            killed = true;
            phases[(int)phase]++;
        }
        close(ends[0]);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        check(folder, ak_random_below(&random, 2));
    }
    print_message("%d kills: %d beginning, %d embedding, %d promoting, %d rolling back\n", kills,
                  phases['b'], phases['e'], phases['p'], phases['r']);
    rig_remove(folder);
}

int main(void)
{
    ak_log_threshold(AK_LOG_ERROR);
    two_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kill_9_at_any_moment_leaves_one_model_serving_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
