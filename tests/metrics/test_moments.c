/* Means and covariances against sums in long double. */
#include "metrics/draws.h"

#include "metrics/matrix.h"
#include "metrics/moments.h"

#include <math.h>
#include <string.h>

/* The definition, in two passes. */
static void check_against_definition(const float *x, const int32_t *rows, int64_t n,
                                     int dim, const lm_moments *m) {
    long double mean[64] = {0};
    assert_int_equal(m->count, n);
    for (int64_t i = 0; i < n; i++)
        for (int j = 0; j < dim; j++) mean[j] += x[(rows ? rows[i] : i) * dim + j];
    for (int j = 0; j < dim; j++) {
        mean[j] /= n;
        assert_true(fabsl(m->mean[j] - mean[j]) <= 1e-15L * (1 + fabsl(mean[j])));
    }
    for (int a = 0; a < dim; a++)
        for (int b = 0; b < dim; b++) {
            long double sum = 0;
            for (int64_t i = 0; i < n; i++) {
                const float *row = x + (rows ? rows[i] : i) * dim;
                sum += (row[a] - mean[a]) * (row[b] - mean[b]);
            }
            assert_true(fabsl(m->covariance[a * dim + b] - sum / (n - 1)) < 1e-12L);
        }
}

static void moments_are_those_of_the_definition(void **state) {
    enum { N = 2600, DIM = 7 }; /* more than two chunks */
    float *x = draw_normal(1, N, DIM);
    lm_moments m;
    CHECK_OK(lm_moments_of(x, NULL, N, DIM, NULL, &m));
    check_against_definition(x, NULL, N, DIM, &m);
    lm_moments_release(&m);
    const int32_t rows[] = {7, 2599, 7, 0, 1200};
    CHECK_OK(lm_moments_of(x, rows, 5, DIM, NULL, &m));
    check_against_definition(x, rows, 5, DIM, &m);
    lm_moments_release(&m);
    lm_free(x);
}

/* A mean 16 million times the deviation: what subtracts squares has nothing left. */
static void a_large_mean_takes_no_digits(void **state) {
    enum { N = 3000, DIM = 3 };
    float *x = draw_normal(2, N, DIM);
    for (int i = 0; i < N * DIM; i++) x[i] = 16777216.0F + 2 * rintf(x[i]);
    lm_moments m;
    CHECK_OK(lm_moments_of(x, NULL, N, DIM, NULL, &m));
    check_against_definition(x, NULL, N, DIM, &m);
    assert_true(m.covariance[0] > 3 && m.covariance[0] < 6);
    lm_moments_release(&m);
    lm_free(x);
}

static void sums_can_be_merged(void **state) {
    enum { N = 1500, DIM = 9 };
    float *x = draw_normal(3, N, DIM);
    for (int i = 0; i < 400 * DIM; i++) x[i] += 5; /* the parts have different means */
    lm_moments_sum first, second;
    CHECK_OK(lm_moments_sum_init(&first, DIM));
    CHECK_OK(lm_moments_sum_init(&second, DIM));
    lm_moments_sum_merge(&first, &second); /* nothing and nothing */
    CHECK_OK(lm_moments_sum_add(&second, x, NULL, 400, NULL));
    lm_moments_sum_merge(&first, &second);
    CHECK_OK(lm_moments_sum_add(&second, x, NULL, 0, NULL));
    lm_moments_sum_release(&second);
    CHECK_OK(lm_moments_sum_init(&second, DIM));
    CHECK_OK(lm_moments_sum_add(&second, x + 400 * DIM, NULL, N - 400, NULL));
    lm_moments_sum_merge(&first, &second);
    lm_moments m;
    CHECK_OK(lm_moments_sum_finish(&first, &m));
    check_against_definition(x, NULL, N, DIM, &m);
    lm_moments_release(&m);
    lm_moments_sum_release(&first);
    lm_moments_sum_release(&second);
    lm_free(x);
}

static void wrong_input_is_refused(void **state) {
    float x[6] = {1, 2, 3, 4, NAN, 6};
    lm_moments m;
    CHECK_FAILS(lm_moments_of(x, NULL, 1, 2, NULL, &m), LM_ARG);
    CHECK_FAILS(lm_moments_of(x, NULL, 3, 2, NULL, &m), LM_NUMERIC);
    assert_non_null(strstr(lm_message(), "component 0"));
    x[4] = INFINITY;
    CHECK_FAILS(lm_moments_of(x, NULL, 3, 2, NULL, &m), LM_NUMERIC);
    CHECK_FAILS(lm_moments_of(x, NULL, 3, 0, NULL, &m), LM_ARG);
    CHECK_FAILS(lm_moments_of(x, NULL, 3, LM_MATRIX_SIDE + 1, NULL, &m), LM_ARG);
    CHECK_OK(lm_moments_of(x, NULL, 2, 2, NULL, &m));
    lm_moments_release(&m);
}

static void lack_of_memory_is_an_error(void **state) {
    float x[8] = {1, 2, 3, 4, 5, 6, 7, 9};
    lm_moments m;
    int64_t held = lm_mem_get_stats().blocks;
    lm_status status = LM_NOMEM;
    for (int n = 1; status != LM_OK; n++) {
        lm_mem_fail_at(n, 0);
        status = lm_moments_of(x, NULL, 4, 2, NULL, &m);
        lm_mem_fail_at(0, 0);
        if (status != LM_OK) assert_int_equal(status, LM_NOMEM);
        if (status != LM_OK) assert_int_equal(lm_mem_get_stats().blocks, held);
        assert_true(n < 20);
    }
    lm_moments_release(&m);
}

static bool stop_half_way(void *user, double share) {
    return share < 0.5;
}

static void a_hook_can_end_it(void **state) {
    enum { N = 4000, DIM = 2 };
    float *x = draw_normal(4, N, DIM);
    lm_moments m;
    CHECK_FAILS(
        lm_moments_of(x, NULL, N, DIM, &(lm_metric_hook){stop_half_way, NULL}, &m),
        LM_INTERRUPTED);
    lm_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_those_of_the_definition),
        cmocka_unit_test(a_large_mean_takes_no_digits),
        cmocka_unit_test(sums_can_be_merged),
        cmocka_unit_test(wrong_input_is_refused),
        cmocka_unit_test(lack_of_memory_is_an_error),
        cmocka_unit_test(a_hook_can_end_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
