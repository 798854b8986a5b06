/* Whole training runs, small ones: determinism, exact resume, and what must not be lost
 * when things go wrong. */
#include "small.h"

#include "tensor/safetensors.h"
#include "train/draw.h"

#include <stdio.h>
#include <string.h>

static char *path_of(const char *run, const char *name) {
    static char paths[16][256];
    static int next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s%s%s", scratch_folder, run, name ? "/" : "",
             name ? name : "");
    return path;
}

static void assert_same_bytes(const char *a, const char *b) {
    if (!same_bytes(a, b)) fail_msg("%s and %s differ", a, b);
}

#define CHECKPOINT(n) "checkpoints/step-0000000" #n ".safetensors"

static void test_same_seed_same_bytes(void **state) {
    lm_train_result a, b, c;
    lm_train_request request = small_run("first", 5, NULL);
    CHECK_OK(lm_train(&request, &a));
    request.out = path_of("second", NULL);
    CHECK_OK(lm_train(&request, &b));
    assert_int_equal(a.state.step, 5);
    assert_int_equal(a.state.images, 20);
    assert_string_equal(a.checkpoint, path_of("first", CHECKPOINT(5)));
    assert_same_bytes(a.checkpoint, b.checkpoint);
    assert_same_bytes(a.sheet, b.sheet);
    request.out = path_of("third", NULL);
    request.seed = 4;
    CHECK_OK(lm_train(&request, &c));
    assert_false(same_bytes(a.checkpoint, c.checkpoint));
}

typedef struct countdown {
    int calls, at;
} countdown;

static bool stop_at(void *user) {
    countdown *s = user;
    return ++s->calls >= s->at;
}

static void test_resume_continues_bit_for_bit(void **state) {
    lm_train_result whole, part;
    lm_train_request request = small_run("whole", 6, NULL);
    request.data = "builtin:digits?limit=13&flip&pad-crop=3"; /* ends within batches */
    request.keep = 10;
    CHECK_OK(lm_train(&request, &whole));

    countdown stopper = {0, 2};
    request.out = path_of("parts", NULL);
    request.hooks = (lm_train_hooks){.user = &stopper, .stop = stop_at};
    CHECK_FAILS(lm_train(&request, &part), LM_INTERRUPTED);
    assert_int_equal(part.state.step, 2);
    assert_true(lm_file_exists(path_of("parts", CHECKPOINT(2))));

    /* Twice, the second time with nothing given but the run. */
    stopper.calls = 0;
    stopper.at = 3;
    request.resume = true;
    CHECK_FAILS(lm_train(&request, &part), LM_INTERRUPTED);
    assert_int_equal(part.state.step, 5);
    lm_train_request bare = {.out = path_of("parts", NULL),
                             .resume = true,
                             .log_every = 1,
                             .snapshot_count = 2,
                             .snapshot_steps = 2,
                             .keep = 10};
    CHECK_OK(lm_train(&bare, &part));
    assert_same_bytes(whole.checkpoint, part.checkpoint);
    assert_same_bytes(whole.sheet, part.sheet);
}

/* Killed before its first checkpoint, a run begins again at its start. */
static void test_resume_without_a_checkpoint(void **state) {
    lm_train_result result;
    lm_train_request request = small_run("early", 2, NULL);
    CHECK_OK(lm_train(&request, &result));
    const char *kept = path_of("early", "kept");
    assert_int_equal(rename(path_of("early", CHECKPOINT(2)), kept), 0);
    request.resume = true;
    CHECK_OK(lm_train(&request, &result));
    assert_string_equal(result.checkpoint, path_of("early", CHECKPOINT(2)));
    assert_same_bytes(result.checkpoint, kept);
    void *text;
    size_t size;
    CHECK_OK(lm_file_read(path_of("early", "log.jsonl"), 1 << 20, &text, &size));
    int64_t lines = 0;
    for (size_t i = 0; i < size; i++) lines += ((char *)text)[i] == '\n';
    assert_int_equal(lines, 2);
    lm_free(text);
}

