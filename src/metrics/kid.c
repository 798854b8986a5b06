#include "metrics/kid.h"

#include "base/mem.h"
#include "metrics/matrix.h"

#include <math.h>
#include <string.h>

/* Rows of a tile: a product of two is large enough for full speed, and stays in the
 * cache for the cubes. */
enum { TILE = 512 };

typedef struct tiles {
    int dim;
    double *left, *right; /* [TILE][dim] */
    double *block;        /* [TILE][TILE] */
} tiles;

static lm_status init_tiles(int dim, tiles *t) {
    *t = (tiles){dim, lm_matrix_new(TILE, dim), lm_matrix_new(TILE, dim),
                 lm_matrix_new(TILE, TILE)};
    return t->left && t->right && t->block ? LM_OK : LM_NOMEM;
}

static void release_tiles(tiles *t) {
    lm_free(t->left);
    lm_free(t->right);
    lm_free(t->block);
}

static int tile_rows(const lm_kid_set *s, int64_t first) {
    return (int)(s->n - first < TILE ? s->n - first : TILE);
}

static void load_tile(const lm_kid_set *s, int64_t first, int dim, double *to) {
    int n = tile_rows(s, first);
#pragma omp parallel for
    for (int i = 0; i < n; i++) {
        const float *from =
            s->x + (s->rows ? s->rows[first + i] : first + i) * (int64_t)dim;
        for (int j = 0; j < dim; j++) to[(size_t)i * dim + j] = from[j];
    }
}

/* ---- sums over pairs --------------------------------------------------------- */

/* From products to kernel values, whose sums over rows of the block go to `by_row`, over
 * columns to `by_column`. `diagonal`: pairs of an image with itself are left out. */
static void sum_block(const tiles *t, int rows, int columns, bool diagonal,
                      double *by_row, double *by_column) {
    double *block = t->block;
    const double share = 1.0 / t->dim;
#pragma omp parallel
    {
#pragma omp for
        for (int i = 0; i < rows; i++) {
            double *k = block + (size_t)i * columns, sum = 0;
            for (int j = 0; j < columns; j++) {
                double v = k[j] * share + 1;
                k[j] = v * v * v;
            }
            if (diagonal) k[i] = 0;
            for (int j = 0; j < columns; j++) sum += k[j];
            by_row[i] += sum;
        }
        /* A fixed order of the sum for any number of threads. */
#pragma omp for
        for (int strip = 0; strip < (columns + 63) / 64; strip++)
            for (int i = 0; i < rows && by_column; i++)
                for (int j = 64 * strip; j < columns && j < 64 * (strip + 1); j++)
                    by_column[j] += block[(size_t)i * columns + j];
    }
}

/* How much of the work is done, in pairs. */
typedef struct course {
    const lm_metric_hook *hook;
    double done, total;
} course;

/* Adds to by_a[i] the kernel's values of image i of `a` with all of `b`, to by_b[j] those
 * of image j of `b` with all of `a`. a == b: each pair counts for both its images, no
 * image for itself, and by_b is by_a. */
static lm_status sum_pairs(const tiles *t, const lm_kid_set *a, const lm_kid_set *b,
                           double *by_a, double *by_b, course *c) {
    for (int64_t i = 0; i < a->n; i += TILE) {
        int rows = tile_rows(a, i);
        load_tile(a, i, t->dim, t->left);
        for (int64_t j = a == b ? i : 0; j < b->n; j += TILE) {
            int columns = tile_rows(b, j);
            bool diagonal = a == b && i == j;
            LM_TRY(lm_metric_progress(c->hook, "KID", c->done / c->total));
            if (!diagonal) load_tile(b, j, t->dim, t->right);
            lm_matrix_multiply(LM_PLAIN, LM_TRANSPOSED, rows, columns, t->dim, 1, t->left,
                               diagonal ? t->left : t->right, 0, t->block);
            sum_block(t, rows, columns, diagonal, by_a + i, diagonal ? NULL : by_b + j);
            c->done += (double)rows * columns;
        }
    }
    return LM_OK;
}

/* ---- the estimate ------------------------------------------------------------ */

/* One set's part in the estimate, and of each image: with the others of its set, and with
 * those of the other set. */
typedef struct part {
    int64_t n;
    const double *within, *across; /* [n] */
    double within_sum, across_sum;
} part;

static part sum_part(int64_t n, const double *within, const double *across) {
    part p = {n, within, across, 0, 0};
    for (int64_t i = 0; i < n; i++) {
        p.within_sum += within[i];
        p.across_sum += across[i];
    }
    return p;
}

static double within_mean(const part *p) {
    return p->within_sum / ((double)p->n * (double)(p->n - 1));
}

/* The jackknife's variance for leaving out one image of `p`: of U without image i, which
 * differs from U without another one by these two terms alone. */
static double variance_of(const part *p, int64_t n_other) {
    double n = (double)p->n, m = (double)n_other, sum = 0, squares = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < p->n; i++) {
            double without = (p->within_sum - 2 * p->within[i]) / ((n - 1) * (n - 2)) -
                             2 * (p->across_sum - p->across[i]) / ((n - 1) * m);
            if (pass == 0)
                sum += without;
            else
                squares += (without - sum / n) * (without - sum / n);
        }
    return squares * (n - 1) / n;
}

