/* Squared Euclidean distances of all pairs of vectors, exact where it matters.
 *
 * |a - b|^2 = |a|^2 + |b|^2 - 2 a.b, with products in f32 of vectors from which the mean
 * was taken, is fast and wrong in the fifth digit. How wrong is known: a sum of K
 * products in any order is off by at most K u |a||b|, u = 2^-24 (Higham, "Accuracy and
 * Stability of Numerical Algorithms", 3.1). So each pair has bounds, most comparisons are
 * decided by them, and the few others by lm_distance_squared: results are those of that
 * function. */
#ifndef LIMN_METRICS_DISTANCES_H
#define LIMN_METRICS_DISTANCES_H

#include "metrics/hook.h"

#include <stdbool.h>
#include <stdint.h>

/* In f64, summed in a fixed order. Symmetric, never negative, 0 for equal vectors. */
double lm_distance_squared(const float *a, const float *b, int dim);

/* One of the two sets that are compared. */
typedef struct lm_distance_side {
    const float *x; /* [count][dim], borrowed */
    int64_t count;
    float *centred; /* [count][dim], less the mean, times a power of two */
    double *norms;  /* [count], squared, of the centred vectors */
    float *low;     /* [count], norms less the bound of the error */
} lm_distance_side;

typedef struct lm_distances {
    lm_distance_side rows, columns; /* equal where a set is compared with itself */
    bool symmetric;
    int dim, tile; /* a tile has at most tile x tile pairs */
    double unit;   /* of the centred vectors' squared distances */
    double slack;  /* |error| <= slack * (sum of both norms) + least */
    double least;
} lm_distances;

/* a: [n][dim], b: [m][dim]; b NULL: a with itself. Both are borrowed and copied once.
 * LM_NUMERIC where a value is not finite or beyond 2^120, LM_ARG for no vectors. */
lm_status lm_distances_init(lm_distances *pairs, const float *a, int64_t n,
                            const float *b, int64_t m, int dim);
void lm_distances_release(lm_distances *pairs);

/* Bounds of lm_distance_squared from `product`, a tile's value of the pair. */
void lm_distances_bounds(const lm_distances *pairs, int64_t row, int64_t column,
                         float product, double *low, double *high);

/* A number such that `product + pairs->columns.low[column] > cut` means that the distance
 * of `row` (whose side.low is given) is beyond `squared`; the same with rows and columns
 * changed. For tests of many pairs at once. */
float lm_distances_cut(const lm_distances *pairs, float low, double squared);

typedef struct lm_distance_tile {
    int64_t row, column; /* the first of each */
    int rows, columns;
    const float *products; /* [rows][columns]: -2 times the inner product */
} lm_distance_tile;

/* Calls visit for every tile, in some order, by all threads; calls that have a row or a
 * column in common never run at once. In a set with itself every pair of different
 * vectors comes once, as (row, column) or (column, row), except in tiles whose row equals
 * their column, which hold both, and the vectors with themselves. `what` is for messages.
 */
typedef void lm_distance_visit(void *user, const lm_distance_tile *tile);
lm_status lm_distances_visit(const lm_distances *pairs, lm_distance_visit *visit,
                             void *user, const lm_metric_hook *hook, const char *what);

#endif
