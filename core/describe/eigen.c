#include "core/describe/eigen.h"

#include "core/base/mem.h"

#include <stdlib.h>

// LAPACK's eigenvalues of a symmetric matrix, out of OpenBLAS, which brings no header for it.
extern void ssyevd_(const char *jobz, const char *uplo, const int *n, float *a, const int *lda,
                    float *w, float *work, const int *lwork, int *iwork, const int *liwork,
                    int *info);

ak_status ak_eigen_symmetric(float *a, float *values, size_t d, ak_error *err)
{
    int n = (int)d, info, size = -1, isize = -1, iwanted;
    float wanted;
    ssyevd_("V", "U", &n, a, &n, values, &wanted, &size, &iwanted, &isize, &info); // asks for sizes
    size = (int)wanted;
    isize = iwanted;
    float *work = ak_alloc((size_t)size, sizeof *work);
    int *iwork = ak_alloc((size_t)isize, sizeof *iwork);
    if (work && iwork)
        ssyevd_("V", "U", &n, a, &n, values, work, &size, iwork, &isize, &info);
    ak_status status = !work || !iwork ? ak_fail(err, AK_OUT_OF_MEMORY, "no memory for eigenvalues")
                       : info != 0
                           ? ak_fail(err, AK_BAD_VALUE,
                                     "the covariance has no eigenvalues (LAPACK says %d): are the "
                                     "features finite?",
                                     info)
                           : AK_OK;
    free(work);
    free(iwork);
    return status;
}
