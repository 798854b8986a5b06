/* Class histograms and shares. */
#include "testing.h"

#include "golden/comparisons.h"
#include "metrics/histogram.h"

#include <math.h>

static void check(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance * fabs(want)))
        fail_msg("%.17g, not %.17g", got, want);
}

static void labels_are_counted(void **state) {
    const int32_t labels[] = {2, 0, 2, 1, 2};
    int64_t counts[4];
    CHECK_OK(lm_histogram_count(labels, 5, 4, counts));
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[2], 3);
    assert_int_equal(counts[3], 0);
    CHECK_FAILS(lm_histogram_count(labels, 5, 2, counts), LM_ARG);
    const int32_t none = -1;
    CHECK_FAILS(lm_histogram_count(&none, 1, 2, counts), LM_ARG);
}

static void the_test_is_scipys(void **state) {
    for (size_t i = 0; i < sizeof golden_tables / sizeof *golden_tables; i++) {
        int64_t generated[5] = {0}, data[5] = {0}; /* one class that neither has */
        for (int c = 0; c < 4; c++) {
            generated[c] = (int64_t)golden_tables[i].generated[c];
            data[c] = (int64_t)golden_tables[i].data[c];
        }
        lm_histogram_test test;
        CHECK_OK(lm_histogram_compare(generated, data, 5, 0, &test));
        check(test.statistic, golden_tables[i].statistic, 1e-13);
        check(test.p, golden_tables[i].p, 1e-10);
        assert_true(test.freedom == golden_tables[i].freedom);
    }
}

static void missing_modes_are_counted(void **state) {
    const int64_t generated[] = {0, 9, 10, 81, 0}, data[] = {50, 100, 100, 250, 0};
    lm_histogram_test test;
    CHECK_OK(lm_histogram_compare(generated, data, 5, 0, &test));
    assert_int_equal(test.missing, 1);
    CHECK_OK(
        lm_histogram_compare(generated, data, 5, 0.5, &test)); /* below 5, 10, 10, 25 */
    assert_int_equal(test.missing, 2);
    CHECK_OK(lm_histogram_compare(generated, data, 5, 1, &test));
    assert_int_equal(test.missing, 3);
    assert_int_equal(test.sparse, 0);
    const int64_t few[] = {1, 1}, many[] = {100, 100};
    CHECK_OK(lm_histogram_compare(few, many, 2, 0, &test));
    assert_int_equal(test.sparse, 2);
}

static void entropy_is_in_nats(void **state) {
    const int64_t even[] = {5, 5, 5, 5}, one[] = {0, 9, 0, 0};
    lm_histogram_test test;
    CHECK_OK(lm_histogram_compare(even, one, 4, 0, &test));
    check(test.generated_entropy, log(4), 1e-15);
    assert_true(test.data_entropy == 0);
}

static void one_class_has_no_test(void **state) {
    const int64_t one[] = {0, 9};
    lm_histogram_test test;
    CHECK_OK(lm_histogram_compare(one, one, 2, 0, &test));
    assert_true(isnan(test.p) && test.missing == 0);
}

static void wrong_counts_are_refused(void **state) {
    const int64_t good[] = {1, 2}, negative[] = {3, -1}, none[] = {0, 0};
    const int64_t huge[] = {INT64_MAX, INT64_MAX};
    lm_histogram_test test;
    CHECK_FAILS(lm_histogram_compare(negative, good, 2, 0, &test), LM_ARG);
    CHECK_FAILS(lm_histogram_compare(good, negative, 2, 0, &test), LM_ARG);
    CHECK_FAILS(lm_histogram_compare(none, good, 2, 0, &test), LM_ARG);
    CHECK_FAILS(lm_histogram_compare(good, huge, 2, 0, &test), LM_ARG);
    CHECK_FAILS(lm_histogram_compare(good, good, 2, NAN, &test), LM_ARG);
    CHECK_FAILS(lm_histogram_compare(good, good, 2, 1.5, &test), LM_ARG);
}

static void intervals_are_wilsons(void **state) {
    lm_share half = lm_share_of(50, 100); /* statsmodels: 0.40383153, 0.59616847 */
    check(half.low, 0.4038315303659956, 1e-12);
    check(half.high, 0.5961684696340044, 1e-12);
    lm_share none = lm_share_of(0, 10), all = lm_share_of(10, 10);
    assert_true(none.low == 0 && all.high == 1);
    check(none.high, 0.27753279986288, 1e-12);
    check(all.low, 1 - none.high, 1e-12);
    lm_share nothing = lm_share_of(0, 0);
    assert_true(isnan(nothing.value) && nothing.low == 0 && nothing.high == 1);
}

static void accuracy_counts_what_was_asked(void **state) {
    const int32_t asked[] = {1, 2, -1, 3, 3}, seen[] = {1, 0, 2, 3, 3};
    lm_share share = lm_conditional_accuracy(seen, asked, 5);
    assert_int_equal(share.hits, 3);
    assert_int_equal(share.n, 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_counted),
        cmocka_unit_test(the_test_is_scipys),
        cmocka_unit_test(missing_modes_are_counted),
        cmocka_unit_test(entropy_is_in_nats),
        cmocka_unit_test(one_class_has_no_test),
        cmocka_unit_test(wrong_counts_are_refused),
        cmocka_unit_test(intervals_are_wilsons),
        cmocka_unit_test(accuracy_counts_what_was_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
