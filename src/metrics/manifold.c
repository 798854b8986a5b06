#include "metrics/manifold.h"

#include "base/mem.h"
#include "metrics/distances.h"
#include "metrics/neighbours.h"

#include <math.h>

enum {
    MOST_RULES = 8,
    CHUNK = 64 /* pairs that are tested at once */
};

typedef struct measurement {
    lm_distances pairs; /* real in rows, generated in columns */
    lm_manifold *results;
    int count, widest;          /* rules; the largest k */
    lm_neighbours real, fake;   /* within each set */
    float *real_cut, *fake_cut; /* of the widest ball */
} measurement;

/* The squared radius of a vector's ball. */
static double radius(const lm_neighbours *set, int64_t index, int k) {
    return set->squared[index * set->m + k - 1];
}

/* A pair's distance: bounds, and its value once that was asked for. */
typedef struct distance {
    int64_t row, column;
    double low, high;
} distance;

static bool is_within(const lm_distances *pairs, distance *pair, double squared,
                      bool edge) {
    if (pair->high < squared) return true;
    if (pair->low > squared) return false;
    if (pair->low != pair->high)
        pair->low = pair->high =
            lm_distance_squared(pairs->rows.x + pair->row * pairs->dim,
                                pairs->columns.x + pair->column * pairs->dim, pairs->dim);
    return edge ? pair->high <= squared : pair->high < squared;
}

static void judge_pair(measurement *all, int64_t row, int64_t column, float product) {
    distance pair = {.row = row, .column = column};
    lm_distances_bounds(&all->pairs, row, column, product, &pair.low, &pair.high);
    for (int r = 0; r < all->count; r++) {
        lm_manifold *result = &all->results[r];
        int k = result->rule.k;
        bool edge = result->rule.edge;
        if (is_within(&all->pairs, &pair, radius(&all->real, row, k), edge)) {
            result->balls[column]++;
            result->covered[row] = 1;
        }
        if (!result->recalled[row] &&
            is_within(&all->pairs, &pair, radius(&all->fake, column, k), edge))
            result->recalled[row] = 1;
    }
}

/* Is one of these pairs perhaps within the ball of its row or of its column? */
static bool any_within(const float *products, const float *low, float cut, float own_low,
                       const float *own_cut, int count) {
    int near = 0;
    for (int j = 0; j < count; j++)
        near |= (products[j] + low[j] <= cut) | (products[j] + own_low <= own_cut[j]);
    return near;
}

static void look_at_tile(void *user, const lm_distance_tile *tile) {
    measurement *all = user;
    const lm_distances *pairs = &all->pairs;
    for (int i = 0; i < tile->rows; i++) {
        int64_t row = tile->row + i;
        const float *products = tile->products + (int64_t)i * tile->columns;
        for (int j = 0; j < tile->columns; j += CHUNK) {
            int count = tile->columns - j < CHUNK ? tile->columns - j : CHUNK;
            int64_t column = tile->column + j;
            if (any_within(products + j, pairs->columns.low + column, all->real_cut[row],
                           pairs->rows.low[row], all->fake_cut + column, count))
                for (int c = 0; c < count; c++)
                    judge_pair(all, row, column + c, products[j + c]);
        }
    }
}

static float *find_cuts(const lm_distances *pairs, const lm_distance_side *side,
                        const lm_neighbours *set) {
    float *cuts = lm_alloc((size_t)side->count * sizeof *cuts);
    for (int64_t i = 0; cuts && i < side->count; i++)
        cuts[i] = lm_distances_cut(pairs, side->low[i], radius(set, i, set->m));
    return cuts;
}

