/* Draws for resampling, and standard errors. */
#include "testing.h"

#include "base/mem.h"
#include "metrics/resample.h"

#include <math.h>
#include <stdbool.h>

enum { N = 1000 };

static void draws_are_functions_of_seed_and_number(void **state) {
    int32_t a[N], b[N];
    lm_resample_bootstrap(7, 3, N, a);
    lm_resample_bootstrap(7, 3, N, b);
    assert_memory_equal(a, b, sizeof a);
    lm_resample_bootstrap(7, 4, N, b);
    assert_memory_not_equal(a, b, sizeof a);
    lm_resample_bootstrap(8, 3, N, b);
    assert_memory_not_equal(a, b, sizeof a);
    CHECK_OK(lm_resample_subset(7, 3, N, 100, a));
    CHECK_OK(lm_resample_subset(7, 3, N, 50, b));
    assert_memory_equal(a, b, 50 * sizeof *a);
}

static void a_replicate_leaves_out_a_third(void **state) {
    int32_t drawn[N];
    bool seen[N] = {false};
    int different = 0;
    lm_resample_bootstrap(1, 1, N, drawn);
    for (int i = 0; i < N; i++) {
        assert_in_range(drawn[i], 0, N - 1);
        different += !seen[drawn[i]];
        seen[drawn[i]] = true;
    }
    /* N (1 - 1/e) = 632, standard deviation sqrt(N (1/e - 2/e^2)) = 9.9. */
    assert_in_range(different, 582, 682);
}

static void a_subset_has_nothing_twice(void **state) {
    for (uint32_t draw = 0; draw < 20; draw++) {
        int32_t drawn[N];
        bool seen[N] = {false};
        CHECK_OK(lm_resample_subset(5, draw, N, draw ? 300 : N, drawn));
        for (int i = 0; i < (draw ? 300 : N); i++) {
            assert_in_range(drawn[i], 0, N - 1);
            assert_false(seen[drawn[i]]);
            seen[drawn[i]] = true;
        }
    }
    int32_t none;
    CHECK_OK(lm_resample_subset(5, 0, 0, 0, &none));
    CHECK_FAILS(lm_resample_subset(5, 0, 3, 4, &none), LM_ARG);
    CHECK_FAILS(lm_resample_subset(5, 0, 3, -1, &none), LM_ARG);
    CHECK_FAILS(lm_resample_subset(5, 0, (int64_t)INT32_MAX + 1, 1, &none), LM_ARG);
    lm_mem_fail_at(1, 0);
    CHECK_FAILS(lm_resample_subset(5, 0, 3, 2, &none), LM_NOMEM);
    lm_mem_fail_at(0, 0);
}

/* Each pair (first, second) of 4 is drawn equally often: 12 pairs, chi-square with 11
 * degrees of freedom is above 31.3 once in a thousand. */
static void subsets_are_fair(void **state) {
    enum { DRAWS = 12000 };
    int count[4][4] = {{0}};
    for (uint32_t draw = 0; draw < DRAWS; draw++) {
        int32_t pair[2];
        CHECK_OK(lm_resample_subset(11, draw, 4, 2, pair));
        count[pair[0]][pair[1]]++;
    }
    double chi = 0;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            if (i != j) chi += pow(count[i][j] - DRAWS / 12.0, 2) / (DRAWS / 12.0);
    assert_true(chi < 31.3);
}

static void means_have_errors(void **state) {
    const double values[] = {1, 2, 3, 6};
    lm_estimate mean = lm_estimate_mean(values, 4);
    assert_true(mean.value == 3);
    assert_true(fabs(mean.error - sqrt(14.0 / 3 / 4)) < 1e-15);
    const double bits[] = {1, 0, 0, 1, 1};
    lm_estimate a = lm_estimate_mean(bits, 5), b = lm_estimate_share(3, 5);
    assert_true(fabs(a.value - b.value) < 1e-15 && fabs(a.error - b.error) < 1e-15);
    lm_estimate r = lm_estimate_replicates(10, values, 4);
    assert_true(r.value == 10 && fabs(r.error - sqrt(14.0 / 3)) < 1e-15);
    assert_true(isnan(lm_estimate_mean(values, 1).error));
    assert_true(isnan(lm_estimate_share(0, 0).value));
    assert_true(isnan(lm_estimate_replicates(1, values, 1).error));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_functions_of_seed_and_number),
        cmocka_unit_test(a_replicate_leaves_out_a_third),
        cmocka_unit_test(a_subset_has_nothing_twice), cmocka_unit_test(subsets_are_fair),
        cmocka_unit_test(means_have_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
