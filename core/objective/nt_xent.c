// NT-Xent (Chen et al. 2020, SimCLR), s being cosines over tau:
//   -log( e^{s_ip} / sum over k != i of e^{s_ik} )
#include "core/objective/anchor.h"
#include "core/objective/rows.h"

double R(ak_nt_xent)(real *row, const ak_anchor *anchor)
{
    double tau = anchor->params->tau, positive = (double)row[anchor->positive] / tau;
    double all = R(ak_log_sum_exp)(row, anchor->n, tau);
    row[anchor->positive] -= (real)(1 / tau);
    return all - positive;
}
