#include "metrics/moments.h"

#include "base/mem.h"
#include "metrics/matrix.h"

#include <math.h>
#include <string.h>

/* Rows that are centred and multiplied at once: deep enough for a product at full speed.
 */
enum { CHUNK = 1024 };

static lm_status check_dim(int dim) {
    LM_RETURN_IF(dim < 1 || dim > LM_MATRIX_SIDE, LM_ARG,
                 "features of length %d: expected 1 to %d", dim, LM_MATRIX_SIDE);
    return LM_OK;
}

lm_status lm_moments_init(lm_moments *moments, int dim) {
    *moments = (lm_moments){0};
    LM_TRY(check_dim(dim));
    moments->dim = dim;
    moments->mean = lm_calloc(dim, sizeof(double));
    moments->covariance = lm_calloc((size_t)dim * dim, sizeof(double));
    if (moments->mean && moments->covariance) return LM_OK;
    lm_moments_release(moments);
    return LM_NOMEM;
}

void lm_moments_release(lm_moments *moments) {
    lm_free(moments->mean);
    lm_free(moments->covariance);
    *moments = (lm_moments){0};
}

lm_status lm_moments_sum_init(lm_moments_sum *sum, int dim) {
    *sum = (lm_moments_sum){0};
    LM_TRY(check_dim(dim));
    sum->dim = dim;
    sum->mean = lm_calloc(dim, sizeof(double));
    sum->products = lm_calloc((size_t)dim * dim, sizeof(double));
    sum->chunk = lm_matrix_new(CHUNK + 1, dim);
    if (sum->mean && sum->products && sum->chunk) return LM_OK;
    lm_moments_sum_release(sum);
    return LM_NOMEM;
}

void lm_moments_sum_release(lm_moments_sum *sum) {
    lm_free(sum->mean);
    lm_free(sum->products);
    lm_free(sum->chunk);
    *sum = (lm_moments_sum){0};
}

/* Moves the mean for a group of n vectors with its mean `shift` away, and returns the
 * weight with which shift * shift' belongs into the products. */
static double join(lm_moments_sum *sum, const double *shift, int64_t n) {
    double before = (double)sum->count, added = (double)n;
    sum->count += n;
    double total = (double)sum->count;
    for (int j = 0; j < sum->dim; j++) sum->mean[j] += shift[j] * (added / total);
    return before * added / total;
}

/* Takes n rows, about the mean so far, into the chunk, and centres them; the row behind
 * them becomes the shift of their mean. */
static lm_status load(lm_moments_sum *sum, const float *x, const int32_t *rows,
                      int64_t first, int n) {
    const int dim = sum->dim;
    double *shift = sum->chunk + (size_t)n * dim;
    memset(shift, 0, dim * sizeof *shift);
    for (int i = 0; i < n; i++) {
        const float *from = x + (rows ? rows[first + i] : first + i) * (int64_t)dim;
        double *to = sum->chunk + (size_t)i * dim;
        for (int j = 0; j < dim; j++) {
            to[j] = (double)from[j] - sum->mean[j];
            shift[j] += to[j];
        }
    }
    for (int j = 0; j < dim; j++) {
        shift[j] /= n;
        LM_RETURN_IF(!isfinite(shift[j]), LM_NUMERIC,
                     "features %lld to %lld: component %d is not a finite number",
                     (long long)first, (long long)(first + n - 1), j);
    }
#pragma omp parallel for
    for (int i = 0; i < n; i++)
        for (int j = 0; j < dim; j++) sum->chunk[(size_t)i * dim + j] -= shift[j];
    return LM_OK;
}

