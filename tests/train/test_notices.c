/* What is noticed of a run stands in its log, is told once, and is not told again by a
 * run that goes on. */
#include "testing.h"

#include "scratch.h"

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/notices.h"

#include <stdio.h>
#include <string.h>

/* A family that notices whenever "warm" changes. */
typedef struct weather {
    bool warm;
} weather;

static bool look(const lm_model *model, void *memory, const json_t *row,
                 lm_notice *notice) {
    weather *w = memory;
    const json_t *now = json_object_get(row, "warm");
    bool warm = json_integer_value(now) > 0;
    if (!now || warm == w->warm) return false;
    w->warm = warm;
    *notice = (lm_notice){.name = "weather", .begins = warm};
    snprintf(notice->text, sizeof notice->text, "%s", warm ? "it is warm" : "it was");
    return true;
}

static const lm_family_watch watch = {.size = sizeof(weather), .look = look};
static const lm_family watching = {.name = "watching", .watch = &watch};
static const lm_family blind = {.name = "blind"};

typedef struct told {
    int warnings, others;
    char latest[256];
} told;

static void hear(void *user, lm_log_level level, const char *line) {
    told *t = user;
    *(level == LM_LOG_WARNING ? &t->warnings : &t->others) += 1;
    snprintf(t->latest, sizeof t->latest, "%s", line);
}

static void log_and_look(lm_notices *notices, int64_t step, int warm) {
    char members[32];
    snprintf(members, sizeof members, ", \"warm\": %d", warm);
    const lm_log_row row = {
        .step = step, .images = 4 * step, .seconds = 1, .members = members};
    const lm_train_state state = {.step = step, .images = 4 * step};
    CHECK_OK(lm_run_log(notices->run, &row));
    CHECK_OK(lm_notices_look(notices, &state, 1, members));
}

static lm_status count_notices(void *user, const json_t *row) {
    *(int *)user += json_object_get(row, "notice") != NULL;
    return LM_OK;
}

static int notices_in_log(const lm_run *run) {
    int count = 0;
    CHECK_OK(lm_run_visit_log(run, count_notices, &count));
    return count;
}

static void test_told_and_remembered(void **state) {
    const lm_run run = {.folder = scratch_folder};
    const lm_model model = {.family = &watching};
    lm_notices notices;
    told t = {0};
    lm_log_set(hear, &t);
    CHECK_OK(lm_notices_init(&run, &model, &notices)); /* without a log */
    log_and_look(&notices, 1, 0);
    assert_int_equal(t.warnings, 0);
    log_and_look(&notices, 2, 1);
    log_and_look(&notices, 3, 1);
    assert_int_equal(t.warnings, 1);
    assert_string_equal(t.latest, "step 2: it is warm");
    assert_int_equal(notices_in_log(&run), 1);
    lm_notices_release(&notices);

    CHECK_OK(lm_notices_init(&run, &model, &notices));
    assert_int_equal(t.warnings + t.others, 1);
    log_and_look(&notices, 4, 1);
    assert_int_equal(t.warnings, 1);
    log_and_look(&notices, 5, 0);
    assert_int_equal(t.warnings, 1);
    assert_int_equal(t.others, 1);
    assert_int_equal(notices_in_log(&run), 2);
    lm_notices_release(&notices);
    lm_log_set(NULL, NULL);
}

static void test_rows_behind_the_checkpoint_go(void **state) {
    const lm_run run = {.folder = scratch_folder};
    lm_log_end end;
    CHECK_OK(lm_run_rewind_log(&run, 3, &end));
    assert_int_equal(notices_in_log(&run), 1);
    assert_int_equal(end.evaluated, -1);
}

static lm_status refuse(void *user, const json_t *row) {
    return lm_fail(LM_FORMAT, "enough");
}

static void test_visits(void **state) {
    const lm_run run = {.folder = scratch_folder},
                 none = {.folder = (char[]){"no-such-folder"}};
    CHECK_FAILS(lm_run_visit_log(&run, refuse, NULL), LM_FORMAT);
    CHECK_OK(lm_run_visit_log(&none, refuse, NULL));
}

static void test_families_need_not_watch(void **state) {
    const lm_run run = {.folder = scratch_folder};
    const lm_model model = {.family = &blind};
    lm_notices notices;
    CHECK_OK(lm_notices_init(&run, &model, &notices));
    const lm_train_state at = {.step = 9};
    CHECK_OK(lm_notices_look(&notices, &at, 1, NULL));
    lm_notices_release(&notices);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_and_remembered),
        cmocka_unit_test(test_rows_behind_the_checkpoint_go),
        cmocka_unit_test(test_visits),
        cmocka_unit_test(test_families_need_not_watch),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
