// Main, tail and tombstones by themselves: what a search sees, against a plain list.
#include "index/dot.h"
#include "tests/index/rig.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>

enum { WIDTH = 32, VECTORS = 3100 };

static float vectors_of[VECTORS][WIDTH];

static void make_vector(float *vector, uint32_t number)
{
    float wide[DIMS];
    double squares = 0;
    rig_vector(wide, number);
    for (int i = 0; i < WIDTH; i++)
        squares += (double)wide[i] * wide[i];
    for (int i = 0; i < WIDTH; i++)
        vector[i] = (float)(wide[i] / sqrt(squares));
}

static int make_vectors(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < VECTORS; i++)
        make_vector(vectors_of[i], i);
    return 0;
}

static void small_vector(float *vector, uint32_t number)
{
    memcpy(vector, vectors_of[number], sizeof vectors_of[number]);
}

static ak_vectors *make(void)
{
    ak_vectors *vectors = NULL;
    assert_int_equal(ak_vectors_new(&vectors, WIDTH, 1, NULL), AK_OK);
    return vectors;
}

static void append(ak_vectors *vectors, int64_t image, uint32_t number)
{
    float vector[WIDTH];
    small_vector(vector, number);
    ak_row row = {.image = image, .picture = (int64_t)number};
    assert_int_equal(ak_vectors_append(vectors, &row, vector, NULL), AK_OK);
}

static ak_vectors_answer ask(ak_vectors *vectors, uint64_t sequence, uint32_t number, size_t k)
{
    float query[WIDTH];
    ak_vectors_answer answer;
    small_vector(query, number);
    ak_vectors_query query_of = {.query = query, .k = k, .min_score = -INFINITY};
    assert_int_equal(ak_vectors_search(&answer, vectors, sequence, &query_of, NULL), AK_OK);
    return answer;
}

static void search_sees_only_published_rows(void **state)
{
    (void)state;
    ak_vectors *vectors = make();
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    append(vectors, 1, 1);
    ak_vectors_answer answer = ask(vectors, 1, 1, 10);
    assert_int_equal(answer.n, 0); // laid down, not published
    ak_vectors_answer_clear(&answer);
    ak_vectors_publish(vectors);
    assert_int_equal(ak_vectors_published(vectors), 2);
    answer = ask(vectors, 1, 1, 10);
    assert_int_equal(answer.n, 0); // a search of the state before it
    ak_vectors_answer_clear(&answer);
    answer = ask(vectors, 2, 1, 10);
    assert_int_equal(answer.n, 1);
    ak_vectors_answer_clear(&answer);

    // An update: the old row until it is published, the new one after, never both or neither.
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    assert_int_equal(ak_vectors_remove(vectors, 1, NULL), AK_OK);
    append(vectors, 1, 2);
    answer = ask(vectors, 2, 1, 10);
    assert_true(answer.n == 1 && answer.items[0].row.picture == 1);
    ak_vectors_answer_clear(&answer);
    ak_vectors_publish(vectors);
    answer = ask(vectors, 3, 1, 10);
    assert_true(answer.n == 1 && answer.items[0].row.picture == 2);
    ak_vectors_answer_clear(&answer);
    ak_vectors_free(vectors);
}

static void a_retracted_batch_was_never_there(void **state)
{
    (void)state;
    ak_vectors *vectors = make();
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    append(vectors, 1, 1);
    append(vectors, 2, 2);
    ak_vectors_publish(vectors);
    assert_int_equal(ak_vectors_fold(vectors, NULL), AK_OK);
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    append(vectors, 3, 3);
    ak_vectors_publish(vectors);
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    assert_int_equal(ak_vectors_remove(vectors, 1, NULL), AK_OK); // of main
    assert_int_equal(ak_vectors_remove(vectors, 3, NULL), AK_OK); // of the tail
    append(vectors, 4, 4);
    assert_int_equal(ak_vectors_remove(vectors, 4, NULL), AK_OK); // of the batch itself
    append(vectors, 5, 5);
    ak_vectors_retract(vectors);
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    append(vectors, 6, 6); // the sequence is used again
    ak_vectors_publish(vectors);
    for (int folded = 0; folded < 2; folded++) {
        ak_vectors_answer answer = ask(vectors, 4, 1, 10);
        int64_t sum = 0;
        for (size_t i = 0; i < answer.n; i++)
            sum += answer.items[i].row.image;
        assert_int_equal(answer.n, 4);
        assert_int_equal(sum, 1 + 2 + 3 + 6);
        ak_vectors_answer_clear(&answer);
        assert_int_equal(ak_vectors_fold(vectors, NULL), AK_OK);
    }
    assert_int_equal(ak_vectors_size(vectors).main, 4);
    assert_int_equal(ak_vectors_size(vectors).dead, 0);
    ak_vectors_free(vectors);
}

