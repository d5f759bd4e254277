// BYOL (Grill et al. 2020): 2 - 2 cos(prediction, target of the other view), both ways, summed:
// twice the mean over the 2n anchors.
#include "core/objective/anchor.h"
#include "core/objective/real.h"

double R(ak_byol)(real *row, const ak_anchor *anchor)
{
    double cosine = (double)row[anchor->positive];
    row[anchor->positive] = -4;
    return 2 * (2 - 2 * cosine);
}
