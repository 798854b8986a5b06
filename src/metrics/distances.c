#include "metrics/distances.h"

#include "base/mem.h"
#include "base/threads.h"

#include <math.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdatomic.h>
#include <string.h>

enum {
    /* Elements of a vector that one product sums up: what bounds its error. */
    PANEL = 2048,
    LARGE_TILE = 512, /* two of them are what a core's L2 cache holds */
    SMALL_TILE = 128, /* where there are few pairs, for the other threads' sake */
    LANES = 8
};

double lm_distance_squared(const float *a, const float *b, int dim) {
    double sums[LANES] = {0};
    int k = 0;
    for (; k + LANES <= dim; k += LANES)
        for (int l = 0; l < LANES; l++) {
            double difference = (double)a[k + l] - (double)b[k + l];
            sums[l] += difference * difference;
        }
    for (int l = 0; k + l < dim; l++) {
        double difference = (double)a[k + l] - (double)b[k + l];
        sums[l] += difference * difference;
    }
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

/* ---- preparation ------------------------------------------------------------- */

/* The mean of both sets, in f32: any point near it will do, since it cancels. */
static void find_centre(const lm_distances *pairs, double *sums, float *centre) {
    const lm_distance_side *sides[] = {&pairs->rows, &pairs->columns};
    int64_t count = 0;
    for (int s = 0; s < (pairs->symmetric ? 1 : 2); s++) {
        for (int64_t i = 0; i < sides[s]->count; i++)
            for (int k = 0; k < pairs->dim; k++)
                sums[k] += (double)sides[s]->x[i * pairs->dim + k];
        count += sides[s]->count;
    }
    for (int k = 0; k < pairs->dim; k++) centre[k] = (float)(sums[k] / (double)count);
}

/* The largest |x - centre|; infinite or NaN where a value is not fit for f32. */
static float find_extent(const lm_distance_side *side, int dim, const float *centre) {
    const float limit = 0x1p120F;
    float most = 0;
    bool fit = true;
#pragma omp parallel for reduction(max : most) reduction(&& : fit)
    for (int64_t i = 0; i < side->count; i++)
        for (int k = 0; k < dim; k++) {
            float value = side->x[i * dim + k];
            fit = fit && fabsf(value) <= limit; /* false for NaN, too */
            most = fmaxf(most, fabsf(value - centre[k]));
        }
    return fit ? most : INFINITY;
}

static void centre_side(const lm_distances *pairs, lm_distance_side *side,
                        const float *centre, float scale) {
    int dim = pairs->dim;
#pragma omp parallel for
    for (int64_t i = 0; i < side->count; i++) {
        const float *from = side->x + i * dim;
        float *to = side->centred + i * dim;
        double norm = 0;
        for (int k = 0; k < dim; k++) {
            to[k] = (from[k] - centre[k]) * scale;
            norm += (double)to[k] * (double)to[k];
        }
        side->norms[i] = norm;
        side->low[i] = (float)(norm * (1 - pairs->slack) - pairs->least / 2);
    }
}

/* Beside the sum of products, 40 u cover, each relative to the sum of both norms:
 * centring (4), the norms and their bounds in f32 (4), sums in f32 when many pairs are
 * tested (8), and the rounding of lm_distance_squared, with much to spare. `least` covers
 * what is lost to subnormal numbers, which may be taken as zero: centred values are at
 * most 1 and wrong by 2^-65, unless all are that small from the start. */
static void bound_errors(lm_distances *pairs) {
    int panels = (pairs->dim + PANEL - 1) / PANEL;
    int terms = pairs->dim < PANEL ? pairs->dim : PANEL;
    pairs->slack = (terms + panels + 40) * 0x1p-24 * 1.01;
    pairs->least = pairs->dim * 0x1p-60;
}

static lm_status take_side(lm_distance_side *side, int dim) {
    size_t count = (size_t)side->count;
    side->centred = lm_alloc_aligned(count * (size_t)dim * sizeof *side->centred);
    side->norms = lm_alloc(count * sizeof *side->norms);
    side->low = lm_alloc(count * sizeof *side->low);
    return side->centred && side->norms && side->low ? LM_OK : LM_NOMEM;
}

static lm_status prepare(lm_distances *pairs, double *sums, float *centre) {
    LM_TRY(take_side(&pairs->rows, pairs->dim));
    if (!pairs->symmetric) LM_TRY(take_side(&pairs->columns, pairs->dim));
    find_centre(pairs, sums, centre);
    float most = find_extent(&pairs->rows, pairs->dim, centre);
    if (!pairs->symmetric)
        most = fmaxf(most, find_extent(&pairs->columns, pairs->dim, centre));
    LM_RETURN_IF(!(most < INFINITY), LM_NUMERIC,
                 "features: a value is not finite or beyond 1e36");
    int exponent;
    frexpf(most, &exponent);
    exponent = exponent < -60 ? -60 : exponent;
    pairs->unit = ldexp(1, 2 * exponent);
    float scale = ldexpf(1, -exponent);
    bound_errors(pairs);
    centre_side(pairs, &pairs->rows, centre, scale);
    if (pairs->symmetric)
        pairs->columns = pairs->rows;
    else
        centre_side(pairs, &pairs->columns, centre, scale);
    return LM_OK;
}

lm_status lm_distances_init(lm_distances *pairs, const float *a, int64_t n,
                            const float *b, int64_t m, int dim) {
    *pairs = (lm_distances){.symmetric = !b, .dim = dim};
    int64_t columns = b ? m : n;
    LM_RETURN_IF(n < 1 || columns < 1 || dim < 1, LM_ARG,
                 "features: %lld and %lld vectors of %d values", (long long)n,
                 (long long)columns, dim);
    LM_RETURN_IF(n > INT32_MAX || columns > INT32_MAX || dim > 1 << 24, LM_ARG,
                 "features: more than 2^31 vectors or 2^24 values in one");
    pairs->rows = (lm_distance_side){.x = a, .count = n};
    if (b) pairs->columns = (lm_distance_side){.x = b, .count = m};
    bool many = n * columns >= (int64_t)8 * LARGE_TILE * LARGE_TILE * lm_threads();
    pairs->tile = many ? LARGE_TILE : SMALL_TILE;
    double *sums = lm_calloc((size_t)dim, sizeof *sums);
    float *centre = lm_alloc((size_t)dim * sizeof *centre);
    lm_status status = sums && centre ? prepare(pairs, sums, centre) : LM_NOMEM;
    lm_free(sums);
    lm_free(centre);
    if (status != LM_OK) lm_distances_release(pairs);
    return status;
}

static void release_side(lm_distance_side *side) {
    lm_free_aligned(side->centred);
    lm_free(side->norms);
    lm_free(side->low);
}

void lm_distances_release(lm_distances *pairs) {
    release_side(&pairs->rows);
    if (!pairs->symmetric) release_side(&pairs->columns);
    *pairs = (lm_distances){0};
}

/* ---- bounds ------------------------------------------------------------------ */

void lm_distances_bounds(const lm_distances *pairs, int64_t row, int64_t column,
                         float product, double *low, double *high) {
    double norms = pairs->rows.norms[row] + pairs->columns.norms[column];
    double error = pairs->slack * norms + pairs->least;
    double middle = norms + (double)product;
    *low = fmax(middle - error, 0) * pairs->unit;
    *high = (middle + error) * pairs->unit;
}

float lm_distances_cut(const lm_distances *pairs, float low, double squared) {
    return nextafterf((float)(squared / pairs->unit - (double)low), INFINITY);
}

/* ---- tiles ------------------------------------------------------------------- */

typedef struct run {
    const lm_distances *pairs;
    lm_distance_visit *visit;
    void *user;
    int64_t row_blocks, column_blocks, tiles;
    float *scratch;             /* of each thread: two tiles */
    omp_lock_t *rows, *columns; /* a lock a block; the same in a set with itself */
    atomic_int failed;          /* lm_status */
    _Atomic int64_t done;
} run;

static int least(int64_t a, int64_t b) {
    return (int)(a < b ? a : b);
}

/* products = -2 A B^T, a panel of the vectors' elements at a time. */
static bool multiply(const lm_distances *pairs, const lm_distance_tile *tile,
                     float *products, float *panel) {
    const float *a = pairs->rows.centred + tile->row * pairs->dim;
    const float *b = pairs->columns.centred + tile->column * pairs->dim;
    int total = tile->rows * tile->columns;
    for (int k = 0; k < pairs->dim; k += PANEL) {
        float *to = k ? panel : products;
        if (dnnl_sgemm('N', 'T', tile->rows, tile->columns, least(PANEL, pairs->dim - k),
                       -2, a + k, pairs->dim, b + k, pairs->dim, 0, to,
                       tile->columns) != dnnl_success)
            return false;
        for (int i = 0; k && i < total; i++) products[i] += panel[i];
    }
    return true;
}

/* Neighbours in time have no block in common: tile t lies on diagonal t / blocks. In a
 * set with itself the first half of the diagonals, which go around, has every pair. */
static bool visit_tile(run *r, int64_t t, float *scratch) {
    const lm_distances *pairs = r->pairs;
    int64_t i = t % r->row_blocks, j = (i + t / r->row_blocks) % r->column_blocks;
    lm_distance_tile tile = {.row = i * pairs->tile, .column = j * pairs->tile};
    tile.rows = least(pairs->tile, pairs->rows.count - tile.row);
    tile.columns = least(pairs->tile, pairs->columns.count - tile.column);
    tile.products = scratch;
    if (!multiply(pairs, &tile, scratch, scratch + pairs->tile * pairs->tile))
        return false;
    omp_lock_t *first = &r->rows[i], *second = &r->columns[j];
    if (pairs->symmetric && j < i) first = &r->columns[j], second = &r->rows[i];
    omp_set_lock(first);
    if (second != first) omp_set_lock(second);
    r->visit(r->user, &tile);
    if (second != first) omp_unset_lock(second);
    omp_unset_lock(first);
    return true;
}

static void visit_tiles(run *r, const lm_metric_hook *hook, const char *what) {
    int size = 2 * r->pairs->tile * r->pairs->tile;
#pragma omp parallel num_threads(lm_threads())
    {
        int thread = omp_get_thread_num();
#pragma omp for schedule(dynamic, 1)
        for (int64_t t = 0; t < r->tiles; t++) {
            if (atomic_load(&r->failed)) continue;
            if (!visit_tile(r, t, r->scratch + (int64_t)thread * size))
                atomic_store(&r->failed, LM_BACKEND);
            int64_t done = atomic_fetch_add(&r->done, 1) + 1;
            /* The first thread is the caller's: who is asked, and keeps the message. */
            if (thread == 0 &&
                lm_metric_progress(hook, what, (double)done / (double)r->tiles))
                atomic_store(&r->failed, LM_INTERRUPTED);
        }
    }
}

lm_status lm_distances_visit(const lm_distances *pairs, lm_distance_visit *visit,
                             void *user, const lm_metric_hook *hook, const char *what) {
    run r = {.pairs = pairs, .visit = visit, .user = user};
    r.row_blocks = (pairs->rows.count + pairs->tile - 1) / pairs->tile;
    r.column_blocks = (pairs->columns.count + pairs->tile - 1) / pairs->tile;
    r.tiles = pairs->symmetric ? r.row_blocks * (r.row_blocks + 1) / 2
                               : r.row_blocks * r.column_blocks;
    int64_t locks = r.row_blocks + (pairs->symmetric ? 0 : r.column_blocks);
    size_t tile = (size_t)pairs->tile * (size_t)pairs->tile * sizeof(float);
    r.scratch = lm_alloc_aligned((size_t)lm_threads() * 2 * tile);
    r.rows = lm_alloc((size_t)locks * sizeof *r.rows);
    lm_status status = r.scratch && r.rows ? LM_OK : LM_NOMEM;
    if (status == LM_OK) {
        r.columns = r.rows + locks - r.column_blocks;
        for (int64_t i = 0; i < locks; i++) omp_init_lock(&r.rows[i]);
        visit_tiles(&r, hook, what);
        for (int64_t i = 0; i < locks; i++) omp_destroy_lock(&r.rows[i]);
        status = (lm_status)atomic_load(&r.failed);
        if (status == LM_BACKEND) lm_fail(status, "%s: oneDNN's sgemm failed", what);
    }
    lm_free_aligned(r.scratch);
    lm_free(r.rows);
    return status;
}
