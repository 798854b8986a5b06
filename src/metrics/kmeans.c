#include "metrics/kmeans.h"

#include "base/mem.h"
#include "metrics/distances.h"
#include "metrics/neighbours.h"
#include "tensor/philox.h"

#include <math.h>
#include <string.h>

enum { STREAM_SEEDING = 210 }; /* this room's are 200 to 299 */

static void copy_vector(float *to, const float *x, int64_t index, int dim) {
    memcpy(to, x + index * dim, (size_t)dim * sizeof *to);
}

/* An index with a probability in proportion to its weight; without weight, any. */
static int64_t draw_weighted(lm_rng *rng, const double *weights, int64_t n) {
    double total = 0, below = 0;
    for (int64_t i = 0; i < n; i++) total += weights[i];
    if (!(total > 0)) return lm_rng_below(rng, (uint32_t)n);
    double at = lm_rng_uniform(rng) * total;
    int64_t last = 0;
    for (int64_t i = 0; i < n; i++) {
        if (weights[i] > 0) last = i;
        below += weights[i];
        if (below > at) return i;
    }
    return last;
}

/* Each next centre is a vector, by its squared distance to the centres so far. */
static lm_status place_centres(const float *x, int64_t n, int dim, int cells,
                               uint64_t seed, float *centres) {
    double *weights = lm_alloc((size_t)n * sizeof *weights);
    if (!weights) return LM_NOMEM;
    lm_rng rng = {.seed = seed, .stream = STREAM_SEEDING};
    for (int64_t i = 0; i < n; i++) weights[i] = INFINITY;
    copy_vector(centres, x, lm_rng_below(&rng, (uint32_t)n), dim);
    for (int c = 1; c < cells; c++) {
        const float *latest = centres + (int64_t)(c - 1) * dim;
#pragma omp parallel for
        for (int64_t i = 0; i < n; i++)
            weights[i] = fmin(weights[i], lm_distance_squared(x + i * dim, latest, dim));
        copy_vector(centres + (int64_t)c * dim, x, draw_weighted(&rng, weights, n), dim);
    }
    lm_free(weights);
    return LM_OK;
}

/* A centre without vectors stays. */
static void move_centres(const float *x, int64_t n, int dim, const int32_t *cell,
                         int cells, double *sums, int64_t *counts, float *centres) {
    memset(sums, 0, (size_t)cells * (size_t)dim * sizeof *sums);
    memset(counts, 0, (size_t)cells * sizeof *counts);
    for (int64_t i = 0; i < n; i++) {
        double *sum = sums + (int64_t)cell[i] * dim;
        for (int k = 0; k < dim; k++) sum[k] += (double)x[i * dim + k];
        counts[cell[i]]++;
    }
    for (int c = 0; c < cells; c++)
        for (int64_t k = (int64_t)c * dim; counts[c] && k < (int64_t)(c + 1) * dim; k++)
            centres[k] = (float)(sums[k] / (double)counts[c]);
}

lm_status lm_kmeans_assign(const float *x, int64_t n, const float *centres, int cells,
                           int dim, int32_t *cell) {
    lm_neighbours nearest;
    LM_TRY(lm_neighbours_find(x, n, centres, cells, dim, 1, NULL, &nearest));
    memcpy(cell, nearest.index, (size_t)n * sizeof *cell);
    lm_neighbours_release(&nearest);
    return LM_OK;
}

/* cell: [2][n], now and before. */
static lm_status move_rounds(const float *x, int64_t n, int dim, int cells, int rounds,
                             const lm_metric_hook *hook, int32_t *cell, double *sums,
                             int64_t *counts, float *centres) {
    int32_t *before = cell + n;
    memset(before, -1, (size_t)n * sizeof *before);
    for (int round = 0; round < rounds; round++) {
        LM_TRY(lm_metric_progress(hook, "cells", (double)round / rounds));
        LM_TRY(lm_kmeans_assign(x, n, centres, cells, dim, cell));
        if (!memcmp(cell, before, (size_t)n * sizeof *cell)) break;
        memcpy(before, cell, (size_t)n * sizeof *cell);
        move_centres(x, n, dim, cell, cells, sums, counts, centres);
    }
    return LM_OK;
}

lm_status lm_kmeans(const float *x, int64_t n, int dim, int cells, int rounds,
                    uint64_t seed, const lm_metric_hook *hook, float *centres) {
    LM_RETURN_IF(n < 1 || n > INT32_MAX || dim < 1 || cells < 1 || cells > n, LM_ARG,
                 "cells: %d of %lld vectors of %d values", cells, (long long)n, dim);
    int32_t *cell = lm_alloc(2 * (size_t)n * sizeof *cell);
    double *sums = lm_calloc((size_t)cells, (size_t)dim * sizeof *sums);
    int64_t *counts = lm_alloc((size_t)cells * sizeof *counts);
    lm_status status = cell && sums && counts ? LM_OK : LM_NOMEM;
    if (status == LM_OK) status = place_centres(x, n, dim, cells, seed, centres);
    if (status == LM_OK)
        status = move_rounds(x, n, dim, cells, rounds, hook, cell, sums, counts, centres);
    lm_free(cell);
    lm_free(sums);
    lm_free(counts);
    return status;
}
