// Euclidean distance between unit vectors, from their cosine.
#ifndef AK_OBJECTIVE_DISTANCE_H
#define AK_OBJECTIVE_DISTANCE_H

#include <math.h>

#define AK_DISTANCE2_LEAST 1e-12 // below, vectors are equal and the distance has no slope

static inline double ak_distance(double cosine)
{
    return sqrt(fmax(2 - 2 * cosine, AK_DISTANCE2_LEAST));
}

// The derivative of the distance with respect to the cosine.
static inline double ak_distance_slope(double cosine)
{
    return 2 - 2 * cosine > AK_DISTANCE2_LEAST ? -1 / ak_distance(cosine) : 0;
}

#endif
