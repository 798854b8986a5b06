#include "metrics/copying.h"

#include "base/mem.h"
#include "metrics/kmeans.h"
#include "metrics/neighbours.h"
#include "metrics/special.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 20 }; /* of k-means: a partition is wanted, not the best one */

enum { TRAIN, HELD_OUT, GENERATED, SETS };

typedef struct sample_set {
    const float *x;
    int64_t count;
    int32_t *cell; /* [count]; NULL: no cells */
} sample_set;

typedef struct copying {
    sample_set sets[SETS];
    int dim;
    const lm_copying_options *options;
    lm_copying *result;
} copying;

/* Distances of x's vectors to the nearest of `train`. */
static lm_status find_distances(const float *x, int64_t n, const float *train,
                                int64_t count, int dim, const lm_metric_hook *hook,
                                double *distances) {
    lm_neighbours nearest;
    LM_TRY(lm_neighbours_find(x, n, train, count, dim, 1, hook, &nearest));
    for (int64_t i = 0; i < n; i++) distances[i] = sqrt(nearest.squared[i]);
    lm_neighbours_release(&nearest);
    return LM_OK;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static lm_status find_median(const double *values, int64_t n, double *median) {
    double *sorted = lm_alloc((size_t)n * sizeof *sorted);
    if (!sorted) return LM_NOMEM;
    memcpy(sorted, values, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_doubles);
    *median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
    lm_free(sorted);
    return LM_OK;
}

static lm_status test_whole(copying *c, const lm_metric_hook *hook) {
    const sample_set *s = c->sets;
    lm_copying *r = c->result;
    double share = (double)r->generated / (double)(r->generated + r->held_out);
    lm_metric_section first, second;
    LM_TRY(find_distances(s[GENERATED].x, r->generated, s[TRAIN].x, r->train, c->dim,
                          lm_metric_section_begin(&first, hook, 0, share),
                          r->distance_generated));
    LM_TRY(find_distances(s[HELD_OUT].x, r->held_out, s[TRAIN].x, r->train, c->dim,
                          lm_metric_section_begin(&second, hook, share, 1 - share),
                          r->distance_held_out));
    LM_TRY(lm_rank_test_run(r->distance_generated, r->generated, r->distance_held_out,
                            r->held_out, &r->whole));
    r->closer = 1 - r->whole.u / ((double)r->generated * (double)r->held_out);
    LM_TRY(find_median(r->distance_generated, r->generated, &r->median_generated));
    return find_median(r->distance_held_out, r->held_out, &r->median_held_out);
}

/* ---- cells ------------------------------------------------------------------- */

/* A set's vectors that are in a cell, to be freed. */
static float *gather(const sample_set *set, int dim, int cell, int64_t count) {
    float *x = lm_alloc((size_t)count * (size_t)dim * sizeof *x);
    int64_t at = 0;
    for (int64_t i = 0; x && i < set->count; i++)
        if (set->cell[i] == cell)
            memcpy(x + at++ * dim, set->x + i * dim, (size_t)dim * sizeof *x);
    return x;
}

/* distances: of the generated samples, then of those held out. */
static lm_status measure_cell(const lm_copying_cell *cell, float *const x[SETS], int dim,
                              double *distances, double *z) {
    double *held_out = distances + cell->generated;
    LM_TRY(find_distances(x[GENERATED], cell->generated, x[TRAIN], cell->train, dim, NULL,
                          distances));
    LM_TRY(find_distances(x[HELD_OUT], cell->held_out, x[TRAIN], cell->train, dim, NULL,
                          held_out));
    lm_rank_test test;
    LM_TRY(lm_rank_test_run(distances, cell->generated, held_out, cell->held_out, &test));
    *z = test.z;
    return LM_OK;
}

static lm_status test_cell(copying *c, int index) {
    lm_copying_cell *cell = &c->result->cell[index];
    int64_t least = c->options->least > 1 ? c->options->least : 1;
    cell->z = NAN;
    if (!cell->train || cell->generated < least || cell->held_out < least) return LM_OK;
    const int64_t counts[SETS] = {cell->train, cell->held_out, cell->generated};
    float *x[SETS];
    double *distances =
        lm_alloc((size_t)(cell->generated + cell->held_out) * sizeof *distances);
    lm_status status = distances ? LM_OK : LM_NOMEM;
    for (int s = 0; s < SETS; s++) {
        x[s] = gather(&c->sets[s], c->dim, index, counts[s]);
        if (!x[s]) status = LM_NOMEM;
    }
    if (status == LM_OK) status = measure_cell(cell, x, c->dim, distances, &cell->z);
    for (int s = 0; s < SETS; s++) lm_free(x[s]);
    lm_free(distances);
    return status;
}

static lm_status assign(copying *c, const float *centres) {
    for (int s = 0; s < SETS; s++) {
        sample_set *set = &c->sets[s];
        set->cell = lm_alloc((size_t)set->count * sizeof *set->cell);
        if (!set->cell) return LM_NOMEM;
        LM_TRY(lm_kmeans_assign(set->x, set->count, centres, c->options->cells, c->dim,
                                set->cell));
    }
    lm_copying_cell *cell = c->result->cell;
    for (int64_t i = 0; i < c->sets[TRAIN].count; i++)
        cell[c->sets[TRAIN].cell[i]].train++;
    for (int64_t i = 0; i < c->sets[HELD_OUT].count; i++)
        cell[c->sets[HELD_OUT].cell[i]].held_out++;
    for (int64_t i = 0; i < c->sets[GENERATED].count; i++)
        cell[c->sets[GENERATED].cell[i]].generated++;
    return LM_OK;
}

/* Given which samples are in which cell, the cells' z are independent, each of variance 1
 * if nothing is copied; so the variance of their weighted mean is known. */
static void combine_cells(lm_copying *r) {
    double weights = 0, squares = 0, sum = 0;
    for (int i = 0; i < r->cells; i++) {
        double weight = (double)r->cell[i].held_out;
        if (isnan(r->cell[i].z)) continue;
        r->counted++;
        weights += weight;
        squares += weight * weight;
        sum += weight * r->cell[i].z;
    }
    r->cells_z = r->counted ? sum / weights : NAN;
    r->cells_p = r->counted ? lm_normal_below(sum / sqrt(squares)) : NAN;
}

static lm_status test_cells(copying *c, const lm_metric_hook *hook, float *centres) {
    const sample_set *train = &c->sets[TRAIN];
    LM_TRY(lm_kmeans(train->x, train->count, c->dim, c->options->cells, ROUNDS,
                     c->options->seed, hook, centres));
    LM_TRY(assign(c, centres));
    for (int i = 0; i < c->result->cells; i++) LM_TRY(test_cell(c, i));
    combine_cells(c->result);
    return lm_metric_progress(hook, "cells", 1);
}

/* ---- both -------------------------------------------------------------------- */

static lm_status test(copying *c, const lm_metric_hook *hook) {
    lm_copying *r = c->result;
    r->distance_generated =
        lm_alloc((size_t)r->generated * sizeof *r->distance_generated);
    r->distance_held_out = lm_alloc((size_t)r->held_out * sizeof *r->distance_held_out);
    r->cell = lm_calloc((size_t)r->cells, sizeof *r->cell);
    if (!r->distance_generated || !r->distance_held_out || !r->cell) return LM_NOMEM;
    const double half = r->cells ? 0.5 : 1;
    lm_metric_section first, second;
    LM_TRY(test_whole(c, lm_metric_section_begin(&first, hook, 0, half)));
    if (!r->cells) return LM_OK;
    lm_metric_section_begin(&second, hook, half, 1 - half);
    float *centres = lm_alloc((size_t)r->cells * (size_t)c->dim * sizeof *centres);
    lm_status status = centres ? test_cells(c, &second.hook, centres) : LM_NOMEM;
    lm_free(centres);
    for (int s = 0; s < SETS; s++) lm_free(c->sets[s].cell);
    return status;
}

lm_status lm_copying_test(const float *train, int64_t n, const float *held_out, int64_t m,
                          const float *generated, int64_t q, int dim,
                          const lm_copying_options *options, const lm_metric_hook *hook,
                          lm_copying *result) {
    LM_RETURN_IF(n < 1 || m < 1 || q < 1 || dim < 1, LM_ARG,
                 "copying: %lld training, %lld held-out, %lld generated samples",
                 (long long)n, (long long)m, (long long)q);
    LM_RETURN_IF(options->cells < 0 || options->cells > n, LM_ARG,
                 "copying: %d cells of %lld samples", options->cells, (long long)n);
    copying c = {.sets = {{train, n, NULL}, {held_out, m, NULL}, {generated, q, NULL}},
                 .dim = dim,
                 .options = options,
                 .result = result};
    *result = (lm_copying){.train = n,
                           .held_out = m,
                           .generated = q,
                           .cells = options->cells,
                           .cells_z = NAN,
                           .cells_p = NAN};
    lm_status status = test(&c, hook);
    if (status != LM_OK) lm_copying_release(result);
    return status;
}

void lm_copying_release(lm_copying *result) {
    lm_free(result->cell);
    lm_free(result->distance_generated);
    lm_free(result->distance_held_out);
    *result = (lm_copying){0};
}