static lm_estimate estimate(const part *a, const part *b) {
    double pairs = (double)a->n * (double)b->n;
    return (lm_estimate){
        within_mean(a) + within_mean(b) - 2 * a->across_sum / pairs,
        sqrt(variance_of(a, b->n) + variance_of(b, a->n)),
    };
}

static lm_status check(const lm_kid_set *a, const lm_kid_set *b, int dim) {
    LM_RETURN_IF(dim < 1 || dim > LM_MATRIX_SIDE, LM_ARG,
                 "features of length %d: expected 1 to %d", dim, LM_MATRIX_SIDE);
    LM_RETURN_IF(a->n < 3 || b->n < 3, LM_ARG,
                 "KID of %lld and %lld images: expected 3 or more", (long long)a->n,
                 (long long)b->n);
    return LM_OK;
}

static lm_status measure(const tiles *t, const lm_kid_set *a, const lm_kid_set *b,
                         course *c, lm_estimate *kid) {
    double *sums = lm_calloc(2 * (a->n + b->n), sizeof *sums);
    if (!sums) return LM_NOMEM;
    double *aa = sums, *ab = aa + a->n, *bb = ab + a->n, *ba = bb + b->n;
    lm_status status = sum_pairs(t, a, a, aa, aa, c);
    if (status == LM_OK) status = sum_pairs(t, b, b, bb, bb, c);
    if (status == LM_OK) status = sum_pairs(t, a, b, ab, ba, c);
    if (status == LM_OK) {
        part pa = sum_part(a->n, aa, ab), pb = sum_part(b->n, bb, ba);
        *kid = estimate(&pa, &pb);
        if (!isfinite(kid->value))
            status = lm_fail(LM_NUMERIC, "KID: the features are not finite numbers");
    }
    lm_free(sums);
    return status;
}

/* Pairs that measure() goes through: within a set the tiles from the diagonal on. */
static double pairs_of(int64_t n, int64_t m) {
    double pairs = (double)n * (double)m;
    for (int64_t i = 0; i < n; i += TILE)
        pairs += (double)((n - i < TILE ? n - i : TILE) * (n - i));
    for (int64_t i = 0; i < m; i += TILE)
        pairs += (double)((m - i < TILE ? m - i : TILE) * (m - i));
    return pairs;
}

lm_status lm_kid(const lm_kid_set *a, const lm_kid_set *b, int dim,
                 const lm_metric_hook *hook, lm_estimate *kid) {
    tiles t;
    LM_TRY(check(a, b, dim));
    course c = {hook, 0, pairs_of(a->n, b->n)};
    lm_status status = init_tiles(dim, &t);
    if (status == LM_OK) status = measure(&t, a, b, &c, kid);
    release_tiles(&t);
    return status;
}

/* ---- subsets ----------------------------------------------------------------- */

static lm_status check_subsets(const lm_kid_set *a, const lm_kid_set *b, int subsets,
                               int64_t size) {
    LM_RETURN_IF(subsets < 1, LM_ARG, "%d subsets: expected 1 or more", subsets);
    LM_RETURN_IF(a->rows || b->rows, LM_ARG, "subsets of rows that are chosen already");
    LM_RETURN_IF(
        size < 3 || size > a->n || size > b->n, LM_ARG,
        "subsets of %lld images of %lld and %lld: expected 3 to the smaller number",
        (long long)size, (long long)a->n, (long long)b->n);
    return LM_OK;
}

static lm_status measure_subset(const tiles *t, const lm_kid_set *a, const lm_kid_set *b,
                                int64_t size, uint64_t seed, uint32_t index,
                                int32_t *rows, course *c, double *value) {
    lm_kid_set part_a = {a->x, rows, size}, part_b = {b->x, rows + size, size};
    lm_estimate kid;
    LM_TRY(lm_resample_subset(seed, 2 * index, a->n, size, rows));
    LM_TRY(lm_resample_subset(seed, 2 * index + 1, b->n, size, rows + size));
    LM_TRY(measure(t, &part_a, &part_b, c, &kid));
    *value = kid.value;
    return LM_OK;
}

lm_status lm_kid_subsets(const lm_kid_set *a, const lm_kid_set *b, int dim, int subsets,
                         int64_t size, uint64_t seed, const lm_metric_hook *hook,
                         lm_spread *kid) {
    tiles t;
    LM_TRY(check(a, b, dim));
    LM_TRY(check_subsets(a, b, subsets, size));
    course c = {hook, 0, subsets * pairs_of(size, size)};
    double *values = lm_alloc(subsets * sizeof *values);
    int32_t *rows = lm_alloc(2 * size * sizeof *rows);
    lm_status status = init_tiles(dim, &t);
    if (!values || !rows) status = LM_NOMEM;
    for (int i = 0; i < subsets && status == LM_OK; i++)
        status = measure_subset(&t, a, b, size, seed, (uint32_t)i, rows, &c, &values[i]);
    if (status == LM_OK) *kid = lm_spread_of(values, subsets);
    release_tiles(&t);
    lm_free(values);
    lm_free(rows);
    return status;
}
