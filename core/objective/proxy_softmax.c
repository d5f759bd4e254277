// Softmax over learned class proxies (Wu et al. 2018; Zhai & Wu 2019): cross-entropy of the cosines
// over tau against the class, smoothed: 1 - smoothing on it, the rest spread over all.
#include "core/objective/anchor.h"
#include "core/objective/rows.h"

double R(ak_proxy_softmax)(real *row, const ak_anchor *anchor)
{
    double tau = anchor->params->tau, own = 1 - anchor->params->smoothing;
    double each = anchor->params->smoothing / (double)anchor->n;
    double wanted = own * (double)row[anchor->positive];
    for (size_t c = 0; c < anchor->n; c++)
        wanted += each * (double)row[c];
    double all = R(ak_log_sum_exp)(row, anchor->n, tau);
    for (size_t c = 0; c < anchor->n; c++)
        row[c] -= (real)(each / tau);
    row[anchor->positive] -= (real)(own / tau);
    return all - wanted / tau;
}
