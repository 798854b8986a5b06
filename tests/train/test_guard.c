/* Runs that go wrong: told, ended, or taken back, and the same again after a stop. */
#include "small.h"

#include "train/notices.h"

#include <string.h>

/* A generator that learns faster and more often than its discriminator. */
static const char *unfair[] = {"base=4",  "z=8",       "batch=16", "g-rate=50",
                               "lr=2e-4", "g-steps=5", "warmup=50"};

static lm_train_request unfair_run(const char *name, lm_on_collapse on_collapse) {
    lm_train_request request = small_run(name, 60, NULL);
    request.family = "gan";
    request.preset = "mnist";
    request.data = "builtin:digits?size=12";
    request.assignments = unfair;
    request.n_assignments = sizeof unfair / sizeof *unfair;
    request.save_every = 10;
    request.seed = 0;
    request.on_collapse = on_collapse;
    return request;
}

/* Notices of a name in a run's log, and the last one's text. */
typedef struct found {
    const char *name;
    int count;
    int64_t step;
    char text[LM_NOTICE_TEXT];
} found;

static lm_status find_notice(void *user, const json_t *row) {
    found *f = user;
    const char *name = json_string_value(json_object_get(row, "notice"));
    if (!name || strcmp(name, f->name) != 0) return LM_OK;
    f->count++;
    f->step = json_integer_value(json_object_get(row, "step"));
    snprintf(f->text, sizeof f->text, "%s",
             json_string_value(json_object_get(row, "text")));
    return LM_OK;
}

static found find(const char *folder, const char *name) {
    found f = {.name = name};
    const lm_run run = {.folder = (char *)folder};
    CHECK_OK(lm_run_visit_log(&run, find_notice, &f));
    return f;
}

static void it_is_told(void **state) {
    lm_train_result result;
    lm_train_request request = unfair_run("warn", LM_COLLAPSE_WARN);
    CHECK_OK(lm_train(&request, &result));
    found f = find(request.out, "discriminator-lost");
    assert_int_equal(f.count, 1);
    assert_non_null(strstr(f.text, "discriminator-lost since step "));
    assert_non_null(strstr(f.text, "accuracy 0."));
    assert_true(f.step < 40);
}

static void it_ends_the_run(void **state) {
    lm_train_result result;
    lm_train_request request = unfair_run("stop", LM_COLLAPSE_STOP);
    CHECK_FAILS(lm_train(&request, &result), LM_UNHEALTHY);
    assert_non_null(strstr(lm_message(), "discriminator-lost since step "));
    assert_true(result.state.step < 40);
    assert_true(lm_file_exists(result.checkpoint));
    found f = find(request.out, "discriminator-lost");
    assert_int_equal(f.step, result.state.step);
    /* Who goes on has been told. */
    request.resume = true;
    request.limits.steps = result.state.step + 1;
    CHECK_OK(lm_train(&request, &result));
    assert_int_equal(result.new_steps, 1);
}

static bool stop_at(void *user) {
    int *left = user;
    return --*left == 0;
}

static void it_goes_back(void **state) {
    lm_train_result whole, part;
    lm_train_request request = unfair_run("back", LM_COLLAPSE_ROLLBACK);
    lm_status end = lm_train(&request, &whole);
    assert_true(end == LM_OK || end == LM_UNHEALTHY);
    assert_true(whole.state.rollbacks > 0);
    char healthy[400];
    snprintf(healthy, sizeof healthy, "%s/checkpoints/healthy.safetensors", request.out);
    assert_true(lm_file_exists(healthy));
    found f = find(request.out, "rollback");
    assert_int_equal(f.count, whole.state.rollbacks);
    assert_non_null(strstr(f.text, "discriminator-lost"));
    assert_int_equal(f.step % 10, 0);

    /* Stopped every now and then, it ends with the same bytes. */
    lm_train_request again = unfair_run("back-parts", LM_COLLAPSE_ROLLBACK);
    lm_status status = LM_INTERRUPTED;
    for (int i = 0; i < 40 && status == LM_INTERRUPTED; i++) {
        int left = 17 + i;
        again.hooks = (lm_train_hooks){.user = &left, .stop = stop_at};
        again.resume = i > 0;
        status = lm_train(&again, &part);
    }
    assert_int_equal(status, end);
    assert_int_equal(part.state.rollbacks, whole.state.rollbacks);
    assert_int_equal(part.state.step, whole.state.step);
    assert_true(same_bytes(whole.checkpoint, part.checkpoint));
    assert_int_equal(find(again.out, "rollback").count, f.count);
}

/* Rates at which numbers end, however often they are halved. */
static void what_is_not_finite_goes_back_too(void **state) {
    lm_train_result result;
    lm_train_request request = small_run("infinite", 50, NULL);
    static const char *wild[] = {"base=8",  "mult=1,2", "blocks=1", "attention=7",
                                 "batch=4", "groups=4", "warmup=0", "lr=1e30"};
    request.assignments = wild;
    request.n_assignments = sizeof wild / sizeof *wild;
    request.on_collapse = LM_COLLAPSE_ROLLBACK;
    CHECK_FAILS(lm_train(&request, &result), LM_UNHEALTHY);
    assert_non_null(strstr(lm_message(), "after 3 rollbacks: blow-up: "));
    assert_int_equal(result.state.rollbacks, 3);
    assert_int_equal(find(request.out, "rollback").count, 3);
}

/* The watch's part of a checkpoint: absent, of another watch, damaged. */
static void older_checkpoints(void **state) {
    lm_train_result result;
    lm_train_request request = small_run("older", 2, NULL);
    CHECK_OK(lm_train(&request, &result));
    double numbers[1000];
    bool known;
    CHECK_OK(lm_checkpoint_load_watch(result.checkpoint, 7, numbers, &known));
    assert_false(known);
    lm_run run;
    lm_model *model;
    lm_guard guard;
    CHECK_OK(lm_run_read(request.out, &run));
    CHECK_OK(lm_run_model(&run, &model));
    CHECK_OK(lm_guard_init(&run, model, &guard));
    CHECK_OK(lm_checkpoint_load_watch(result.checkpoint, guard.count, numbers, &known));
    assert_true(known);
    CHECK_OK(lm_guard_load(&guard, result.checkpoint, 2));
    CHECK_FAILS(lm_guard_load(&guard, "/nowhere.safetensors", 2), LM_NOT_FOUND);
    lm_guard_release(&guard);
    lm_model_close(model);
    lm_run_release(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_told),
        cmocka_unit_test(it_ends_the_run),
        cmocka_unit_test(it_goes_back),
        cmocka_unit_test(what_is_not_finite_goes_back_too),
        cmocka_unit_test(older_checkpoints),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
