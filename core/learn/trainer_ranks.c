// What a trainer does together with the other ranks: each has all rows of the levels that the loss
// reads, in the order that one process would have them in (view after view, of all pictures), and
// computes the whole loss; of the gradients it follows its own rows' back.
#include "core/learn/trainer_inside.h"

#include <string.h>

ak_status ak_trainer_ranks_check(const ak_trainer *t, ak_error *err)
{
    size_t ranks = (size_t)ak_ranks();
    if (ranks == 1)
        return AK_OK;
    if (t->batch % ranks != 0 || t->own < 2)
        return ak_fail(err, AK_BAD_VALUE,
                       "a batch of %zu pictures on %zu processes; a multiple of it that gives each "
                       "2 is possible",
                       t->batch, ranks);
    if (ak_recipe_wants_target(&t->recipe))
        return ak_fail(err, AK_BAD_VALUE,
                       "an objective with a momentum encoder on %zu processes; one process trains "
                       "it, several the others",
                       ranks);
    const uint64_t own[] = {t->pictures->n, t->pictures->classes_n, t->pictures->bytes};
    uint64_t first[3];
    memcpy(first, own, sizeof first);
    ak_ranks_share(first, sizeof first);
    bool other = memcmp(first, own, sizeof first) != 0;
    if (ak_ranks_any(other))
        return ak_fail(err, AK_BAD_VALUE,
                       "the processes read different pictures (%llu here, %llu in the first); give "
                       "all the same --data",
                       (unsigned long long)own[0], (unsigned long long)first[0]);
    return AK_OK;
}

static bool read_by_loss(const ak_trainer *t, int level)
{
    bool read = level == AK_LEVEL_PROJECTION; // what is measured
    for (size_t i = 0; i < t->recipe.terms_n; i++)
        read = read || t->recipe.terms[i].level == level;
    return read;
}

const uint32_t *ak_trainer_gather(ak_trainer *t, const uint32_t *labels)
{
    if (ak_ranks() == 1)
        return labels;
    size_t views = t->rows / t->own;
    for (int l = 0; l < AK_LEVELS; l++) {
        const ak_level_rows *level = &t->level[l];
        for (size_t v = 0; v < views && read_by_loss(t, l); v++)
            ak_ranks_gather(level->all_x + v * t->batch * level->d,
                            level->x + v * t->own * level->d, t->own * level->d * sizeof *level->x);
    }
    for (size_t v = 0; v < 2; v++)
        ak_ranks_gather(t->labels + v * t->batch, labels + v * t->own, t->own * sizeof *labels);
    return t->labels;
}

void ak_trainer_keep_own(ak_trainer *t)
{
    size_t views = t->rows / t->own, first = (size_t)ak_rank() * t->own;
    for (int l = 0; l < AK_LEVELS && ak_ranks() > 1; l++) {
        const ak_level_rows *level = &t->level[l];
        for (size_t v = 0; v < views && level->x; v++)
            memcpy(level->dx + v * t->own * level->d,
                   level->all_dx + (v * t->batch + first) * level->d,
                   t->own * level->d * sizeof *level->dx);
    }
}

void ak_trainer_sum_gradients(ak_trainer *t)
{
    // Every rank has the whole gradient of the class proxies: the first one's counts.
    if (ak_rank() > 0)
        memset(t->g + t->proxies_at, 0, (t->params - t->proxies_at) * sizeof *t->g);
    ak_ranks_sum(t->g, t->params);
}