lm_status lm_moments_sum_add(lm_moments_sum *sum, const float *x, const int32_t *rows,
                             int64_t n, const lm_metric_hook *hook) {
    for (int64_t first = 0; first < n; first += CHUNK) {
        int part = (int)(n - first < CHUNK ? n - first : CHUNK);
        LM_TRY(lm_metric_progress(hook, "moments", (double)first / (double)n));
        LM_TRY(load(sum, x, rows, first, part));
        /* What the shift adds is one row more of the same product. */
        double *shift = sum->chunk + (size_t)part * sum->dim;
        double weight = sqrt(join(sum, shift, part));
        for (int j = 0; j < sum->dim; j++) shift[j] *= weight;
        lm_matrix_add_gram(part + 1, sum->dim, sum->chunk, 1, sum->products);
    }
    return LM_OK;
}

void lm_moments_sum_merge(lm_moments_sum *sum, const lm_moments_sum *other) {
    const int dim = sum->dim;
    if (other->count == 0) return;
    double *shift = sum->chunk;
    for (int j = 0; j < dim; j++) shift[j] = other->mean[j] - sum->mean[j];
    double weight = join(sum, shift, other->count);
#pragma omp parallel for schedule(dynamic, 16)
    for (int i = 0; i < dim; i++)
        for (int j = i; j < dim; j++) {
            size_t at = (size_t)i * dim + j;
            sum->products[at] += other->products[at] + weight * shift[i] * shift[j];
        }
}

lm_status lm_moments_sum_finish(const lm_moments_sum *sum, lm_moments *moments) {
    const int dim = sum->dim;
    *moments = (lm_moments){0};
    LM_RETURN_IF(sum->count < 2, LM_ARG,
                 "a covariance of %lld vectors: expected 2 or more",
                 (long long)sum->count);
    LM_TRY(lm_moments_init(moments, dim));
    moments->count = sum->count;
    memcpy(moments->mean, sum->mean, dim * sizeof(double));
    double share = 1 / (double)(sum->count - 1);
    for (int i = 0; i < dim; i++)
        for (int j = i; j < dim; j++)
            moments->covariance[(size_t)i * dim + j] =
                sum->products[(size_t)i * dim + j] * share;
    lm_matrix_mirror(dim, moments->covariance);
    return LM_OK;
}

lm_status lm_moments_of(const float *x, const int32_t *rows, int64_t n, int dim,
                        const lm_metric_hook *hook, lm_moments *moments) {
    lm_moments_sum sum;
    *moments = (lm_moments){0};
    LM_TRY(lm_moments_sum_init(&sum, dim));
    lm_status status = lm_moments_sum_add(&sum, x, rows, n, hook);
    if (status == LM_OK) status = lm_moments_sum_finish(&sum, moments);
    lm_moments_sum_release(&sum);
    return status;
}

static lm_status check_values(const lm_moments *m, const char *which) {
    for (int i = 0; i < m->dim; i++)
        LM_RETURN_IF(!isfinite(m->mean[i]), LM_NUMERIC,
                     "moments of the %s features: the mean is not finite", which);
    for (int i = 0; i < m->dim; i++) {
        double sum = 0;
        for (int j = 0; j < m->dim; j++)
            sum += fabs(m->covariance[(size_t)i * m->dim + j]);
        LM_RETURN_IF(!isfinite(sum), LM_NUMERIC,
                     "moments of the %s features: the covariance is not finite", which);
    }
    return LM_OK;
}

lm_status lm_moments_check(const lm_moments *a, const lm_moments *b) {
    LM_RETURN_IF(a->dim != b->dim, LM_SHAPE, "features of lengths %d and %d: no distance",
                 a->dim, b->dim);
    LM_TRY(check_values(a, "first"));
    return check_values(b, "second");
}

lm_status lm_moments_factor(const lm_moments *m, double **r, int *rank) {
    int most = m->count > 0 && m->count <= m->dim ? (int)m->count - 1 : m->dim;
    double *copy = lm_matrix_new(m->dim, m->dim);
    if (!copy) return LM_NOMEM;
    memcpy(copy, m->covariance, (size_t)m->dim * m->dim * sizeof *copy);
    lm_status status = lm_matrix_factor(copy, m->dim, most, r, rank);
    lm_free(copy);
    return status;
}
