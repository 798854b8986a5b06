/* Option tables. */
#include "testing.h"

#include "base/mem.h"
#include "base/options.h"
#include <math.h>
#include <string.h>

static const lm_option table[] = {
    {"steps", LM_OPT_INT, "1000", 1, 0, NULL, "N", "training steps"},
    {"seed", LM_OPT_INT, "", 0, 0, NULL, "N", "seed of every random number"},
    {"depth", LM_OPT_INT, "4", 1, 9, NULL, NULL, "levels"},
    {"debt", LM_OPT_INT, "-1", -INFINITY, -1, NULL, NULL, "below nothing"},
    {"lr", LM_OPT_FLOAT, "2e-4", 0, 1, NULL, "X", "learning rate"},
    {"free", LM_OPT_FLOAT, "0", 0, 0, NULL, NULL, "any number"},
    {"positive", LM_OPT_FLOAT, "1", 0, INFINITY, NULL, NULL, "not below zero"},
    {"data", LM_OPT_TEXT, "", 0, 0, NULL, "SPEC", "what to train on"},
    {"loss", LM_OPT_CHOICE, "l2", 0, 0, "l1|l2|huber", NULL, "distance"},
    {"mult", LM_OPT_INTS, "1,2,2", 1, 64, NULL, NULL, "channel multipliers"},
    {"quiet", LM_OPT_FLAG, "false", 0, 0, NULL, NULL, "say less"},
    {"fast", LM_OPT_FLAG, "yes", 0, 0, NULL, NULL, "be fast"},
    {NULL, LM_OPT_FLAG, NULL, 0, 0, NULL, NULL, NULL},
};

