/* Kernel distances against the sums of their definition. */
#include "metrics/draws.h"

#include "metrics/kid.h"
#include "metrics/matrix.h"

#include <math.h>
#include <string.h>

static long double kernel(const float *x, const float *y, int dim) {
    long double sum = 0;
    for (int j = 0; j < dim; j++) sum += (long double)x[j] * y[j];
    return powl(sum / dim + 1, 3);
}

/* The unbiased estimate without image `leave_a` of a and `leave_b` of b (-1: with all).
 */
static double by_definition(const lm_kid_set *a, const lm_kid_set *b, int dim,
                            int64_t leave_a, int64_t leave_b) {
    const lm_kid_set *sets[] = {a, b};
    const int64_t leave[] = {leave_a, leave_b};
    long double sum[2][2] = {{0}};
    for (int s = 0; s < 2; s++)
        for (int t = 0; t < 2; t++)
            for (int64_t i = 0; i < sets[s]->n; i++)
                for (int64_t j = 0; j < sets[t]->n; j++) {
                    if (i == leave[s] || j == leave[t] || (s == t && i == j)) continue;
                    int64_t row_i = sets[s]->rows ? sets[s]->rows[i] : i;
                    int64_t row_j = sets[t]->rows ? sets[t]->rows[j] : j;
                    sum[s][t] +=
                        kernel(sets[s]->x + row_i * dim, sets[t]->x + row_j * dim, dim);
                }
    long double n = a->n - (leave_a >= 0), m = b->n - (leave_b >= 0);
    return (double)(sum[0][0] / (n * (n - 1)) + sum[1][1] / (m * (m - 1)) -
                    (sum[0][1] + sum[1][0]) / (n * m));
}

static double jackknife(const lm_kid_set *a, const lm_kid_set *b, int dim) {
    double variance = 0, values[64];
    for (int side = 0; side < 2; side++) {
        int64_t n = side ? b->n : a->n;
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++) {
            values[i] = by_definition(a, b, dim, side ? -1 : i, side ? i : -1);
            sum += values[i];
        }
        for (int64_t i = 0; i < n; i++) squares += pow(values[i] - sum / (double)n, 2);
        variance += squares * (double)(n - 1) / (double)n;
    }
    return sqrt(variance);
}

static void value_and_error_are_those_of_the_definition(void **state) {
    enum { DIM = 5 };
    static const int sizes[][2] = {{3, 3}, {20, 31}, {31, 20}, {4, 3}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        float *x = draw_normal(1, sizes[s][0], DIM),
              *y = draw_normal(2, sizes[s][1], DIM);
        for (int i = 0; i < sizes[s][1] * DIM; i++) y[i] = 1.5F * y[i] + 0.3F;
        lm_kid_set a = {x, NULL, sizes[s][0]}, b = {y, NULL, sizes[s][1]};
        lm_estimate kid;
        CHECK_OK(lm_kid(&a, &b, DIM, NULL, &kid));
        double value = by_definition(&a, &b, DIM, -1, -1), error = jackknife(&a, &b, DIM);
        assert_true(fabs(kid.value - value) < 1e-12 * (1 + fabs(value)));
        assert_true(fabs(kid.error - error) < 1e-11 * (1 + error));
        lm_free(x);
        lm_free(y);
    }
}

/* Sets larger than a tile, in both directions, and rows in an order of their own. */
static void tiles_fit_together(void **state) {
    enum { N = 1100, M = 530, DIM = 3 };
    float *x = draw_normal(3, N, DIM), *y = draw_normal(4, M, DIM);
    int32_t rows[N];
    for (int i = 0; i < N; i++) rows[i] = i * 7 % N;
    lm_kid_set a = {x, NULL, N}, b = {y, NULL, M}, mixed = {x, rows, N};
    lm_estimate kid, again;
    CHECK_OK(lm_kid(&a, &b, DIM, NULL, &kid));
    double value = by_definition(&a, &b, DIM, -1, -1);
    assert_true(fabs(kid.value - value) < 1e-12);
    CHECK_OK(lm_kid(&mixed, &b, DIM, NULL, &again));
    assert_true(fabs(again.value - value) < 1e-12);
    assert_true(fabs(again.error - kid.error) < 1e-12);
    CHECK_OK(lm_kid(&b, &a, DIM, NULL, &again));
    assert_true(fabs(again.value - value) < 1e-12);
    lm_free(x);
    lm_free(y);
}

/* Over many pairs of sets: the error is the scatter where distributions differ, and up to
 * a root of 2 more where they do not; the mean is without bias. */
