/* Evaluations while a run trains: they change nothing but what they add. */
#include "small.h"

#include "eval/report.h"
#include "tensor/safetensors.h"
#include "train/run_source.h"

#include <math.h>
#include <unistd.h>

static char path_text[8][400];

static const char *in_run(const lm_train_request *request, const char *name) {
    static int next;
    char *path = path_text[next++ % 8];
    snprintf(path, sizeof path_text[0], "%s/%s", request->out, name);
    return path;
}

#define CHECKPOINT(n) "checkpoints/step-0000000" #n ".safetensors"

static int begin(void **state) {
    if (scratch_begin(state) != 0) return -1;
    return setenv("LIMN_CACHE", scratch("cache"), 1);
}

/* Evaluated every other step, with 8 images against 40. */
static lm_train_request evaluated_run(const char *name, int64_t steps) {
    lm_train_request request = small_run(name, steps, NULL);
    request.data = "builtin:digits?limit=40";
    request.eval_every = 2;
    request.eval_n = 8;
    request.eval_metrics = "fid,kid";
    return request;
}

/* The rows of the log with (or without) "eval"; steps[] and, of those with, the FID. */
static int read_log(const lm_train_request *request, bool evaluations, int *steps,
                    double *fid) {
    void *text;
    size_t size;
    int count = 0;
    char *rest = NULL;
    CHECK_OK(lm_file_read(in_run(request, "log.jsonl"), 1 << 20, &text, &size));
    for (char *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        json_t *row = json_loads(line, 0, NULL), *eval = json_object_get(row, "eval");
        assert_non_null(row);
        assert_true(json_is_number(json_object_get(row, "seconds")));
        if (evaluations == (eval != NULL)) {
            json_t *value = json_object_get(json_object_get(eval, "fid"), "value");
            if (evaluations) assert_true(json_is_number(value));
            if (fid) fid[count] = json_number_value(value);
            steps[count++] = (int)json_integer_value(json_object_get(row, "step"));
            if (evaluations)
                assert_true(json_number_value(json_object_get(row, "eval_seconds")) > 0);
        }
        json_decref(row);
    }
    lm_free(text);
    return count;
}

static void training_is_what_it_is_without(void **state) {
    lm_train_result with, without;
    lm_train_request request = evaluated_run("with", 5);
    CHECK_OK(lm_train(&request, &with));
    lm_train_request plain = evaluated_run("without", 5);
    plain.eval_every = 0;
    CHECK_OK(lm_train(&plain, &without));
    assert_true(same_bytes(with.checkpoint, without.checkpoint));
    assert_true(same_bytes(with.sheet, without.sheet));
    assert_true(with.loss == without.loss);
    assert_false(lm_file_exists(in_run(&plain, "eval")));
    assert_int_equal(without.eval[0], '\0');

    int steps[16];
    double fid[16];
    assert_int_equal(read_log(&request, true, steps, fid), 3); /* 2, 4 and the last */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(steps[i], i < 2 ? 2 * i + 2 : 5);
        assert_true(fid[i] > 0);
    }
    assert_int_equal(read_log(&request, false, steps, NULL), 5);
    json_t *report;
    CHECK_OK(lm_report_read_latest(request.out, &report));
    json_t *results = json_object_get(report, "results");
    assert_int_equal(json_array_size(results), 2);
    json_t *first = json_array_get(results, 0);
    assert_true(fabs(json_number_value(json_object_get(first, "value")) - fid[2]) <
                1e-6 * fid[2]);
    json_t *protocol = json_object_get(first, "protocol");
    assert_int_equal(json_integer_value(json_object_get(protocol, "step")), 5);
    json_decref(report);
    assert_non_null(strstr(with.eval, "fid "));
    assert_non_null(strstr(with.eval, "floor"));
}

