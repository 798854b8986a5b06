/* Mixtures of Gaussians beside scikit-learn's (tests/golden/make_mixture.py), their
 * draws, and what cannot be fitted. */
#include "metrics/draws.h"

#include "metrics/gaussian_mixture.h"
#include "tensor/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 240, D = 3, K = 4 };

static void read_golden(const lm_safetensors *file, const char *kind, const char *name,
                        lm_shape shape, double *to) {
    char key[64];
    snprintf(key, sizeof key, "%s%s%s", kind, *kind ? "/" : "", name);
    CHECK_OK(lm_safetensors_read(file, key, LM_F64, shape, to));
}

/* |a - b| within 1e-9 of what is usual here, for f64 sums in another order. */
static void check_equal(const double *a, const double *b, int count) {
    for (int i = 0; i < count; i++)
        if (!(fabs(a[i] - b[i]) < 1e-9 * (1 + fabs(b[i]))))
            fail_msg("number %d: %.17g, expected %.17g", i, a[i], b[i]);
}

/* L L' of each component, [K][D][D], or [K][D] of the diagonal. */
static void multiply_out(const lm_gaussian_mixture *m, double *covariances) {
    size_t size = lm_gaussian_mixture_factor(m);
    for (int c = 0; c < K; c++) {
        const double *l = m->factors + (size_t)c * size;
        double *to = covariances + (size_t)c * size;
        for (size_t i = 0; m->covariance == LM_COVARIANCE_DIAGONAL && i < size; i++)
            to[i] = l[i] * l[i];
        for (int i = 0; m->covariance == LM_COVARIANCE_FULL && i < D * D; i++) {
            to[i] = 0;
            for (int k = 0; k < D; k++) to[i] += l[i / D * D + k] * l[i % D * D + k];
        }
    }
}

static void compare(const lm_safetensors *file, lm_covariance covariance) {
    const char *kind = covariance == LM_COVARIANCE_FULL ? "full" : "diag";
    bool full = covariance == LM_COVARIANCE_FULL;
    float x[N * D];
    int32_t rounds;
    double want[K * D * D], got[K * D * D], log_prob;
    lm_gaussian_mixture m;
    CHECK_OK(lm_safetensors_read(file, "x", LM_F32, LM_SHAPE(N, D), x));
    CHECK_OK(lm_safetensors_read(file, "rounds", LM_I32, LM_SHAPE(1), &rounds));
    CHECK_OK(lm_gaussian_mixture_init(K, D, covariance, &m));
    read_golden(file, "", "weights", LM_SHAPE(K), m.weights);
    read_golden(file, "", "means", LM_SHAPE(K, D), m.means);
    for (int c = 0; c < K; c++)
        for (int i = 0; i < D; i++)
            m.factors[full ? c * D * D + i * (D + 1) : c * D + i] = 1;
    const lm_gaussian_mixture_spec spec = {.rounds = rounds, .least = 1e-6};
    CHECK_OK(lm_gaussian_mixture_improve(x, N, &spec, NULL, &m, &log_prob));
    read_golden(file, kind, "weights", LM_SHAPE(K), want);
    check_equal(m.weights, want, K);
    read_golden(file, kind, "means", LM_SHAPE(K, D), want);
    check_equal(m.means, want, K * D);
    read_golden(file, kind, "covariances", full ? LM_SHAPE(K, D, D) : LM_SHAPE(K, D),
                want);
    multiply_out(&m, got);
    check_equal(got, want, full ? K * D * D : K * D);
    read_golden(file, kind, "log_prob", LM_SHAPE(1), want);
    check_equal(&log_prob, want, 1);
    lm_gaussian_mixture_release(&m);
}

static void agree_with_scikit_learn(void **state) {
    char path[512];
    snprintf(path, sizeof path, "%s/tests/golden/mixture.safetensors",
             getenv("LIMN_TEST_SOURCE"));
    lm_safetensors file;
    CHECK_OK(lm_safetensors_open(&file, path));
    compare(&file, LM_COVARIANCE_FULL);
    compare(&file, LM_COVARIANCE_DIAGONAL);
    lm_safetensors_release(&file);
}

