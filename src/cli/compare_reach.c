/* limn compare --reach: when each run's evaluations in training were first that good. */
#include "cli/eval.h"

#include "base/mem.h"
#include "base/str.h"
#include "eval/metric.h"
#include "train/run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- what is asked ----------------------------------------------------------- */

typedef struct goal {
    const lm_eval_metric *metric;
    double value;
} target;

/* "fid=1.5" */
static lm_status parse_goal(const char *text, target *to) {
    const char *equals = strchr(text, '=');
    lm_str name = LM_STR_INIT;
    const lm_eval_metric **found = NULL;
    LM_RETURN_IF(!equals || !lm_parse_double(equals + 1, &to->value), LM_ARG,
                 "--reach %s: expected METRIC=VALUE, as fid=1.5", text);
    lm_str_printf(&name, "%.*s", (int)(equals - text), text);
    lm_status status =
        lm_str_text(&name) ? lm_eval_metrics_find(name.text, &found) : LM_NOMEM;
    lm_str_release(&name);
    LM_TRY(status);
    to->metric = found[0];
    lm_free(found);
    LM_RETURN_IF(to->metric->better == LM_BETTER_NEITHER, LM_ARG,
                 "--reach %s: neither high nor low values are better", text);
    return LM_OK;
}

/* ---- what the logs say ------------------------------------------------------- */

/* A moment of a run; value NAN: it never came. */
typedef struct moment {
    int64_t step, images;
    double seconds, value;
} moment;

typedef struct course {
    const target *goal;
    moment reached, best, last;
} course;

static lm_status see_row(void *user, const json_t *row) {
    course *seen = user;
    const lm_eval_metric *metric = seen->goal->metric;
    const json_t *result = json_object_get(json_object_get(row, "eval"), metric->name);
    if (!result) return LM_OK;
    moment now = {.step = json_integer_value(json_object_get(row, "step")),
                  .images = json_integer_value(json_object_get(row, "images")),
                  .seconds = json_number_value(json_object_get(row, "seconds")),
                  .value = json_number_value(json_object_get(result, "value"))};
    if (lm_eval_is_better(metric, now.value, seen->best.value)) seen->best = now;
    if (isnan(seen->reached.value) &&
        !lm_eval_is_better(metric, seen->goal->value, now.value))
        seen->reached = now;
    seen->last = now;
    return LM_OK;
}

static lm_status follow(const char *folder, const target *goal, course *seen) {
    const moment never = {.value = NAN};
    lm_run run;
    *seen = (course){goal, never, never, never};
    LM_TRY(lm_run_read(folder, &run));
    lm_status status = lm_run_visit_log(&run, see_row, seen);
    lm_run_release(&run);
    LM_TRY(status);
    LM_RETURN_IF(isnan(seen->last.value), LM_NOT_FOUND,
                 "%s: nothing in its log measures %s (limn train --eval-every N "
                 "--eval-metrics %s)",
                 folder, goal->metric->name, goal->metric->name);
    return LM_OK;
}

/* ---- output ------------------------------------------------------------------ */

static json_t *moment_json(const moment *at) {
    if (isnan(at->value)) return json_null();
    return json_pack("{s:I, s:I, s:f, s:f}", "step", (json_int_t)at->step, "images",
                     (json_int_t)at->images, "seconds", at->seconds, "value", at->value);
}

static void print_json(const cli_context *cli, const course *seen) {
    json_t *runs = json_array();
    for (int i = 0; i < cli->n_args; i++)
        json_array_append_new(runs, json_pack("{s:s, s:o, s:o, s:o}", "run", cli->args[i],
                                              "reached", moment_json(&seen[i].reached),
                                              "best", moment_json(&seen[i].best), "last",
                                              moment_json(&seen[i].last)));
    cli_print_json(runs);
}

static void print_row(const char *folder, const target *goal, const course *seen) {
    const moment *at = &seen->reached;
    cli_print_label(folder);
    if (isnan(at->value))
        printf(" not reached | | |");
    else
        printf(" %" PRId64 " | %" PRId64 " | %.1f |", at->step, at->images,
               at->seconds / 60);
    printf(" %.*f | %" PRId64 " | %.1f |\n", goal->metric->digits, seen->best.value,
           seen->best.step, seen->last.seconds / 60);
}

static void print_table(const cli_context *cli, const target *goal, const course *seen) {
    const char *name = goal->metric->name;
    printf("| run | %s %s %g at step | images | minutes | best %s | at step | minutes in "
           "all |\n|---|---|---|---|---|---|---|\n",
           name, goal->metric->better == LM_BETTER_LOW ? "<=" : ">=", goal->value, name);
    for (int i = 0; i < cli->n_args; i++) print_row(cli->args[i], goal, &seen[i]);
}

lm_status cli_compare_reach(const cli_context *cli, const char *text) {
    target goal;
    LM_TRY(parse_goal(text, &goal));
    course *seen = lm_calloc((size_t)cli->n_args, sizeof *seen);
    lm_status status = seen ? LM_OK : LM_NOMEM;
    for (int i = 0; i < cli->n_args && status == LM_OK; i++)
        status = follow(cli->args[i], &goal, &seen[i]);
    if (status == LM_OK && cli->json)
        print_json(cli, seen);
    else if (status == LM_OK)
        print_table(cli, &goal, seen);
    lm_free(seen);
    return status;
}
