#include "train/run_eval.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "eval/metric.h"
#include "eval/report.h"
#include "tensor/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* In the metadata of the best checkpoint. */
#define BEST_METRIC "best_metric"
#define BEST_VALUE  "best_value"

struct lm_run_eval {
    const lm_run *run;
    lm_engine *engine;
    const lm_eval_metric *best; /* NULL: none is kept */
    double best_value;          /* NAN: none yet */
    lm_cache cache;
    lm_dataset *held_out;
    lm_set_source train_from, test_from;
    lm_eval_side train, test;
    lm_evaluator *evaluator;
    lm_drawn_source drawn;
    const lm_eval_hook *hook;  /* of the evaluation under way */
    int64_t steps_done, steps; /* of drawing, within it */
};

/* ---- names ------------------------------------------------------------------- */

/* The metric that chooses among checkpoints; *best NULL: none. */
static lm_status find_best(const lm_run_eval_spec *spec,
                           const lm_eval_metric *const *metrics,
                           const lm_eval_metric **best) {
    *best = NULL;
    if (!spec->best) {
        if (metrics[0]->better != LM_BETTER_NEITHER) *best = metrics[0];
        return LM_OK;
    }
    if (strcmp(spec->best, "none") == 0) return LM_OK;
    for (int i = 0; metrics[i] && !*best; i++)
        if (strcmp(metrics[i]->name, spec->best) == 0) *best = metrics[i];
    LM_RETURN_IF(!*best, LM_ARG, "--keep-best %s: not one of --eval-metrics %s",
                 spec->best, spec->metrics);
    LM_RETURN_IF((*best)->better == LM_BETTER_NEITHER, LM_ARG,
                 "--keep-best %s: neither high nor low values are better", spec->best);
    return LM_OK;
}

static lm_status choose_best(const lm_run_eval_spec *spec, const lm_eval_metric **best) {
    const lm_eval_metric **metrics;
    lm_status status = lm_eval_metrics_find(spec->metrics, &metrics);
    if (status == LM_ARG) lm_fail_context(status, "--eval-metrics");
    LM_TRY(status);
    status = find_best(spec, metrics, best);
    lm_free(metrics);
    return status;
}

lm_status lm_run_eval_check(const lm_run_eval_spec *spec) {
    const lm_eval_metric *best;
    LM_RETURN_IF(spec->n < 2, LM_ARG, "--eval-n %" PRId64 ": expected at least 2",
                 spec->n);
    return choose_best(spec, &best);
}

/* ---- the best so far --------------------------------------------------------- */

/* That of a checkpoint by the same metric, unless it is of steps that are undone. */
static double recorded_value(const lm_safetensors *file, const lm_eval_metric *metric,
                             int64_t step) {
    const char *name = lm_safetensors_meta(file, BEST_METRIC);
    const char *text = lm_safetensors_meta(file, BEST_VALUE);
    const char *at = lm_safetensors_meta(file, "step");
    double value;
    int64_t of;
    bool counts = name && text && at && strcmp(name, metric->name) == 0 &&
                  lm_parse_double(text, &value) && lm_parse_int(at, &of) && of <= step;
    return counts ? value : NAN;
}

lm_status lm_run_eval_go_back(lm_run_eval *eval, int64_t step) {
    eval->best_value = NAN;
    if (!eval->best) return LM_OK;
    char *path = lm_checkpoint_best(eval->run);
    if (!path) return LM_NOMEM;
    lm_safetensors file;
    lm_status status = LM_OK;
    if (lm_file_exists(path)) {
        status = lm_safetensors_open(&file, path);
        if (status == LM_OK) {
            eval->best_value = recorded_value(&file, eval->best, step);
            lm_safetensors_release(&file);
        }
    }
    lm_free(path);
    return status;
}

static lm_status keep_best(const lm_run_eval *eval, const lm_train_state *state) {
    char value[32];
    snprintf(value, sizeof value, "%.17g", eval->best_value);
    const lm_st_meta meta[] = {{BEST_METRIC, eval->best->name}, {BEST_VALUE, value}};
    char *path = lm_checkpoint_best(eval->run);
    if (!path) return LM_NOMEM;
    lm_status status = lm_checkpoint_save(
        path, eval->run, lm_drawer_model(eval->drawn.drawer), eval->engine, state,
        &(lm_checkpoint_more){.meta = meta, .n_meta = 2});
    lm_free(path);
    return status;
}

/* ---- making ------------------------------------------------------------------ */

/* Between two steps of a sampler: evaluations can be stopped there, too. */
static bool on_draw(void *user, int step, int steps) {
    lm_run_eval *eval = user;
    const lm_eval_hook *hook = eval->hook;
    double share = (double)++eval->steps_done / (double)eval->steps;
    return !hook || !hook->call || hook->call(hook->user, "drawing", fmin(share, 1));
}

static lm_status open_real(lm_run_eval *eval, const lm_dataset *set, int64_t n) {
    const char *data = eval->run->data;
    LM_TRY(lm_eval_side_of_set(set, lm_reference_count(set), 0, data, &eval->train_from,
                               &eval->train));
    LM_TRY(lm_held_out_open(data, set, &eval->held_out));
    if (!eval->held_out) return LM_OK;
    return lm_eval_side_of_set(eval->held_out, n, 0, data, &eval->test_from, &eval->test);
}

static lm_status open_drawn(lm_run_eval *eval, const lm_dataset *set, lm_drawer *drawer,
                            int64_t n) {
    const lm_drawn_spec spec = {.count = n,
                                .seed = eval->run->seed,
                                .labels_of = set,
                                .hook = on_draw,
                                .user = eval};
    int64_t batch = lm_drawer_batch(drawer);
    int steps = lm_drawer_sampler(drawer)->n_steps;
    eval->steps = (n + batch - 1) / batch * (steps > 0 ? steps : 1);
    return lm_drawn_init(&eval->drawn, drawer, eval->run->folder, &spec);
}

