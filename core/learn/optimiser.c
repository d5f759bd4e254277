// The parameters are cut into chunks that lie in one tensor each. Threads share the chunks; sums
// of squares are kept a chunk and added up in order.
#include "core/learn/optimiser.h"

#include "core/base/mem.h"

#include <math.h>
#include <stdlib.h>

#define CHUNK  8192 // numbers: four arrays of them fit into a core's cache
#define STATES 2
#define ADAM_E 1e-8f

const ak_optimiser_settings ak_optimiser_default = {.kind = AK_SGD,
                                                    .rate = 0.15,
                                                    .momentum = 0.9,
                                                    .beta2 = 0.999,
                                                    .decay = 5e-4,
                                                    .trust = 0.001,
                                                    .warm_up = 0.02,
                                                    .schedule = AK_COSINE};

static const char *const kinds[] = {
    [AK_SGD] = "sgd", [AK_ADAMW] = "adamw", [AK_LARS] = "lars", [AK_OPTIMISERS] = NULL};
static const char *const schedules[] = {[AK_COSINE] = "cosine", [AK_CONSTANT] = "constant", NULL};

#define AT(member) offsetof(ak_optimiser_settings, member)

const ak_field ak_optimiser_fields[] = {
    {"kind", AK_FIELD_CHOICE, AT(kind), 0, 0, "the rule", kinds},
    {"rate", AK_FIELD_DOUBLE, AT(rate), 1e-8, 100, "learning rate at its highest", NULL},
    {"momentum", AK_FIELD_DOUBLE, AT(momentum), 0, 0.9999, "AdamW's beta1", NULL},
    {"beta2", AK_FIELD_DOUBLE, AT(beta2), 0, 0.99999, "of AdamW", NULL},
    {"decay", AK_FIELD_DOUBLE, AT(decay), 0, 1, "of weights; not of biases and batch norm", NULL},
    {"trust", AK_FIELD_DOUBLE, AT(trust), 1e-6, 1, "LARS: step of a tensor over its length", NULL},
    {"clip", AK_FIELD_DOUBLE, AT(clip), 0, 1e6, "greatest norm of the gradient; 0: any", NULL},
    {"warm_up", AK_FIELD_DOUBLE, AT(warm_up), 0, 0.9, "share of the run with a rising rate", NULL},
    {"schedule", AK_FIELD_CHOICE, AT(schedule), 0, 0, "of the rate after that", schedules},
    {0},
};

double ak_optimiser_rate(const ak_optimiser_settings *s, double progress)
{
    if (progress < s->warm_up)
        return s->rate * progress / s->warm_up;
    if (s->schedule == AK_CONSTANT)
        return s->rate;
    double t = (progress - s->warm_up) / (1 - s->warm_up);
    return t >= 1 ? 0 : s->rate * 0.5 * (1 + cos(M_PI * t));
}

// What a rule sees of one chunk.
typedef struct {
    float *restrict p, *restrict average, *restrict first, *restrict second; // second may be NULL
    const float *restrict g;
    size_t n;
    float scale; // of the gradient, by clipping
    float rate, momentum, beta2, decay, keep;
    float trust;                     // LARS: of the step, by the tensor's norms
    float first_share, second_share; // AdamW: of the averages that are there after so few steps
} chunk_step;

// Nesterov: v = momentum v + g;  p -= rate (g + momentum v).
static void sgd(const chunk_step *c)
{
    float *restrict p = c->p, *restrict v = c->first, *restrict average = c->average;
#pragma omp simd
    for (size_t i = 0; i < c->n; i++) {
        float g = c->scale * c->g[i] + c->decay * p[i];
        v[i] = c->momentum * v[i] + g;
        p[i] -= c->rate * (g + c->momentum * v[i]);
        average[i] = c->keep * average[i] + (1 - c->keep) * p[i];
    }
}

// Loshchilov & Hutter 2019.
static void adamw(const chunk_step *c)
{
    float *restrict p = c->p, *restrict m = c->first, *restrict v = c->second;
    float *restrict average = c->average, by_first = 1 / c->first_share;
    float by_second = 1 / c->second_share;
#pragma omp simd
    for (size_t i = 0; i < c->n; i++) {
        float g = c->scale * c->g[i];
        m[i] = c->momentum * m[i] + (1 - c->momentum) * g;
        v[i] = c->beta2 * v[i] + (1 - c->beta2) * g * g;
        p[i] -= c->rate * (m[i] * by_first / (sqrtf(v[i] * by_second) + ADAM_E) + c->decay * p[i]);
        average[i] = c->keep * average[i] + (1 - c->keep) * p[i];
    }
}

// You et al. 2017: v = momentum v + trust (g + decay p);  p -= rate v.
static void lars(const chunk_step *c)
{
    float *restrict p = c->p, *restrict v = c->first, *restrict average = c->average;
#pragma omp simd
    for (size_t i = 0; i < c->n; i++) {
        v[i] = c->momentum * v[i] + c->trust * (c->scale * c->g[i] + c->decay * p[i]);
        p[i] -= c->rate * v[i];
        average[i] = c->keep * average[i] + (1 - c->keep) * p[i];
    }
}

