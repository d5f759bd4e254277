// SupCon, L_out (Khosla et al. 2020), P positives by class, s being cosines over tau:
//   -1/P sum over positives p of log( e^{s_ip} / sum over k != i of e^{s_ik} )
#include "core/objective/anchor.h"
#include "core/objective/rows.h"

double R(ak_sup_con)(real *row, const ak_anchor *anchor)
{
    double tau = anchor->params->tau, sum = 0;
    size_t positives = 0;
    for (size_t k = 0; k < anchor->n; k++)
        if (ak_is_positive(anchor, k)) {
            sum += (double)row[k];
            positives++;
        }
    double all = R(ak_log_sum_exp)(row, anchor->n, tau), share = 1 / (double)positives;
    for (size_t k = 0; k < anchor->n; k++)
        if (ak_is_positive(anchor, k))
            row[k] -= (real)(share / tau);
    return all - share * sum / tau;
}
