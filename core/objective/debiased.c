// Debiased negatives (Chuang et al. 2020), t the prior, M the number of negatives, s being cosines
// over tau:
//   -log( e^{s+} / (e^{s+} + g) ),  g = max( (sum e^{s-} - M t e^{s+}) / (1 - t), M e^{-1/tau} )
#include "core/objective/anchor.h"
#include "core/objective/rows.h"

double R(ak_debiased)(real *row, const ak_anchor *anchor)
{
    double tau = anchor->params->tau, prior = anchor->params->prior, m = 0;
    double positive = (double)row[anchor->positive] / tau;
    row[anchor->positive] = -INFINITY;
    for (size_t k = 0; k < anchor->n; k++)
        m += row[k] > -INFINITY;
    double negatives = R(ak_log_sum_exp)(row, anchor->n, tau);

    double most = fmax(positive, negatives); // taken out of every exponent
    double e_positive = exp(positive - most), e_negatives = exp(negatives - most);
    double g = (e_negatives - m * prior * e_positive) / (1 - prior);
    double least = m * exp(-1 / tau - most);
    bool bound = g < least;
    double sum = e_positive + (bound ? least : g);

    double by_negatives = bound ? 0 : e_negatives / (1 - prior);
    double by_positive = e_positive * (bound ? 1 : 1 - m * prior / (1 - prior));
    for (size_t k = 0; k < anchor->n; k++)
        row[k] *= (real)(by_negatives / sum);
    row[anchor->positive] = (real)((by_positive / sum - 1) / tau);
    return most + log(sum) - positive;
}
