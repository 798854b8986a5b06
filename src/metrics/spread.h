/* Values over parts of the samples. */
#ifndef LIMN_METRICS_SPREAD_H
#define LIMN_METRICS_SPREAD_H

#include <stdint.h>

/* Their mean, and their standard deviation with divisor n (ddof 0): what published tables
 * print as "mean ± std". It is no standard error. */
typedef struct lm_spread {
    double mean, deviation;
} lm_spread;

/* n is at least 1. */
lm_spread lm_spread_of(const double *values, int64_t n);

#endif
