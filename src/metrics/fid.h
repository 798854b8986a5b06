/* Fréchet distance between Gaussians (Dowson and Landau 1982), of features: the FID of
 * Heusel et al. 2017. */
#ifndef LIMN_METRICS_FID_H
#define LIMN_METRICS_FID_H

#include "metrics/moments.h"
#include "metrics/resample.h"

/* |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2)), finite and at least 0 whatever the
 * ranks. The root's trace is the sum of the roots of the eigenvalues of R C2 R' with
 * C1 = R'R, which is symmetric, so nothing imaginary occurs and nothing is added to the
 * diagonals. Of the two covariances the one of lower rank is factored. Where counts are
 * known, ranks are at most count - 1, which keeps rounding out of the null space.
 * Memory: four matrices of dim x dim. LM_SHAPE: lengths differ; LM_NUMERIC: moments are
 * not finite. hook may be NULL. */
lm_status lm_fid(const lm_moments *a, const lm_moments *b, const lm_metric_hook *hook,
                 double *fid);

/* FID with its standard error over other draws of as many images from where x[count][dim]
 * came from, the features that `generated` has the moments of; the reference is taken as
 * given. It is the infinitesimal jackknife: the scatter of
 *     2 (m2 - m1).z + |z|^2 - z' T z,    z = x - m2,
 * which is what an image adds to FID to first order; T = R' (R C2 R')^(-1/2) R is the map
 * that carries the one Gaussian to the other (a pseudo-inverse where there is no
 * inverse). A bootstrap would repeat images, which adds to FID once more the bias that it
 * has for few of them, and scatters up to four times as much as FID does. This error is
 * right where distributions differ, and up to a half too large where they do not. Takes
 * eigenvectors, too: some three times as long as lm_fid. */
lm_status lm_fid_estimate(const lm_moments *reference, const lm_moments *generated,
                          const float *x, const lm_metric_hook *hook, lm_estimate *fid);

#endif
