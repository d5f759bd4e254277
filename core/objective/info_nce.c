// InfoNCE with a queue (He et al. 2020, MoCo; v2 by Chen et al. 2020b): NT-Xent whose positive is
// the momentum encoder's view and whose negatives are the queue's. Neither gets a gradient.
#include "core/objective/anchor.h"
#include "core/objective/rows.h"

double R(ak_info_nce)(real *row, const ak_anchor *anchor)
{
    return R(ak_nt_xent)(row, anchor);
}
