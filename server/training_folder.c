// The run's folder: which pictures a run sees, and in what role.
#include "server/training.h"

#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/refine/rundir.h"
#include "server/daemon.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_EVERY   256 // pictures, between two looks at the room on the disk
#define INSIDE_SHARE 0.7 // of the folder's room that the run's own collections may take

typedef struct {
    ak_job *job;
    ak_rundir_maker *maker;
    ak_run run;
    const char **inside; // (inside_n) names
    size_t inside_n;
    double keep_inside, keep_other; // shares of the pictures, where there are too many
    int64_t seen, taken, total;
    bool full;
} making;

void ak_training_folder(char out[PATH_MAX], const ak_server *server, const char *id)
{
    snprintf(out, PATH_MAX, "%s/runs/%s", server->options->data, id);
}

// --- collections -------------------------------------------------------------------------------

static bool named(const json_t *names, const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)names, i,
                       item) if (strcmp(json_string_value(item), name) == 0) return true;
    return false;
}

// The share of yardsticks falls as a collection grows; it is kept before anything is trained on.
static ak_status settle_shares(ak_store *store, const json_t *names, ak_error *err)
{
    ak_refine_facts *facts = NULL;
    size_t n = 0;
    ak_status status = ak_store_refine_facts(&facts, &n, store, err);
    for (size_t i = 0; status == AK_OK && i < n; i++) {
        if (!facts[i].refine || facts[i].pictures == 0)
            continue;
        facts[i].yardstick =
            ak_yardstick_threshold(facts[i].yardstick, (uint64_t)facts[i].pictures);
        if (!named(names, facts[i].name))
            facts[i].mark = 0; // lends pictures, but what is new there stays new
        status = ak_store_refine_mark(store, &facts[i], err);
    }
    free(facts);
    return status;
}

static ak_status add_collections(making *m, ak_store *store, const json_t *names, ak_error *err)
{
    ak_refine_facts *facts = NULL;
    size_t n = 0;
    int64_t inside = 0, other = 0;
    ak_status status = ak_store_refine_facts(&facts, &n, store, err);
    if (status == AK_OK) {
        m->run.collections = ak_alloc(AK_RUN_COLLECTIONS_MAX, sizeof *m->run.collections);
        m->inside = ak_alloc(AK_RUN_COLLECTIONS_MAX, sizeof *m->inside);
        if (!m->run.collections || !m->inside)
            status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory for a run's collections");
    }
    for (int pass = 0; status == AK_OK && pass < 2; pass++) { // the run's own first
        for (size_t i = 0; i < n && m->run.collections_n < AK_RUN_COLLECTIONS_MAX; i++) {
            bool own = named(names, facts[i].name);
            if (!facts[i].refine || own != (pass == 0))
                continue;
            ak_run_collection *c = &m->run.collections[m->run.collections_n++];
            snprintf(c->name, sizeof c->name, "%s", facts[i].name);
            c->inside = own;
            c->images = (uint64_t)facts[i].pictures;
            c->threshold = facts[i].yardstick;
            *(own ? &inside : &other) += facts[i].pictures;
            if (own)
                m->inside[m->inside_n++] = c->name;
        }
    }
    free(facts);
    if (status == AK_OK && m->inside_n == 0)
        return ak_fail(err, AK_CONFLICT,
                       "the run's collections are gone, or may not be refined on");
    double room = AK_RUN_PICTURES_MAX * INSIDE_SHARE;
    m->keep_inside = (double)inside <= room ? 1 : room / (double)inside;
    room = AK_RUN_PICTURES_MAX - (double)inside * m->keep_inside;
    m->keep_other = (double)other <= room ? 1 : room / (double)other;
    m->total = inside + other;
    return status;
}

// --- pictures ----------------------------------------------------------------------------------

static ptrdiff_t collection_of(const making *m, const char *name)
{
    for (size_t i = 0; i < m->run.collections_n; i++)
        if (strcmp(m->run.collections[i].name, name) == 0)
            return (ptrdiff_t)i;
    return -1;
}

// Where there are too many, chance by seed and content chooses, so that it can be repeated.
static bool want(void *arg, const ak_refine_picture *picture)
{
    making *m = arg;
    uint32_t word[2];
    memcpy(word, picture->sha256.at + 8, sizeof word); // the first bytes make the yardsticks
    ak_random chance = ak_random_stream(m->run.seed, word[0], word[1], 0x70696373);
    if (++m->seen % 64 == 0)
        ak_job_progress(m->job, m->seen, m->total, -1, NULL);
    return !m->full && !atomic_load(ak_job_stop(m->job)) &&
           ak_random_uniform(&chance) < (picture->inside ? m->keep_inside : m->keep_other) &&
           collection_of(m, picture->collection) >= 0;
}

