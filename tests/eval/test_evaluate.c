/* The evaluator: what applies, what is refused, what is said of a number. */
#include "testing.h"

#include "eval/evaluate.h"
#include "eval/protocol.h"

#include <math.h>
#include <string.h>

typedef struct sides {
    lm_dataset *train_set, *test_set;
    lm_set_source train_from, test_from, judged_from;
    lm_eval_side train, test;
    lm_eval_subject subject;
} sides;

static void open_sides(const char *spec, const char *judged, sides *s) {
    *s = (sides){0};
    CHECK_OK(lm_dataset_open(spec, LM_SPLIT_TRAIN, &s->train_set));
    CHECK_OK(lm_dataset_open(judged, LM_SPLIT_TEST, &s->test_set));
    CHECK_OK(lm_eval_side_of_set(s->train_set, 60, 1, spec, &s->train_from, &s->train));
    CHECK_OK(lm_eval_side_of_set(s->test_set, 40, 1, spec, &s->test_from, &s->test));
    CHECK_OK(lm_eval_side_of_set(s->test_set, 30, 2, judged, &s->judged_from,
                                 &s->subject.generated));
}

static void close_sides(sides *s) {
    lm_dataset_free(s->train_set);
    lm_dataset_free(s->test_set);
}

static void unknown_metrics_name_the_nearest(void **state) {
    sides s;
    lm_evaluator *evaluator = NULL;
    lm_eval_spec spec = lm_eval_spec_default();
    spec.extractor = "pixels";
    spec.metrics = "conditional_acuracy";
    open_sides("builtin:digits", "builtin:digits", &s);
    CHECK_FAILS(lm_evaluator_new(&spec, &s.train, &s.test, &evaluator), LM_ARG);
    assert_non_null(strstr(lm_message(), "did you mean conditional_accuracy"));
    assert_null(evaluator);
    close_sides(&s);
}

static void what_does_not_apply_is_said(void **state) {
    sides s;
    lm_evaluator *evaluator;
    lm_evaluation evaluation;
    lm_eval_spec spec = lm_eval_spec_default();
    spec.extractor = "pixels";
    open_sides("builtin:digits", "builtin:digits", &s);
    CHECK_OK(lm_evaluator_new(&spec, &s.train, &s.test, &evaluator));
    CHECK_OK(lm_evaluator_run(evaluator, &s.subject, NULL, &evaluation));
    assert_null(lm_evaluation_find(&evaluation, "conditional_accuracy"));
    assert_true(json_array_size(evaluation.skipped) > 0);
    lm_evaluation_release(&evaluation);
    lm_evaluator_free(evaluator);
    spec.metrics = "conditional_accuracy";
    CHECK_OK(lm_evaluator_new(&spec, &s.train, &s.test, &evaluator));
    CHECK_FAILS(lm_evaluator_run(evaluator, &s.subject, NULL, &evaluation), LM_ARG);
    assert_non_null(strstr(lm_message(), "has no classes"));
    lm_evaluator_free(evaluator);
    close_sides(&s);
}

/* Evaluates by pixels; on failure *evaluation is as it was. */
static lm_status evaluate(const lm_eval_spec *spec, const sides *s,
                          lm_evaluation *evaluation) {
    lm_evaluator *evaluator;
    CHECK_OK(lm_evaluator_new(spec, &s->train, &s->test, &evaluator));
    lm_status status = lm_evaluator_run(evaluator, &s->subject, NULL, evaluation);
    lm_evaluator_free(evaluator);
    return status;
}

static void too_few_images_are_no_failure(void **state) {
    static const char *const hindered[] = {"fid_infinity", "kid",     "precision",
                                           "recall",       "density", "coverage"};
    sides s;
    lm_evaluation evaluation;
    lm_eval_spec spec = lm_eval_spec_default();
    spec.extractor = "pixels";
    open_sides("builtin:digits?size=8", "builtin:digits?size=8", &s);
    CHECK_OK(lm_eval_side_of_set(s.test_set, 2, 2, "two", &s.judged_from,
                                 &s.subject.generated));
    CHECK_OK(evaluate(&spec, &s, &evaluation));
    assert_non_null(lm_evaluation_find(&evaluation, "fid"));
    for (size_t i = 0; i < sizeof hindered / sizeof *hindered; i++)
        assert_null(lm_evaluation_find(&evaluation, hindered[i]));
    lm_evaluation_release(&evaluation);
    for (size_t i = 0; i < sizeof hindered / sizeof *hindered; i++) {
        spec.metrics = hindered[i];
        CHECK_FAILS(evaluate(&spec, &s, &evaluation), LM_ARG);
    }
    close_sides(&s);
}

