/* FID without the bias that it has for few images. */
#ifndef LIMN_METRICS_FID_INFINITE_H
#define LIMN_METRICS_FID_INFINITE_H

#include "metrics/moments.h"
#include "metrics/resample.h"

/* FID of ever larger parts of the generated features x[n][dim], drawn without repetition
 * (lm_resample_subset, draw 0 and on), lies on a line over 1 / N; where it meets 1 / N =
 * 0 is FID at infinite N (Chong and Forsyth 2020, arXiv:1911.07023). The reference stays
 * as it is. `points` (15 in the paper, at least 3) numbers of images lie at equal
 * distances from `smallest` (5000 in the paper) to n.
 *
 * The value may be below 0. The error is that of the line's intercept by least squares,
 * of the drawing of parts alone: that of lm_fid_estimate, for the drawing of the n
 * images, is to be added to it, as squares. Time: `points` times moments and FID. */
lm_status lm_fid_infinite(const lm_moments *reference, const float *x, int64_t n,
                          int points, int64_t smallest, uint64_t seed,
                          const lm_metric_hook *hook, lm_estimate *fid);

#endif
