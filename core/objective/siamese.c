// Siamese with a margin (Hadsell et al. 2006), over all pairs (a_i, b_j), y = 1 where i = j:
//   1/2 ( y d^2 + (1 - y) max(0, margin - d)^2 )
#include "core/objective/anchor.h"
#include "core/objective/distance.h"
#include "core/objective/real.h"

double R(ak_siamese)(real *row, const ak_anchor *anchor)
{
    double sum = 0, share = 1 / (double)anchor->n;
    for (size_t k = 0; k < anchor->n; k++) {
        double cosine = (double)row[k], slope = 0;
        if (cosine > -INFINITY) {
            double d = ak_distance(cosine), gap = anchor->params->margin - d;
            if (k == anchor->positive) {
                sum += 0.5 * d * d;
                slope = d * ak_distance_slope(cosine);
            } else if (gap > 0) {
                sum += 0.5 * gap * gap;
                slope = -gap * ak_distance_slope(cosine);
            }
        }
        row[k] = (real)(slope * share);
    }
    return sum * share;
}