/* Of which there is no floor then; the numbers are there. */
static void too_few_held_out_images_are_no_failure(void **state) {
    sides s;
    lm_evaluation evaluation;
    lm_eval_spec spec = lm_eval_spec_default();
    spec.extractor = "pixels";
    spec.metrics = "fid_infinity,recall";
    open_sides("builtin:digits?size=8", "builtin:digits?size=8", &s);
    CHECK_OK(lm_eval_side_of_set(s.test_set, 4, 1, "four", &s.test_from, &s.test));
    CHECK_OK(evaluate(&spec, &s, &evaluation));
    for (int i = 0; i < evaluation.count; i++) {
        assert_true(isfinite(evaluation.results[i].value));
        assert_true(isnan(evaluation.results[i].floor));
    }
    assert_int_equal(evaluation.count, 2);
    lm_evaluation_release(&evaluation);
    close_sides(&s);
}

static int64_t reference_seed(const lm_evaluation *evaluation, const char *metric) {
    const lm_eval_result *result = lm_evaluation_find(evaluation, metric);
    json_t *seed = json_object_get(result->protocol, "reference_seed");
    return seed ? json_integer_value(seed) : -1;
}

/* Where it decides which images they are. */
static void the_seed_of_a_part_of_the_reference_is_said(void **state) {
    static const struct {
        const char *set;
        int64_t n, fid, kid;
    } cases[] = {{"builtin:digits?size=8&limit=60", 0, -1, 1}, /* 30 of them for kid */
                 {"builtin:digits?size=8&limit=60", 50, 1, 1},
                 {"builtin:digits?size=8&limit=30", 0, -1, -1},
                 {"builtin:digits?size=8", 60, -1, -1}}; /* endless: the first ones */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sides s;
        lm_evaluation evaluation;
        lm_eval_spec spec = lm_eval_spec_default();
        spec.extractor = "pixels";
        spec.metrics = "fid,kid,recall";
        open_sides("builtin:digits?size=8", "builtin:digits?size=8", &s);
        lm_dataset_free(s.train_set);
        CHECK_OK(lm_dataset_open(cases[i].set, LM_SPLIT_TRAIN, &s.train_set));
        CHECK_OK(lm_eval_side_of_set(s.train_set, cases[i].n, 1, cases[i].set,
                                     &s.train_from, &s.train));
        CHECK_OK(evaluate(&spec, &s, &evaluation));
        assert_int_equal(reference_seed(&evaluation, "fid"), cases[i].fid);
        assert_int_equal(reference_seed(&evaluation, "kid"), cases[i].kid);
        assert_int_equal(reference_seed(&evaluation, "recall"), cases[i].kid);
        lm_evaluation_release(&evaluation);
        close_sides(&s);
    }
}

static void other_shapes_are_refused(void **state) {
    sides s;
    lm_evaluator *evaluator;
    lm_evaluation evaluation;
    lm_eval_spec spec = lm_eval_spec_default();
    spec.extractor = "pixels";
    open_sides("builtin:digits", "builtin:digits-m", &s);
    CHECK_FAILS(lm_evaluator_new(&spec, &s.train, &s.test, &evaluator), LM_MISMATCH);
    CHECK_OK(lm_evaluator_new(&spec, &s.train, &(lm_eval_side){0}, &evaluator));
    CHECK_FAILS(lm_evaluator_run(evaluator, &s.subject, NULL, &evaluation), LM_MISMATCH);
    lm_evaluator_free(evaluator);
    close_sides(&s);
}

static void protocols_differ_by_what_matters(void **state) {
    json_t *a = json_pack("{s:s, s:i, s:i, s:s}", "extractor", "pixels", "n", 100, "step",
                          5, "quantisation", "rounded");
    json_t *b = json_pack("{s:s, s:i, s:i, s:i}", "extractor", "pixels", "n", 200, "step",
                          9, "k", 3);
    json_t *difference = lm_protocol_difference(a, b);
    assert_int_equal(json_array_size(difference), 2);
    json_t *first = json_array_get(difference, 0),
           *second = json_array_get(difference, 1);
    assert_string_equal(json_string_value(json_object_get(first, "field")), "n");
    assert_string_equal(json_string_value(json_object_get(second, "field")), "k");
    assert_true(json_is_null(json_array_get(json_object_get(second, "values"), 0)));
    json_decref(difference);
    json_object_set_new(b, "n", json_integer(100));
    json_object_del(b, "k");
    difference = lm_protocol_difference(a, b);
    assert_int_equal(json_array_size(difference), 0);
    json_decref(difference);
    json_decref(a);
    json_decref(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_metrics_name_the_nearest),
        cmocka_unit_test(what_does_not_apply_is_said),
        cmocka_unit_test(too_few_images_are_no_failure),
        cmocka_unit_test(too_few_held_out_images_are_no_failure),
        cmocka_unit_test(the_seed_of_a_part_of_the_reference_is_said),
        cmocka_unit_test(other_shapes_are_refused),
        cmocka_unit_test(protocols_differ_by_what_matters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
