#include "core/refine/gate.h"

#include "core/refine/bootstrap.h"
#include "core/refine/gate_measure.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PARTS          "parts_map"
#define COPIES         "copies_r1"
#define NEIGHBOURHOODS "neighbourhoods"

static const ak_series *find(const ak_gate_numbers *numbers, const char *name)
{
    for (size_t i = 0; i < numbers->n; i++)
        if (strcmp(numbers->at[i].name, name) == 0)
            return &numbers->at[i];
    return NULL;
}

static const char *const meanings[] = {"feedback_map", "tags_map", "albums_map", "words_map"};

#define MEANINGS (sizeof meanings / sizeof *meanings)

static bool is_meaning(const char *name)
{
    for (size_t i = 0; i < MEANINGS; i++)
        if (strcmp(meanings[i], name) == 0)
            return true;
    return false;
}

// What must gain. Meaning: the first of those that the pictures have enough of.
static const char *primary_of(const ak_gate_numbers *numbers, int wanted)
{
    if (wanted == AK_PRIMARY_PARTS)
        return PARTS;
    for (size_t i = 0; wanted != AK_PRIMARY_NEIGHBOURHOODS && i < MEANINGS; i++)
        if (find(numbers, meanings[i]))
            return meanings[i];
    return wanted == AK_PRIMARY_MEANING ? NULL : NEIGHBOURHOODS;
}

// What the primary measure must gain: meaning a share of what there is, since mAPs over words and
// tags are small numbers.
static double gain_wanted(const char *name, double incumbent, const ak_refine_recipe *recipe)
{
    return is_meaning(name) ? recipe->gate.meaning_gain * incumbent : recipe->gate.gain_least;
}

static double margin_of(const char *name, double incumbent, const ak_refine_recipe *recipe)
{
    if (is_meaning(name))
        return recipe->gate.meaning_margin * incumbent;
    if (strncmp(name, "old_", 4) == 0)
        return recipe->gate.old_margin;
    if (strcmp(name, PARTS) == 0)
        return recipe->gate.parts_margin;
    if (strcmp(name, COPIES) == 0)
        return recipe->gate.copies_margin;
    return strncmp(name, "copies_", 7) == 0 ? recipe->gate.family_margin : recipe->gate.margin;
}

static ak_status judge_series(ak_gate_row *row, const ak_series *s, const char *primary,
                              const ak_refine_recipe *recipe, uint64_t seed, ak_error *err)
{
    ak_paired p;
    ak_status status =
        ak_bootstrap(&p, s->value[0], s->value[1], s->n, recipe->gate.resamples, seed, err);
    *row = (ak_gate_row){.decides = s->decides,
                         .primary = strcmp(s->name, primary) == 0,
                         .incumbent = p.incumbent,
                         .candidate = p.candidate,
                         .low = p.low,
                         .high = p.high,
                         .pictures = s->n};
    snprintf(row->measure, sizeof row->measure, "%s", s->name);
    if (row->primary) {
        row->passed =
            p.candidate - p.incumbent >= gain_wanted(s->name, p.incumbent, recipe) && p.low > 0;
        return status;
    }
    row->margin = margin_of(s->name, p.incumbent, recipe);
    row->passed = !s->decides || p.low >= -row->margin;
    return status;
}

static ak_gate_row *add(ak_verdict *v, const char *measure, double incumbent, double candidate)
{
    ak_gate_row *row = &v->rows[v->rows_n++];
    *row = (ak_gate_row){.incumbent = incumbent,
                         .candidate = candidate,
                         .low = candidate - incumbent,
                         .high = candidate - incumbent,
                         .passed = true,
                         .pictures = v->yardsticks + v->pool};
    snprintf(row->measure, sizeof row->measure, "%s", measure);
    return row;
}

static void judge_health(ak_verdict *v, const ak_gate_numbers *n, const ak_refine_recipe *recipe)
{
    ak_gate_row *rank = add(v, "rank", n->rank[0], n->rank[1]);
    rank->decides = true;
    rank->margin = (1 - recipe->gate.rank_least) * n->rank[0];
    rank->passed = n->rank[1] >= recipe->gate.rank_least * n->rank[0];
    ak_gate_row *dead = add(v, "dead_dimensions", (double)n->dead[0], (double)n->dead[1]);
    dead->decides = true;
    dead->passed = n->dead[1] == 0;
    add(v, "churn_of_ten", 0, n->churn)->pictures = v->yardsticks;
}