static void the_error_is_the_scatter(void **state) {
    enum { SETS = 300, N = 60, DIM = 4 };
    static const float shifts[] = {0, 1};
    for (int c = 0; c < 2; c++) {
        double sum = 0, squares = 0, errors = 0;
        for (int s = 0; s < SETS; s++) {
            float *x = draw_normal(1000 + s, N, DIM), *y = draw_normal(5000 + s, N, DIM);
            for (int i = 0; i < N * DIM; i++) y[i] += shifts[c];
            lm_estimate kid;
            CHECK_OK(lm_kid(&(lm_kid_set){x, NULL, N}, &(lm_kid_set){y, NULL, N}, DIM,
                            NULL, &kid));
            sum += kid.value, squares += kid.value * kid.value;
            errors += kid.error * kid.error;
            lm_free(x);
            lm_free(y);
        }
        double scatter = sqrt(squares / SETS - pow(sum / SETS, 2));
        double ratio = sqrt(errors / SETS) / scatter;
        assert_true(ratio > 0.9 && ratio < (c == 0 ? 1.6 : 1.15));
        if (c == 0) assert_true(fabs(sum / SETS) < 3 * scatter / sqrt(SETS));
    }
}

static void subsets_are_drawn_by_seed(void **state) {
    enum { N = 90, M = 70, DIM = 6, SUBSETS = 12, SIZE = 25 };
    float *x = draw_normal(5, N, DIM), *y = draw_normal(6, M, DIM);
    lm_kid_set a = {x, NULL, N}, b = {y, NULL, M};
    lm_spread kid, again, other;
    CHECK_OK(lm_kid_subsets(&a, &b, DIM, SUBSETS, SIZE, 9, NULL, &kid));
    double values[SUBSETS];
    for (uint32_t s = 0; s < SUBSETS; s++) {
        int32_t rows_a[SIZE], rows_b[SIZE];
        CHECK_OK(lm_resample_subset(9, 2 * s, N, SIZE, rows_a));
        CHECK_OK(lm_resample_subset(9, 2 * s + 1, M, SIZE, rows_b));
        lm_kid_set part_a = {x, rows_a, SIZE}, part_b = {y, rows_b, SIZE};
        values[s] = by_definition(&part_a, &part_b, DIM, -1, -1);
    }
    lm_spread wanted = lm_spread_of(values, SUBSETS);
    assert_true(fabs(kid.mean - wanted.mean) < 1e-12);
    assert_true(fabs(kid.deviation - wanted.deviation) < 1e-12);
    CHECK_OK(lm_kid_subsets(&a, &b, DIM, SUBSETS, SIZE, 9, NULL, &again));
    assert_true(kid.mean == again.mean && kid.deviation == again.deviation);
    CHECK_OK(lm_kid_subsets(&a, &b, DIM, SUBSETS, SIZE, 10, NULL, &other));
    assert_true(kid.mean != other.mean);
    lm_free(x);
    lm_free(y);
}

static bool stop(void *user, double share) {
    assert_true(share >= 0 && share <= 1);
    return share < 0.3;
}

static void wrong_input_is_refused(void **state) {
    enum { N = 20, DIM = 2 };
    float *x = draw_normal(7, N, DIM);
    int32_t rows[3] = {0, 1, 2};
    lm_kid_set a = {x, NULL, N}, few = {x, NULL, 2}, chosen = {x, rows, 3};
    lm_estimate kid;
    lm_spread spread;
    CHECK_FAILS(lm_kid(&a, &few, DIM, NULL, &kid), LM_ARG);
    CHECK_FAILS(lm_kid(&a, &a, 0, NULL, &kid), LM_ARG);
    CHECK_FAILS(lm_kid_subsets(&a, &a, DIM, 0, 5, 1, NULL, &spread), LM_ARG);
    CHECK_FAILS(lm_kid_subsets(&a, &a, DIM, 3, N + 1, 1, NULL, &spread), LM_ARG);
    CHECK_FAILS(lm_kid_subsets(&a, &a, DIM, 3, 2, 1, NULL, &spread), LM_ARG);
    CHECK_FAILS(lm_kid_subsets(&chosen, &a, DIM, 3, 3, 1, NULL, &spread), LM_ARG);
    CHECK_FAILS(
        lm_kid_subsets(&a, &a, DIM, 9, 5, 1, &(lm_metric_hook){stop, NULL}, &spread),
        LM_INTERRUPTED);
    x[5] = NAN;
    CHECK_FAILS(lm_kid(&a, &a, DIM, NULL, &kid), LM_NUMERIC);
    lm_free(x);
}

static void lack_of_memory_is_an_error(void **state) {
    float *x = draw_normal(8, 9, 2);
    lm_kid_set a = {x, NULL, 9};
    int64_t held = lm_mem_get_stats().blocks;
    lm_status status = LM_NOMEM;
    for (int n = 1; status != LM_OK; n++) {
        lm_spread kid;
        lm_mem_fail_at(n, 0);
        status = lm_kid_subsets(&a, &a, 2, 2, 4, 1, NULL, &kid);
        lm_mem_fail_at(0, 0);
        if (status != LM_OK) assert_int_equal(status, LM_NOMEM);
        assert_int_equal(lm_mem_get_stats().blocks, held);
        assert_true(n < 30);
    }
    lm_free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_and_error_are_those_of_the_definition),
        cmocka_unit_test(tiles_fit_together),
        cmocka_unit_test(the_error_is_the_scatter),
        cmocka_unit_test(subsets_are_drawn_by_seed),
        cmocka_unit_test(wrong_input_is_refused),
        cmocka_unit_test(lack_of_memory_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