static ak_status take(void *arg, const ak_refine_picture *picture, ak_error *err)
{
    making *m = arg;
    if (m->taken++ % ROOM_EVERY == 0 &&
        ak_store_writable(ak_job_server(m->job)->store, err) != AK_OK)
        return err->status;
    ak_run_picture given = {
        .sha256 = picture->sha256,
        .collection = (size_t)collection_of(m, picture->collection),
        .role = ak_role_of(&picture->sha256, picture->yardstick, picture->inside, picture->trained),
        .trained = picture->trained,
        .album = picture->album,
        .caption = picture->caption,
        .tags = picture->tags,
        .tags_n = picture->tags_n,
    };
    return ak_rundir_add(m->maker, &given, picture->proxy, &m->full, err);
}

static ak_status take_pair(void *arg, const ak_sha256 *query, const ak_sha256 *result, bool similar,
                           ak_error *err)
{
    making *m = arg;
    return ak_rundir_pair(m->maker, &(ak_run_pair){*query, *result, similar}, err);
}

// --- the folder --------------------------------------------------------------------------------

static ak_status read_request(making *m, const json_t *request, ak_error *err)
{
    m->run.seed = (uint64_t)json_integer_value(json_object_get(request, "seed"));
    m->run.budget_s = json_number_value(json_object_get(request, "budget_s"));
    m->run.ask = strcmp(json_string_value(json_object_get(request, "promote")), "ask") == 0;
    snprintf(m->run.id, sizeof m->run.id, "%s", ak_job_id(m->job));
    return ak_refine_recipe_named(&m->run.recipe,
                                  json_string_value(json_object_get(request, "recipe")), err);
}

static ak_status fill(making *m, ak_store *store, const char *incumbent, ak_error *err)
{
    ak_buf model = {0};
    ak_status status = ak_store_model_read(&model, store, incumbent, err);
    if (status == AK_OK)
        status = ak_rundir_incumbent(m->maker, ak_buf_bytes(&model), err);
    ak_buf_clear(&model);
    const ak_refine_walk walk = {.model = incumbent,
                                 .inside = m->inside,
                                 .n = m->inside_n,
                                 .want = want,
                                 .take = take,
                                 .arg = m};
    if (status == AK_OK)
        status = ak_store_refine_walk(store, &walk, err);
    if (status == AK_OK && atomic_load(ak_job_stop(m->job)))
        status = ak_fail(err, AK_SHUTTING_DOWN, "the run was stopped");
    if (status == AK_OK)
        status = ak_store_feedback_each(store, take_pair, m, err);
    return status;
}

ak_status ak_training_folder_make(ak_job *job, const char *folder, const json_t *request,
                                  const char *incumbent, ak_error *err)
{
    making m = {.job = job};
    ak_store *store = ak_job_server(job)->store;
    const json_t *names = json_object_get(request, "collections");
    char runs[PATH_MAX];
    ak_training_folder(runs, ak_job_server(job), "");
    ak_status status = ak_folder_make(runs, err);
    if (status == AK_OK)
        status = read_request(&m, request, err);
    if (status == AK_OK)
        status = settle_shares(store, names, err);
    if (status == AK_OK)
        status = add_collections(&m, store, names, err);
    if (status == AK_OK) {
        status = ak_rundir_begin(&m.maker, folder, &m.run, err);
        if (status == AK_CONFLICT) { // it was whole when the daemon ended
            free(m.run.collections);
            free(m.inside);
            return AK_OK;
        }
    }
    if (status == AK_OK)
        status = fill(&m, store, incumbent, err);
    if (status == AK_OK)
        status = ak_rundir_commit(m.maker, err);
    else
        ak_rundir_abandon(m.maker);
    free(m.run.collections);
    free(m.inside);
    return status;
}

// A run's folder goes with its end; what a crash left goes here.
void ak_training_sweep(ak_server *server)
{
    char path[PATH_MAX], tag[64];
    ak_error err = {0};
    ak_training_folder(path, server, "");
    DIR *runs = opendir(path);
    for (struct dirent *entry; runs && (entry = readdir(runs));) {
        json_t *job = NULL;
        if (entry->d_name[0] == '.')
            continue;
        ak_status status =
            ak_jobs_get(&job, tag, server->jobs, &ak_job_training, entry->d_name, false, &err);
        bool ended = status == AK_NOT_FOUND ||
                     (status == AK_OK && !json_is_null(json_object_get(job, "ended_at")));
        json_decref(job);
        ak_training_folder(path, server, entry->d_name);
        if (ended && ak_rundir_delete(path, &err) != AK_OK)
            ak_log(AK_LOG_ERROR, "an ended run's folder stays: %s", err.text);
    }
    if (runs)
        closedir(runs);
}
