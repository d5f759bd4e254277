#include "core/learn/measures.h"

#include "core/base/mem.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#define LEAST_DEVIATION 0.01
#define LEAST_RANK      2.0
#define RANK_EPSILON    1e-7 // the paper's

#define FIELD(name, help)                                                                          \
    {                                                                                              \
#name, AK_FIELD_DOUBLE, offsetof(ak_measures, name), -INFINITY, INFINITY, help, NULL       \
    }

const ak_field ak_measure_fields[] = {
    FIELD(positive, "mean cosine of two views of a picture"),
    FIELD(negative, "mean cosine of different pictures"),
    FIELD(alignment, "mean squared distance of two views"),
    FIELD(uniformity, "log mean of exp(-2 squared distance)"),
    FIELD(rank, "effective rank (RankMe)"),
    FIELD(deviation, "of a dimension, 1 when spread evenly"),
    FIELD(least, "the least dimension's deviation over the mean"),
    {0},
};

// LAPACK's eigenvalues of a symmetric matrix, out of OpenBLAS, which brings no header for it.
extern void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda,
                    double *w, double *work, const int *lwork, int *iwork, const int *liwork,
                    int *info);

// exp of the entropy of the singular values' shares, x (m, d) and its Gram matrix on its shorter
// side. gram, values and work are scratch: s s, s and 2 s + 1 numbers, s = min(m, d).
static bool rank_me(double *rank, const double *x, size_t m, size_t d, double *gram, double *values,
                    double *work)
{
    bool tall = m >= d;
    int s = (int)(tall ? d : m), lwork = 2 * s + 1, liwork = 1, iwork, info;
    cblas_dsyrk(CblasRowMajor, CblasLower, tall ? CblasTrans : CblasNoTrans, s, (int)(tall ? m : d),
                1, x, (int)d, 0, gram, s);
    dsyevd_("N", "U", &s, gram, &s, values, work, &lwork, &iwork, &liwork, &info);
    if (info != 0)
        return false;
    double sum = 0, entropy = 0;
    for (int i = 0; i < s; i++) {
        values[i] = sqrt(fmax(values[i], 0));
        sum += values[i];
    }
    for (int i = 0; i < s; i++) {
        double share = (sum > 0 ? values[i] / sum : 0) + RANK_EPSILON;
        entropy -= share * log(share);
    }
    *rank = sum > 0 ? exp(entropy) : 0;
    return true;
}

static void to_unit(double *x, size_t m, size_t d)
{
    for (size_t i = 0; i < m; i++) {
        double norm = cblas_dnrm2((int)d, x + i * d, 1);
        if (norm > 0)
            cblas_dscal((int)d, 1 / norm, x + i * d, 1);
    }
}

// u (2n, d) unit vectors, s (2n, 2n) scratch.
static void cosines(ak_measures *out, const double *u, size_t n, size_t d, double *s)
{
    size_t m = 2 * n;
    double positive = 0, negative = 0, distance = 0, even = 0;
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)m, (int)d, 1, u, (int)d, 0, s,
                (int)m);
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < i; k++) {
            double cosine = s[i * m + k], d2 = s[i * m + i] + s[k * m + k] - 2 * cosine;
            even += exp(-2 * d2);
            if (i == k + n) {
                positive += cosine;
                distance += d2;
            } else {
                negative += cosine;
            }
        }
    out->positive = positive / (double)n;
    out->alignment = distance / (double)n;
    out->negative = n > 1 ? negative / (double)(2 * n * (n - 1)) : 0;
    out->uniformity = log(even / (double)(n * (m - 1)));
}

static void deviations(ak_measures *out, const double *u, size_t m, size_t d)
{
    double sum = 0, least = INFINITY;
    for (size_t j = 0; j < d; j++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < m; i++)
            mean += u[i * d + j] / (double)m;
        for (size_t i = 0; i < m; i++)
            square += (u[i * d + j] - mean) * (u[i * d + j] - mean);
        double deviation = sqrt(square / (double)m);
        sum += deviation;
        least = fmin(least, deviation);
    }
    out->deviation = sum / sqrt((double)d);
    out->least = sum > 0 ? least * (double)d / sum : 0;
}

ak_status ak_measure(ak_measures *out, const float *a, const float *b, size_t n, size_t d,
                     ak_error *err)
{
    size_t m = 2 * n, side = m < d ? m : d;
    ak_status status = AK_OK;
    *out = (ak_measures){0};
    double *x = ak_alloc(m * d, sizeof *x), *s = ak_alloc(m * m, sizeof *s);
    double *gram = ak_alloc(side * side + 3 * side + 1, sizeof *gram);
    if (!x || !s || !gram) {
        status = ak_fail(err, AK_OUT_OF_MEMORY, "no memory to measure %zu vectors", m);
        goto done;
    }
    for (size_t i = 0; i < n * d; i++) {
        x[i] = (double)a[i];
        x[n * d + i] = (double)b[i];
    }
    if (!rank_me(&out->rank, x, m, d, gram, gram + side * side, gram + side * side + side)) {
        status = ak_fail(err, AK_BAD_VALUE,
                         "the embeddings have no singular values: they are not "
                         "finite, or LAPACK fails");
        goto done;
    }
    to_unit(x, m, d);
    cosines(out, x, n, d, s);
    deviations(out, x, m, d);
done:
    free(gram);
    free(s);
    free(x);
    return status;
}

ak_status ak_measures_check(const ak_measures *m, ak_error *err)
{
    if (m->deviation >= LEAST_DEVIATION && m->rank >= LEAST_RANK)
        return AK_OK;
    return ak_fail(err, AK_BAD_VALUE,
                   "the embeddings have collapsed: all pictures look alike (deviation %.2g%% of an "
                   "even spread, at least %g%% is sound; effective rank %.2f, at least %g); lower "
                   "the rate, or take an objective with negatives or labels",
                   100 * m->deviation, 100 * LEAST_DEVIATION, m->rank, LEAST_RANK);
}
