#include "core/views/sampler.h"

#include "core/base/random.h"

#include <stdlib.h>
#include <string.h>

// First word of the counter of the streams that choose, apart from those of views.
#define SHUFFLE 0x0bde
#define CLASSES 0x0c1a

typedef struct {
    uint64_t seed, epoch; // of `order`
    size_t pictures, batch;
    uint32_t *order;
} epochs;

static void epochs_choose(void *arg, uint32_t *out, size_t batch, uint64_t k)
{
    epochs *e = arg;
    uint64_t each = e->pictures / e->batch;
    if (e->epoch != k / each) {
        e->epoch = k / each;
        for (size_t i = 0; i < e->pictures; i++)
            e->order[i] = (uint32_t)i;
        ak_random r = ak_random_stream(e->seed, SHUFFLE, (uint32_t)e->epoch, 0);
        ak_random_shuffle(&r, e->order, (uint32_t)e->pictures);
    }
    memcpy(out, e->order + k % each * batch, batch * sizeof *out);
}

static void epochs_free(void *arg)
{
    epochs *e = arg;
    free(e->order);
    free(e);
}

ak_status ak_sampler_epochs(ak_sampler *out, size_t pictures, size_t batch, uint64_t seed,
                            ak_error *err)
{
    *out = (ak_sampler){0};
    if (batch < 2 || pictures < batch)
        return ak_fail(err, AK_BAD_VALUE,
                       "a batch of %zu pictures from a set of %zu; at least 2 and no more than the "
                       "set has",
                       batch, pictures);
    epochs *e = calloc(1, sizeof *e);
    if (e)
        *e = (epochs){seed, UINT64_MAX, pictures, batch, ak_alloc(pictures, sizeof *e->order)};
    if (!e || !e->order) {
        free(e);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to shuffle %zu pictures", pictures);
    }
    *out = (ak_sampler){epochs_choose, e, pictures / batch, epochs_free};
    return AK_OK;
}

typedef struct {
    uint64_t seed;
    size_t per_class, classes;
    size_t *start;      // (classes + 1) into pictures
    uint32_t *pictures; // those of a class together
    uint32_t *class;    // (classes) scratch: a shuffle of the classes
    uint32_t *member;   // (largest class) scratch: a shuffle of a class
} classes;

static void classes_choose(void *arg, uint32_t *out, size_t batch, uint64_t k)
{
    classes *c = arg;
    ak_random r = ak_random_stream(c->seed, CLASSES, (uint32_t)k, (uint32_t)(k >> 32));
    for (size_t i = 0; i < c->classes; i++)
        c->class[i] = (uint32_t)i;
    ak_random_shuffle(&r, c->class, (uint32_t)c->classes);
    for (size_t i = 0; i < batch; i += c->per_class) {
        const size_t *start = &c->start[c->class[i / c->per_class]];
        size_t n = start[1] - start[0];
        memcpy(c->member, c->pictures + start[0], n * sizeof *c->member);
        for (size_t j = 0; j < c->per_class; j++) {
            if (j % n == 0)
                ak_random_shuffle(&r, c->member, (uint32_t)n);
            out[i + j] = c->member[j % n];
        }
    }
}

static void classes_free(void *arg)
{
    classes *c = arg;
    free(c->start);
    free(c->pictures);
    free(c->class);
    free(c->member);
    free(c);
}

static void sort_by_class(classes *c, const ak_pictures *set)
{
    uint32_t *placed = c->class; // (classes) zeros so far
    for (size_t i = 0; i < set->n; i++)
        c->start[set->items[i].label + 1]++;
    for (size_t i = 0; i < set->classes_n; i++)
        c->start[i + 1] += c->start[i];
    for (size_t i = 0; i < set->n; i++) {
        uint32_t label = set->items[i].label;
        c->pictures[c->start[label] + placed[label]++] = (uint32_t)i;
    }
    // A class may be without pictures: it is none here.
    for (size_t i = 0; i < set->classes_n; i++)
        if (c->start[i + 1] > c->start[i])
            c->start[c->classes++] = c->start[i];
    c->start[c->classes] = set->n;
}

ak_status ak_sampler_classes(ak_sampler *out, const ak_pictures *set, size_t per_class,
                             size_t batch, uint64_t seed, ak_error *err)
{
    *out = (ak_sampler){0};
    if (per_class < 1 || batch < 2 || batch % per_class != 0)
        return ak_fail(err, AK_BAD_VALUE,
                       "%zu pictures a class in batches of %zu; the batch must be a multiple",
                       per_class, batch);
    classes *c = calloc(1, sizeof *c);
    if (c)
        *c = (classes){.seed = seed,
                       .per_class = per_class,
                       .start = ak_alloc(set->classes_n + 1, sizeof *c->start),
                       .pictures = ak_alloc(set->n, sizeof *c->pictures),
                       .class = ak_alloc(set->classes_n, sizeof *c->class),
                       .member = ak_alloc(set->n, sizeof *c->member)};
    if (!c || !c->start || !c->pictures || !c->class || !c->member) {
        if (c)
            classes_free(c);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory to sort %zu pictures by class", set->n);
    }
    sort_by_class(c, set);
    if (c->classes < batch / per_class) {
        size_t had = c->classes;
        classes_free(c);
        return ak_fail(err, AK_BAD_VALUE,
                       "a batch of %zu with %zu pictures a class needs %zu classes; there are %zu",
                       batch, per_class, batch / per_class, had);
    }
    *out = (ak_sampler){classes_choose, c, 0, classes_free};
    return AK_OK;
}

void ak_sampler_clear(ak_sampler *sampler)
{
    if (sampler->free)
        sampler->free(sampler->arg);
    *sampler = (ak_sampler){0};
}
