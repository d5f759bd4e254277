// Each part is dealt from a deck of its own: a fresh shuffle of what it draws from each round, of
// which the last, partial hand is left.
#include "core/refine/sampling.h"

#include "core/base/random.h"

#include <stdlib.h>

typedef struct {
    uint32_t *order;
    uint32_t first, n; // what it deals: first .. first + n - 1
    size_t hand;
    uint64_t round; // that `order` is of
    uint32_t number;
} deck;

enum { FRESH, REPLAY, SIMILAR, DIFFERENT, NOISY, DECKS };

typedef struct {
    const ak_run_set *set;
    uint64_t seed;
    deck decks[DECKS];
} sampling;

// Hand number k of a deck, `hand` numbers.
static const uint32_t *deal(deck *d, uint64_t seed, uint64_t k)
{
    uint64_t hands = d->n / d->hand, round = k / hands;
    if (d->round != round) {
        for (uint32_t i = 0; i < d->n; i++)
            d->order[i] = d->first + i;
        ak_random r = ak_random_stream(seed, 0xdec0 + d->number, (uint32_t)round, 0);
        ak_random_shuffle(&r, d->order, d->n);
        d->round = round;
    }
    return d->order + k % hands * d->hand;
}

static void choose(void *arg, uint32_t *out, size_t batch, uint64_t k)
{
    sampling *s = arg;
    const ak_run_set *set = s->set;
    (void)batch;
    for (int i = FRESH; i <= REPLAY; i++) {
        deck *d = &s->decks[i];
        const uint32_t *hand = d->hand ? deal(d, s->seed, k) : NULL;
        for (size_t j = 0; j < d->hand; j++) {
            const ak_run_unit *u = &set->units[hand[j]];
            ak_random r = ak_random_stream(s->seed, 0x0e1e, hand[j], (uint32_t)k);
            *out++ = set->members[u->first + ak_random_below(&r, u->count)];
        }
    }
    const ak_run_couple *lists[DECKS] = {
        [SIMILAR] = set->similar, [DIFFERENT] = set->different, [NOISY] = set->noisy};
    for (int i = SIMILAR; i <= NOISY; i++) {
        deck *d = &s->decks[i];
        const uint32_t *hand = d->hand ? deal(d, s->seed, k) : NULL;
        for (size_t j = 0; j < d->hand; j++) {
            *out++ = lists[i][hand[j]].a;
            *out++ = lists[i][hand[j]].b;
        }
    }
}

static void sampling_free(void *arg)
{
    sampling *s = arg;
    for (int i = 0; i < DECKS; i++)
        free(s->decks[i].order);
    free(s);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

ak_mixture ak_mixture_of(const ak_run_set *set, size_t batch, double couples, double replay)
{
    ak_mixture m = {.feedback = least(batch / 16, set->similar_n + set->different_n),
                    .noisy = least((size_t)(couples * (double)batch / 2), set->noisy_n)};
    size_t units = batch - 2 * (m.feedback + m.noisy), old = set->units_n - set->fresh_n;
    m.replay = least((size_t)(replay * (double)units), old);
    m.fresh = least(units - m.replay, set->fresh_n);
    m.replay = least(units - m.fresh, old);
    return m;
}

size_t ak_mixture_pictures(const ak_mixture *m)
{
    return m->fresh + m->replay + 2 * (m->feedback + m->noisy);
}

ak_status ak_sampling_new(ak_sampler *out, const ak_run_set *set, const ak_mixture *m,
                          uint64_t seed, ak_error *err)
{
    sampling *s = calloc(1, sizeof *s);
    if (!s)
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a sampler");
    *s = (sampling){.set = set, .seed = seed};
    size_t similar = least(m->feedback - m->feedback / 2, set->similar_n);
    size_t different = least(m->feedback - similar, set->different_n);
    similar = m->feedback - different;
    const size_t first[DECKS] = {[REPLAY] = set->fresh_n};
    const size_t n[DECKS] = {set->fresh_n, set->units_n - set->fresh_n, set->similar_n,
                             set->different_n, set->noisy_n};
    const size_t hand[DECKS] = {m->fresh, m->replay, similar, different, m->noisy};
    bool enough = true;
    for (int i = 0; i < DECKS; i++) {
        s->decks[i] = (deck){.order = ak_alloc(n[i] + 1, sizeof(uint32_t)),
                             .first = (uint32_t)first[i],
                             .n = (uint32_t)n[i],
                             .hand = hand[i],
                             .round = UINT64_MAX,
                             .number = (uint32_t)i};
        enough = enough && s->decks[i].order;
    }
    if (!enough) {
        sampling_free(s);
        return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a sampler");
    }
    *out = (ak_sampler){.choose = choose, .arg = s, .free = sampling_free};
    return AK_OK;
}
