// Triplet, the hardest in the batch (Hermans et al. 2017), Euclidean:
//   max(0, distance to the farthest positive - distance to the nearest negative + margin)
// An anchor without negatives has no loss.
#include "core/objective/anchor.h"
#include "core/objective/distance.h"
#include "core/objective/real.h"

double R(ak_triplet)(real *row, const ak_anchor *anchor)
{
    size_t farthest = anchor->positive, nearest = anchor->n;
    double positive = (double)row[farthest], negative = -INFINITY;
    for (size_t k = 0; k < anchor->n; k++) {
        double cosine = (double)row[k];
        if (!ak_is_positive(anchor, k)) { // the anchor itself is at -INFINITY
            if (cosine > negative) {
                negative = cosine;
                nearest = k;
            }
        } else if (cosine < positive) {
            positive = cosine;
            farthest = k;
        }
        row[k] = 0;
    }
    if (nearest == anchor->n)
        return 0;
    double loss = ak_distance(positive) - ak_distance(negative) + anchor->params->margin;
    if (!(loss > 0))
        return 0;
    row[farthest] = (real)ak_distance_slope(positive);
    row[nearest] = (real)-ak_distance_slope(negative);
    return loss;
}
