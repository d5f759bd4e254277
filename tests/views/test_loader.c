#include "core/views/loader.h"
#include "tests/learn/made_pictures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 24, SMALL_SIDE = 16, SMALL = 3, PICTURES = 30, BATCH = 8, BATCHES = 9 };

#define VIEW   ((size_t)3 * SIDE * SIDE)
#define LITTLE ((size_t)3 * SMALL_SIDE * SMALL_SIDE)

static ak_pictures set;

static int make_set(void **state)
{
    (void)state;
    made_pictures(&set, PICTURES, 3, 40);
    return 0;
}

static int clear_set(void **state)
{
    (void)state;
    ak_pictures_clear(&set);
    return 0;
}

// Everything on, and another second view.
static ak_loader_options options(void)
{
    ak_loader_options o = {.pictures = &set,
                           .plan = AK_VIEW_PLAN_DEFAULT,
                           .side = SIDE,
                           .batch = BATCH,
                           .seed = 5,
                           .threads = 1};
    ak_view_recipe *r = &o.plan.first;
    r->shrink = r->blur = r->solarise = r->jpeg = r->erase = 0.3f;
    o.plan.second = *r;
    o.plan.second.grey = 1;
    o.plan.small = (ak_small_views){SMALL, SMALL_SIDE, 0.05f, 0.2f};
    return o;
}

static ak_loader *loader_of(const ak_loader_options *o)
{
    ak_loader *loader;
    ak_error err = {0};
    if (ak_loader_new(&loader, o, &err) != AK_OK)
        fail_msg("%s", err.text);
    return loader;
}

typedef struct {
    uint8_t views[BATCHES][2 * BATCH * VIEW], small[BATCHES][SMALL * BATCH * LITTLE];
    uint32_t labels[BATCHES][2 * BATCH], chosen[BATCHES][BATCH];
} record;

static record *whole_run(void)
{
    record *all = malloc(sizeof *all);
    ak_loader_options o = options();
    ak_loader *loader = loader_of(&o);
    for (int k = 0; k < BATCHES; k++) {
        const ak_batch *b = ak_loader_next(loader);
        assert_int_equal(b->n, BATCH);
        memcpy(all->views[k], b->views, sizeof all->views[k]);
        memcpy(all->small[k], b->small, sizeof all->small[k]);
        memcpy(all->labels[k], b->labels, sizeof all->labels[k]);
        memcpy(all->chosen[k], b->chosen, sizeof all->chosen[k]);
    }
    ak_loader_free(loader);
    return all;
}

static void batches_do_not_depend_on_threads_or_start(void **state)
{
    (void)state;
    record *all = whole_run();
    for (int run = 0; run < 2; run++) {
        ak_loader_options o = options();
        o.threads = 4;
        o.first = run ? 4 : 0;
        ak_loader *loader = loader_of(&o);
        for (uint64_t k = o.first; k < BATCHES; k++) {
            const ak_batch *b = ak_loader_next(loader);
            assert_memory_equal(b->views, all->views[k], sizeof all->views[k]);
            assert_memory_equal(b->small, all->small[k], sizeof all->small[k]);
            assert_memory_equal(b->labels, all->labels[k], sizeof all->labels[k]);
            assert_memory_equal(b->chosen, all->chosen[k], sizeof all->chosen[k]);
        }
        ak_loader_free(loader);
    }
    free(all);
}

static void each_view_is_another_by_its_own_recipe(void **state)
{
    (void)state;
    record *all = whole_run();
    for (size_t i = 0; i < BATCH; i++) {
        assert_int_equal(all->labels[0][i], set.items[all->chosen[0][i]].label);
        assert_int_equal(all->labels[0][i], all->labels[0][BATCH + i]);
        assert_memory_not_equal(all->views[0] + i * VIEW, all->views[0] + (BATCH + i) * VIEW, VIEW);
        for (size_t v = 1; v < SMALL; v++)
            assert_memory_not_equal(all->small[0] + i * LITTLE,
                                    all->small[0] + (v * BATCH + i) * LITTLE, LITTLE);
    }
    size_t coloured[2] = {0};
    for (size_t v = 0; v < 2; v++)
        for (size_t i = 0; i < BATCH * VIEW; i += 3) {
            const uint8_t *p = all->views[1] + v * BATCH * VIEW + i;
            coloured[v] += abs(p[0] - p[1]) > 8;
        }
    assert_true(coloured[0] > BATCH * VIEW / 3 / 4); // the first view
    assert_true(coloured[1] < coloured[0] / 2);      // the second is grey, but for noise
    free(all);
}

