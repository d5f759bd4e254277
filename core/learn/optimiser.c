#include "core/learn/optimiser.h"

#include <math.h>

void ak_sgd_step(float *p, float *v, float *average, const float *g, const ak_segment *segments,
                 size_t n, float rate, float momentum, float keep)
{
    for (size_t s = 0; s < n; s++) {
        float decay = segments[s].decay;
#pragma omp parallel for simd schedule(static)
        for (size_t i = segments[s].start; i < segments[s].start + segments[s].count; i++) {
            float gradient = g[i] + decay * p[i];
            v[i] = momentum * v[i] + gradient;
            p[i] -= rate * (gradient + momentum * v[i]);
            average[i] = keep * average[i] + (1.0f - keep) * p[i];
        }
    }
}

double ak_cosine_rate(double progress, double warm_up)
{
    if (progress < warm_up)
        return progress / warm_up;
    double t = (progress - warm_up) / (1 - warm_up);
    return t >= 1 ? 0 : 0.5 * (1 + cos(3.14159265358979 * t));
}