static void summarise(lm_manifold *result) {
    int64_t inside = 0, recalled = 0, covered = 0;
    double sum = 0, squares = 0;
    for (int64_t j = 0; j < result->fake; j++) {
        inside += result->balls[j] > 0;
        sum += result->balls[j];
    }
    double mean = sum / (double)result->fake;
    for (int64_t j = 0; j < result->fake; j++)
        squares += (result->balls[j] - mean) * (result->balls[j] - mean);
    for (int64_t i = 0; i < result->real; i++) {
        recalled += result->recalled[i];
        covered += result->covered[i];
    }
    double deviation = sqrt(squares / (double)(result->fake - 1));
    result->precision = lm_estimate_share(inside, result->fake);
    result->recall = lm_estimate_share(recalled, result->real);
    result->coverage = lm_estimate_share(covered, result->real);
    result->density.value = mean / result->rule.k;
    result->density.error = deviation / sqrt((double)result->fake) / result->rule.k;
}

static lm_status start(measurement *all, const lm_manifold_rule *rules, int64_t n,
                       int64_t m) {
    for (int r = 0; r < all->count; r++)
        all->results[r] = (lm_manifold){.rule = rules[r], .real = n, .fake = m};
    for (int r = 0; r < all->count; r++) {
        lm_manifold *result = &all->results[r];
        result->balls = lm_calloc((size_t)m, sizeof *result->balls);
        result->recalled = lm_calloc((size_t)n, 1);
        result->covered = lm_calloc((size_t)n, 1);
        if (!result->balls || !result->recalled || !result->covered) return LM_NOMEM;
    }
    return LM_OK;
}

static lm_status compare_sets(measurement *all, const lm_metric_hook *hook) {
    const lm_distances *pairs = &all->pairs;
    all->real_cut = find_cuts(pairs, &pairs->rows, &all->real);
    all->fake_cut = find_cuts(pairs, &pairs->columns, &all->fake);
    if (!all->real_cut || !all->fake_cut) return LM_NOMEM;
    return lm_distances_visit(pairs, look_at_tile, all, hook, "precision and recall");
}

static lm_status measure(measurement *all, const float *real, int64_t n,
                         const float *fake, int64_t m, int dim,
                         const lm_metric_hook *hook) {
    const double third = 1.0 / 3;
    lm_metric_section first, second, last;
    LM_TRY(lm_neighbours_find(real, n, NULL, 0, dim, all->widest,
                              lm_metric_section_begin(&first, hook, 0, third),
                              &all->real));
    LM_TRY(lm_neighbours_find(fake, m, NULL, 0, dim, all->widest,
                              lm_metric_section_begin(&second, hook, third, third),
                              &all->fake));
    LM_TRY(lm_distances_init(&all->pairs, real, n, fake, m, dim));
    lm_status status =
        compare_sets(all, lm_metric_section_begin(&last, hook, 2 * third, third));
    lm_distances_release(&all->pairs);
    return status;
}

lm_status lm_manifold_measure(const float *real, int64_t n, const float *fake, int64_t m,
                              int dim, const lm_manifold_rule *rules, int count,
                              const lm_metric_hook *hook, lm_manifold *results) {
    measurement all = {.results = results, .count = count};
    LM_RETURN_IF(count < 1 || count > MOST_RULES, LM_ARG, "manifold: %d rules, 1 to %d",
                 count, MOST_RULES);
    for (int r = 0; r < count; r++) {
        int64_t smaller = n < m ? n : m;
        LM_RETURN_IF(rules[r].k < 1 || rules[r].k >= smaller, LM_ARG,
                     "manifold: k = %d among %lld vectors", rules[r].k,
                     (long long)smaller);
        if (rules[r].k > all.widest) all.widest = rules[r].k;
    }
    lm_status status = start(&all, rules, n, m);
    if (status == LM_OK) status = measure(&all, real, n, fake, m, dim, hook);
    for (int r = 0; r < count; r++) {
        if (status == LM_OK)
            summarise(&results[r]);
        else
            lm_manifold_release(&results[r]);
    }
    lm_free(all.real_cut);
    lm_free(all.fake_cut);
    lm_neighbours_release(&all.real);
    lm_neighbours_release(&all.fake);
    return status;
}

void lm_manifold_release(lm_manifold *result) {
    lm_free(result->balls);
    lm_free(result->recalled);
    lm_free(result->covered);
    *result = (lm_manifold){0};
}