/* A crash leaves log lines behind that the resumed run writes again. */
static void test_resume_rewinds_the_log(void **state) {
    CHECK_OK(lm_file_append_line(path_of("parts", "log.jsonl"),
                                 "{\"step\": 7, \"seconds\": 99}"));
    FILE *file = fopen(path_of("parts", "log.jsonl"), "a");
    fputs("{\"step\": 8, \"sec", file);
    fclose(file);
    lm_train_result result;
    lm_train_request request = {.out = path_of("parts", NULL),
                                .resume = true,
                                .limits = {.steps = 8},
                                .log_every = 1,
                                .snapshot_count = 2,
                                .snapshot_steps = 2};
    CHECK_OK(lm_train(&request, &result));
    void *text;
    size_t size;
    CHECK_OK(lm_file_read(path_of("parts", "log.jsonl"), 1 << 20, &text, &size));
    int line = 0;
    char *rest = NULL;
    for (char *row = strtok_r(text, "\n", &rest); row;
         row = strtok_r(NULL, "\n", &rest)) {
        int step = 0;
        assert_int_equal(sscanf(row, "{\"step\": %d", &step), 1);
        assert_int_equal(step, ++line);
    }
    assert_int_equal(line, 8);
    lm_free(text);
}

static void test_resume_refuses_what_differs(void **state) {
    lm_train_result result;
    lm_train_request request = small_run("whole", 9, NULL);
    CHECK_FAILS(lm_train(&request, &result), LM_ARG); /* no --resume */
    request.resume = true;
    request.seed = 4;
    request.seed_given = true;
    CHECK_FAILS(lm_train(&request, &result), LM_MISMATCH);
    request.seed_given = false;
    request.data = "mnist";
    CHECK_FAILS(lm_train(&request, &result), LM_MISMATCH);
    request.data = NULL;
    const char *wider = "base=16";
    request.assignments = &wider;
    request.n_assignments = 1;
    CHECK_FAILS(lm_train(&request, &result), LM_MISMATCH);
    assert_non_null(strstr(lm_message(), "base=16"));
    request.out = path_of("nowhere", NULL);
    CHECK_FAILS(lm_train(&request, &result), LM_NOT_FOUND);
}

/* The setting, which presets use, does what the SPEC's option does. */
static void test_flip_by_setting(void **state) {
    const char *flipped[N_SMALL + 1];
    memcpy(flipped, small_model, sizeof small_model);
    flipped[N_SMALL] = "flip=on";
    lm_train_result plain, by_spec, by_setting;
    lm_train_request request = small_run("plain", 2, NULL);
    CHECK_OK(lm_train(&request, &plain));
    request = small_run("by-spec", 2, NULL);
    request.data = "builtin:digits?flip";
    CHECK_OK(lm_train(&request, &by_spec));
    request = small_run("by-setting", 2, NULL);
    request.assignments = flipped;
    request.n_assignments = N_SMALL + 1;
    CHECK_OK(lm_train(&request, &by_setting));
    assert_true(by_setting.loss == by_spec.loss);
    assert_true(by_setting.loss != plain.loss);
}

/* As an earlier version would have left it. */
static void make_older(const char *run) {
    char command[400];
    snprintf(command, sizeof command, "sed -i 's/\"format\": [0-9]*/\"format\": 1/' %s",
             path_of(run, "run.json"));
    assert_int_equal(system(command), 0);
}

/* The order of a set's images changed; endless sets have none. */
static void test_resume_refuses_another_order(void **state) {
    lm_train_result result;
    lm_train_request request = small_run("shuffled", 1, NULL);
    request.data = "builtin:digits?limit=9";
    CHECK_OK(lm_train(&request, &result));
    make_older("shuffled");
    request.resume = true;
    request.limits.steps = 2;
    CHECK_FAILS(lm_train(&request, &result), LM_MISMATCH);
    assert_non_null(strstr(lm_message(), "earlier version"));
    request = small_run("endless", 1, NULL);
    CHECK_OK(lm_train(&request, &result));
    make_older("endless");
    request.resume = true;
    request.limits.steps = 2;
    CHECK_OK(lm_train(&request, &result));
    assert_int_equal(result.state.step, 2);
}

/* The first step of one run tries to start others in its folder. */
static bool try_to_join(void *user) {
    lm_train_result result;
    lm_train_request *outer = user, second = *outer;
    second.hooks = (lm_train_hooks){0};
    CHECK_FAILS(lm_train(&second, &result), LM_ARG);
    assert_non_null(strstr(lm_message(), "in progress"));
    second.resume = true;
    CHECK_FAILS(lm_train(&second, &result), LM_ARG);
    assert_non_null(strstr(lm_message(), "in progress"));
    return false;
}

