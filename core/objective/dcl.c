// Decoupled contrastive loss (Yeh et al. 2022): NT-Xent without the positive in the denominator.
// An anchor without negatives has no loss.
#include "core/objective/anchor.h"
#include "core/objective/rows.h"

double R(ak_dcl)(real *row, const ak_anchor *anchor)
{
    double tau = anchor->params->tau, positive = (double)row[anchor->positive] / tau;
    row[anchor->positive] = -INFINITY;
    double negatives = R(ak_log_sum_exp)(row, anchor->n, tau);
    if (!(negatives > -INFINITY))
        return 0;
    row[anchor->positive] = (real)(-1 / tau);
    return negatives - positive;
}
