/* Inception scores whose values are known by hand. */
#include "metrics/draws.h"

#include "metrics/inception_score.h"

#include <math.h>

enum { N = 60, CLASSES = 6 };

/* Image i is of class i mod CLASSES, beyond any doubt. */
static void make_certain(float *logits) {
    for (int i = 0; i < N * CLASSES; i++)
        logits[i] = i % CLASSES == i / CLASSES % CLASSES ? 900 : -900;
}

static void certain_classes_score_their_number(void **state) {
    float logits[N * CLASSES];
    lm_spread score;
    make_certain(logits);
    CHECK_OK(lm_inception_score(logits, N, CLASSES, 10, false, 0, NULL, &score));
    assert_true(fabs(score.mean - CLASSES) < 1e-12 && score.deviation < 1e-12);
    /* Twenty parts of three images: three classes each. */
    CHECK_OK(lm_inception_score(logits, N, CLASSES, 20, false, 0, NULL, &score));
    assert_true(fabs(score.mean - 3) < 1e-12 && score.deviation < 1e-12);
    /* Each image alone is all that there is. */
    CHECK_OK(lm_inception_score(logits, N, CLASSES, N, false, 0, NULL, &score));
    assert_true(fabs(score.mean - 1) < 1e-12);
}

static void equal_images_score_one(void **state) {
    float logits[N * CLASSES];
    lm_spread score;
    for (int i = 0; i < N * CLASSES; i++) logits[i] = (float)(i % CLASSES);
    CHECK_OK(lm_inception_score(logits, N, CLASSES, 7, true, 3, NULL, &score));
    assert_true(fabs(score.mean - 1) < 1e-12 && score.deviation < 1e-12);
}

/* By the definition: exp of the mean of sum p (log p - log q). */
static double by_definition(const float *logits, int first, int end) {
    long double q[CLASSES] = {0}, sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int i = first; i < end; i++) {
            long double total = 0;
            for (int c = 0; c < CLASSES; c++) total += expl(logits[i * CLASSES + c]);
            for (int c = 0; c < CLASSES; c++) {
                long double p = expl(logits[i * CLASSES + c]) / total;
                if (pass == 0)
                    q[c] += p / (end - first);
                else
                    sum += p * logl(p / q[c]);
            }
        }
    return (double)expl(sum / (end - first));
}

static void any_logits_are_as_defined(void **state) {
    float *logits = draw_normal(1, N, CLASSES);
    lm_spread score, again, other;
    for (int i = 0; i < N * CLASSES; i++) logits[i] *= 3;
    double values[7];
    for (int s = 0; s < 7; s++)
        values[s] = by_definition(logits, N * s / 7, N * (s + 1) / 7);
    lm_spread wanted = lm_spread_of(values, 7);
    CHECK_OK(lm_inception_score(logits, N, CLASSES, 7, false, 0, NULL, &score));
    assert_true(fabs(score.mean - wanted.mean) < 1e-13);
    assert_true(fabs(score.deviation - wanted.deviation) < 1e-13);
    CHECK_OK(lm_inception_score(logits, N, CLASSES, 7, true, 1, NULL, &again));
    CHECK_OK(lm_inception_score(logits, N, CLASSES, 7, true, 2, NULL, &other));
    assert_true(again.mean != score.mean && again.mean != other.mean);
    CHECK_OK(lm_inception_score(logits, N, CLASSES, 1, false, 0, NULL, &score));
    CHECK_OK(lm_inception_score(logits, N, CLASSES, 1, true, 2, NULL, &other));
    assert_true(fabs(score.mean - other.mean) < 1e-13); /* one part has no order */
    lm_free(logits);
}

static void wrong_input_is_refused(void **state) {
    float logits[N * CLASSES];
    lm_spread score;
    make_certain(logits);
    CHECK_FAILS(lm_inception_score(logits, N, CLASSES, 0, false, 0, NULL, &score),
                LM_ARG);
    CHECK_FAILS(lm_inception_score(logits, N, CLASSES, N + 1, false, 0, NULL, &score),
                LM_ARG);
    CHECK_FAILS(lm_inception_score(logits, N, 0, 1, false, 0, NULL, &score), LM_ARG);
    logits[N * CLASSES - 1] = -INFINITY;
    CHECK_FAILS(lm_inception_score(logits, N, CLASSES, 1, false, 0, NULL, &score),
                LM_NUMERIC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certain_classes_score_their_number),
        cmocka_unit_test(equal_images_score_one),
        cmocka_unit_test(any_logits_are_as_defined),
        cmocka_unit_test(wrong_input_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
