/* limn classify eval: how well a judge tells a set's classes. */
#include "cli/classify.h"
#include "cli/data.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

/* Beyond so many classes a matrix is no longer read. */
enum { MOST_COLUMNS = 20 };

static const lm_option options[] = {
    CLI_CLASSIFY_JUDGE,
    {"split", LM_OPT_CHOICE, "test", 0, 0, "train|test|valid|extra|unlabeled", NULL,
     "which part; a SPEC that says one, as mnist:train, decides"},
    {"limit", LM_OPT_INT, "", 1, INT32_MAX, NULL, "N",
     "look at the first N images [all; 10000 of an endless set]"},
    {0}};

/* ---- text -------------------------------------------------------------------- */

static int64_t seen_as(const lm_class_score *score, int label, int said) {
    return score->confusion[(int64_t)label * score->classes + said];
}

/* The class that a label is most often mistaken for; -1: none. */
static int worst_mistake(const lm_class_score *score, int label) {
    int worst = -1;
    for (int c = 0; c < score->classes; c++)
        if (c != label && seen_as(score, label, c) > 0 &&
            (worst < 0 || seen_as(score, label, c) > seen_as(score, label, worst)))
            worst = c;
    return worst;
}

static void print_classes(const lm_judge *judge, const lm_class_score *score) {
    char name[16], other[16];
    printf("\n%-20s %8s %8s  mostly taken for\n", "class", "images", "right");
    for (int c = 0; c < score->classes; c++) {
        int64_t count = lm_class_score_of(score, c);
        int worst = worst_mistake(score, c);
        printf("%-20s %8" PRId64, cli_judge_class(judge, c, name), count);
        if (count)
            printf(" %6.2f %%", 100 * (double)seen_as(score, c, c) / (double)count);
        if (worst >= 0)
            printf("  %s (%" PRId64 ")", cli_judge_class(judge, worst, other),
                   seen_as(score, c, worst));
        printf("\n");
    }
}

static void print_matrix(const lm_class_score *score) {
    if (score->classes > MOST_COLUMNS) return;
    printf("\nlabels in rows, what the judge said in columns\n   ");
    for (int c = 0; c < score->classes; c++) printf(" %6d", c);
    for (int r = 0; r < score->classes; r++) {
        printf("\n%3d", r);
        for (int c = 0; c < score->classes; c++)
            printf(" %6" PRId64, seen_as(score, r, c));
    }
    printf("\n");
}

/* ---- JSON -------------------------------------------------------------------- */

static json_t *classes_json(const lm_judge *judge, const lm_class_score *score) {
    json_t *list = json_array();
    char name[16];
    for (int c = 0; c < score->classes; c++)
        json_array_append_new(list,
                              json_pack("{s:o, s:I, s:I}", "name",
                                        lm_json_text(cli_judge_class(judge, c, name)),
                                        "images", (json_int_t)lm_class_score_of(score, c),
                                        "correct", (json_int_t)seen_as(score, c, c)));
    return list;
}

static json_t *matrix_json(const lm_class_score *score) {
    json_t *rows = json_array();
    for (int r = 0; r < score->classes; r++) {
        json_t *row = json_array();
        for (int c = 0; c < score->classes; c++)
            json_array_append_new(row, json_integer(seen_as(score, r, c)));
        json_array_append_new(rows, row);
    }
    return rows;
}

static void print_json(const lm_judge *judge, const lm_dataset *set,
                       const lm_class_score *score) {
    char hash[20];
    snprintf(hash, sizeof hash, "%016" PRIx64, set->hash);
    json_t *json = cli_score_json(score);
    json_object_set_new(json, "judge", cli_judge_json(judge));
    json_object_set_new(json, "data",
                        json_pack("{s:o, s:s, s:s}", "set", lm_json_text(set->name),
                                  "split", lm_split_name(set->split), "hash", hash));
    json_object_set_new(json, "classes", classes_json(judge, score));
    json_object_set_new(json, "confusion", matrix_json(score));
    cli_print_json(json);
}

/* ---- the command ------------------------------------------------------------- */

static lm_status evaluate(const cli_context *cli, lm_judge *judge,
                          const lm_dataset *set) {
    lm_class_score score;
    LM_TRY(cli_classify_score(cli, judge, set, lm_setting_int(&cli->options, "limit"),
                              &score));
    if (cli->json) {
        print_json(judge, set, &score);
    } else {
        cli_print_judge(judge);
        printf("set         %s, %s\n", set->name, lm_split_name(set->split));
        cli_print_score(&score);
        print_classes(judge, &score);
        print_matrix(&score);
    }
    lm_class_score_release(&score);
    return LM_OK;
}

static lm_status run(cli_context *cli) {
    lm_dataset *set;
    lm_judge *judge = NULL;
    cli_watch_signals();
    LM_TRY(lm_dataset_open(cli->args[0], cli_data_split(cli), &set));
    lm_status status = LM_OK;
    if (!set->classes)
        status = lm_fail(LM_ARG, "%s: has no labels to compare with", set->name);
    if (status == LM_OK)
        status = lm_judge_open(cli_text(cli, "judge"), set->name, &judge);
    if (status == LM_OK) status = evaluate(cli, judge, set);
    lm_judge_free(judge);
    lm_dataset_free(set);
    return status;
}

const cli_command classify_eval_command = {
    .name = "classify eval",
    .arguments = "SPEC",
    .help = "a judge's accuracy on a set, by class, and its calibration",
    .options = options,
    .min_args = 1,
    .max_args = 1,
    .run = run};
