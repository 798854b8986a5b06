#include "metrics/fid.h"

#include "base/mem.h"
#include "metrics/matrix.h"

#include <math.h>

typedef struct factor {
    double *r; /* [rank][dim], owned */
    int rank;
} factor;

/* tr((C1 C2)^(1/2)) from a factor of the one and the other. */
static lm_status root_trace(const factor *f, const lm_moments *other, double *trace) {
    const int n = f->rank, dim = other->dim;
    *trace = 0;
    if (n == 0) return LM_OK;
    double *half = lm_matrix_new(n, dim), *product = lm_matrix_new(n, n);
    double *values = lm_matrix_new(n, 1);
    lm_status status = half && product && values ? LM_OK : LM_NOMEM;
    if (status == LM_OK) {
        lm_matrix_multiply(LM_PLAIN, LM_PLAIN, n, dim, dim, 1, f->r, other->covariance, 0,
                           half);
        lm_matrix_multiply(LM_PLAIN, LM_TRANSPOSED, n, n, dim, 1, half, f->r, 0, product);
        status = lm_matrix_eigen(product, n, false, values);
    }
    for (int i = 0; status == LM_OK && i < n; i++) *trace += sqrt(fmax(values[i], 0));
    lm_free(half);
    lm_free(product);
    lm_free(values);
    return status;
}

/* Chooses the side whose factor has fewer rows: beyond the smaller rank all eigenvalues
 * are zero, and the root of a zero's rounding would be far from zero. */
static lm_status covariance_part(const lm_moments *a, const lm_moments *b,
                                 const lm_metric_hook *hook, double *trace) {
    factor fa = {0}, fb = {0};
    lm_status status = lm_moments_factor(a, &fa.r, &fa.rank);
    if (status == LM_OK) status = lm_metric_progress(hook, "FID", 0.1);
    if (status == LM_OK) status = lm_moments_factor(b, &fb.r, &fb.rank);
    if (status == LM_OK) status = lm_metric_progress(hook, "FID", 0.2);
    if (status == LM_OK)
        status =
            fa.rank <= fb.rank ? root_trace(&fa, b, trace) : root_trace(&fb, a, trace);
    lm_free(fa.r);
    lm_free(fb.r);
    return status;
}

lm_status lm_fid(const lm_moments *a, const lm_moments *b, const lm_metric_hook *hook,
                 double *fid) {
    LM_TRY(lm_moments_check(a, b));
    double distance = 0, trace;
    LM_TRY(covariance_part(a, b, hook, &trace));
    for (int i = 0; i < a->dim; i++) {
        double step = a->mean[i] - b->mean[i];
        size_t diagonal = (size_t)i * a->dim + i;
        distance += step * step + a->covariance[diagonal] + b->covariance[diagonal];
    }
    *fid = fmax(distance - 2 * trace, 0);
    return lm_metric_progress(hook, "FID", 1);
}
