/* Each vector keeps the candidates that its bounds cannot rule out. When there are too
 * many, those go that lie beyond the m-th smallest upper bound; when that makes no room,
 * the distances in question are computed in f64. */
#include "metrics/neighbours.h"

#include "base/mem.h"
#include "metrics/distances.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 64 }; /* pairs that are tested at once */

typedef struct candidate {
    double low, high; /* of its squared distance; equal: that is it */
    int32_t index;
} candidate;

typedef struct search {
    lm_distances pairs;
    int m, room;     /* candidates that a vector can keep */
    candidate *kept; /* [rows][room] */
    int *count;      /* [rows] */
    double *limit;   /* [rows]: beyond this nothing is among the m nearest */
    float *cut;      /* [rows]: the same, as lm_distances_cut has it */
} search;

static int by_high(const void *a, const void *b) {
    const candidate *x = a, *y = b;
    if (x->high != y->high) return x->high < y->high ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static void set_limit(search *s, int64_t row, double limit) {
    s->limit[row] = limit;
    s->cut[row] = lm_distances_cut(&s->pairs, s->pairs.rows.low[row], limit);
}

/* Leaves the m nearest, sorted, with their distances. */
static void settle(search *s, int64_t row) {
    const lm_distances *pairs = &s->pairs;
    candidate *kept = s->kept + row * s->room;
    for (int c = 0; c < s->count[row]; c++)
        if (kept[c].low != kept[c].high)
            kept[c].low = kept[c].high = lm_distance_squared(
                pairs->rows.x + row * pairs->dim,
                pairs->columns.x + (int64_t)kept[c].index * pairs->dim, pairs->dim);
    qsort(kept, (size_t)s->count[row], sizeof *kept, by_high);
    s->count[row] = s->m;
    set_limit(s, row, kept[s->m - 1].high);
}

static void make_room(search *s, int64_t row) {
    candidate *kept = s->kept + row * s->room;
    qsort(kept, (size_t)s->count[row], sizeof *kept, by_high);
    double limit = kept[s->m - 1].high;
    int left = 0;
    for (int c = 0; c < s->count[row]; c++)
        if (kept[c].low <= limit) kept[left++] = kept[c];
    s->count[row] = left;
    set_limit(s, row, limit);
    if (left > (s->m + s->room) / 2) settle(s, row);
}

/* A pair that the cut let through. low and high: of its squared distance. */
static void offer(search *s, int64_t row, int64_t index, double low, double high) {
    if (low > s->limit[row]) return;
    candidate *kept = s->kept + row * s->room;
    /* Among equal vectors only those with smaller indices can still come in. */
    if (s->limit[row] == 0 && index > kept[s->m - 1].index) return;
    kept[s->count[row]++] = (candidate){low, high, (int32_t)index};
    if (s->count[row] == s->room) make_room(s, row);
}

static void offer_pair(search *s, int64_t row, int64_t column, float product) {
    double low, high;
    lm_distances_bounds(&s->pairs, row, column, product, &low, &high);
    offer(s, row, column, low, high);
    if (s->pairs.symmetric) offer(s, column, row, low, high);
}

static bool any_near(const float *products, const float *low, float cut, int count) {
    int near = 0;
    for (int j = 0; j < count; j++) near |= products[j] + low[j] <= cut;
    return near;
}

/* The other way round: what `low` belongs to is one, and each column has its own cut. */
static bool near_any(const float *products, float low, const float *cut, int count) {
    int near = 0;
    for (int j = 0; j < count; j++) near |= products[j] + low <= cut[j];
    return near;
}

static void look_at_tile(void *user, const lm_distance_tile *tile) {
    search *s = user;
    const lm_distances *pairs = &s->pairs;
    bool diagonal = pairs->symmetric && tile->row == tile->column;
    for (int i = 0; i < tile->rows; i++) {
        int64_t row = tile->row + i;
        const float *products = tile->products + (int64_t)i * tile->columns;
        for (int j = diagonal ? i + 1 : 0; j < tile->columns; j += CHUNK) {
            int count = tile->columns - j < CHUNK ? tile->columns - j : CHUNK;
            int64_t column = tile->column + j;
            if (any_near(products + j, pairs->columns.low + column, s->cut[row], count) ||
                (pairs->symmetric &&
                 near_any(products + j, pairs->rows.low[row], s->cut + column, count)))
                for (int c = 0; c < count; c++)
                    offer_pair(s, row, column + c, products[j + c]);
        }
    }
}

static lm_status start(search *s) {
    size_t rows = (size_t)s->pairs.rows.count;
    s->room = 2 * s->m + 16;
    s->kept = lm_calloc(rows, (size_t)s->room * sizeof *s->kept);
    s->count = lm_calloc(rows, sizeof *s->count);
    s->limit = lm_alloc(rows * sizeof *s->limit);
    s->cut = lm_alloc(rows * sizeof *s->cut);
    if (!s->kept || !s->count || !s->limit || !s->cut) return LM_NOMEM;
    for (int64_t row = 0; row < s->pairs.rows.count; row++) set_limit(s, row, INFINITY);
    return LM_OK;
}

static lm_status finish(search *s, lm_neighbours *found) {
    size_t total = (size_t)s->pairs.rows.count * (size_t)s->m;
    *found = (lm_neighbours){.count = s->pairs.rows.count, .m = s->m};
    found->index = lm_alloc(total * sizeof *found->index);
    found->squared = lm_alloc(total * sizeof *found->squared);
    if (!found->index || !found->squared) {
        lm_neighbours_release(found);
        return LM_NOMEM;
    }
#pragma omp parallel for schedule(dynamic, 64)
    for (int64_t row = 0; row < s->pairs.rows.count; row++) {
        settle(s, row);
        for (int i = 0; i < s->m; i++) {
            found->index[row * s->m + i] = s->kept[row * s->room + i].index;
            found->squared[row * s->m + i] = s->kept[row * s->room + i].high;
        }
    }
    return LM_OK;
}

lm_status lm_neighbours_find(const float *a, int64_t n, const float *b, int64_t count,
                             int dim, int m, const lm_metric_hook *hook,
                             lm_neighbours *found) {
    *found = (lm_neighbours){0};
    int64_t others = b ? count : n - 1;
    LM_RETURN_IF(m < 1 || m > others, LM_ARG, "neighbours: %d asked for, there are %lld",
                 m, (long long)others);
    search s = {.m = m};
    LM_TRY(lm_distances_init(&s.pairs, a, n, b, count, dim));
    lm_status status = start(&s);
    if (status == LM_OK)
        status = lm_distances_visit(&s.pairs, look_at_tile, &s, hook, "neighbours");
    if (status == LM_OK) status = finish(&s, found);
    lm_free(s.kept);
    lm_free(s.count);
    lm_free(s.limit);
    lm_free(s.cut);
    lm_distances_release(&s.pairs);
    return status;
}

void lm_neighbours_release(lm_neighbours *found) {
    lm_free(found->index);
    lm_free(found->squared);
    *found = (lm_neighbours){0};
}
