/* Which items a resampled estimate is made of: functions of (seed, draw) alone, with the
 * same indices on every machine and for any number of threads. */
#ifndef LIMN_METRICS_RESAMPLE_H
#define LIMN_METRICS_RESAMPLE_H

#include "base/status.h"

#include <stdint.h>

/* Fills indices[0 .. n-1] with numbers of 0 .. n-1, drawn with repetition: a bootstrap
 * replicate. 1 <= n <= INT32_MAX. */
void lm_resample_bootstrap(uint64_t seed, uint32_t draw, int64_t n, int32_t *indices);

/* Fills indices[0 .. m-1] with different numbers of 0 .. n-1, in the order drawn.
 * 0 <= m <= n <= INT32_MAX. Takes 4n bytes for the while. m = n is a permutation. */
lm_status lm_resample_subset(uint64_t seed, uint32_t draw, int64_t n, int64_t m,
                             int32_t *indices);

/* A value with its standard error. */
typedef struct lm_estimate {
    double value;
    double error; /* one standard error; NaN: unknown */
} lm_estimate;

/* Of the mean of n values: s / sqrt(n) with n - 1 in s, which is what a bootstrap of the
 * values tends to. The error of one value is NaN, of none both are. */
lm_estimate lm_estimate_mean(const double *values, int64_t n);

/* The same for the share hits / n of yes and no: sqrt(p (1 - p) / (n - 1)). */
lm_estimate lm_estimate_share(int64_t hits, int64_t n);

/* Of a statistic that was computed on n replicates: the error is their standard
 * deviation (n - 1), the value is `value`. */
lm_estimate lm_estimate_replicates(double value, const double *replicates, int64_t n);

#endif