static void a_picture_looks_different_in_each_epoch(void **state)
{
    (void)state;
    record *all = whole_run(); // three batches an epoch
    for (size_t i = 0; i < BATCH; i++)
        for (int k = 3; k < 6; k++)
            for (size_t j = 0; j < BATCH; j++)
                if (all->chosen[k][j] == all->chosen[0][i])
                    assert_memory_not_equal(all->views[k] + j * VIEW, all->views[0] + i * VIEW,
                                            VIEW);
    free(all);
}

static void ranks_see_together_what_one_process_sees(void **state)
{
    (void)state;
    enum { RANKS = 4, SHARE = BATCH / RANKS };
    record *all = whole_run();
    for (int rank = 0; rank < RANKS; rank++) {
        ak_loader_options o = options();
        o.rank = rank;
        o.ranks = RANKS;
        ak_loader *loader = loader_of(&o);
        size_t from = (size_t)rank * SHARE;
        for (int k = 0; k < BATCHES; k++) {
            const ak_batch *b = ak_loader_next(loader);
            assert_int_equal(b->n, SHARE);
            assert_memory_equal(b->chosen, all->chosen[k] + from, SHARE * sizeof *b->chosen);
            for (size_t v = 0; v < 2; v++) {
                assert_memory_equal(b->views + v * SHARE * VIEW,
                                    all->views[k] + (v * BATCH + from) * VIEW, SHARE * VIEW);
                assert_memory_equal(b->labels + v * SHARE, all->labels[k] + v * BATCH + from,
                                    SHARE * sizeof *b->labels);
            }
            for (size_t v = 0; v < SMALL; v++)
                assert_memory_equal(b->small + v * SHARE * LITTLE,
                                    all->small[k] + (v * BATCH + from) * LITTLE, SHARE * LITTLE);
        }
        ak_loader_free(loader);
    }
    free(all);
}

typedef struct {
    uint64_t calls, last;
} counting;

static void choose_counting(void *arg, uint32_t *out, size_t batch, uint64_t k)
{
    counting *c = arg;
    assert_true(c->calls == 0 || k == c->last + 1);
    c->calls++;
    c->last = k;
    for (size_t i = 0; i < batch; i++)
        out[i] = (uint32_t)(k + i / 2) % PICTURES; // each twice
}

static void a_sampler_is_asked_once_a_batch_though_the_side_changes(void **state)
{
    (void)state;
    counting c = {0};
    const ak_sampler sampler = {.choose = choose_counting, .arg = &c};
    ak_loader_options o = options();
    o.sampler = &sampler;
    o.threads = 3;
    ak_loader *loader = loader_of(&o);
    ak_error err;
    for (uint64_t k = 0; k < 12; k++) {
        if (k % 4 == 3)
            assert_int_equal(ak_loader_side(loader, SIDE + (int)k, &err), AK_OK);
        const ak_batch *b = ak_loader_next(loader);
        for (size_t i = 0; i < BATCH; i++)
            assert_int_equal(b->chosen[i], (k + i / 2) % PICTURES);
    }
    ak_loader_free(loader);
    assert_in_range(c.calls, 12, 12 + AK_LOADER_AHEAD);
}

static void a_picture_that_comes_twice_comes_in_other_views(void **state)
{
    (void)state;
    counting c = {0};
    const ak_sampler sampler = {.choose = choose_counting, .arg = &c};
    ak_loader_options o = options();
    o.sampler = &sampler;
    ak_loader *loader = loader_of(&o);
    const ak_batch *b = ak_loader_next(loader);
    for (size_t i = 0; i < BATCH; i += 2) {
        assert_int_equal(b->chosen[i], b->chosen[i + 1]);
        assert_memory_not_equal(b->views + i * VIEW, b->views + (i + 1) * VIEW, VIEW);
    }
    ak_loader_free(loader);
}

static void an_epoch_has_each_picture_once(void **state)
{
    (void)state;
    ak_sampler s;
    uint32_t chosen[BATCH], first[PICTURES] = {0};
    assert_int_equal(ak_sampler_epochs(&s, PICTURES, BATCH, 1, NULL), AK_OK);
    assert_int_equal(s.epoch_batches, PICTURES / BATCH);
    for (uint64_t epoch = 0; epoch < 20; epoch++) {
        int seen[PICTURES] = {0};
        for (uint64_t k = 0; k < PICTURES / BATCH; k++) {
            s.choose(s.arg, chosen, BATCH, epoch * (PICTURES / BATCH) + k);
            for (int i = 0; i < BATCH; i++)
                assert_int_equal(seen[chosen[i]]++, 0);
            first[chosen[0]]++;
        }
    }
    for (int i = 0; i < PICTURES; i++) // 60 draws of 30: none comes all the time
        assert_in_range(first[i], 0, 10);
    ak_sampler_clear(&s);
}

