/* Inverses and log-determinants of batches of small matrices, by LU decomposition with
 * partial pivoting in f64 (Golub and Van Loan, Matrix Computations, section 3.4). A
 * singular matrix gives infinities and NaN, not a failure: it is data. */
#include "backend/cpu/cpu_internal.h"

#include <math.h>

typedef struct lu_state {
    int64_t batch, n;
    size_t scratch; /* doubles of one matrix */
} lu_state;

static void swap_rows(double *a, int64_t n, int64_t i, int64_t k) {
    for (int64_t c = 0; c < n && i != k; c++) {
        double moved = a[i * n + c];
        a[i * n + c] = a[k * n + c];
        a[k * n + c] = moved;
    }
}

/* a becomes L (below the diagonal, ones on it) and U; the same row exchanges are made on
 * `follow` (n x n, may be NULL). */
static void factorise(double *a, int64_t n, double *follow) {
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        swap_rows(a, n, k, pivot);
        if (follow) swap_rows(follow, n, k, pivot);
        double scale = 1 / a[k * n + k];
        for (int64_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] *= scale;
            if (factor == 0) continue;
            for (int64_t c = k + 1; c < n; c++) a[i * n + c] -= factor * a[k * n + c];
        }
    }
}

/* b = U^-1 L^-1 b, all columns at once. */
static void substitute(const double *lu, int64_t n, double *b) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < i; k++)
            for (int64_t c = 0; c < n; c++) b[i * n + c] -= lu[i * n + k] * b[k * n + c];
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++)
            for (int64_t c = 0; c < n; c++) b[i * n + c] -= lu[i * n + k] * b[k * n + c];
        for (int64_t c = 0; c < n; c++) b[i * n + c] /= lu[i * n + i];
    }
}

static void load_matrix(double *a, const float *x, int64_t n) {
    for (int64_t i = 0; i < n * n; i++) a[i] = x[i];
}

static lm_status run_inv(lm_kernel *kernel, const lm_kernel_args *args) {
    const lu_state *s = kernel->state;
    int64_t n = s->n, size = n * n;
#pragma omp parallel for schedule(static) if (kernel->flops > LM_CPU_GRAIN)
    for (int64_t m = 0; m < s->batch; m++) {
        double *a = (double *)args->workspace + (size_t)m * s->scratch, *b = a + size;
        float *y = (float *)args->out[0] + m * size;
        load_matrix(a, (const float *)args->in[0] + m * size, n);
        for (int64_t i = 0; i < size; i++) b[i] = i % (n + 1) == 0;
        factorise(a, n, b);
        substitute(a, n, b);
        for (int64_t i = 0; i < size; i++) y[i] = (float)b[i];
    }
    return LM_OK;
}

static lm_status run_logabsdet(lm_kernel *kernel, const lm_kernel_args *args) {
    const lu_state *s = kernel->state;
    int64_t n = s->n;
#pragma omp parallel for schedule(static) if (kernel->flops > LM_CPU_GRAIN)
    for (int64_t m = 0; m < s->batch; m++) {
        double *a = (double *)args->workspace + (size_t)m * s->scratch, total = 0;
        load_matrix(a, (const float *)args->in[0] + m * n * n, n);
        factorise(a, n, NULL);
        for (int64_t i = 0; i < n; i++) total += log(fabs(a[i * (n + 1)]));
        ((float *)args->out[0])[m] = (float)total;
    }
    return LM_OK;
}

static lm_status lower_lu(const lm_step *step, lm_kernel *kernel, lm_cpu_run run,
                          int matrices, double flops_per_cube) {
    const lm_node *node = step->nodes[0];
    lm_shape shape = node->src[0]->shape;
    lu_state *s =
        lm_cpu_kernel_init(kernel, step, lm_kind_get(node->kind)->text, run, sizeof *s);
    if (!s) return LM_NOMEM;
    s->n = shape.dim[shape.rank - 1];
    s->batch = lm_shape_count(shape) / (s->n * s->n);
    s->scratch = (size_t)(s->n * s->n) * (size_t)matrices;
    kernel->workspace = (size_t)s->batch * s->scratch * sizeof(double);
    kernel->flops = flops_per_cube * (double)lm_shape_count(shape) * (double)s->n;
    return LM_OK;
}

lm_status lm_cpu_lower_inv(lm_backend *backend, const lm_step *step, lm_kernel *kernel) {
    return lower_lu(step, kernel, run_inv, 2, 8.0 / 3);
}

lm_status lm_cpu_lower_logabsdet(lm_backend *backend, const lm_step *step,
                                 lm_kernel *kernel) {
    return lower_lu(step, kernel, run_logabsdet, 1, 2.0 / 3);
}
