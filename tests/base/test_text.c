/* Status messages, strings, parsing, time, log. */
#include "testing.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void test_codes_have_names(void **state) {
    assert_string_equal(lm_status_name(LM_OK), "LM_OK");
    assert_string_equal(lm_status_name(LM_NOT_FOUND), "LM_NOT_FOUND");
    assert_string_equal(lm_status_text(LM_NOMEM), "out of memory");
    for (int i = 0; i < LM_STATUS_COUNT; i++) {
        assert_true(*lm_status_text((lm_status)i));
        assert_int_equal(strncmp(lm_status_name((lm_status)i), "LM_", 3), 0);
    }
    assert_non_null(lm_status_text((lm_status)LM_STATUS_COUNT));
    assert_non_null(lm_status_name((lm_status)-1));
}

static void test_messages(void **state) {
    lm_message_clear();
    assert_string_equal(lm_message(), "");
    assert_int_equal(lm_fail(LM_IO, "%s: %d", "a", 7), LM_IO);
    assert_string_equal(lm_message(), "a: 7");
    assert_int_equal(lm_fail_context(LM_FORMAT, "in %s", "b"), LM_FORMAT);
    assert_string_equal(lm_message(), "in b: a: 7");
    lm_fail(LM_IO, "again %s", lm_message());
    assert_string_equal(lm_message(), "again in b: a: 7");
    lm_fail(LM_IO, "two\nlines\x1b[31m\tand\x7f");
    assert_string_equal(lm_message(), "two lines [31m and ");
    char longer[3000];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    lm_fail(LM_IO, "%s", longer);
    assert_true(strlen(lm_message()) > 500);
    assert_string_equal(lm_message() + strlen(lm_message()) - 4, "x...");
    lm_fail_context(LM_IO, "%s", longer);
}

static void *fail_elsewhere(void *seen) {
    *(bool *)seen = *lm_message() != '\0';
    lm_fail(LM_ARG, "of another thread");
    return NULL;
}

static void test_messages_are_per_thread(void **state) {
    pthread_t thread;
    bool seen = true;
    lm_fail(LM_IO, "mine");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &seen), 0);
    pthread_join(thread, NULL);
    assert_false(seen);
    assert_string_equal(lm_message(), "mine");
}

static lm_status try_twice(lm_status first, lm_status second) {
    LM_TRY(first);
    LM_RETURN_IF(second, second, "second %s", "failed");
    lm_status status = LM_OK;
    LM_TRY_GOTO(out, first);
out:
    return status;
}

static void test_try(void **state) {
    CHECK_OK(try_twice(LM_OK, LM_OK));
    CHECK_FAILS(try_twice(LM_SHAPE, LM_ARG), LM_SHAPE);
    CHECK_FAILS(try_twice(LM_OK, LM_ARG), LM_ARG);
    assert_string_equal(lm_message(), "second failed");
}

static void test_strings_grow(void **state) {
    lm_str str = LM_STR_INIT;
    assert_string_equal(lm_str_text(&str), "");
    for (int i = 0; i < 1000; i++) lm_str_printf(&str, "%d,", i % 10);
    assert_int_equal(str.length, 2000);
    assert_int_equal(strlen(lm_str_text(&str)), 2000);
    assert_memory_equal(lm_str_text(&str) + 1990, "5,6,7,8,9,", 10);
    lm_str_clear(&str);
    assert_string_equal(lm_str_text(&str), "");
    lm_str_append(&str, "");
    lm_str_append(&str, "a%db");
    assert_string_equal(lm_str_text(&str), "a%db");
    lm_str_release(&str);
    assert_string_equal(lm_str_text(&str), "");
}

static void test_string_out_of_memory_is_sticky(void **state) {
    lm_str str = LM_STR_INIT;
    lm_str_append(&str, "start");
    lm_mem_fail_at(1, 0);
    lm_str_printf(&str, "%200d", 1);
    lm_mem_fail_at(0, 0);
    lm_str_append(&str, "more");
    assert_null(lm_str_text(&str));
    lm_str_clear(&str);
    lm_str_append(&str, "fresh");
    assert_string_equal(lm_str_text(&str), "fresh");
    lm_str_release(&str);
    assert_int_equal(lm_mem_get_stats().blocks, 0);
}

