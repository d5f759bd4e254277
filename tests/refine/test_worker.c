// A whole run, small: from its folder to a candidate and a verdict.
#include "core/base/file.h"
#include "core/describe/model_build.h"
#include "core/refine/gate.h"
#include "core/refine/worker.h"
#include "tests/refine/run_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#define PICTURES 340
#define SIDE     48

static ak_buf incumbent; // of random weights, whitened on the pictures
static ak_image pictures[PICTURES];

static const ak_image *picture_at(void *arg, size_t i)
{
    (void)arg;
    return &pictures[i];
}

static int make_incumbent(void **state)
{
    (void)state;
    ak_error err;
    ak_graph graph;
    ak_model_parts parts = {.net = AK_RN10,
                            .head = {.hidden = 32, .out = 16, .depth = 2},
                            .side = 32,
                            .dims = 24,
                            .power = 0.75f,
                            .shrink = 0.1f};
    parts.net.width = 0.25f;
    for (uint32_t i = 0; i < PICTURES; i++)
        rig_picture(&pictures[i], i, i % 20, SIDE);
    assert_int_equal(ak_resnet_graph(&graph, &parts.net, parts.side, &err), AK_OK);
    parts.head.in = graph.features;
    float *params = calloc(graph.params, sizeof *params), *stats = calloc(graph.stats, 4);
    float *head = calloc(ak_head_params(&parts.head), sizeof *head);
    float *head_stats = calloc(ak_head_stats(&parts.head), sizeof *head_stats);
    ak_graph_init(params, stats, &graph, 3);
    ak_head_init(head, head_stats, &parts.head, 3);
    const ak_fit_set fit = {
        .picture = picture_at, .n = PICTURES, .weights = AK_FIT_WEIGHTS_DEFAULT};
    parts.params = params;
    parts.stats = stats;
    parts.head_params = head;
    parts.head_stats = head_stats;
    assert_int_equal(ak_model_build(&incumbent, &parts, &fit, &err), AK_OK);
    free(params);
    free(stats);
    free(head);
    free(head_stats);
    return 0;
}

static int clear_incumbent(void **state)
{
    (void)state;
    ak_buf_clear(&incumbent);
    for (int i = 0; i < PICTURES; i++)
        ak_image_clear(&pictures[i]);
    return 0;
}

static ak_refine_recipe small_recipe(void)
{
    ak_refine_recipe r = ak_refine_recipe_default;
    r.train.side = 32;
    r.train.batch = 16;
    r.train.steps = 8;
    r.train.rate = 0.02f;
    r.train.frozen_stages = 1;
    r.train.contrast = 0.5f;
    r.gate.resamples = 500;
    return r;
}

static ak_sha256 sum_of(uint32_t i)
{
    return ak_sha256_of((ak_bytes){(const uint8_t *)&i, sizeof i});
}

// poison: the pictures to train on are of one colour each, and what people said of them is chance.
static void make_run(const char *folder, const ak_refine_recipe *recipe, bool poison)
{
    ak_error err = {0};
    ak_rundir_maker *m;
    ak_run_collection collections[] = {{.name = "new", .inside = true, .images = PICTURES},
                                       {.name = "old", .images = PICTURES}};
    ak_run run = {.id = "small",
                  .seed = 4,
                  .budget_s = 1e6,
                  .same_score = 0.999,
                  .recipe = *recipe,
                  .collections = collections,
                  .collections_n = 2};
    ak_random r = ak_random_stream(6, 0, 0, 0);
    assert_int_equal(ak_rundir_begin(&m, folder, &run, &err), AK_OK);
    assert_int_equal(ak_rundir_incumbent(m, ak_buf_bytes(&incumbent), &err), AK_OK);
    for (uint32_t i = 0; i < PICTURES; i++) {
        ak_buf proxy = {0};
        ak_image flat = {0};
        bool full, inside = i < PICTURES - 60;
        ak_run_picture p = {.sha256 = sum_of(i), .collection = inside ? 0 : 1};
        p.role = ak_role_of(&p.sha256, 0.3, inside, false);
        bool flatten = poison && (p.role == AK_ROLE_TRAIN || p.role == AK_ROLE_REPLAY);
        assert_int_equal(ak_image_init(&flat, SIDE, SIDE, &err), AK_OK);
        for (size_t k = 0; k < 3 * SIDE * SIDE; k++)
            flat.rgb[k] = (uint8_t)(i * (40 + 37 * (k % 3)) % 256);
        assert_int_equal(ak_image_encode_jpeg(&proxy, flatten ? &flat : &pictures[i], 90, &err),
                         AK_OK);
        assert_int_equal(ak_rundir_add(m, &p, ak_buf_bytes(&proxy), &full, &err), AK_OK);
        ak_buf_clear(&proxy);
        ak_image_clear(&flat);
    }
    for (int i = 0; i < 60; i++) {
        ak_run_pair pair = {sum_of(ak_random_below(&r, PICTURES)),
                            sum_of(ak_random_below(&r, PICTURES)), i % 2};
        assert_int_equal(ak_rundir_pair(m, &pair, &err), AK_OK);
    }
    assert_int_equal(ak_rundir_commit(m, &err), AK_OK);
}

