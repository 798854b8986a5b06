/* Fréchet distances whose values are known by hand. */
#include "metrics/draws.h"

#include "metrics/fid.h"

#include <math.h>
#include <string.h>

/* Moments of a diagonal covariance. */
static void make_diagonal(int dim, const double *mean, const double *variance,
                          lm_moments *m) {
    CHECK_OK(lm_moments_init(m, dim));
    for (int i = 0; i < dim; i++) {
        m->mean[i] = mean[i];
        m->covariance[i * dim + i] = variance[i];
    }
}

/* Covariances that commute: the sum over their axes of (m1 - m2)^2 + (s1 - s2)^2. */
static double by_axes(int dim, const double *m1, const double *v1, const double *m2,
                      const double *v2) {
    double sum = 0;
    for (int i = 0; i < dim; i++)
        sum += pow(m1[i] - m2[i], 2) + pow(sqrt(v1[i]) - sqrt(v2[i]), 2);
    return sum;
}

static void diagonal_covariances_are_right(void **state) {
    static const struct {
        int dim;
        double m1[4], v1[4], m2[4], v2[4];
    } cases[] = {
        {1, {3}, {4}, {1}, {9}},             /* 4 + 1 */
        {1, {3}, {0}, {1}, {9}},             /* a point */
        {1, {3}, {0}, {1}, {0}},             /* two points */
        {2, {0, 1}, {1, 0}, {0, 0}, {0, 1}}, /* nothing in common */
        {4, {1, 2, 3, 4}, {1, 2, 0, 4}, {4, 3, 2, 1}, {0, 1e-9, 2, 1e6}},
        {4, {0}, {1e-12, 1, 1e6, 0}, {0}, {1e-12, 1, 1e6, 0}}, /* equal: 0 */
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        lm_moments a, b;
        double fid, wanted = by_axes(cases[c].dim, cases[c].m1, cases[c].v1, cases[c].m2,
                                     cases[c].v2);
        make_diagonal(cases[c].dim, cases[c].m1, cases[c].v1, &a);
        make_diagonal(cases[c].dim, cases[c].m2, cases[c].v2, &b);
        double scale = 0;
        for (int i = 0; i < cases[c].dim; i++) scale += cases[c].v1[i] + cases[c].v2[i];
        CHECK_OK(lm_fid(&a, &b, NULL, &fid));
        assert_true(fabs(fid - wanted) <= 1e-14 * (scale + wanted));
        CHECK_OK(lm_fid(&b, &a, NULL, &fid));
        assert_true(fabs(fid - wanted) <= 1e-14 * (scale + wanted));
        lm_moments_release(&a);
        lm_moments_release(&b);
    }
}

/* Fewer vectors than dimensions, so both covariances are singular; the second set is the
 * first one, moved and stretched: by (s - 1)^2 tr(C) + |move|^2. */
static void few_vectors_of_many_dimensions(void **state) {
    enum { DIM = 80 };
    static const int counts[] = {2, 3, 20, 79, 80, 81};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        int n = counts[c];
        float *x = draw_normal(5, n, DIM);
        lm_moments a, b;
        CHECK_OK(lm_moments_of(x, NULL, n, DIM, NULL, &a));
        for (int i = 0; i < n * DIM; i++) x[i] = 4 * x[i];
        CHECK_OK(lm_moments_of(x, NULL, n, DIM, NULL, &b));
        double trace = 0, move = 0, fid;
        for (int i = 0; i < DIM; i++) {
            trace += a.covariance[i * DIM + i];
            move += pow(3 * a.mean[i], 2);
        }
        CHECK_OK(lm_fid(&a, &b, NULL, &fid));
        assert_true(fabs(fid - (9 * trace + move)) < 1e-11 * fid);
        CHECK_OK(lm_fid(&a, &a, NULL, &fid));
        assert_true(fid >= 0 && fid < 1e-11 * trace);
        a.count = b.count = 0; /* as from a file: the rank is found, not known */
        CHECK_OK(lm_fid(&a, &b, NULL, &fid));
        assert_true(fabs(fid - (9 * trace + move)) < 1e-9 * fid);
        lm_moments_release(&a);
        lm_moments_release(&b);
        lm_free(x);
    }
}

static void wrong_input_is_refused(void **state) {
    lm_moments a, b;
    double fid;
    CHECK_OK(lm_moments_init(&a, 3));
    CHECK_OK(lm_moments_init(&b, 2));
    CHECK_FAILS(lm_fid(&a, &b, NULL, &fid), LM_SHAPE);
    a.covariance[5] = NAN;
    CHECK_FAILS(lm_fid(&a, &a, NULL, &fid), LM_NUMERIC);
    assert_non_null(strstr(lm_message(), "covariance"));
    b.mean[1] = INFINITY;
    CHECK_FAILS(lm_fid(&b, &b, NULL, &fid), LM_NUMERIC);
    lm_moments_release(&a);
    lm_moments_release(&b);
}

static void lack_of_memory_is_an_error(void **state) {
    float *x = draw_normal(6, 9, 4);
    lm_moments m;
    CHECK_OK(lm_moments_of(x, NULL, 9, 4, NULL, &m));
    int64_t held = lm_mem_get_stats().blocks;
    lm_status status = LM_NOMEM;
    for (int n = 1; status != LM_OK; n++) {
        double fid;
        lm_mem_fail_at(n, 0);
        status = lm_fid(&m, &m, NULL, &fid);
        lm_mem_fail_at(0, 0);
        if (status != LM_OK) assert_int_equal(status, LM_NOMEM);
        assert_int_equal(lm_mem_get_stats().blocks, held);
        assert_true(n < 30);
    }
    lm_moments_release(&m);
    lm_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(diagonal_covariances_are_right),
                                       cmocka_unit_test(few_vectors_of_many_dimensions),
                                       cmocka_unit_test(wrong_input_is_refused),
                                       cmocka_unit_test(lack_of_memory_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
