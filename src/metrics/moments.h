/* Mean and covariance of feature vectors, in f64, gathered chunk by chunk. */
#ifndef LIMN_METRICS_MOMENTS_H
#define LIMN_METRICS_MOMENTS_H

#include "metrics/hook.h"

#include <stdint.h>

/* Of `count` vectors. The covariance has divisor count - 1. */
typedef struct lm_moments {
    int dim;
    int64_t count;      /* 0: not known, as in pytorch-fid's files */
    double *mean;       /* [dim], owned */
    double *covariance; /* [dim][dim], symmetric, owned */
} lm_moments;

/* Zeroed. dim: 1 to LM_MATRIX_SIDE. */
lm_status lm_moments_init(lm_moments *moments, int dim);
void lm_moments_release(lm_moments *moments); /* a zeroed one is fine */

/* Of n rows of x[...][dim]: those that rows[n] names, or, where it is NULL, the first n.
 * At least two; a value that is not finite is LM_NUMERIC. hook may be NULL. */
lm_status lm_moments_of(const float *x, const int32_t *rows, int64_t n, int dim,
                        const lm_metric_hook *hook, lm_moments *moments);

/* That two can be compared: LM_SHAPE: lengths differ; LM_NUMERIC: a value is not finite.
 */
lm_status lm_moments_check(const lm_moments *a, const lm_moments *b);

/* r[rank][dim] with r'r the covariance; lm_free'd by the caller. The rank is what numbers
 * in f64 show of it, and at most count - 1, where that is known. */
lm_status lm_moments_factor(const lm_moments *moments, double **r, int *rank);

/* What moments are gathered in: count, mean, and the sum of products about that mean.
 * Groups of vectors are joined by the formula of Chan, Golub and LeVeque (1979), so large
 * means cancel nowhere. */
typedef struct lm_moments_sum {
    int dim;
    int64_t count;
    double *mean;     /* [dim], owned */
    double *products; /* [dim][dim], upper triangle, owned */
    double *chunk;    /* room for rows on their way, owned */
} lm_moments_sum;

lm_status lm_moments_sum_init(lm_moments_sum *sum, int dim);
void lm_moments_sum_release(lm_moments_sum *sum);
/* Adds rows as lm_moments_of takes them. After a failure the sum is worth nothing. */
lm_status lm_moments_sum_add(lm_moments_sum *sum, const float *x, const int32_t *rows,
                             int64_t n, const lm_metric_hook *hook);
/* Adds what `other` has gathered of vectors of the same length. */
void lm_moments_sum_merge(lm_moments_sum *sum, const lm_moments_sum *other);
/* Makes moments of at least two vectors; the sum can go on growing. */
lm_status lm_moments_sum_finish(const lm_moments_sum *sum, lm_moments *moments);

#endif