static void test_two_in_one_folder(void **state) {
    lm_train_result result;
    lm_train_request request = small_run("shared", 1, NULL);
    request.hooks = (lm_train_hooks){.user = &request, .stop = try_to_join};
    CHECK_OK(lm_train(&request, &result));
    request.hooks = (lm_train_hooks){0};
    request.resume = true;
    request.limits.steps = 2;
    CHECK_OK(lm_train(&request, &result)); /* the first has ended */
}

static void copy_file(const char *from, const char *to, size_t limit) {
    void *data;
    size_t size;
    CHECK_OK(lm_file_read(from, 1 << 28, &data, &size));
    FILE *file = fopen(to, "wb");
    assert_non_null(file);
    if (size > limit) size = limit;
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
    lm_free(data);
}

static void test_checkpoint_of_another_model(void **state) {
    lm_train_result result;
    const char *wider[N_SMALL + 1];
    memcpy(wider, small_model, sizeof small_model);
    wider[N_SMALL] = "base=16";
    lm_train_request request = small_run("wider", 1, NULL);
    request.assignments = wider;
    request.n_assignments = N_SMALL + 1;
    CHECK_OK(lm_train(&request, &result));
    copy_file(path_of("first", CHECKPOINT(5)), path_of("wider", CHECKPOINT(5)), SIZE_MAX);
    request.resume = true;
    request.limits.steps = 6;
    CHECK_FAILS(lm_train(&request, &result), LM_MISMATCH);
    assert_non_null(strstr(lm_message(), CHECKPOINT(5)));

    /* A truncated one is another kind of wrong. */
    copy_file(path_of("first", CHECKPOINT(5)), path_of("wider", CHECKPOINT(6)), 5000);
    CHECK_FAILS(lm_train(&request, &result), LM_FORMAT);
    assert_non_null(strstr(lm_message(), CHECKPOINT(6)));
}

static void test_not_finite_stops_and_names_the_tensor(void **state) {
    lm_train_result result;
    const char *wild[N_SMALL + 2];
    memcpy(wild, small_model, sizeof small_model);
    wild[N_SMALL] = "lr=1e30";
    wild[N_SMALL + 1] = "warmup=0";
    lm_train_request request = small_run("wild", 50, NULL);
    request.assignments = wild;
    request.n_assignments = N_SMALL + 2;
    request.save_every = 1;
    CHECK_FAILS(lm_train(&request, &result), LM_NUMERIC);
    assert_non_null(strstr(lm_message(), "first bad tensor: "));
    assert_null(strstr(lm_message(), "none found"));
    assert_non_null(strstr(lm_message(), "unet"));
    assert_true(result.checkpoint[0] != '\0');
    lm_safetensors file; /* what was kept can be read */
    CHECK_OK(lm_safetensors_open(&file, result.checkpoint));
    lm_safetensors_release(&file);
}

static void test_unwritable_folder(void **state) {
    lm_train_result result;
    lm_train_request request = small_run("x", 1, NULL);
    request.out = "/proc/limn-cannot-be-here";
    CHECK_FAILS(lm_train(&request, &result), LM_IO);
    assert_non_null(strstr(lm_message(), "/proc/limn-cannot-be-here"));
}

/* Writes beyond the limit fail as on a full disk. */
static void test_full_disk_keeps_the_old_checkpoint(void **state) {
    lm_train_result result;
    copy_file(path_of("first", CHECKPOINT(5)), path_of("first", "kept"), SIZE_MAX);
    lm_train_request request = {.out = path_of("first", NULL),
                                .resume = true,
                                .limits = {.steps = 6},
                                .keep = 1,
                                .snapshot_count = 2,
                                .snapshot_steps = 2};
    disk_is_full_at(20000);
    lm_status status = lm_train(&request, &result);
    disk_has_room();
    CHECK_FAILS(status, LM_IO);
    assert_non_null(strstr(lm_message(), CHECKPOINT(6)));
    assert_same_bytes(path_of("first", CHECKPOINT(5)), path_of("first", "kept"));
    char **names;
    size_t count;
    CHECK_OK(lm_list_folder(path_of("first", "checkpoints"), NULL, &names, &count));
    assert_int_equal(count, 1); /* and no half-written one */
    lm_names_free(names, count);
    CHECK_OK(lm_train(&request, &result)); /* with room again it goes on */
}

