// Contrastive objectives on embeddings, with their gradients.
//
// Raw vectors are L2-normalised inside; gradients are with respect to the raw vectors and are
// overwritten. Every function needs `work`, as many floats as its _work function says, and is
// thread-safe on distinct arrays. Matrices are row-major, products by OpenBLAS.
#ifndef AK_LEARN_OBJECTIVES_H
#define AK_LEARN_OBJECTIVES_H

#include <stddef.h>
#include <stdint.h>

// NT-Xent (Chen et al. 2020, SimCLR): 2n anchors, a[i] and b[i] are views of one picture.
//   loss = mean over anchors of -log( exp(s_ip / tau) / sum_{k != i} exp(s_ik / tau) )
// da, db, a, b: (n, d).
size_t ak_nt_xent_work(size_t n, size_t d);
double ak_nt_xent(float *da, float *db, const float *a, const float *b, size_t n, size_t d,
                  float tau, float *work);

// Softmax over learned class proxies (Wu et al. 2018; Zhai & Wu 2019): cosines to the proxies over
// tau, cross-entropy against the label smoothed by `smoothing`.
// dx, x: (n, d); dproxies, proxies: (classes, d); labels: (n), below classes.
size_t ak_proxy_softmax_work(size_t n, size_t d, size_t classes);
double ak_proxy_softmax(float *dx, float *dproxies, const float *x, const float *proxies,
                        const uint32_t *labels, size_t n, size_t d, size_t classes, float tau,
                        float smoothing, float *work);

#endif