static void over_fetch_goes_past_hundreds_of_tombstones(void **state)
{
    (void)state;
    ak_vectors *vectors = make();
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    for (int i = 0; i < 2000; i++)
        append(vectors, i + 1, (uint32_t)i);
    ak_vectors_publish(vectors);
    assert_int_equal(ak_vectors_fold(vectors, NULL), AK_OK);
    ak_vectors_answer before = ask(vectors, 2, 5, 500);
    assert_int_equal(before.n, 500);
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    for (size_t i = 0; i < 490; i++)
        assert_int_equal(ak_vectors_remove(vectors, before.items[i].row.image, NULL), AK_OK);
    ak_vectors_publish(vectors);
    ak_vectors_answer after = ask(vectors, 3, 5, 10);
    assert_int_equal(after.n, 10);
    assert_true(after.rounds > 1); // it did have to fetch again
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(after.items[i].row.image, before.items[490 + i].row.image);
    ak_vectors_answer_clear(&after);
    ak_vectors_answer_clear(&before);
    ak_vectors_free(vectors);
}

static void a_search_older_than_main_is_told_to_look_again(void **state)
{
    (void)state;
    ak_vectors *vectors = make();
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    append(vectors, 1, 1);
    ak_vectors_publish(vectors);
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    assert_int_equal(ak_vectors_remove(vectors, 1, NULL), AK_OK);
    ak_vectors_publish(vectors);
    assert_int_equal(ak_vectors_fold(vectors, NULL), AK_OK); // the row of sequence 2 is gone
    ak_vectors_answer answer = ask(vectors, 2, 1, 10);
    assert_true(answer.stale && answer.n == 0);
    ak_vectors_answer_clear(&answer);
    answer = ask(vectors, 3, 1, 10);
    assert_true(!answer.stale && answer.n == 0);
    ak_vectors_answer_clear(&answer);
    ak_vectors_free(vectors);
}

static void all_that_tie_with_the_last_are_returned(void **state)
{
    (void)state;
    ak_vectors *vectors = make();
    ak_vectors_begin(vectors, ak_vectors_published(vectors) + 1);
    for (int i = 0; i < 300; i++)
        append(vectors, i + 1, 7); // one picture, three hundred images
    append(vectors, 1000, 8);
    ak_vectors_publish(vectors);
    for (int folded = 0; folded < 2; folded++) {
        ak_vectors_answer answer = ask(vectors, 2, 7, 10);
        assert_int_equal(answer.n, 300);
        assert_true(answer.items[0].score == answer.items[299].score);
        ak_vectors_answer_clear(&answer);
        assert_int_equal(ak_vectors_fold(vectors, NULL), AK_OK);
    }
    ak_vectors_free(vectors);
}

static void the_dot_product_is_right_for_odd_sizes(void **state)
{
    (void)state;
    float a[DIMS], b[DIMS];
    rig_vector(a, 1);
    rig_vector(b, 2);
    for (int n = 0; n <= DIMS; n++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += (double)a[i] * b[i];
        assert_float_equal(ak_dot(a, b, n), sum, 1e-5);
    }
}

// --- against brute force, with writers and folds under way ---------------------------------------

enum { IMAGES = 600, BATCHES = 400, SEARCHERS = 2 };

// What is live after each sequence: picture[sequence][image], 0 for none.
typedef struct {
    ak_vectors *vectors;
    uint16_t (*picture)[IMAGES];
    atomic_bool stop;
    atomic_int searches, stale, wrong;
    uint32_t seed;
} world;

