// SGD with Nesterov momentum and weight decay, and the moving average of the weights, in one pass.
#ifndef AK_LEARN_OPTIMISER_H
#define AK_LEARN_OPTIMISER_H

#include <stddef.h>

// A run of parameters with or without weight decay (none on batch norm and biases).
typedef struct {
    size_t start, count;
    float decay;
} ak_segment;

// g += decay * p;  v = momentum * v + g;  p -= rate * (g + momentum * v);
// average = keep * average + (1 - keep) * p.
void ak_sgd_step(float *p, float *v, float *average, const float *g, const ak_segment *segments,
                 size_t n, float rate, float momentum, float keep);

// Linear from 0 over the first `warm_up` of the run, then half a cosine to 0; progress in 0..1.
double ak_cosine_rate(double progress, double warm_up);

#endif