/* Three clusters, far apart: 1000, 2000 and 3000 vectors about (0,0), (20,0), (0,20). */
static float *draw_clusters(int64_t *n) {
    *n = 6000;
    float *x = draw_normal(3, *n, 2);
    for (int64_t i = 0; i < *n; i++) {
        if (i % 6 == 1 || i % 6 == 2) x[2 * i] += 20;
        if (i % 6 > 2) x[2 * i + 1] += 20;
    }
    return x;
}

static void a_fit_finds_clusters_and_draws_them(void **state) {
    int64_t n;
    float *x = draw_clusters(&n), z[2];
    double log_prob;
    lm_gaussian_mixture m;
    lm_gaussian_mixture_spec spec = lm_gaussian_mixture_default();
    CHECK_OK(lm_gaussian_mixture_init(3, 2, LM_COVARIANCE_FULL, &m));
    CHECK_OK(lm_gaussian_mixture_fit(x, n, &spec, NULL, &m, &log_prob));
    /* -log 2 pi - 1, less the entropy of the weights */
    double entropy = log(6) / 6 + log(3) / 3 + log(2) / 2;
    assert_true(fabs(log_prob + log(2 * M_PI) + 1 + entropy) < 0.05);
    int near[3] = {0};
    for (uint32_t i = 0; i < 6000; i++) {
        lm_rng rng = {.seed = 5, .sample = i};
        lm_gaussian_mixture_draw(&m, &rng, z);
        near[z[0] > 10 ? 1 : z[1] > 10 ? 2 : 0]++;
    }
    for (int i = 0; i < 3; i++) assert_true(abs(near[i] - 1000 * (i + 1)) < 150);
    lm_gaussian_mixture_release(&m);
    lm_free(x);
}

/* Correlated values come out of a full covariance as they went in. */
static void draws_have_the_covariance(void **state) {
    lm_gaussian_mixture m;
    CHECK_OK(lm_gaussian_mixture_init(1, 2, LM_COVARIANCE_FULL, &m));
    m.weights[0] = 1;
    const double factor[] = {2, 0, 3, 1};
    memcpy(m.factors, factor, sizeof factor);
    double sums[3] = {0};
    enum { DRAWS = 40000 };
    for (uint32_t i = 0; i < DRAWS; i++) {
        float z[2];
        lm_rng rng = {.seed = 6, .sample = i};
        lm_gaussian_mixture_draw(&m, &rng, z);
        sums[0] += z[0] * z[0];
        sums[1] += z[0] * z[1];
        sums[2] += z[1] * z[1];
    }
    const double want[] = {4, 6, 10};
    for (int i = 0; i < 3; i++) assert_true(fabs(sums[i] / DRAWS / want[i] - 1) < 0.03);
    lm_gaussian_mixture_release(&m);
}

/* Equal vectors leave cells empty and covariances at their least. */
static void equal_vectors_do_no_harm(void **state) {
    float x[20];
    double log_prob;
    for (int i = 0; i < 20; i++) x[i] = 3;
    lm_gaussian_mixture m;
    lm_gaussian_mixture_spec spec = lm_gaussian_mixture_default();
    CHECK_OK(lm_gaussian_mixture_init(3, 2, LM_COVARIANCE_FULL, &m));
    CHECK_OK(lm_gaussian_mixture_fit(x, 10, &spec, NULL, &m, &log_prob));
    assert_true(isfinite(log_prob));
    CHECK_FAILS(lm_gaussian_mixture_fit(x, 2, &spec, NULL, &m, &log_prob), LM_ARG);
    x[7] = NAN;
    CHECK_FAILS(lm_gaussian_mixture_improve(x, 10, &spec, NULL, &m, &log_prob),
                LM_NUMERIC);
    lm_gaussian_mixture_release(&m);
}

static void impossible_ones_are_refused(void **state) {
    lm_gaussian_mixture m;
    CHECK_FAILS(lm_gaussian_mixture_init(0, 2, LM_COVARIANCE_FULL, &m), LM_ARG);
    CHECK_FAILS(lm_gaussian_mixture_init(1, 0, LM_COVARIANCE_FULL, &m), LM_ARG);
    CHECK_FAILS(lm_gaussian_mixture_init(1, 1025, LM_COVARIANCE_DIAGONAL, &m), LM_ARG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agree_with_scikit_learn),
        cmocka_unit_test(a_fit_finds_clusters_and_draws_them),
        cmocka_unit_test(draws_have_the_covariance),
        cmocka_unit_test(equal_vectors_do_no_harm),
        cmocka_unit_test(impossible_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