/* The lowest of the log's is what is kept, beside the newest checkpoint. */
static void the_best_is_kept(void **state) {
    lm_train_result result;
    lm_train_request request = evaluated_run("best", 6);
    request.keep = 1;
    CHECK_OK(lm_train(&request, &result));
    int steps[16], best = 0;
    double fid[16];
    assert_int_equal(read_log(&request, true, steps, fid), 3);
    for (int i = 1; i < 3; i++)
        if (fid[i] < fid[best]) best = i;
    char **names;
    size_t count;
    CHECK_OK(lm_list_folder(in_run(&request, "checkpoints"), NULL, &names, &count));
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "best.safetensors");
    lm_names_free(names, count);
    lm_safetensors file;
    double value;
    CHECK_OK(lm_safetensors_open(&file, result.best));
    assert_string_equal(lm_safetensors_meta(&file, "best_metric"), "fid");
    assert_true(lm_parse_double(lm_safetensors_meta(&file, "best_value"), &value));
    assert_true(fabs(value - fid[best]) < 1e-6 * fid[best]);
    lm_safetensors_release(&file);

    lm_run_source from;
    const lm_run_source_spec spec = {.choice = {.run = request.out, .checkpoint = "best"},
                                     .request = {.steps = 2, .eta = -1, .label = -1},
                                     .draw = {.count = 1}};
    CHECK_OK(lm_run_source_open(&spec, &from));
    assert_int_equal(from.opened.state.step, steps[best]);
    lm_run_source_close(&from);
}

static void write_best(const lm_train_request *request, const char *value,
                       const char *step) {
    const float one = 1;
    const lm_st_entry entry = {"x", LM_F32, LM_SHAPE(1), &one};
    const lm_st_meta meta[] = {
        {"best_metric", "fid"}, {"best_value", value}, {"step", step}};
    CHECK_OK(lm_safetensors_write(in_run(request, "checkpoints/best.safetensors"), &entry,
                                  1, meta, 3));
}

