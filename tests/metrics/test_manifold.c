/* Precision, recall, density and coverage against every distance in f64. */
#include "metrics/clouds.h"

#include "base/mem.h"
#include "base/threads.h"
#include "metrics/distances.h"
#include "metrics/manifold.h"

#include <math.h>

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Squared radii, by sorting; to be freed. */
static double *sorted_radii(const float *x, int n, int dim, int k) {
    double *radii = malloc(sizeof *radii * (size_t)n);
    double *all = malloc(sizeof *all * (size_t)n);
    assert_true(radii && all);
    for (int i = 0; i < n; i++) {
        int size = 0;
        for (int j = 0; j < n; j++)
            if (j != i) all[size++] = lm_distance_squared(x + i * dim, x + j * dim, dim);
        qsort(all, (size_t)size, sizeof *all, compare_doubles);
        radii[i] = all[k - 1];
    }
    free(all);
    return radii;
}

/* The definitions, word by word. */
static void check_rule(const char *what, const float *real, int n, const float *fake,
                       int m, int dim, const lm_manifold *got) {
    lm_manifold_rule rule = got->rule;
    double *real_radii = sorted_radii(real, n, dim, rule.k);
    double *fake_radii = sorted_radii(fake, m, dim, rule.k);
    int precise = 0, recalled = 0, covered = 0;
    double memberships = 0;
    for (int j = 0; j < m; j++) {
        int balls = 0;
        for (int i = 0; i < n; i++) {
            double d = lm_distance_squared(real + i * dim, fake + j * dim, dim);
            balls += rule.edge ? d <= real_radii[i] : d < real_radii[i];
        }
        if (balls != got->balls[j])
            fail_msg("%s: vector %d lies in %d balls, not %d", what, j, balls,
                     got->balls[j]);
        precise += balls > 0;
        memberships += balls;
    }
    for (int i = 0; i < n; i++) {
        bool recall = false, cover = false;
        for (int j = 0; j < m; j++) {
            double d = lm_distance_squared(real + i * dim, fake + j * dim, dim);
            recall |= rule.edge ? d <= fake_radii[j] : d < fake_radii[j];
            cover |= rule.edge ? d <= real_radii[i] : d < real_radii[i];
        }
        if (recall != got->recalled[i] || cover != got->covered[i])
            fail_msg("%s: vector %d", what, i);
        recalled += recall;
        covered += cover;
    }
    assert_true(got->precision.value == (double)precise / m);
    assert_true(got->recall.value == (double)recalled / n);
    assert_true(got->coverage.value == (double)covered / n);
    assert_true(fabs(got->density.value - memberships / m / rule.k) <=
                1e-15 * memberships);
    free(real_radii);
    free(fake_radii);
}

static void check(const char *what, const float *real, int n, const float *fake, int m,
                  int dim) {
    const lm_manifold_rule rules[] = {{3, false}, {3, true}, {5, false}, {5, true}};
    lm_manifold results[4];
    CHECK_OK(lm_manifold_measure(real, n, fake, m, dim, rules, 4, NULL, results));
    for (int r = 0; r < 4; r++) {
        check_rule(what, real, n, fake, m, dim, &results[r]);
        lm_manifold_release(&results[r]);
    }
}

static void counts_are_those_of_the_definitions(void **state) {
    float *real = cloud_new(1, 600, 20, 1, 0), *fake = cloud_new(2, 450, 20, 1.1, 0);
    check("clouds", real, 600, fake, 450, 20);
    free(real);
    free(fake);
}

static void equal_distances_follow_the_rule(void **state) {
    float *real = lattice_new(1, 300, 5, 3), *fake = lattice_new(2, 350, 5, 3);
    check("lattices", real, 300, fake, 350, 5);
    check("a set and itself", real, 300, real, 300, 5);
    float *one = lattice_new(1, 200, 5, 1);
    check("one vector", one, 200, one, 150, 5);
    check("one vector and a lattice", one, 200, fake, 350, 5);
    free(real);
    free(fake);
    free(one);
}

static void collapsed_sets(void **state) {
    float *real = modes_new(1, 400, 30, 4), *fake = modes_new(1, 300, 30, 4);
    for (int i = 0; i < 300 * 30; i++) fake[i] += 5e-5F;
    check("tiny clouds", real, 400, fake, 300, 30);
    free(real);
    free(fake);
}

