/* Do generated samples lie closer to the training set than they should? The test of
 * Meehan, Chaudhuri and Dasgupta, "A Non-Parametric Test to Detect Data-Copying in
 * Generative Models" (AISTATS 2020).
 *
 * For each generated sample and each held-out sample of the data, the distance to the
 * nearest training sample. A model that learned the distribution has equally distributed
 * ones; one that copies has smaller ones: Mann and Whitney's U of both, standardised, is
 * far below 0. One that is far from the data, or blurred, has larger ones: far above. */
#ifndef LIMN_METRICS_COPYING_H
#define LIMN_METRICS_COPYING_H

#include "metrics/hook.h"

#include <stdint.h>

/* Mann and Whitney's test of a against b: n and m values. */
typedef struct lm_rank_test {
    double u;      /* pairs with a above b, ties one half */
    double z;      /* (u - n m / 2) over its deviation, which ties make smaller; 0 when
                    * all values are equal */
    double p_less; /* probability of a z this low or lower if both are one distribution */
} lm_rank_test;

/* By the normal approximation without correction for continuity: 8 values or more of
 * each. LM_ARG for no values, LM_NUMERIC for NaN. */
lm_status lm_rank_test_run(const double *a, int64_t n, const double *b, int64_t m,
                           lm_rank_test *test);

typedef struct lm_copying_options {
    int cells; /* of the training set (k-means); 0: no test of cells */
    int64_t
        least; /* generated and held-out samples, either, that a cell needs to count */
    uint64_t seed; /* of the partition */
} lm_copying_options;
#define LM_COPYING_DEFAULTS                                                              \
    { .cells = 10, .least = 20, .seed = 0 }

typedef struct lm_copying_cell {
    int64_t train, held_out, generated;
    double z; /* of this cell, with distances to its training samples; NaN: too few */
} lm_copying_cell;

typedef struct lm_copying {
    int64_t train, held_out, generated;
    lm_rank_test whole; /* generated against held-out; p_less small: copies */
    double closer; /* share of pairs with the generated one closer: 0.5 without copying */
    double median_generated, median_held_out; /* distances */
    int cells, counted;                       /* all, and those with samples enough */
    double cells_z; /* C_T: mean of the cells' z, weighted by held-out samples */
    double cells_p; /* of a C_T this low: cells are independent. NaN: none counts */
    lm_copying_cell *cell;                          /* [cells], owned */
    double *distance_generated, *distance_held_out; /* [generated], [held_out], owned */
} lm_copying;

/* All sets are [..][dim] and disjoint samples; the held-out one comes from the same
 * distribution as the training set. A copy of parts of the data alone is seen in the
 * cells, while the whole may look right. Only as good as the features: in pixels a small
 * shift is far. LM_ARG for empty sets or more cells than training samples. hook may be
 * NULL. */
lm_status lm_copying_test(const float *train, int64_t n, const float *held_out, int64_t m,
                          const float *generated, int64_t q, int dim,
                          const lm_copying_options *options, const lm_metric_hook *hook,
                          lm_copying *result);
void lm_copying_release(lm_copying *result);

#endif
