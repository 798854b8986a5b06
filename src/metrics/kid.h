/* Kernel distance of Binkowski et al. 2018 (KID): the squared maximum mean discrepancy
 * between two sets of features, without bias, with the kernel (x.y / dim + 1)^3. It may
 * be negative: its mean over samples of equal distributions is 0. */
#ifndef LIMN_METRICS_KID_H
#define LIMN_METRICS_KID_H

#include "metrics/hook.h"
#include "metrics/resample.h"
#include "metrics/spread.h"

/* Features of images, all borrowed. */
typedef struct lm_kid_set {
    const float *x;      /* [...][dim] */
    const int32_t *rows; /* which rows, [n]; NULL: the first n */
    int64_t n;
} lm_kid_set;

/* Of all pairs, in f64. The error is that of the jackknife that leaves one image out, of
 * either set in turn, which takes the sums over rows alone; where both distributions are
 * equal it is too large, by 2^(1/2). Both sets need 3 images. Memory: some tiles, 40 KB
 * for each feature. hook may be NULL. */
lm_status lm_kid(const lm_kid_set *a, const lm_kid_set *b, int dim,
                 const lm_metric_hook *hook, lm_estimate *kid);

/* As published tables have it: over `subsets` draws of `size` images of either set, each
 * without repetition (lm_resample_subset with seed; draws 2 i of `a`, 2 i + 1 of `b`).
 * Customary are 100 of 1000. size: 3 to the smaller set's number; neither set has rows.
 * The spread is over subsets, and far larger than the error of the mean. */
lm_status lm_kid_subsets(const lm_kid_set *a, const lm_kid_set *b, int dim, int subsets,
                         int64_t size, uint64_t seed, const lm_metric_hook *hook,
                         lm_spread *kid);

#endif