static void test_defaults(void **state) {
    lm_settings s;
    CHECK_OK(lm_settings_init(&s, table));
    assert_int_equal(s.count, 12);
    assert_int_equal(lm_setting_int(&s, "steps"), 1000);
    assert_true(lm_setting_float(&s, "lr") == 2e-4);
    assert_string_equal(lm_setting_text(&s, "lr"), "2e-4");
    assert_string_equal(lm_setting_text(&s, "data"), "");
    assert_string_equal(lm_setting_text(&s, "seed"), "");
    assert_string_equal(lm_setting_text(&s, "loss"), "l2");
    assert_int_equal(lm_setting(&s, "mult")->n_ints, 3);
    assert_int_equal(lm_setting(&s, "mult")->ints[2], 2);
    assert_false(lm_setting_flag(&s, "quiet"));
    assert_true(lm_setting_flag(&s, "fast"));
    assert_string_equal(lm_setting_text(&s, "fast"), "true");
    for (int i = 0; i < s.count; i++) assert_false(s.values[i].is_set);
    lm_settings_release(&s);
    lm_settings_release(&s);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_a_bad_default_is_an_internal_error(void **state) {
    const lm_option bad[] = {{"ok", LM_OPT_INT, "1", 0, 0, NULL, NULL, ""},
                             {"bad", LM_OPT_INT, "0", 1, 9, NULL, NULL, ""},
                             {NULL, LM_OPT_FLAG, NULL, 0, 0, NULL, NULL, NULL}};
    lm_settings s;
    CHECK_FAILS(lm_settings_init(&s, bad), LM_INTERNAL);
    assert_non_null(strstr(lm_message(), "bad 0: expected a whole number from 1 to 9"));
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_accepted(void **state) {
    lm_settings s;
    CHECK_OK(lm_settings_init(&s, table));
    CHECK_OK(lm_settings_set(&s, "--", "steps", "1"));
    assert_int_equal(lm_setting_int(&s, "steps"), 1);
    assert_true(lm_setting(&s, "steps")->is_set);
    CHECK_OK(lm_settings_set(&s, "--", "steps", "1000000000000"));
    CHECK_OK(lm_settings_set(&s, "--", "seed", "-9223372036854775808"));
    assert_true(lm_setting_int(&s, "seed") == INT64_MIN);
    CHECK_OK(lm_settings_set(&s, "--", "debt", "-50"));
    CHECK_OK(lm_settings_set(&s, "--", "free", "-1e300"));
    CHECK_OK(lm_settings_set(&s, "--", "positive", "0"));
    CHECK_OK(lm_settings_set(&s, "--", "data", ""));
    assert_true(lm_setting(&s, "data")->is_set);
    CHECK_OK(lm_settings_set(&s, "--", "data", "a b=c"));
    assert_string_equal(lm_setting_text(&s, "data"), "a b=c");
    CHECK_OK(lm_settings_set(&s, "--", "loss", "huber"));
    CHECK_OK(lm_settings_set(&s, "--", "mult", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"));
    assert_int_equal(lm_setting(&s, "mult")->n_ints, 16);
    assert_int_equal(lm_setting(&s, "mult")->ints[15], 16);
    CHECK_OK(lm_settings_set(&s, "--", "quiet", NULL));
    assert_true(lm_setting_flag(&s, "quiet"));
    CHECK_OK(lm_settings_set(&s, "--", "quiet", "no"));
    assert_false(lm_setting_flag(&s, "quiet"));
    CHECK_OK(lm_settings_set(&s, NULL, "quiet", "1"));
    assert_true(lm_setting_flag(&s, "quiet"));
    lm_settings_release(&s);
}

static void test_refused(void **state) {
    static const struct {
        const char *prefix, *name, *value, *message;
    } cases[] = {
        {"--", "steps", "-3", "--steps -3: expected a whole number of at least 1"},
        {"--", "steps", "0", "--steps 0: expected a whole number of at least 1"},
        {"--", "steps", "1.5", "--steps 1.5: expected a whole number of at least 1"},
        {"--", "steps", "", "--steps \"\": expected a whole number of at least 1"},
        {"--", "steps", NULL, "--steps: expected a whole number of at least 1"},
        {"", "seed", "x", "seed x: expected a whole number"},
        {"", "depth", "10", "depth 10: expected a whole number from 1 to 9"},
        {"", "debt", "0", "debt 0: expected a whole number of at most -1"},
        {"", "lr", "2", "lr 2: expected a number from 0 to 1"},
        {"", "lr", "nan", "lr nan: expected a number from 0 to 1"},
        {"", "free", "1e", "free 1e: expected a number"},
        {"", "positive", "-1", "positive -1: expected a number of at least 0"},
        {"--", "data", NULL, "--data: expected a value"},
        {"", "loss", "l", "loss l: expected one of l1, l2, huber"},
        {"", "loss", "l1|l2", "loss l1|l2: expected one of l1, l2, huber"},
        {"", "loss", "", "loss \"\": expected one of l1, l2, huber"},
        {"", "mult", "1,,2",
         "mult 1,,2: expected 1 to 16 whole numbers from 1 to 64 with commas between"},
        {"", "mult", "1,65",
         "mult 1,65: expected 1 to 16 whole numbers from 1 to 64 with commas between"},
        {"", "mult", "0000000000000000000000000000000000000001",
         "mult 0000000000000000000000000000000000000001: expected 1 to 16 whole numbers "
         "from 1 to 64 with commas between"},
        {"", "mult", "",
         "mult \"\": expected 1 to 16 whole numbers from 1 to 64 with commas between"},
        {"", "mult", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
         "mult 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1: expected 1 to 16 whole numbers from 1 "
         "to 64 with commas between"},
        {"--", "quiet", "maybe", "--quiet maybe: expected true or false"},
        {"--", "stesp", "3", "--stesp: unknown option, did you mean --steps?"},
        {"--set ", "los", "l1", "--set los: unknown option, did you mean --set loss?"},
        {"--", "zzzzzzzzzz", "3", "--zzzzzzzzzz: unknown option"},
    };
    lm_settings s, before;
    CHECK_OK(lm_settings_init(&s, table));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_OK(lm_settings_copy(&before, &s));
        CHECK_FAILS(lm_settings_set(&s, cases[i].prefix, cases[i].name, cases[i].value),
                    LM_ARG);
        assert_string_equal(lm_message(), cases[i].message);
        for (int j = 0; j < s.count; j++) {
            assert_string_equal(s.values[j].text, before.values[j].text);
            assert_false(s.values[j].is_set);
        }
        lm_settings_release(&before);
    }
    lm_settings_release(&s);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_apply_is_all_or_nothing(void **state) {
    lm_settings s;
    CHECK_OK(lm_settings_init(&s, table));
    CHECK_OK(lm_settings_apply(&s, "  steps=7\n mult=3,1\tquiet loss=l1 "));
    assert_int_equal(lm_setting_int(&s, "steps"), 7);
    assert_int_equal(lm_setting(&s, "mult")->n_ints, 2);
    assert_true(lm_setting_flag(&s, "quiet"));
    CHECK_OK(lm_settings_apply(&s, ""));
    CHECK_FAILS(lm_settings_apply(&s, "steps=8 depth=0"), LM_ARG);
    assert_string_equal(lm_message(), "depth 0: expected a whole number from 1 to 9");
    assert_int_equal(lm_setting_int(&s, "steps"), 7);
    CHECK_FAILS(lm_settings_apply(&s, "steps"), LM_ARG);
    CHECK_FAILS(lm_settings_apply(&s, "=5"), LM_ARG);
    lm_settings_release(&s);
}

static lm_status run_everything(void) {
    lm_settings s, copy;
    LM_TRY(lm_settings_init(&s, table));
    lm_status status = lm_settings_set(&s, "--", "mult", "4,5");
    if (status == LM_OK) status = lm_settings_apply(&s, "steps=3 loss=l1");
    if (status == LM_OK) status = lm_settings_copy(&copy, &s);
    if (status == LM_OK) lm_settings_release(&copy);
    lm_settings_release(&s);
    return status;
}

static void test_out_of_memory_leaks_nothing(void **state) {
    lm_status status = LM_NOMEM;
    int64_t n = 0;
    while (status == LM_NOMEM) {
        lm_mem_fail_at(++n, 0);
        status = run_everything();
        lm_mem_fail_at(0, 0);
        assert_int_equal(lm_mem_get_stats().blocks, 0);
    }
    assert_int_equal(status, LM_OK);
    assert_true(n > 40);
}

static void test_messages_without_memory(void **state) {
    lm_settings s;
    CHECK_OK(lm_settings_init(&s, table));
    lm_mem_fail_at(1, 1);
    CHECK_FAILS(lm_settings_set(&s, "--", "stesp", "1"), LM_ARG);
    assert_string_equal(lm_message(), "--stesp: unknown option");
    CHECK_FAILS(lm_settings_set(&s, "--", "steps", "x"), LM_ARG);
    assert_string_equal(lm_message(), "--steps x: expected another value");
    lm_mem_fail_at(0, 0);
    lm_settings_release(&s);
}

static void test_help(void **state) {
    static const lm_option rows[] = {
        {"steps", LM_OPT_INT, "1000", 1, 0, NULL, "N", "training steps"},
        {"quiet", LM_OPT_FLAG, "true", 0, 0, NULL, NULL, "say less"},
        {"loss", LM_OPT_CHOICE, "l2", 0, 0, "l1|l2|huber", NULL,
         "the distance that is measured between what the model says and what the data "
         "says it should have said"},
        {"a-very-long-name-indeed", LM_OPT_TEXT, "", 0, 0, NULL, "SOMETHING", "x"},
        {NULL, LM_OPT_FLAG, NULL, 0, 0, NULL, NULL, NULL},
    };
    lm_str help = LM_STR_INIT;
    lm_options_help(rows, "--", &help);
    assert_string_equal(
        lm_str_text(&help),
        "  --steps N           training steps (default 1000)\n"
        "  --quiet             say less (default true)\n"
        "  --loss l1|l2|huber  the distance that is measured between what the model says "
        "and what\n"
        "                      the data says it should have said (default l2)\n"
        "  --a-very-long-name-indeed SOMETHING\n"
        "                      x\n");
    lm_str_release(&help);
    lm_mem_fail_at(2, 1);
    lm_options_help(rows, "--", &help);
    lm_mem_fail_at(0, 0);
    assert_null(lm_str_text(&help));
    lm_str_release(&help);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_a_bad_default_is_an_internal_error),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_apply_is_all_or_nothing),
        cmocka_unit_test(test_out_of_memory_leaks_nothing),
        cmocka_unit_test(test_messages_without_memory),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