static lm_status open_eval(const lm_run_eval_spec *spec,
                           const lm_run_eval_subject *subject, int64_t step,
                           lm_run_eval *eval) {
    LM_TRY(choose_best(spec, &eval->best));
    LM_TRY(lm_run_eval_go_back(eval, step));
    LM_TRY(lm_cache_init(&eval->cache, NULL, 0));
    LM_TRY(open_real(eval, subject->set, spec->n));
    LM_TRY(open_drawn(eval, subject->set, subject->drawer, spec->n));
    lm_eval_spec how = lm_eval_spec_default();
    how.metrics = spec->metrics;
    how.cache = &eval->cache;
    return lm_evaluator_new(&how, &eval->train, &eval->test, &eval->evaluator);
}

lm_status lm_run_eval_new(const lm_run_eval_spec *spec,
                          const lm_run_eval_subject *subject, int64_t step,
                          lm_run_eval **eval) {
    lm_run_eval *made = lm_calloc(1, sizeof *made);
    if (!made) return LM_NOMEM;
    made->run = subject->run;
    made->engine = subject->engine;
    lm_status status = open_eval(spec, subject, step, made);
    if (status == LM_OK)
        *eval = made;
    else
        lm_run_eval_free(made);
    return status;
}

void lm_run_eval_free(lm_run_eval *eval) {
    if (!eval) return;
    lm_evaluator_free(eval->evaluator);
    lm_drawn_release(&eval->drawn);
    lm_dataset_free(eval->held_out);
    lm_cache_release(&eval->cache);
    lm_free(eval);
}

/* ---- evaluating -------------------------------------------------------------- */

static json_t *result_json(const lm_eval_result *result) {
    json_t *json = json_pack("{s:f}", "value", result->value);
    if (!isnan(result->error))
        json_object_set_new(json, "error", json_real(result->error));
    if (!isnan(result->floor))
        json_object_set_new(json, "floor", json_real(result->floor));
    return json;
}

/* A row of its own kind: {"step", "images", "seconds", "eval": {METRIC: {"value",
 * "error", "floor"}}, "eval_seconds"}. A value that is not a number is left out. */
static lm_status log_row(const lm_run_eval *eval, const lm_train_state *state,
                         double seconds, const lm_evaluation *evaluation) {
    json_t *metrics = json_object();
    for (int i = 0; i < evaluation->count; i++)
        if (isfinite(evaluation->results[i].value))
            json_object_set_new(metrics, evaluation->results[i].metric->name,
                                result_json(&evaluation->results[i]));
    json_t *row = json_pack("{s:I, s:I, s:f, s:o, s:f}", "step", (json_int_t)state->step,
                            "images", (json_int_t)state->images, "seconds", seconds,
                            "eval", metrics, "eval_seconds", evaluation->seconds);
    lm_status status = row ? lm_run_log_json(eval->run, row) : LM_NOMEM;
    json_decref(row);
    return status;
}

static lm_status write_report(const lm_run_eval *eval, const lm_train_state *state,
                              const lm_evaluation *evaluation) {
    json_t *report;
    LM_TRY(lm_report_make(evaluation, &report));
    char *folder = lm_path_join(eval->run->folder, "eval");
    char *path = lm_report_path(eval->run->folder, state->step, report);
    lm_status status = folder && path ? lm_make_folders(folder) : LM_NOMEM;
    if (status == LM_OK) status = lm_json_write(path, report);
    lm_free(path);
    lm_free(folder);
    json_decref(report);
    return status;
}

static void describe(const lm_run_eval *eval, const lm_evaluation *evaluation,
                     lm_run_eval_result *result) {
    if (evaluation->count == 0) return;
    const lm_eval_result *shown = &evaluation->results[0];
    if (eval->best) shown = lm_evaluation_find(evaluation, eval->best->name);
    if (!shown) return;
    const lm_eval_metric *metric = shown->metric;
    int length = snprintf(result->text, sizeof result->text, "%s %.*f", metric->name,
                          metric->digits, shown->value);
    if (!isnan(shown->floor) && length > 0 && (size_t)length < sizeof result->text)
        snprintf(result->text + length, sizeof result->text - (size_t)length,
                 " (floor %.*f)", metric->digits, shown->floor);
}

static void compare(lm_run_eval *eval, const lm_evaluation *evaluation,
                    lm_run_eval_result *result) {
    const lm_eval_result *by =
        eval->best ? lm_evaluation_find(evaluation, eval->best->name) : NULL;
    if (!by || !lm_eval_is_better(eval->best, by->value, eval->best_value)) return;
    eval->best_value = by->value;
    result->is_best = true;
}

lm_status lm_run_eval_at(lm_run_eval *eval, const lm_train_state *state, double seconds,
                         const lm_eval_hook *hook, lm_run_eval_result *result) {
    const lm_eval_subject subject = {.generated =
                                         lm_drawn_side(&eval->drawn, state->step)};
    lm_evaluation evaluation;
    *result = (lm_run_eval_result){0};
    eval->hook = hook;
    eval->steps_done = 0;
    lm_drawn_forget(&eval->drawn);
    lm_status status = lm_evaluator_run(eval->evaluator, &subject, hook, &evaluation);
    eval->hook = NULL;
    LM_TRY(status);
    describe(eval, &evaluation, result);
    compare(eval, &evaluation, result);
    status = write_report(eval, state, &evaluation);
    if (status == LM_OK && result->is_best) status = keep_best(eval, state);
    if (status == LM_OK) status = log_row(eval, state, seconds, &evaluation);
    lm_evaluation_release(&evaluation);
    return status;
}