static void test_wrong_settings(void **state) {
    static const struct {
        const char *assignment, *says;
    } cases[] = {
        {"bsae=8", "did you mean base"},
        {"base=-3", "base"},
        {"lr=fast", "lr"},
        {"batch=0", "batch"},
        {"base", "key=value"},
        {"mult=1,2,3,4", "mult"},
        {"schedule=square", "linear"},
        {"dropout=2", "dropout"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_train_result result;
        lm_train_request request = small_run("never", 1, NULL);
        request.assignments = &cases[i].assignment;
        request.n_assignments = 1;
        CHECK_FAILS(lm_train(&request, &result), LM_ARG);
        if (!strstr(lm_message(), cases[i].says))
            fail_msg("%s: '%s'", cases[i].assignment, lm_message());
        assert_false(lm_is_folder(path_of("never", NULL)));
    }
}

/* Images depend on seed and index, not on how many are drawn at a time. */
static void test_drawing_by_index(void **state) {
    lm_run run;
    lm_model *model;
    lm_engine *engine;
    lm_train_state loaded;
    CHECK_OK(lm_run_read(path_of("whole", NULL), &run));
    CHECK_OK(lm_run_model(&run, &model));
    CHECK_OK(lm_engine_new("cpu", &engine));
    CHECK_OK(lm_checkpoint_add_vars(model, engine));
    CHECK_OK(lm_checkpoint_load(path_of("whole", CHECKPOINT(6)), model, engine, &loaded));
    assert_int_equal(loaded.step, 6);
    lm_drawer *drawer;
    const lm_drawer_spec how = {
        .request = {.steps = 3, .eta = 1, .sampler = "ddim", .label = -1}, .batch = 3};
    CHECK_OK(lm_drawer_new(engine, model, &how, &drawer));
    static float all[5 * 784], late[2 * 784];
    CHECK_OK(lm_drawer_draw(drawer, 9, 0, 5, NULL, all, NULL, NULL));
    CHECK_OK(lm_drawer_draw(drawer, 9, 3, 2, NULL, late, NULL, NULL));
    assert_memory_equal(all + 3 * 784, late, sizeof late);
    assert_memory_not_equal(all, late, sizeof late);
    for (int i = 0; i < 5 * 784; i++) assert_true(all[i] >= -1 && all[i] <= 1);
    static float states[4 * 784], again[4 * 784];
    assert_int_equal(lm_shape_count(lm_drawer_sampler(drawer)->state), 784);
    CHECK_OK(lm_drawer_states(drawer, 9, 1, 4, NULL, states));
    CHECK_OK(lm_drawer_draw_from(drawer, states, 9, 1, 4, NULL, again, NULL, NULL));
    assert_memory_equal(all + 784, again, sizeof again);
    CHECK_OK(lm_drawer_draw_from(drawer, states + 784, 9, 1, 2, NULL, late, NULL, NULL));
    assert_memory_not_equal(all + 784, late, sizeof late);
    lm_drawer_free(drawer);
    lm_engine_free(engine);
    lm_model_close(model);
    lm_run_release(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_resume_continues_bit_for_bit),
        cmocka_unit_test(test_resume_without_a_checkpoint),
        cmocka_unit_test(test_resume_rewinds_the_log),
        cmocka_unit_test(test_resume_refuses_what_differs),
        cmocka_unit_test(test_flip_by_setting),
        cmocka_unit_test(test_resume_refuses_another_order),
        cmocka_unit_test(test_two_in_one_folder),
        cmocka_unit_test(test_checkpoint_of_another_model),
        cmocka_unit_test(test_not_finite_stops_and_names_the_tensor),
        cmocka_unit_test(test_unwritable_folder),
        cmocka_unit_test(test_full_disk_keeps_the_old_checkpoint),
        cmocka_unit_test(test_wrong_settings),
        cmocka_unit_test(test_drawing_by_index),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