static void test_parse_int(void **state) {
    int64_t value = 0;
    assert_true(lm_parse_int("0", &value) && value == 0);
    assert_true(lm_parse_int("-17", &value) && value == -17);
    assert_true(lm_parse_int("9223372036854775807", &value) && value == INT64_MAX);
    assert_true(lm_parse_int("-9223372036854775808", &value) && value == INT64_MIN);
    value = 5;
    const char *bad[] = {"",
                         " 1",
                         "1 ",
                         "1.0",
                         "0x10",
                         "--1",
                         "1e3",
                         "-",
                         "nine",
                         "1,",
                         "9223372036854775808",
                         "-9223372036854775809"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (lm_parse_int(bad[i], &value)) fail_msg("'%s' was taken", bad[i]);
    assert_int_equal(value, 5);
}

static void test_parse_double(void **state) {
    double value = 0;
    assert_true(lm_parse_double("2e-4", &value) && value == 2e-4);
    assert_true(lm_parse_double("-.5", &value) && value == -0.5);
    assert_true(lm_parse_double("1e-320", &value) && value > 0);
    const char *bad[] = {"",          " 1",    "1 ",  "nan", "inf",
                         "-infinity", "1e400", "1,5", "x",   "."};
    value = 5;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (lm_parse_double(bad[i], &value)) fail_msg("'%s' was taken", bad[i]);
    assert_true(value == 5);
    if (setlocale(LC_ALL, "de_DE.UTF-8")) /* where there is one */
        assert_true(lm_parse_double("0.25", &value) && value == 0.25);
    setlocale(LC_ALL, "C");
}

static void test_edit_distance(void **state) {
    assert_int_equal(lm_edit_distance("", ""), 0);
    assert_int_equal(lm_edit_distance("", "abc"), 3);
    assert_int_equal(lm_edit_distance("abc", ""), 3);
    assert_int_equal(lm_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(lm_edit_distance("steps", "stesp"), 1);
    assert_int_equal(lm_edit_distance("ca", "abc"), 3); /* 2 with edits inside a swap */
    assert_int_equal(lm_edit_distance("flaw", "lawn"), 2);
    char longer[100];
    memset(longer, 'a', sizeof longer - 1);
    longer[99] = '\0';
    assert_int_equal(lm_edit_distance(longer, "a"), 64);
    longer[63] = '\0';
    assert_int_equal(lm_edit_distance(longer, "a"), 62);
}

static void test_nearest(void **state) {
    const char *names[] = {"steps", "seed", "size", "batch", "epochs", NULL};
    assert_string_equal(lm_nearest("stesp", names), "steps");
    assert_string_equal(lm_nearest("step", names), "steps");
    assert_string_equal(lm_nearest("sede", names), "seed");
    assert_string_equal(lm_nearest("size", names), "size");
    assert_string_equal(lm_nearest("bacht", names), "batch");
    assert_null(lm_nearest("learning-rate", names));
    assert_null(lm_nearest("x", (const char *const[]){NULL}));
}

static void check_duration(double seconds, const char *wanted) {
    char text[32];
    lm_duration_text(seconds, text, sizeof text);
    assert_string_equal(text, wanted);
}

static void test_time(void **state) {
    double start = lm_now();
    assert_true(lm_now() >= start);
    char text[32];
    lm_utc_text(text, sizeof text);
    int year, month, day, hour, minute, second, length = 0;
    assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &year, &month, &day,
                            &hour, &minute, &second, &length),
                     6);
    assert_int_equal(length, 20);
    assert_true(year >= 2024);
    lm_utc_text(text, 21);
    assert_int_equal(strlen(text), 20);
    check_duration(0, "0 s");
    check_duration(4.4, "4 s");
    check_duration(59.6, "1 min 00 s");
    check_duration(185, "3 min 05 s");
    check_duration(3599.9, "1 h 00 min");
    check_duration(7800, "2 h 10 min");
    check_duration(-3, "0 s");
    check_duration(NAN, "0 s");
    check_duration(INFINITY, "277777777777 h 47 min");
}

static int lines_seen;
static char last_line[64];
static lm_log_level last_level;

static void keep_line(void *user, lm_log_level level, const char *line) {
    assert_ptr_equal(user, &lines_seen);
    lines_seen++;
    last_level = level;
    snprintf(last_line, sizeof last_line, "%s", line);
}

static void test_log(void **state) {
    lm_log_line(LM_LOG_INFO, "dropped");
    lm_log_set(keep_line, &lines_seen);
    lm_log_line(LM_LOG_WARNING, "%d %s", 3, "apples");
    assert_int_equal(lines_seen, 1);
    assert_string_equal(last_line, "3 apples");
    assert_int_equal(last_level, LM_LOG_WARNING);
    lm_log_set(NULL, NULL);
    lm_log_line(LM_LOG_DEBUG, "dropped");
    assert_int_equal(lines_seen, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_have_names),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_messages_are_per_thread),
        cmocka_unit_test(test_try),
        cmocka_unit_test(test_strings_grow),
        cmocka_unit_test(test_string_out_of_memory_is_sticky),
        cmocka_unit_test(test_parse_int),
        cmocka_unit_test(test_parse_double),
        cmocka_unit_test(test_edit_distance),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
