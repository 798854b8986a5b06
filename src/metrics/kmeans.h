/* A partition of a set into cells: k-means, for tests that look at each cell alone. */
#ifndef LIMN_METRICS_KMEANS_H
#define LIMN_METRICS_KMEANS_H

#include "metrics/hook.h"

#include <stdint.h>

/* x: [n][dim]; centres: [cells][dim] is filled. Starts as Arthur and Vassilvitskii
 * ("k-means
 * ++: the advantages of careful seeding", 2007) by draws of `seed`, then moves each
 * centre to its vectors' mean (Lloyd) until no vector changes its cell, or `rounds`
 * times. Cells may end empty where vectors are equal. A function of its arguments,
 * whatever the number of threads. 1 <= cells <= n. hook may be NULL. */
lm_status lm_kmeans(const float *x, int64_t n, int dim, int cells, int rounds,
                    uint64_t seed, const lm_metric_hook *hook, float *centres);

/* The cell of each vector: that of its nearest centre, the first of equally near ones. */
lm_status lm_kmeans_assign(const float *x, int64_t n, const float *centres, int cells,
                           int dim, int32_t *cell);

#endif
