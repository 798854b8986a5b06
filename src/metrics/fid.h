/* Fréchet distance between Gaussians (Dowson and Landau 1982), of features: the FID of
 * Heusel et al. 2017. */
#ifndef LIMN_METRICS_FID_H
#define LIMN_METRICS_FID_H

#include "metrics/moments.h"

/* |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)), finite and at least 0 whatever the
 * ranks. The root's trace is the sum of the roots of the eigenvalues of R C2 R' with
 * C1 = R'R, which is symmetric, so nothing imaginary occurs and nothing is added to the
 * diagonals. Of the two covariances the one of lower rank is factored. Where counts are
 * known, ranks are at most count - 1, which keeps rounding out of the null space.
 * Memory: four matrices of dim x dim. LM_SHAPE: lengths differ; LM_NUMERIC: moments are
 * not finite. hook may be NULL. */
lm_status lm_fid(const lm_moments *a, const lm_moments *b, const lm_metric_hook *hook,
                 double *fid);

#endif
