#include "metrics/gaussian_mixture.h"

#include "base/mem.h"
#include "metrics/kmeans.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define LOG_2PI 1.83787706640934548356

enum { START_ROUNDS = 50 }; /* of k-means */

/* ---- mixtures ---------------------------------------------------------------- */

size_t lm_gaussian_mixture_factor(const lm_gaussian_mixture *m) {
    size_t dim = (size_t)m->dim;
    return m->covariance == LM_COVARIANCE_FULL ? dim * dim : dim;
}

lm_status lm_gaussian_mixture_init(int components, int dim, lm_covariance covariance,
                                   lm_gaussian_mixture *m) {
    *m = (lm_gaussian_mixture){
        .components = components, .dim = dim, .covariance = covariance};
    LM_RETURN_IF(components < 1 || dim < 1 || dim > LM_MIXTURE_DIM, LM_ARG,
                 "mixture: %d components of %d values; expected up to %d values",
                 components, dim, LM_MIXTURE_DIM);
    size_t count = (size_t)components;
    m->weights = lm_calloc(count, sizeof *m->weights);
    m->means = lm_calloc(count * (size_t)dim, sizeof *m->means);
    m->factors = lm_calloc(count * lm_gaussian_mixture_factor(m), sizeof *m->factors);
    if (m->weights && m->means && m->factors) return LM_OK;
    lm_gaussian_mixture_release(m);
    return LM_NOMEM;
}

void lm_gaussian_mixture_release(lm_gaussian_mixture *m) {
    lm_free(m->weights);
    lm_free(m->means);
    lm_free(m->factors);
    *m = (lm_gaussian_mixture){0};
}

lm_gaussian_mixture_spec lm_gaussian_mixture_default(void) {
    return (lm_gaussian_mixture_spec){.rounds = 200, .tolerance = 1e-4, .least = 1e-6};
}

static double *factor_of(const lm_gaussian_mixture *m, int component) {
    return m->factors + (size_t)component * lm_gaussian_mixture_factor(m);
}

/* ---- expectation ------------------------------------------------------------- */

/* log N(x; mean, L L'): with L y = x - mean its exponent is -|y|^2 / 2. */
static double log_normal(const lm_gaussian_mixture *m, int component, const float *x) {
    const double *mean = m->means + (size_t)component * m->dim;
    const double *l = factor_of(m, component);
    double y[LM_MIXTURE_DIM], squares = 0, log_det = 0;
    for (int i = 0; i < m->dim; i++) {
        bool full = m->covariance == LM_COVARIANCE_FULL;
        const double *row = full ? l + (size_t)i * m->dim : l;
        double rest = (double)x[i] - mean[i];
        for (int j = 0; full && j < i; j++) rest -= row[j] * y[j];
        y[i] = rest / row[i];
        squares += y[i] * y[i];
        log_det += log(row[i]);
    }
    return -0.5 * (squares + m->dim * LOG_2PI) - log_det;
}

/* The components' shares in a vector; returns its log-likelihood. */
static double share_vector(const lm_gaussian_mixture *m, const float *x, double *share) {
    double most = -INFINITY, sum = 0;
    for (int c = 0; c < m->components; c++) {
        share[c] = log(m->weights[c]) + log_normal(m, c, x);
        most = fmax(most, share[c]);
    }
    for (int c = 0; c < m->components; c++) sum += exp(share[c] - most);
    for (int c = 0; c < m->components; c++) share[c] = exp(share[c] - most) / sum;
    return most + log(sum);
}

/* shares [n][components], log_probs [n]; returns the mean of these. */
static double share_out(const lm_gaussian_mixture *m, const float *x, int64_t n,
                        double *shares, double *log_probs) {
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++)
        log_probs[i] = share_vector(m, x + i * m->dim, shares + i * m->components);
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += log_probs[i];
    return sum / (double)n;
}

/* ---- maximisation ------------------------------------------------------------ */

/* a[dim][dim] to its Cholesky factor, of which the upper triangle is zero. False: it is
 * not positive definite. */