typedef struct {
    const char *folder;
    uint64_t stop_at, remove_at; // steps; 0: never
    uint64_t seen;
    bool stop, resumed;
    int threads;
} host;

static void tell(void *arg, const ak_work_progress *p)
{
    host *h = arg;
    ak_error err = {0};
    h->seen = p->training.step;
    h->resumed = h->resumed || p->resumed;
    h->stop = h->stop || (h->stop_at && p->training.step == h->stop_at);
    if (h->remove_at && p->training.step == h->remove_at) {
        ak_sha256 gone[] = {sum_of(1), sum_of(2), sum_of(3), sum_of(4), sum_of(5)};
        assert_int_equal(ak_rundir_remove(h->folder, gone, 5, &err), AK_OK);
        h->remove_at = 0;
    }
}

static void orders(void *arg, ak_work_orders *o, bool wait)
{
    const host *h = arg;
    (void)wait;
    *o = (ak_work_orders){.threads = h->threads ? h->threads : 1, .stop = h->stop};
}

static ak_status work(host *h, ak_error *err)
{
    ak_work_host to = {.tell = tell, .orders = orders, .arg = h};
    return ak_work(h->folder, &to, err);
}

static ak_model *candidate(const char *folder)
{
    ak_error err = {0};
    ak_buf file = {0};
    ak_model *model;
    assert_int_equal(ak_rundir_read(&file, folder, AK_RUN_CANDIDATE, &err), AK_OK);
    assert_int_equal(ak_model_read(&model, ak_buf_bytes(&file), &err), AK_OK);
    ak_buf_clear(&file);
    return model;
}

static bool same_weights(const ak_model *a, const ak_model *b)
{
    ak_graph graph;
    ak_error err;
    ak_model_parts x = ak_model_parts_of(a), y = ak_model_parts_of(b);
    assert_int_equal(ak_resnet_graph(&graph, &x.net, x.side, &err), AK_OK);
    return memcmp(x.params, y.params, graph.params * sizeof(float)) == 0 &&
           memcmp(x.head_params, y.head_params, ak_head_params(&x.head) * sizeof(float)) == 0 &&
           memcmp(x.matrix, y.matrix, x.dims * x.raw * sizeof(float)) == 0;
}

static char *verdict(const char *folder, ak_verdict *v)
{
    ak_error err = {0};
    ak_rundir *r;
    assert_int_equal(ak_rundir_open(&r, folder, &err), AK_OK);
    assert_int_equal(ak_gate_judge(v, r, NULL, &err), AK_OK);
    ak_rundir_close(r);
    json_t *object = ak_verdict_json(v);
    char *text = json_dumps(object, JSON_REAL_PRECISION(17));
    json_decref(object);
    return text;
}