static void errors_are_those_of_means(void **state) {
    enum { N = 200, DIM = 5 };
    float *real = cloud_new(1, N, DIM, 1, 0), *fake = cloud_new(2, N, DIM, 1, 0.2);
    const lm_manifold_rule rule = {4, false};
    lm_manifold got;
    CHECK_OK(lm_manifold_measure(real, N, fake, N, DIM, &rule, 1, NULL, &got));
    double density[N];
    for (int j = 0; j < N; j++) density[j] = got.balls[j] / 4.0;
    lm_estimate expected = lm_estimate_mean(density, N);
    assert_true(fabs(got.density.value - expected.value) < 1e-12);
    assert_true(fabs(got.density.error - expected.error) < 1e-12);
    assert_true(got.coverage.value > 0 && got.coverage.value < 1);
    double p = got.coverage.value;
    assert_true(fabs(got.coverage.error - sqrt(p * (1 - p) / (N - 1))) < 1e-12);
    lm_manifold_release(&got);
    free(real);
    free(fake);
}

static bool count_up(void *user, double share) {
    double *last = user;
    assert_true(share >= *last - 1e-12 && share <= 1 + 1e-12);
    *last = share;
    return true;
}

static void progress_goes_up_to_one(void **state) {
    float *x = cloud_new(1, 700, 8, 1, 0);
    double last = 0;
    const lm_metric_hook hook = {count_up, &last};
    const lm_manifold_rule rule = {5, true};
    lm_manifold got;
    lm_threads_set(1);
    CHECK_OK(lm_manifold_measure(x, 700, x, 700, 8, &rule, 1, &hook, &got));
    lm_threads_set(0);
    assert_true(last > 1 - 1e-9);
    lm_manifold_release(&got);
    free(x);
}

static void wrong_input_is_refused(void **state) {
    float *x = cloud_new(1, 20, 4, 1, 0);
    lm_manifold got[9];
    lm_manifold_rule rules[9] = {{5, false}, {20, false}};
    CHECK_FAILS(lm_manifold_measure(x, 20, x, 20, 4, rules, 2, NULL, got), LM_ARG);
    CHECK_FAILS(lm_manifold_measure(x, 20, x, 5, 4, rules, 1, NULL, got), LM_ARG);
    CHECK_FAILS(lm_manifold_measure(x, 20, x, 20, 4, rules, 0, NULL, got), LM_ARG);
    CHECK_FAILS(lm_manifold_measure(x, 20, x, 20, 4, rules, 9, NULL, got), LM_ARG);
    CHECK_FAILS(lm_manifold_measure(x, 20, x, 0, 4, rules, 1, NULL, got), LM_ARG);
    rules[0].k = 0;
    CHECK_FAILS(lm_manifold_measure(x, 20, x, 20, 4, rules, 1, NULL, got), LM_ARG);
    rules[0].k = 3;
    x[7] = NAN;
    CHECK_FAILS(lm_manifold_measure(x, 20, x, 20, 4, rules, 1, NULL, got), LM_NUMERIC);
    free(x);
}

static void every_allocation_may_fail(void **state) {
    float *x = cloud_new(1, 40, 8, 1, 0);
    const lm_manifold_rule rules[] = {{3, true}, {5, false}};
    lm_manifold got[2];
    int64_t blocks = lm_mem_get_stats().blocks, n = 0;
    lm_status status;
    do {
        lm_mem_fail_at(++n, 0);
        status = lm_manifold_measure(x, 20, x + 160, 20, 8, rules, 2, NULL, got);
        lm_mem_fail_at(0, 0);
        if (status != LM_OK) assert_int_equal(status, LM_NOMEM);
        if (status != LM_OK) assert_int_equal(lm_mem_get_stats().blocks, blocks);
    } while (status != LM_OK);
    assert_true(n > 30);
    for (int r = 0; r < 2; r++) lm_manifold_release(&got[r]);
    assert_int_equal(lm_mem_get_stats().blocks, blocks);
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_those_of_the_definitions),
        cmocka_unit_test(equal_distances_follow_the_rule),
        cmocka_unit_test(collapsed_sets),
        cmocka_unit_test(errors_are_those_of_means),
        cmocka_unit_test(progress_goes_up_to_one),
        cmocka_unit_test(wrong_input_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    lm_threads_set(0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
