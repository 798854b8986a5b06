/* Whose turn it is: formulas against a walk through all steps. */
#include "testing.h"

#include "train/turns.h"

#include <string.h>

static lm_phase_rule given[LM_MAX_PHASES];
static bool absent[LM_MAX_PHASES];

static bool give(int phase, lm_phase_rule *rule) {
    *rule = given[phase];
    return !absent[phase];
}
static bool rule0(const lm_model *model, lm_phase_rule *rule) {
    return give(0, rule);
}
static bool rule1(const lm_model *model, lm_phase_rule *rule) {
    return give(1, rule);
}
static bool rule2(const lm_model *model, lm_phase_rule *rule) {
    return give(2, rule);
}
static lm_node *no_loss(const lm_model *model, lm_nn *nn, lm_node *images,
                        lm_node *labels) {
    return NULL;
}

static const lm_family family = {.name = "fake",
                                 .phases = {{"critic", 1, no_loss, rule0},
                                            {"penalty", 1, no_loss, rule1},
                                            {"generator", 0, no_loss, rule2}}};
static const lm_model model = {.family = &family, .n_groups = 2};

enum { PHASES = 3, STEPS = 40 };
static const int groups[PHASES] = {1, 1, 0};

/* Steps in order, each reading a batch when it comes to a run that needs it. */
static void walk(const lm_phase_rule rules[PHASES]) {
    lm_turns turns;
    memcpy(given, rules, sizeof *rules * PHASES);
    CHECK_OK(lm_turns_init(&model, &turns));
    assert_int_equal(turns.count, PHASES);
    int64_t number[2] = {0}, last[2] = {0}, before = 0;
    for (int64_t step = 0; step < STEPS; step++, before += turns.reads) {
        int read = 0;
        for (int p = 0; p < PHASES; p++) {
            bool due = !absent[p] && step % rules[p].every == 0;
            assert_int_equal(lm_turns_runs(&turns, p, step), due ? rules[p].runs : 0);
            for (int run = 0; due && run < rules[p].runs; run++) {
                if (run == read) read++;
                lm_turn turn = lm_turns_at(&turns, p, step, run);
                assert_int_equal(turn.number, ++number[groups[p]]);
                assert_int_equal(turn.seen, before + read);
                assert_int_equal(turn.since, before + read - last[groups[p]]);
                last[groups[p]] = before + read;
            }
        }
        assert_true(read <= turns.reads);
    }
}

static void test_formulas(void **state) {
    static const lm_phase_rule cases[][PHASES] = {
        {{1, 1, 1}, {1, 1, 1}, {1, 1, 1}},   {{1, 5, 1}, {1, 1, 1}, {1, 1, 1}},
        {{1, 3, 1}, {4, 1, 0.5}, {1, 1, 2}}, {{1, 1, 1}, {16, 2, 1}, {1, 2, 1}},
        {{1, 2, 1}, {3, 5, 1}, {4, 1, 1}},   {{4, 3, 1}, {6, 2, 1}, {1, 1, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int without = 0; without < 2; without++) {
            absent[1] = without;
            walk(cases[i]);
        }
    absent[1] = false;
}

static void test_reads(void **state) {
    lm_turns turns;
    given[0] = (lm_phase_rule){1, 3, 1};
    given[1] = (lm_phase_rule){4, 7, 1};
    given[2] = (lm_phase_rule){1, 1, 1};
    CHECK_OK(lm_turns_init(&model, &turns));
    assert_int_equal(turns.reads, 7);
    absent[1] = true; /* a phase that is not there reads nothing */
    CHECK_OK(lm_turns_init(&model, &turns));
    assert_int_equal(turns.reads, 3);
    assert_int_equal(turns.rules[1].every, 0);
    absent[1] = false;
}

static void test_wrong_rules(void **state) {
    static const lm_phase_rule wrong[] = {{0, 1, 1}, {1, 0, 1}, {1, 1, -1}, {-2, 1, 1}};
    lm_turns turns;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        for (int p = 0; p < PHASES; p++) given[p] = (lm_phase_rule){1, 1, 1};
        given[1] = wrong[i];
        CHECK_FAILS(lm_turns_init(&model, &turns), LM_ARG);
        assert_non_null(strstr(lm_message(), "penalty"));
    }
    for (int p = 0; p < PHASES; p++) given[p] = (lm_phase_rule){2, 1, 1};
    CHECK_FAILS(lm_turns_init(&model, &turns), LM_ARG);
    assert_non_null(strstr(lm_message(), "every step"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_wrong_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