// Percents of a measure, or the plain number.
static void explain(ak_verdict *v, const ak_refine_recipe *recipe)
{
    const ak_gate_row *failed = NULL, *primary = NULL;
    for (size_t i = 0; i < v->rows_n; i++) {
        const ak_gate_row *row = &v->rows[i];
        primary = row->primary ? row : primary;
        if (!row->passed && (!failed || row->primary))
            failed = row;
    }
    assert(primary);
    v->passed = !failed;
    double gain = 100 * (primary->candidate - primary->incumbent);
    if (!failed)
        snprintf(v->reason, sizeof v->reason,
                 "better: %s rose from %.2f to %.2f%%, with 99%% certainty by %.2f points or more, "
                 "and nothing else fell beyond its margin",
                 primary->measure, 100 * primary->incumbent, 100 * primary->candidate,
                 100 * primary->low);
    else if (failed->primary)
        snprintf(
            v->reason, sizeof v->reason,
            "not better: %s went from %.2f to %.2f%%, %+.2f points (99%% certain of %+.2f); it "
            "must gain %.2f points, and for certain more than none",
            failed->measure, 100 * failed->incumbent, 100 * failed->candidate, gain,
            100 * failed->low, 100 * gain_wanted(failed->measure, failed->incumbent, recipe));
    else if (strcmp(failed->measure, "rank") == 0)
        snprintf(v->reason, sizeof v->reason,
                 "unhealthy: the effective rank went from %.1f to %.1f; at least %.1f is asked for",
                 failed->incumbent, failed->candidate, failed->incumbent - failed->margin);
    else if (strcmp(failed->measure, "dead_dimensions") == 0)
        snprintf(v->reason, sizeof v->reason,
                 "unhealthy: %.0f dimensions of the descriptor no longer vary, or are not finite",
                 failed->candidate);
    else
        snprintf(v->reason, sizeof v->reason,
                 "worse elsewhere: %s went from %.2f to %.2f%% and may have lost %.2f points (99%% "
                 "certain of no more); %.2f are allowed",
                 failed->measure, 100 * failed->incumbent, 100 * failed->candidate,
                 -100 * failed->low, 100 * failed->margin);
}

static ak_status conclude(ak_verdict *v, const ak_gate_numbers *numbers, const ak_rundir *rundir,
                          ak_error *err)
{
    const ak_refine_recipe *recipe = &rundir->run.recipe;
    const char *primary = primary_of(numbers, recipe->gate.primary);
    if (!primary)
        return ak_fail(err, AK_CONFLICT,
                       "the recipe measures by meaning, and fewer than %llu pictures to measure by "
                       "share feedback, a tag, an album or a word with another",
                       (unsigned long long)recipe->gate.meaning_least);
    v->yardsticks = numbers->yardsticks;
    v->old_yardsticks = numbers->old_yardsticks;
    v->pool = numbers->pool;
    for (size_t i = 0; i < numbers->n; i++) {
        ak_status status =
            judge_series(&v->rows[v->rows_n++], &numbers->at[i], primary, recipe, v->seed + i, err);
        if (status != AK_OK)
            return status;
    }
    judge_health(v, numbers, recipe);
    explain(v, recipe);
    return AK_OK;
}

static ak_status load(ak_model **out, const ak_rundir *rundir, const char *name, ak_error *err)
{
    ak_buf file = {0};
    *out = NULL;
    ak_status status = ak_rundir_read(&file, rundir->folder, name, err);
    if (status == AK_OK && ak_model_read(out, ak_buf_bytes(&file), err) != AK_OK)
        status = ak_fail_within(err, "%s/%s", rundir->folder, name);
    ak_buf_clear(&file);
    return status;
}

ak_status ak_gate_judge(ak_verdict *out, const ak_rundir *rundir, const ak_watch *watch,
                        ak_error *err)
{
    *out = (ak_verdict){.seed = rundir->run.seed, .resamples = rundir->run.recipe.gate.resamples};
    ak_model *incumbent = NULL, *candidate = NULL;
    ak_plan plan = {0};
    ak_gate_numbers numbers = {0};
    ak_status status = load(&incumbent, rundir, AK_RUN_INCUMBENT, err);
    if (status == AK_OK)
        status = load(&candidate, rundir, AK_RUN_CANDIDATE, err);
    if (status == AK_OK)
        status = ak_plan_make(&plan, rundir, incumbent, watch, err);
    if (status == AK_OK)
        status = ak_gate_measure(&numbers, rundir, &plan, incumbent, candidate, watch, err);
    if (status == AK_OK) {
        snprintf(out->run, sizeof out->run, "%s", rundir->run.id);
        snprintf(out->incumbent, sizeof out->incumbent, "%s", ak_model_id(incumbent));
        snprintf(out->candidate, sizeof out->candidate, "%s", ak_model_id(candidate));
        status = conclude(out, &numbers, rundir, err);
    }
    ak_gate_numbers_clear(&numbers);
    ak_plan_clear(&plan);
    ak_model_free(incumbent);
    ak_model_free(candidate);
    return status;
}

json_t *ak_verdict_json(const ak_verdict *v)
{
    json_t *gate = json_array();
    for (size_t i = 0; i < v->rows_n; i++) {
        const ak_gate_row *r = &v->rows[i];
        json_array_append_new(
            gate, json_pack("{s:s, s:b, s:b, s:f, s:f, s:f, s:f, s:f, s:b, s:I}", "measure",
                            r->measure, "primary", r->primary, "decides", r->decides || r->primary,
                            "incumbent", r->incumbent, "candidate", r->candidate, "low", r->low,
                            "high", r->high, "margin", r->margin, "passed", r->passed, "pictures",
                            (json_int_t)r->pictures));
    }
    return json_pack("{s:s, s:b, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:f}", "run", v->run,
                     "passed", v->passed, "reason", v->reason, "incumbent", v->incumbent,
                     "candidate", v->candidate, "gate", gate, "yardsticks",
                     (json_int_t)v->yardsticks, "old_yardsticks", (json_int_t)v->old_yardsticks,
                     "pool", (json_int_t)v->pool, "seed", (json_int_t)v->seed, "resamples",
                     (json_int_t)v->resamples, "level", AK_BOOTSTRAP_LEVEL);
}