static void a_run_ends_with_a_candidate_and_a_verdict_that_repeats(void **state)
{
    (void)state;
    ak_error err = {0};
    char folder[64];
    ak_refine_recipe recipe = small_recipe();
    rig_folder(folder);
    make_run(folder, &recipe, false);
    host h = {.folder = folder};
    assert_int_equal(work(&h, &err), AK_OK);
    assert_int_equal(h.seen, 8);
    host again = {.folder = folder}; // done: nothing is trained again
    assert_int_equal(work(&again, &err), AK_OK);
    assert_int_equal(again.seen, 0);

    ak_sha256 *trained;
    size_t n;
    assert_int_equal(ak_rundir_trained_read(&trained, &n, folder, &err), AK_OK);
    ak_rundir *r;
    assert_int_equal(ak_rundir_open(&r, folder, &err), AK_OK);
    for (size_t i = 0; i < n; i++) {
        ak_role role = r->pictures[ak_rundir_find(r, &trained[i])].role;
        assert_true(role == AK_ROLE_TRAIN || role == AK_ROLE_REPLAY);
    }
    assert_true(n > 150);
    ak_rundir_close(r);
    free(trained);

    ak_verdict v;
    char *first = verdict(folder, &v), *second = verdict(folder, &v);
    assert_string_equal(first, second);
    assert_true(v.yardsticks > 50 && v.rows_n >= 8);
    free(first);
    free(second);
    ak_rundir_delete(folder, &err);
}

static void a_run_that_was_stopped_gives_what_it_gives_without(void **state)
{
    (void)state;
    ak_error err = {0};
    char whole[64], parts[64];
    ak_refine_recipe recipe = small_recipe();
    recipe.train.interpolate = false;
    rig_folder(whole);
    rig_folder(parts);
    make_run(whole, &recipe, false);
    make_run(parts, &recipe, false);
    host h = {.folder = whole};
    assert_int_equal(work(&h, &err), AK_OK);
    const uint64_t stops[] = {3, 4, 7};
    for (int i = 0; i < 3; i++) {
        host stopped = {.folder = parts, .stop_at = stops[i]};
        assert_int_equal(work(&stopped, &err), AK_SHUTTING_DOWN);
        assert_int_equal(stopped.seen, stops[i]);
        assert_int_equal(stopped.resumed, i > 0);
    }
    host last = {.folder = parts};
    assert_int_equal(work(&last, &err), AK_OK);
    assert_true(last.resumed);
    ak_model *a = candidate(whole), *b = candidate(parts), *base;
    assert_int_equal(ak_model_read(&base, ak_buf_bytes(&incumbent), &err), AK_OK);
    assert_true(same_weights(a, b));
    assert_false(same_weights(a, base));
    ak_model_free(a);
    ak_model_free(b);
    ak_model_free(base);
    ak_rundir_delete(whole, &err);
    ak_rundir_delete(parts, &err);
}

static void a_damaged_checkpoint_begins_anew(void **state)
{
    (void)state;
    ak_error err = {0};
    char folder[64], path[128];
    ak_refine_recipe recipe = small_recipe();
    rig_folder(folder);
    make_run(folder, &recipe, false);
    host stopped = {.folder = folder, .stop_at = 5};
    assert_int_equal(work(&stopped, &err), AK_SHUTTING_DOWN);
    snprintf(path, sizeof path, "%s/%s", folder, AK_RUN_CHECKPOINT);
    int fd = open(path, O_RDWR);
    assert_int_equal(pwrite(fd, "xx", 2, 5000), 2);
    close(fd);
    host last = {.folder = folder};
    assert_int_equal(work(&last, &err), AK_OK);
    assert_false(last.resumed);
    snprintf(path, sizeof path, "%s/%s", folder, AK_RUN_CANDIDATE);
    assert_int_equal(truncate(path, 1000), 0); // a damaged candidate is no result
    host repaired = {.folder = folder};
    assert_int_equal(work(&repaired, &err), AK_OK);
    assert_true(repaired.resumed);
    ak_model_free(candidate(folder));
    ak_rundir_delete(folder, &err);
}

