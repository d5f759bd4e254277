// RINCE (Chuang et al. 2022), for noisy positives, s being cosines over tau:
//   -e^{q s+} / q + ( lambda (e^{s+} + sum e^{s-}) )^q / q
// As q goes to 0 it becomes NT-Xent + log lambda, hence expm1.
#include "core/objective/anchor.h"
#include "core/objective/rows.h"

double R(ak_rince)(real *row, const ak_anchor *anchor)
{
    double tau = anchor->params->tau, q = anchor->params->q;
    double positive = q * (double)row[anchor->positive] / tau;
    double all = q * (log(anchor->params->lambda) + R(ak_log_sum_exp)(row, anchor->n, tau));
    for (size_t k = 0; k < anchor->n; k++)
        row[k] *= (real)exp(all);
    row[anchor->positive] -= (real)(exp(positive) / tau);
    return (expm1(all) - expm1(positive)) / q;
}
