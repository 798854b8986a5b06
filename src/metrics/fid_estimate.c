#include "base/mem.h"
#include "metrics/fid.h"
#include "metrics/matrix.h"

#include <float.h>
#include <math.h>

enum { CHUNK = 1024 };

/* Of R C2 R' with C1 = R'R: what remains of it. */
typedef struct transport {
    int dim, rank;
    double *q; /* [rank][dim], owned: T = q'q */
    double root_trace;
} transport;

/* Scales the rows of v[n][n] that belong to eigenvalues beyond rounding by their power of
 * -1/4, moves them to the front and returns their number. At most `most` are not zero. */
static int keep_vectors(double *v, const double *values, int n, int most,
                        double *root_trace) {
    double noise = n * DBL_EPSILON * fmax(values[n - 1], 0);
    int kept = 0;
    for (int i = n > most ? n - most : 0; i < n; i++) {
        if (!(values[i] > noise)) continue;
        *root_trace += sqrt(values[i]);
        double scale = 1 / sqrt(sqrt(values[i]));
        double *to = v + (size_t)n * kept++;
        for (int j = 0; j < n; j++) to[j] = v[(size_t)n * i + j] * scale;
    }
    return kept;
}

static lm_status make_transport(const lm_moments *from, const lm_moments *to,
                                const lm_metric_hook *hook, transport *t) {
    double *r = NULL, *half = NULL, *vectors = NULL, *values = NULL;
    int n = 0, dim = from->dim;
    *t = (transport){.dim = dim};
    lm_status status = lm_moments_factor(from, &r, &n);
    if (status != LM_OK || n == 0) goto done;
    status = LM_NOMEM;
    half = lm_matrix_new(n, dim);
    vectors = lm_matrix_new(n, n);
    values = lm_matrix_new(n, 1);
    if (!half || !vectors || !values) goto done;
    lm_matrix_multiply(LM_PLAIN, LM_PLAIN, n, dim, dim, 1, r, to->covariance, 0, half);
    lm_matrix_multiply(LM_PLAIN, LM_TRANSPOSED, n, n, dim, 1, half, r, 0, vectors);
    LM_TRY_GOTO(done, lm_metric_progress(hook, "the error of FID", 0.2));
    LM_TRY_GOTO(done, lm_matrix_eigen(vectors, n, true, values));
    LM_TRY_GOTO(done, lm_metric_progress(hook, "the error of FID", 0.7));
    int most = to->count > 0 && to->count <= n ? (int)to->count - 1 : n;
    t->rank = keep_vectors(vectors, values, n, most, &t->root_trace);
    lm_matrix_multiply(LM_PLAIN, LM_PLAIN, t->rank, dim, n, 1, vectors, r, 0, half);
    t->q = half;
    half = NULL;
done:
    lm_free(r);
    lm_free(half);
    lm_free(vectors);
    lm_free(values);
    return status;
}

/* What each of n images in z[n][dim], less their mean, adds to FID; p has room for
 * [n][rank]. */
static void weigh(const transport *t, const double *step, const double *z, int n,
                  double *p, double *added) {
    lm_matrix_multiply(LM_PLAIN, LM_TRANSPOSED, n, t->rank, t->dim, 1, z, t->q, 0, p);
#pragma omp parallel for
    for (int i = 0; i < n; i++) {
        const double *zi = z + (size_t)i * t->dim, *pi = p + (size_t)i * t->rank;
        double sum = 0;
        for (int j = 0; j < t->dim; j++) sum += zi[j] * (2 * step[j] + zi[j]);
        for (int j = 0; j < t->rank; j++) sum -= pi[j] * pi[j];
        added[i] = sum;
    }
}

static lm_status weigh_all(const transport *t, const lm_moments *m, const double *step,
                           const float *x, const lm_metric_hook *hook, double *added) {
    const int dim = m->dim;
    double *z = lm_matrix_new(CHUNK, dim), *p = lm_matrix_new(CHUNK, t->rank);
    lm_status status = z && p ? LM_OK : LM_NOMEM;
    for (int64_t first = 0; first < m->count && status == LM_OK; first += CHUNK) {
        int n = (int)(m->count - first < CHUNK ? m->count - first : CHUNK);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < dim; j++)
                z[(size_t)i * dim + j] = x[(first + i) * dim + j] - m->mean[j];
        weigh(t, step, z, n, p, added + first);
        double share = 0.7 + 0.3 * (double)first / (double)m->count;
        status = lm_metric_progress(hook, "the error of FID", share);
    }
    lm_free(z);
    lm_free(p);
    return status;
}

static double distance_of(const lm_moments *a, const lm_moments *b, double root_trace,
                          double *step) {
    double sum = 0;
    for (int i = 0; i < a->dim; i++) {
        size_t diagonal = (size_t)i * a->dim + i;
        step[i] = b->mean[i] - a->mean[i];
        sum += step[i] * step[i] + a->covariance[diagonal] + b->covariance[diagonal];
    }
    return fmax(sum - 2 * root_trace, 0);
}

lm_status lm_fid_estimate(const lm_moments *reference, const lm_moments *generated,
                          const float *x, const lm_metric_hook *hook, lm_estimate *fid) {
    LM_TRY(lm_moments_check(reference, generated));
    LM_RETURN_IF(generated->count < 2, LM_ARG,
                 "the error of FID: the number of features is not known");
    transport t;
    double *step = lm_matrix_new(generated->dim, 1);
    double *added = lm_alloc((size_t)generated->count * sizeof *added);
    lm_status status = make_transport(reference, generated, hook, &t);
    if (status == LM_OK && (!step || !added)) status = LM_NOMEM;
    if (status == LM_OK) {
        fid->value = distance_of(reference, generated, t.root_trace, step);
        status = weigh_all(&t, generated, step, x, hook, added);
    }
    if (status == LM_OK) fid->error = lm_estimate_mean(added, generated->count).error;
    lm_free(t.q);
    lm_free(step);
    lm_free(added);
    return status;
}
