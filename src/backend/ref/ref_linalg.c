/* Dense linear algebra: products, and inverses and determinants by LU factors with
 * partial pivoting. */
#include "backend/ref/ref_internal.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Four running sums, so that the additions of one do not wait for each other. */
double lm_ref_dot(const double *a, const double *b, int64_t count) {
    double sum[4] = {0, 0, 0, 0};
    int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int k = 0; k < 4; k++) sum[k] += a[i + k] * b[i + k];
    for (; i < count; i++) sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

lm_status lm_ref_matmul(const lm_node *node, const lm_kernel_args *args) {
    int rank = node->shape.rank;
    bool ta = node->attr.matmul.ta, tb = node->attr.matmul.tb;
    int64_t m = node->shape.dim[rank - 2], n = node->shape.dim[rank - 1];
    int64_t k = node->src[0]->shape.dim[ta ? rank - 2 : rank - 1];
    int64_t batch = lm_shape_count(node->shape) / (m * n);
    int64_t a_row = ta ? 1 : k, a_step = ta ? m : 1;
    int64_t b_row = tb ? 1 : n, b_column = tb ? k : 1;
    const double *a = args->in[0], *b = args->in[1];
    const double *bias = node->n_src > 2 ? args->in[2] : NULL;
    double *out = args->out[0];
    for (int64_t s = 0; s < batch; s++, a += m * k, b += k * n)
        for (int64_t i = 0; i < m; i++, out += n) {
            for (int64_t j = 0; j < n; j++) out[j] = bias ? bias[j] : 0;
            for (int64_t l = 0; l < k; l++) {
                double value = a[i * a_row + l * a_step];
                const double *row = b + l * b_row;
                for (int64_t j = 0; j < n; j++) out[j] += value * row[j * b_column];
            }
        }
    return LM_OK;
}

/* P A = L U of one matrix, L's unit diagonal not stored. */
typedef struct factors {
    int64_t n;
    double *lu;   /* n x n */
    int64_t *row; /* row i of the factors is row[i] of the matrix */
} factors;

size_t lm_ref_lu_bytes(const lm_node *node) {
    lm_shape shape = node->src[0]->shape;
    size_t n = (size_t)shape.dim[shape.rank - 1];
    return n * n * sizeof(double) + n * sizeof(int64_t);
}

static factors factors_in(void *workspace, int64_t n) {
    double *lu = workspace;
    return (factors){n, lu, (int64_t *)(lu + n * n)};
}

static void swap_rows(factors *f, int64_t a, int64_t b) {
    for (int64_t j = 0; j < f->n; j++) {
        double kept = f->lu[a * f->n + j];
        f->lu[a * f->n + j] = f->lu[b * f->n + j];
        f->lu[b * f->n + j] = kept;
    }
    int64_t kept = f->row[a];
    f->row[a] = f->row[b];
    f->row[b] = kept;
}

/* False when a pivot is exactly zero. NaN counts as a pivot and spreads. */
static bool factorise(factors *f, const double *matrix) {
    int64_t n = f->n;
    memcpy(f->lu, matrix, (size_t)(n * n) * sizeof *f->lu);
    for (int64_t i = 0; i < n; i++) f->row[i] = i;
    for (int64_t c = 0; c < n; c++) {
        int64_t best = c;
        for (int64_t i = c + 1; i < n; i++)
            if (lm_ref_beats(fabs(f->lu[i * n + c]), fabs(f->lu[best * n + c]))) best = i;
        if (f->lu[best * n + c] == 0) return false;
        if (best != c) swap_rows(f, best, c);
        const double *pivot = f->lu + c * n;
        for (int64_t i = c + 1; i < n; i++) {
            double *row = f->lu + i * n, factor = row[c] / pivot[c];
            row[c] = factor;
            for (int64_t j = c + 1; j < n; j++) row[j] -= factor * pivot[j];
        }
    }
    return true;
}

/* Column `column` of the inverse: L U x = P e. */
static void solve_unit(const factors *f, int64_t column, double *out) {
    int64_t n = f->n;
    for (int64_t i = 0; i < n; i++) {
        double value = f->row[i] == column;
        for (int64_t j = 0; j < i; j++) value -= f->lu[i * n + j] * out[j * n + column];
        out[i * n + column] = value;
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        double value = out[i * n + column];
        for (int64_t j = i + 1; j < n; j++)
            value -= f->lu[i * n + j] * out[j * n + column];
        out[i * n + column] = value / f->lu[i * n + i];
    }
}

lm_status lm_ref_inv(const lm_node *node, const lm_kernel_args *args) {
    int64_t n = node->shape.dim[node->shape.rank - 1];
    int64_t batch = lm_shape_count(node->shape) / (n * n);
    factors f = factors_in(args->workspace, n);
    for (int64_t s = 0; s < batch; s++) {
        if (!factorise(&f, (const double *)args->in[0] + s * n * n))
            return lm_fail(LM_NUMERIC, "matrix %" PRId64 " is singular", s);
        for (int64_t column = 0; column < n; column++)
            solve_unit(&f, column, (double *)args->out[0] + s * n * n);
    }
    return LM_OK;
}

lm_status lm_ref_logabsdet(const lm_node *node, const lm_kernel_args *args) {
    lm_shape shape = node->src[0]->shape;
    int64_t n = shape.dim[shape.rank - 1], batch = lm_shape_count(shape) / (n * n);
    factors f = factors_in(args->workspace, n);
    double *out = args->out[0];
    for (int64_t s = 0; s < batch; s++) {
        out[s] = -INFINITY;
        if (!factorise(&f, (const double *)args->in[0] + s * n * n)) continue;
        out[s] = 0;
        for (int64_t i = 0; i < n; i++) out[s] += log(fabs(f.lu[i * n + i]));
    }
    return LM_OK;
}
