/* Scores of classifiers. Numbers are from SciPy 1.15 (proportion_ci of binomtest, method
 * wilson) and from NumPy by the definitions of the papers. */
#include "testing.h"

#include "base/mem.h"
#include "metrics/classification.h"

#include <math.h>

static void intervals_are_scipys(void **state) {
    const struct {
        int64_t correct, count;
        double low, high;
    } rows[] = {{0, 10, 0, 0.27753279986288926},
                {10, 10, 0.7224672001371109, 1},
                {7, 10, 0.39677814746114526, 0.892208732593699},
                {9953, 10000, 0.9937561129811472, 0.9964634982328606},
                {0, 0, 0, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lm_interval got = lm_wilson_interval(rows[i].correct, rows[i].count);
        assert_true(fabs(got.low - rows[i].low) < 1e-14);
        assert_true(fabs(got.high - rows[i].high) < 1e-14);
    }
}

enum { COUNT = 6, CLASSES = 3 };
static const float logits[COUNT * CLASSES] = {
    2, 0.5F, -1, 0.1F, 0.2F, 0.3F, -3, 4, 1, 1, 1, 0, 0, -2, 5, 0.5F, 0.4F, 0.2F};

static void scores_are_numpys(void **state) {
    const int32_t labels[COUNT] = {0, 0, 1, 1, 2, -1};
    const int64_t confusion[CLASSES * CLASSES] = {1, 0, 1, 1, 1, 0, 0, 0, 1};
    lm_class_score score;
    CHECK_OK(lm_class_score_make(logits, labels, COUNT, CLASSES, &score));
    assert_int_equal(score.count, 5);
    assert_int_equal(score.correct, 3);
    assert_memory_equal(score.confusion, confusion, sizeof confusion);
    assert_int_equal(lm_class_score_of(&score, 1), 2);
    assert_true(fabs(score.nll - 0.47246505607193184) < 1e-7);
    assert_true(fabs(score.ece - 0.21194630296185102) < 1e-7);
    lm_class_score_release(&score);
    double probability;
    assert_int_equal(lm_class_choose(logits + 6, CLASSES, &probability), 1);
    assert_true(fabs(probability - 0.95174741) < 1e-7);
}

/* Logits as large as they come neither overflow nor lose what is certain. */
static void survives_large_logits(void **state) {
    const float large[] = {3e38F, -3e38F, 0, 3e38F, 3e38F, -3e38F};
    const int32_t labels[] = {0, 1};
    lm_class_score score;
    CHECK_OK(lm_class_score_make(large, labels, 2, 3, &score));
    assert_int_equal(score.correct, 1);
    assert_true(fabs(score.nll - log(2) / 2) < 1e-12);
    lm_class_score_release(&score);
}

static void refuses_labels_beyond(void **state) {
    const int32_t beyond[COUNT] = {0, 1, 2, 3, 0, 0},
                  none[COUNT] = {-1, -1, -1, -1, -1, -1};
    lm_class_score score;
    int64_t before = lm_mem_get_stats().blocks;
    CHECK_FAILS(lm_class_score_make(logits, beyond, COUNT, CLASSES, &score), LM_ARG);
    lm_mem_fail_at(1, 0);
    CHECK_FAILS(lm_class_score_make(logits, none, COUNT, CLASSES, &score), LM_NOMEM);
    lm_mem_fail_at(0, 0);
    assert_int_equal(lm_mem_get_stats().blocks, before);
    CHECK_OK(lm_class_score_make(logits, none, COUNT, CLASSES, &score));
    assert_true(score.count == 0 && isnan(score.nll) && isnan(score.ece));
    lm_class_score_release(&score);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(intervals_are_scipys), cmocka_unit_test(scores_are_numpys),
        cmocka_unit_test(survives_large_logits), cmocka_unit_test(refuses_labels_beyond)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
