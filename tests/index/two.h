// Two models of a store: what the second makes of pictures of a number, changes to it, and searches
// whose every score is held against the obvious.
#ifndef AK_TESTS_INDEX_TWO_H
#define AK_TESTS_INDEX_TWO_H

#include "tests/index/rig.h"

#define NEW      "m2"
#define NEW_DIMS 48
#define PICTURES 800

// What the second model makes of a picture: unlike the first one's, and of another length.
static inline void two_new_vector(float vector[NEW_DIMS], uint32_t number)
{
    ak_random random = ak_random_stream(78, number, 0, 0);
    double squares = 0;
    for (int i = 0; i < NEW_DIMS; i++) {
        vector[i] = (float)ak_random_normal(&random);
        squares += (double)vector[i] * vector[i];
    }
    for (int i = 0; i < NEW_DIMS; i++)
        vector[i] = (float)(vector[i] / sqrt(squares));
}

static ak_sha256 two_sums[PICTURES]; // by number; two_init makes them

static inline void two_init(void)
{
    for (uint32_t number = 0; number < PICTURES; number++)
        two_sums[number] = rig_sum(number);
}

static inline uint32_t two_number_of(const ak_sha256 *sum)
{
    for (uint32_t number = 0; number < PICTURES; number++)
        if (memcmp(&two_sums[number], sum, sizeof *sum) == 0)
            return number;
    fail_msg("a picture that nobody uploaded");
    return 0;
}

static inline void two_add_model(ak_store *store, const char *id, int dims, ak_model_state state)
{
    ak_error err = {0};
    ak_model_facts facts = {.id = id, .dims = dims, .state = state, .parent = MODEL};
    rig_ok(ak_store_model_add(store, &facts, (ak_bytes){(const uint8_t *)id, strlen(id)}, &err),
           &err);
}

static inline void two_begin(ak_store *store, const char *model)
{
    ak_error err = {0};
    const char *collections[] = {"c", "gone"}; // one that was deleted is passed over
    rig_ok(ak_store_change_begin(store, model, collections, 2, &err), &err);
}

// Gives up to `most` pictures the vectors that the model lacks; how many there were.
static inline size_t two_fill(ak_store *store, const char *model, size_t most)
{
    ak_error err = {0};
    ak_sha256 *sums = calloc(most, sizeof *sums);
    bool other = strcmp(model, NEW) == 0;
    int dims = other ? NEW_DIMS : DIMS;
    float *vectors = calloc(most * (size_t)dims, sizeof *vectors);
    int64_t after = 0;
    size_t n = 0;
    rig_ok(ak_store_missing(sums, &n, &after, store, model, most, &err), &err);
    for (size_t i = 0; i < n; i++) {
        uint32_t number = two_number_of(&sums[i]);
        if (other)
            two_new_vector(vectors + i * NEW_DIMS, number);
        else
            rig_vector(vectors + i * DIMS, number);
    }
    rig_ok(ak_store_put_vectors(store, model, dims, sums, vectors, n, &err), &err);
    free(sums);
    free(vectors);
    return n;
}

static inline void two_promote(ak_store *store, const char *model)
{
    ak_error err = {0};
    int64_t promoted;
    two_begin(store, model);
    while (two_fill(store, model, 100))
        continue;
    rig_ok(ak_store_promote(&promoted, store, model, &err), &err);
    assert_int_equal(promoted, 1);
}

static inline int64_t two_missing(ak_store *store, const char *model)
{
    ak_error err = {0};
    int64_t needed, n;
    rig_ok(ak_store_coverage(&needed, &n, store, model, &err), &err);
    return n;
}

// The scores of a search by picture `number`: of image "i7" at [7], NAN for an image that is not
// found. *model: which one answered. Every score equals the one of its model's vectors.
static inline void two_search_exactly(float scores[], size_t most, char model[], ak_store *store,
                                      uint32_t number)
{
    ak_error err = {0};
    ak_hits hits;
    float query[DIMS], stored[DIMS];
    ak_generation *generation = rig_generation(store);
    bool other = strcmp(ak_generation_model(generation), NEW) == 0;
    int dims = other ? NEW_DIMS : DIMS;
    assert_int_equal(ak_generation_dims(generation), dims);
    strcpy(model, ak_generation_model(generation));
    if (other)
        two_new_vector(query, number);
    else
        rig_vector(query, number);
    ak_search search = {.query = query, .limit = 1000, .min_score = -INFINITY};
    rig_ok(ak_store_search(&hits, store, generation, &search, &err), &err);
    for (size_t i = 0; i < most; i++)
        scores[i] = NAN;
    for (size_t i = 0; i < hits.n; i++) {
        uint32_t shown = two_number_of(&hits.items[i].record.sha256);
        double exact = 0;
        if (other)
            two_new_vector(stored, shown);
        else
            rig_vector(stored, shown);
        for (int j = 0; j < dims; j++)
            exact += (double)query[j] * stored[j];
        assert_true(fabs(exact - (double)hits.items[i].score) < 1e-5);
        assert_true((size_t)atoi(hits.items[i].id + 1) < most);
        scores[atoi(hits.items[i].id + 1)] = hits.items[i].score;
    }
    ak_hits_clear(&hits);
    ak_generation_release(generation);
}

static inline size_t two_found(const float scores[], size_t n)
{
    size_t some = 0;
    for (size_t i = 0; i < n; i++)
        some += !isnan(scores[i]);
    return some;
}

static inline ak_status two_upload_both(ak_store *store, const char *id, uint32_t number)
{
    ak_error err = {0};
    float vector[NEW_DIMS];
    rig_upload *upload = malloc(sizeof *upload);
    rig_fill(upload, AK_WRITE_IMAGE_ADD, id, number);
    two_new_vector(vector, number);
    upload->write.vectors[upload->write.vector_count++] = (ak_vector){NEW, vector, NEW_DIMS};
    ak_status status = ak_store_write(store, &upload->write, &err);
    ak_image_record_clear(&upload->write.record);
    free(upload);
    return status;
}

#endif