static bool factorise(double *a, int dim) {
    for (int i = 0; i < dim; i++) {
        double *row = a + (size_t)i * dim;
        for (int j = 0; j <= i; j++) {
            const double *other = a + (size_t)j * dim;
            double rest = row[j];
            for (int k = 0; k < j; k++) rest -= row[k] * other[k];
            if (i == j && !(rest > 0)) return false;
            row[j] = i == j ? sqrt(rest) : rest / other[j];
        }
        for (int j = i + 1; j < dim; j++) row[j] = 0;
    }
    return true;
}

static void find_mean(const float *x, int64_t n, const double *shares, int stride,
                      double weight, int dim, double *mean) {
    memset(mean, 0, (size_t)dim * sizeof *mean);
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < dim; k++)
            mean[k] += shares[i * stride] * (double)x[i * dim + k];
    for (int k = 0; k < dim; k++) mean[k] /= weight;
}

/* The lower triangle of the covariance, or its diagonal. */
static void add_spread(const lm_gaussian_mixture *m, const double *apart, double share,
                       double *covariance) {
    for (int i = 0; i < m->dim; i++) {
        if (m->covariance == LM_COVARIANCE_DIAGONAL) {
            covariance[i] += share * apart[i] * apart[i];
            continue;
        }
        double scaled = share * apart[i], *row = covariance + (size_t)i * m->dim;
        for (int j = 0; j <= i; j++) row[j] += scaled * apart[j];
    }
}

static bool find_factor(const lm_gaussian_mixture *m, const float *x, int64_t n,
                        const double *shares, double weight, double least,
                        const double *mean, double *factor) {
    double apart[LM_MIXTURE_DIM];
    size_t count = lm_gaussian_mixture_factor(m);
    bool full = m->covariance == LM_COVARIANCE_FULL;
    memset(factor, 0, count * sizeof *factor);
    for (int64_t i = 0; i < n; i++) {
        double share = shares[i * m->components];
        for (int k = 0; k < m->dim; k++) apart[k] = (double)x[i * m->dim + k] - mean[k];
        if (share > 0) add_spread(m, apart, share, factor);
    }
    for (size_t i = 0; i < count; i++) factor[i] /= weight;
    for (int i = 0; i < m->dim; i++) factor[full ? i * (m->dim + 1) : i] += least;
    for (int i = 0; !full && i < m->dim; i++) factor[i] = sqrt(factor[i]);
    return !full || factorise(factor, m->dim);
}

/* A component with no share in anything keeps a weight that is next to nothing. */
static lm_status maximise(lm_gaussian_mixture *m, const float *x, int64_t n,
                          const double *shares, double least) {
    double total = 0;
    int failed = 0;
#pragma omp parallel for reduction(+ : failed)
    for (int c = 0; c < m->components; c++) {
        double weight = 10 * DBL_EPSILON, *mean = m->means + (size_t)c * m->dim;
        for (int64_t i = 0; i < n; i++) weight += shares[i * m->components + c];
        m->weights[c] = weight;
        find_mean(x, n, shares + c, m->components, weight, m->dim, mean);
        failed += !find_factor(m, x, n, shares + c, weight, least, mean, factor_of(m, c));
    }
    LM_RETURN_IF(failed, LM_NUMERIC, "mixture: a covariance is not positive definite");
    for (int c = 0; c < m->components; c++) total += m->weights[c];
    for (int c = 0; c < m->components; c++) m->weights[c] /= total;
    return LM_OK;
}

/* ---- fitting ----------------------------------------------------------------- */

static lm_status alternate(lm_gaussian_mixture *m, const float *x, int64_t n,
                           const lm_gaussian_mixture_spec *spec,
                           const lm_metric_hook *hook, double *shares, double *log_probs,
                           double *log_prob) {
    double before = -INFINITY;
    *log_prob = share_out(m, x, n, shares, log_probs);
    for (int round = 0; round < spec->rounds; round++) {
        LM_TRY(lm_metric_progress(hook, "mixture", (double)round / spec->rounds));
        if (fabs(*log_prob - before) < spec->tolerance) break;
        before = *log_prob;
        LM_TRY(maximise(m, x, n, shares, spec->least));
        *log_prob = share_out(m, x, n, shares, log_probs);
    }
    LM_RETURN_IF(!isfinite(*log_prob), LM_NUMERIC, "mixture: the likelihood is %g",
                 *log_prob);
    return LM_OK;
}