static const struct {
    void (*run)(const chunk_step *c);
    const char *states[STATES]; // arrays of the state, as checkpoints name them
    bool norms;                 // needs those of each tensor
} rules[] = {
    [AK_SGD] = {sgd, {"momenta"}, false},
    [AK_ADAMW] = {adamw, {"momenta", "squares"}, false},
    [AK_LARS] = {lars, {"momenta"}, true},
};

typedef struct {
    size_t tensor, start, count;
    double p2, g2; // sums of squares
} chunk;

typedef struct {
    ak_range at;
    double p2, g2;
} tensor;

struct ak_optimiser {
    ak_optimiser_settings settings;
    tensor *tensors;
    size_t tensors_n;
    chunk *chunks;
    size_t chunks_n;
    float *state[STATES];
};

ak_status ak_optimiser_new(ak_optimiser **out, const ak_optimiser_settings *settings,
                           const ak_range *tensors, size_t count, size_t params, ak_error *err)
{
    size_t chunks = 0;
    for (size_t s = 0; s < count; s++)
        chunks += (tensors[s].count + CHUNK - 1) / CHUNK;
    ak_optimiser *o = *out = ak_alloc(1, sizeof *o);
    if (!o)
        goto no_memory;
    o->settings = *settings;
    o->tensors = ak_alloc(count, sizeof *o->tensors);
    o->chunks = ak_alloc(chunks, sizeof *o->chunks);
    if (!o->tensors || !o->chunks)
        goto no_memory;
    for (size_t i = 0; i < STATES && rules[settings->kind].states[i]; i++)
        if (!(o->state[i] = ak_alloc(params, sizeof(float))))
            goto no_memory;
    o->tensors_n = count;
    for (size_t s = 0; s < count; s++) {
        o->tensors[s].at = tensors[s];
        for (size_t done = 0; done < tensors[s].count; done += CHUNK) {
            size_t left = tensors[s].count - done;
            o->chunks[o->chunks_n++] = (chunk){.tensor = s,
                                               .start = tensors[s].start + done,
                                               .count = left < CHUNK ? left : CHUNK};
        }
    }
    return AK_OK;
no_memory:
    ak_optimiser_free(o);
    *out = NULL;
    return ak_fail(err, AK_OUT_OF_MEMORY, "no memory for the optimiser of %zu parameters", params);
}

void ak_optimiser_free(ak_optimiser *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < STATES; i++)
        free(o->state[i]);
    free(o->chunks);
    free(o->tensors);
    free(o);
}

float *ak_optimiser_state(ak_optimiser *o, size_t i, const char **name)
{
    if (i >= STATES || !o->state[i])
        return NULL;
    *name = rules[o->settings.kind].states[i];
    return o->state[i];
}

static double sum_of_squares(const float *x, size_t n)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

// Sums of squares by tensor; returns the norm of the whole gradient.
static double measure(ak_optimiser *o, const float *p, const float *g)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < o->chunks_n; i++) {
        chunk *c = &o->chunks[i];
        c->g2 = sum_of_squares(g + c->start, c->count);
        c->p2 = rules[o->settings.kind].norms ? sum_of_squares(p + c->start, c->count) : 0;
    }
    double all = 0;
    for (size_t s = 0; s < o->tensors_n; s++)
        o->tensors[s].p2 = o->tensors[s].g2 = 0;
    for (size_t i = 0; i < o->chunks_n; i++) {
        tensor *t = &o->tensors[o->chunks[i].tensor];
        t->p2 += o->chunks[i].p2;
        t->g2 += o->chunks[i].g2;
        all += o->chunks[i].g2;
    }
    return sqrt(all);
}

// eta |p| / (|g| + decay |p|); 1 for what is no matrix or has no length.
static float trust_of(const ak_optimiser *o, const tensor *t, double scale)
{
    double p = sqrt(t->p2), g = scale * sqrt(t->g2);
    if (!rules[o->settings.kind].norms || !t->at.matrix || !(p > 0) || !(g > 0))
        return 1;
    return (float)(o->settings.trust * p / (g + o->settings.decay * p));
}

double ak_optimiser_step(ak_optimiser *o, float *p, float *average, const float *g, uint64_t step,
                         double rate, double keep)
{
    const ak_optimiser_settings *s = &o->settings;
    double norm = 0, scale = 1, steps = (double)step + 1;
    double first_share = 1 - pow(s->momentum, steps), second_share = 1 - pow(s->beta2, steps);
    if (s->clip > 0 || rules[s->kind].norms)
        norm = measure(o, p, g);
    if (!isfinite(norm))
        return norm;
    if (s->clip > 0 && norm > s->clip)
        scale = s->clip / norm;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < o->chunks_n; i++) {
        const chunk *c = &o->chunks[i];
        const tensor *t = &o->tensors[c->tensor];
        const chunk_step in = {.p = p + c->start,
                               .average = average + c->start,
                               .first = o->state[0] + c->start,
                               .second = o->state[1] ? o->state[1] + c->start : NULL,
                               .g = g + c->start,
                               .n = c->count,
                               .scale = (float)scale,
                               .rate = (float)rate,
                               .momentum = (float)s->momentum,
                               .beta2 = (float)s->beta2,
                               .decay = t->at.matrix ? (float)s->decay : 0,
                               .keep = (float)keep,
                               .trust = trust_of(o, t, scale),
                               .first_share = (float)first_share,
                               .second_share = (float)second_share};
        rules[s->kind].run(&in);
    }
    return norm;
}