static int by_score(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static bool right(world *w, uint64_t sequence, uint32_t number)
{
    float query[WIDTH], vector[WIDTH], scores[IMAGES];
    size_t n = 0;
    small_vector(query, number);
    for (int i = 0; i < IMAGES; i++) {
        uint16_t picture = w->picture[sequence][i];
        if (picture == 0)
            continue;
        small_vector(vector, picture);
        float score = ak_dot(query, vector, WIDTH);
        scores[n++] = score > 1 ? 1 : score;
    }
    qsort(scores, n, sizeof *scores, by_score);
    ak_vectors_query query_of = {.query = query, .k = 10, .min_score = -INFINITY};
    ak_vectors_answer answer;
    if (ak_vectors_search(&answer, w->vectors, sequence, &query_of, NULL) != AK_OK)
        return false;
    if (answer.stale) {
        atomic_fetch_add(&w->stale, 1);
        return true;
    }
    bool fine = answer.n >= (n < 10 ? n : 10);
    for (size_t i = 0; fine && i < answer.n && i < 10; i++)
        fine = answer.items[i].score == scores[i] &&
               w->picture[sequence][answer.items[i].row.image - 1] == answer.items[i].row.picture;
    ak_vectors_answer_clear(&answer);
    atomic_fetch_add(&w->searches, 1);
    return fine;
}

static void *searcher(void *arg)
{
    world *w = arg;
    ak_random random = ak_random_stream(w->seed, (uint32_t)(uintptr_t)pthread_self(), 1, 1);
    while (!atomic_load(&w->stop))
        if (!right(w, ak_vectors_published(w->vectors), ak_random_below(&random, 3000)))
            atomic_fetch_add(&w->wrong, 1);
    return NULL;
}

static void *folder(void *arg)
{
    world *w = arg;
    while (!atomic_load(&w->stop))
        if (ak_vectors_fold(w->vectors, NULL) != AK_OK)
            atomic_fetch_add(&w->wrong, 1);
    return NULL;
}

static void search_equals_brute_force_among_writes_and_folds(void **state)
{
    (void)state;
    world *w = calloc(1, sizeof *w);
    w->picture = calloc(BATCHES + 2, sizeof *w->picture);
    w->vectors = make();
    w->seed = (uint32_t)time(NULL);
    print_message("seed %u\n", w->seed);
    ak_random random = ak_random_stream(w->seed, 0, 0, 0);
    pthread_t threads[SEARCHERS + 1];
    for (int i = 0; i < SEARCHERS; i++)
        pthread_create(&threads[i], NULL, searcher, w);
    pthread_create(&threads[SEARCHERS], NULL, folder, w);
    for (uint64_t sequence = 2; sequence < BATCHES + 2; sequence++) {
        uint16_t *now = w->picture[sequence];
        memcpy(now, w->picture[sequence - 1], sizeof *w->picture);
        bool retract = ak_random_below(&random, 8) == 0;
        ak_vectors_begin(w->vectors, ak_vectors_published(w->vectors) + 1);
        for (uint32_t i = ak_random_below(&random, 20); i > 0; i--) {
            uint32_t image = ak_random_below(&random, IMAGES);
            uint16_t picture = (uint16_t)(ak_random_below(&random, 4) ? image * 5 + i + 1 : 0);
            if (now[image])
                assert_int_equal(ak_vectors_remove(w->vectors, image + 1, NULL), AK_OK);
            if (picture)
                append(w->vectors, image + 1, picture);
            now[image] = picture;
        }
        if (retract) {
            ak_vectors_retract(w->vectors);
            sequence--;
        } else {
            ak_vectors_publish(w->vectors);
        }
        while (atomic_load(&w->searches) + atomic_load(&w->stale) < (int)sequence &&
               atomic_load(&w->wrong) == 0)
            sched_yield(); // searches keep pace with the batches
    }
    atomic_store(&w->stop, true);
    for (int i = 0; i <= SEARCHERS; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < 50; i++)
        assert_true(right(w, BATCHES + 1, i));
    print_message("%d searches, %d of them stale\n", w->searches, w->stale);
    assert_int_equal(w->wrong, 0);
    assert_true(w->searches > 50);
    ak_vectors_free(w->vectors);
    free(w->picture);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_sees_only_published_rows),
        cmocka_unit_test(a_retracted_batch_was_never_there),
        cmocka_unit_test(over_fetch_goes_past_hundreds_of_tombstones),
        cmocka_unit_test(a_search_older_than_main_is_told_to_look_again),
        cmocka_unit_test(all_that_tie_with_the_last_are_returned),
        cmocka_unit_test(the_dot_product_is_right_for_odd_sizes),
        cmocka_unit_test(search_equals_brute_force_among_writes_and_folds),
    };
    return cmocka_run_group_tests(tests, make_vectors, NULL);
}