/* What a fit works in. */
typedef struct workspace {
    double *shares, *log_probs;
    float *centres;
    int32_t *cells;
} workspace;

static void close_workspace(workspace *w) {
    lm_free(w->shares);
    lm_free(w->log_probs);
    lm_free(w->centres);
    lm_free(w->cells);
}

static lm_status open_workspace(const lm_gaussian_mixture *m, int64_t n, workspace *w) {
    LM_RETURN_IF(n < m->components, LM_ARG, "mixture: %d components of %lld vectors",
                 m->components, (long long)n);
    size_t count = (size_t)n, components = (size_t)m->components;
    *w = (workspace){lm_calloc(count, components * sizeof *w->shares),
                     lm_alloc(count * sizeof *w->log_probs),
                     lm_alloc(components * (size_t)m->dim * sizeof *w->centres),
                     lm_alloc(count * sizeof *w->cells)};
    if (w->shares && w->log_probs && w->centres && w->cells) return LM_OK;
    close_workspace(w);
    return LM_NOMEM;
}

/* Each vector belongs to its cell alone. */
static lm_status start(lm_gaussian_mixture *m, const float *x, int64_t n,
                       const lm_gaussian_mixture_spec *spec, workspace *w) {
    LM_TRY(lm_kmeans(x, n, m->dim, m->components, START_ROUNDS, spec->seed, NULL,
                     w->centres));
    LM_TRY(lm_kmeans_assign(x, n, w->centres, m->components, m->dim, w->cells));
    for (int64_t i = 0; i < n; i++) w->shares[i * m->components + w->cells[i]] = 1;
    return maximise(m, x, n, w->shares, spec->least);
}

static lm_status fit(const float *x, int64_t n, const lm_gaussian_mixture_spec *spec,
                     bool anew, const lm_metric_hook *hook, lm_gaussian_mixture *m,
                     double *log_prob) {
    workspace w = {0};
    LM_TRY(open_workspace(m, n, &w));
    lm_status status = anew ? start(m, x, n, spec, &w) : LM_OK;
    if (status == LM_OK)
        status = alternate(m, x, n, spec, hook, w.shares, w.log_probs, log_prob);
    close_workspace(&w);
    return status;
}

lm_status lm_gaussian_mixture_fit(const float *x, int64_t n,
                                  const lm_gaussian_mixture_spec *spec,
                                  const lm_metric_hook *hook, lm_gaussian_mixture *m,
                                  double *log_prob) {
    return fit(x, n, spec, true, hook, m, log_prob);
}

lm_status lm_gaussian_mixture_improve(const float *x, int64_t n,
                                      const lm_gaussian_mixture_spec *spec,
                                      const lm_metric_hook *hook, lm_gaussian_mixture *m,
                                      double *log_prob) {
    return fit(x, n, spec, false, hook, m, log_prob);
}

/* ---- drawing ----------------------------------------------------------------- */

static int draw_component(const lm_gaussian_mixture *m, lm_rng *rng) {
    double at = lm_rng_uniform(rng);
    for (int c = 0; c < m->components - 1; c++) {
        at -= m->weights[c];
        if (at < 0) return c;
    }
    return m->components - 1;
}

void lm_gaussian_mixture_draw(const lm_gaussian_mixture *m, lm_rng *rng, float *x) {
    int component = draw_component(m, rng);
    const double *mean = m->means + (size_t)component * m->dim;
    const double *l = factor_of(m, component);
    double noise[LM_MIXTURE_DIM];
    for (int i = 0; i < m->dim; i++) {
        noise[i] = lm_rng_normal(rng);
        double sum = mean[i];
        if (m->covariance == LM_COVARIANCE_DIAGONAL)
            sum += l[i] * noise[i];
        else
            for (int j = 0; j <= i; j++) sum += l[(size_t)i * m->dim + j] * noise[j];
        x[i] = (float)sum;
    }
}