/* A resumed run must beat what was best before, but not what is of undone steps. */
static void the_best_of_before_counts(void **state) {
    static const struct {
        const char *value, *step;
        bool beaten;
    } cases[] = {{"1e-9", "2", false},
                 {"1e9", "2", true},
                 {"1e-9", "99", true},
                 {"nothing", "2", true},
                 {"1e-9", "", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_train_result result;
        char name[32];
        snprintf(name, sizeof name, "before-%zu", i);
        lm_train_request request = evaluated_run(name, 2);
        request.eval_metrics = "fid";
        CHECK_OK(lm_train(&request, &result));
        write_best(&request, cases[i].value, cases[i].step);
        request.resume = true;
        request.limits.steps = 3;
        CHECK_OK(lm_train(&request, &result));
        assert_int_equal(result.best[0] != '\0', cases[i].beaten);
    }
}

static void no_best_is_kept_on_demand(void **state) {
    lm_train_result result;
    lm_train_request request = evaluated_run("none", 2);
    request.keep_best = "none";
    CHECK_OK(lm_train(&request, &result));
    assert_false(lm_file_exists(in_run(&request, "checkpoints/best.safetensors")));
    assert_non_null(strstr(result.eval, "fid"));
    request = evaluated_run("by-kid", 2);
    request.keep_best = "kid";
    CHECK_OK(lm_train(&request, &result));
    assert_non_null(strstr(result.eval, "kid"));
    assert_true(lm_file_exists(result.best));
}

typedef struct watcher {
    int64_t stop_at; /* stops within the evaluation of this step */
    unsigned pause;  /* microseconds at each report of an evaluation */
    int reports;     /* of evaluations */
    bool evaluating, saw_result;
    int64_t step;
} watcher;

static void watch(void *user, const lm_progress *progress) {
    watcher *w = user;
    w->evaluating = progress->doing != NULL;
    w->step = progress->step;
    if (progress->eval) w->saw_result = true;
    if (!progress->doing) return;
    assert_true(progress->doing_share >= 0 && progress->doing_share <= 1);
    w->reports++;
    usleep(w->pause);
}

static bool stop_within(void *user) {
    watcher *w = user;
    return w->evaluating && w->step == w->stop_at;
}

/* Stopped in the midst of the evaluation of step 4, it is done by whoever resumes. */
static void an_evaluation_that_was_cut_short(void **state) {
    lm_train_result whole, part;
    lm_train_request request = evaluated_run("uncut", 5);
    CHECK_OK(lm_train(&request, &whole));
    watcher w = {.stop_at = 4};
    lm_train_request cut = evaluated_run("cut", 5);
    cut.hooks = (lm_train_hooks){&w, stop_within, watch};
    CHECK_FAILS(lm_train(&cut, &part), LM_INTERRUPTED);
    assert_int_equal(part.state.step, 4);
    assert_true(w.saw_result); /* of step 2 */
    int steps[16], again[16];
    double fid[16], fid_again[16];
    assert_int_equal(read_log(&cut, true, steps, NULL), 1);
    cut.hooks = (lm_train_hooks){0};
    cut.resume = true;
    CHECK_OK(lm_train(&cut, &part));
    assert_true(same_bytes(whole.checkpoint, part.checkpoint));
    assert_true(same_bytes(in_run(&request, "checkpoints/best.safetensors"),
                           in_run(&cut, "checkpoints/best.safetensors")));
    assert_int_equal(read_log(&cut, true, again, fid_again), 3);
    assert_int_equal(read_log(&request, true, steps, fid), 3);
    assert_memory_equal(steps, again, 3 * sizeof *steps);
    assert_memory_equal(fid, fid_again, 3 * sizeof *fid);
    CHECK_OK(lm_train(&cut, &part)); /* nothing is left to do, nor to evaluate */
    assert_int_equal(read_log(&cut, true, again, NULL), 3);
}

/* Rows of steps that are undone go, those of evaluations, too. */
static void the_log_is_rewound(void **state) {
    lm_train_result result;
    lm_train_request request = evaluated_run("rewound", 4);
    request.save_every = 1;
    request.keep = 9;
    CHECK_OK(lm_train(&request, &result));
    assert_int_equal(remove(in_run(&request, CHECKPOINT(4))), 0);
    assert_int_equal(remove(in_run(&request, CHECKPOINT(3))), 0);
    request.resume = true;
    CHECK_OK(lm_train(&request, &result));
    int steps[16];
    assert_int_equal(read_log(&request, true, steps, NULL), 2);
    assert_int_equal(steps[0], 2);
    assert_int_equal(steps[1], 4);
    assert_int_equal(read_log(&request, false, steps, NULL), 4);
}

/* Evaluations that take long, of a run of one step that does not. */
static void its_time_does_not_count(void **state) {
    lm_train_result result;
    watcher w = {.stop_at = -1, .pause = 200000};
    lm_train_request request = evaluated_run("slow", 1);
    request.hooks = (lm_train_hooks){&w, NULL, watch};
    CHECK_OK(lm_train(&request, &result));
    assert_true(w.reports >= 8);
    assert_true(result.seconds < 1e-6 * w.pause * w.reports);
}

static void wrong_wishes(void **state) {
    static const struct {
        const char *metrics, *best;
        int64_t n;
        const char *says;
    } cases[] = {{"fod", NULL, 8, "--eval-metrics: fod: no such metric"},
                 {"fid,kid", "is", 8, "--keep-best is: not one of --eval-metrics"},
                 {"fid,fid", NULL, 8, "named twice"},
                 {"fid", NULL, 1, "--eval-n 1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lm_train_result result;
        lm_train_request request = evaluated_run("never", 2);
        request.eval_metrics = cases[i].metrics;
        request.keep_best = cases[i].best;
        request.eval_n = cases[i].n;
        CHECK_FAILS(lm_train(&request, &result), LM_ARG);
        if (!strstr(lm_message(), cases[i].says)) fail_msg("%s", lm_message());
        assert_false(lm_is_folder(request.out));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_is_what_it_is_without),
        cmocka_unit_test(the_best_is_kept),
        cmocka_unit_test(the_best_of_before_counts),
        cmocka_unit_test(no_best_is_kept_on_demand),
        cmocka_unit_test(an_evaluation_that_was_cut_short),
        cmocka_unit_test(the_log_is_rewound),
        cmocka_unit_test(its_time_does_not_count),
        cmocka_unit_test(wrong_wishes),
    };
    return cmocka_run_group_tests(tests, begin, scratch_end);
}