static void pictures_that_are_deleted_meanwhile_are_not_trained_on(void **state)
{
    (void)state;
    ak_error err = {0};
    char folder[64];
    ak_buf trained = {0};
    ak_refine_recipe recipe = small_recipe();
    recipe.train.save_s = 0.1;
    recipe.train.steps = 30;
    rig_folder(folder);
    make_run(folder, &recipe, false);
    host h = {.folder = folder, .remove_at = 2};
    assert_int_equal(work(&h, &err), AK_OK);
    assert_true(h.resumed);
    assert_int_equal(ak_rundir_read(&trained, folder, AK_RUN_TRAINED, &err), AK_OK);
    for (uint32_t i = 0; i < 8; i++) {
        char hex[AK_SHA256_HEX + 1];
        ak_sha256 sum = sum_of(i);
        ak_sha256_hex(hex, &sum);
        bool there = memmem(trained.at, trained.n, hex, AK_SHA256_HEX);
        ak_role role = ak_role_of(&sum, 0.3, true, false);
        assert_int_equal(there, (i < 1 || i > 5) && role == AK_ROLE_TRAIN);
    }
    ak_buf_clear(&trained);
    ak_rundir_delete(folder, &err);
}

static void poisoned_runs_are_refused(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        ak_error err = {0};
        char folder[64];
        ak_refine_recipe recipe = small_recipe();
        recipe.train.steps = 12;
        if (how == 0) {
            recipe.train.rate *= 100;
            recipe.train.interpolate = false;
        }
        if (how == 1)
            recipe.train.feedback = 10; // which is chance here
        rig_folder(folder);
        make_run(folder, &recipe, how == 2);
        host h = {.folder = folder};
        ak_status status = work(&h, &err);
        if (status == AK_OK) {
            ak_verdict v;
            free(verdict(folder, &v));
            assert_false(v.passed);
            assert_true(strlen(v.reason) > 20);
        } else { // it did not even get so far
            assert_non_null(strstr(err.text, how == 0 ? "no longer finite" : "different things"));
        }
        ak_rundir_delete(folder, &err);
    }
}

static void a_rate_that_throws_the_network_away_ends_the_run(void **state)
{
    (void)state;
    ak_error err = {0};
    char folder[64], path[128];
    ak_refine_recipe recipe = small_recipe();
    recipe.train.contrast = 0;
    recipe.train.features = 20; // none at first, when the network is the incumbent
    recipe.train.rate = 10;
    recipe.train.steps = 300;
    rig_folder(folder);
    make_run(folder, &recipe, false);
    host h = {.folder = folder};
    assert_int_equal(work(&h, &err), AK_BAD_VALUE);
    assert_true(h.seen < 300);
    assert_non_null(strstr(err.text, "the loss rose from"));
    assert_non_null(strstr(err.text, "recipe.train.rate (10)"));
    snprintf(path, sizeof path, "%s/%s", folder, AK_RUN_CANDIDATE);
    assert_int_equal(access(path, F_OK), -1);
    ak_rundir_delete(folder, &err);
}

static void a_folder_that_cannot_be_used_says_why(void **state)
{
    (void)state;
    ak_error err = {0};
    char folder[64], path[128];
    ak_refine_recipe recipe = small_recipe();
    rig_folder(folder);
    host h = {.folder = folder};
    assert_int_equal(work(&h, &err), AK_NOT_FOUND);
    make_run(folder, &recipe, false);
    ak_rundir *r;
    ak_verdict v;
    assert_int_equal(ak_rundir_open(&r, folder, &err), AK_OK);
    assert_int_not_equal(ak_gate_judge(&v, r, NULL, &err), AK_OK);
    assert_non_null(strstr(err.text, AK_RUN_CANDIDATE));
    ak_rundir_close(r);
    snprintf(path, sizeof path, "%s/%s", folder, AK_RUN_INCUMBENT);
    assert_int_equal(truncate(path, 3000), 0);
    assert_int_equal(work(&h, &err), AK_CORRUPT);
    assert_non_null(strstr(err.text, AK_RUN_INCUMBENT));
    ak_rundir_delete(folder, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_ends_with_a_candidate_and_a_verdict_that_repeats),
        cmocka_unit_test(a_run_that_was_stopped_gives_what_it_gives_without),
        cmocka_unit_test(a_damaged_checkpoint_begins_anew),
        cmocka_unit_test(pictures_that_are_deleted_meanwhile_are_not_trained_on),
        cmocka_unit_test(poisoned_runs_are_refused),
        cmocka_unit_test(a_rate_that_throws_the_network_away_ends_the_run),
        cmocka_unit_test(a_folder_that_cannot_be_used_says_why),
    };
    return cmocka_run_group_tests(tests, make_incumbent, clear_incumbent);
}
