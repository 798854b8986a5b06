/* The judge of builtin:digits within the program: what it is, and what it can do. */
#include "testing.h"

#include "eval/extractor.h"
#include "eval/judge.h"
#include "metrics/classification.h"

#include <stdio.h>
#include <string.h>

/* Another judge makes other numbers: all that were published with this one are void. */
static const char hash[] =
    "3310ba7b2a9c3ae323667cec8cc0c396fdb7177df1b1c4ede86967b92dd71497";

/* Accuracy on the first `count` test images. */
static double accuracy_on(lm_extractor *extractor, const char *spec, int64_t count) {
    lm_dataset *set;
    CHECK_OK(lm_dataset_open(spec, LM_SPLIT_TEST, &set));
    if (count > set->count) count = set->count;
    lm_set_source from;
    CHECK_OK(lm_set_source_init(&from, set, 0, 0));
    lm_features features;
    CHECK_OK(lm_features_extract(extractor, &from.source, 0, count, NULL, &features));
    lm_class_score score;
    CHECK_OK(lm_class_score_make(features.logits, features.labels, count,
                                 features.classes, &score));
    double accuracy = (double)score.correct / (double)score.count;
    printf("# %s: %.2f %% of %d images\n", spec, 100 * accuracy, (int)count);
    lm_class_score_release(&score);
    lm_features_release(&features);
    lm_dataset_free(set);
    return accuracy;
}

static lm_extractor *open_extractor(const char *spec) {
    const lm_image_source source = {
        .name = "builtin:digits", .count = 1, .height = 28, .width = 28, .channels = 1};
    lm_extractor *extractor;
    CHECK_OK(lm_extractor_open(spec, &source, &extractor));
    return extractor;
}

static void is_the_one_that_numbers_rest_on(void **state) {
    lm_extractor *extractor = open_extractor("judge");
    assert_string_equal(extractor->id, "judge:digits");
    assert_string_equal(extractor->weights, hash);
    assert_int_equal(extractor->dim, 128);
    assert_int_equal(extractor->classes, 10);
    assert_string_equal(extractor->class_names[3], "3");
    lm_extractor_free(extractor);
    assert_true(lm_judge_is_shipped("digits") && !lm_judge_is_shipped("mnist"));
}

static void knows_its_digits(void **state) {
    lm_extractor *extractor = open_extractor("judge:digits");
    assert_true(accuracy_on(extractor, "builtin:digits", 3000) >= 0.998);
    /* Larger ones and coloured ones go through resizing and luma. */
    assert_true(accuracy_on(extractor, "builtin:digits?size=64&rgb", 300) >= 0.99);
    lm_extractor_free(extractor);
}

/* Digits of other origin, which it has never seen. */
static void knows_handwriting(void **state) {
    const struct {
        const char *spec;
        double least;
    } rows[] = {{"mnist", 0.9}, {"usps", 0.8}};
    lm_extractor *extractor = open_extractor("judge:digits");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        lm_dataset *set;
        if (lm_dataset_open(rows[i].spec, LM_SPLIT_TEST, &set) != LM_OK) {
            printf("# not checked: %s\n", lm_message());
            continue;
        }
        lm_dataset_free(set);
        assert_true(accuracy_on(extractor, rows[i].spec, 2000) >= rows[i].least);
    }
    lm_extractor_free(extractor);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_the_one_that_numbers_rest_on),
                                       cmocka_unit_test(knows_its_digits),
                                       cmocka_unit_test(knows_handwriting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