static void classes_come_evenly_with_as_many_pictures_each(void **state)
{
    (void)state;
    // Classes of 1, 3 and 26 pictures, and one without any.
    enum { PER_CLASS = 4, CLASSES = 4, DRAWS = 600 };
    ak_picture items[PICTURES] = {0};
    for (int i = 0; i < PICTURES; i++)
        items[i].label = i == 7 ? 0 : i < 3 ? 1 : 3;
    ak_pictures uneven = {.items = items, .n = PICTURES, .classes_n = CLASSES};
    ak_sampler s;
    uint32_t chosen[BATCH], again[BATCH];
    int of_class[CLASSES] = {0}, of_picture[PICTURES] = {0};
    assert_int_equal(ak_sampler_classes(&s, &uneven, PER_CLASS, BATCH, 9, NULL), AK_OK);
    assert_int_equal(s.epoch_batches, 0);
    for (uint64_t k = 0; k < DRAWS; k++) {
        s.choose(s.arg, chosen, BATCH, k);
        for (int i = 0; i < BATCH; i++)
            of_picture[chosen[i]]++;
        assert_int_not_equal(items[chosen[0]].label, items[chosen[PER_CLASS]].label);
        for (int i = 0; i < BATCH; i += PER_CLASS) {
            uint32_t label = items[chosen[i]].label;
            of_class[label]++;
            for (int j = i; j < i + PER_CLASS; j++) {
                assert_int_equal(items[chosen[j]].label, label);
                for (int other = i; other < j; other++) // only a small class repeats
                    assert_true(chosen[j] != chosen[other] || label < 3);
            }
        }
    }
    for (uint64_t k = DRAWS; k-- > DRAWS - 3;) { // of k alone, whatever came before
        s.choose(s.arg, again, BATCH, k);
        assert_true((memcmp(chosen, again, sizeof again) == 0) == (k == DRAWS - 1));
    }
    for (int i = 0; i < CLASSES; i++) // 400 of 600 in the mean, 11.5 the deviation
        assert_in_range(of_class[i], i == 2 ? 0 : 350, i == 2 ? 0 : 450);
    for (int i = 8; i < PICTURES; i++) // 62 in the mean
        assert_in_range(of_picture[i], 30, 100);
    ak_sampler_clear(&s);
}

static void what_cannot_be_batched_is_refused(void **state)
{
    (void)state;
    ak_loader *loader;
    ak_sampler s;
    ak_error err;
    ak_loader_options o = options();
    o.batch = PICTURES + 1;
    assert_int_equal(ak_loader_new(&loader, &o, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "31 pictures from a set of 30"));
    o.batch = BATCH;
    o.ranks = 3;
    assert_int_equal(ak_loader_new(&loader, &o, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "must be a multiple"));
    o = options();
    o.plan.second.blur_least = 5;
    assert_int_equal(ak_loader_new(&loader, &o, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "second_view.blur_least"));
    assert_int_equal(ak_sampler_classes(&s, &set, 2, BATCH, 1, &err), AK_BAD_VALUE);
    assert_non_null(strstr(err.text, "needs 4 classes; there are 3"));
    assert_int_equal(ak_sampler_classes(&s, &set, 3, BATCH, 1, &err), AK_BAD_VALUE);
    ak_sampler_clear(&s); // as it is after a refusal
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_do_not_depend_on_threads_or_start),
        cmocka_unit_test(each_view_is_another_by_its_own_recipe),
        cmocka_unit_test(a_picture_looks_different_in_each_epoch),
        cmocka_unit_test(ranks_see_together_what_one_process_sees),
        cmocka_unit_test(a_sampler_is_asked_once_a_batch_though_the_side_changes),
        cmocka_unit_test(a_picture_that_comes_twice_comes_in_other_views),
        cmocka_unit_test(an_epoch_has_each_picture_once),
        cmocka_unit_test(classes_come_evenly_with_as_many_pictures_each),
        cmocka_unit_test(what_cannot_be_batched_is_refused),
    };
    return cmocka_run_group_tests(tests, make_set, clear_set);
}
