/* What `limn eval` is made of. */
#ifndef LIMN_CLI_EVAL_H
#define LIMN_CLI_EVAL_H

#include "cli/cli.h"
#include "eval/evaluate.h"
#include "train/bound.h"
#include "train/coding.h"
#include "train/importance.h"
#include "train/run_source.h"

/* All sides of an evaluation, opened as the options say. Do not move it: sides point into
 * it. */
typedef struct cli_eval_sides {
    bool is_run; /* what is judged is drawn from a run */
    lm_run_source run;
    lm_importance *importance; /* of the run, NULL: it has none, */
    lm_bound_meter *bound;     /* and likewise */
    lm_eval_likelihood likelihood;
    lm_coding_meter *codes; /* of the run, NULL: it has none */
    lm_eval_coding coding;
    lm_dataset *images_set, *train_set, *test_set, *pairs_set;
    lm_set_source images_from, train_from, test_from, pairs_from;
    lm_eval_side train, test;
    bool against_test; /* the reference is the test side, */
    const char *stats; /* or a file of statistics; NULL: is not */
    lm_eval_subject subject;
    char *data;    /* the SPEC that a run says; NULL: the user did */
    lm_str resize; /* how images came to the reference's size; empty: had it */
} cli_eval_sides;

lm_status cli_eval_open_sides(const cli_context *cli, cli_eval_sides *sides);
void cli_eval_close_sides(cli_eval_sides *sides);

/* The table for people. */
void cli_eval_print(const cli_eval_sides *sides, const lm_evaluation *evaluation);

/* "3.41 +- 0.05": so many digits that the error has two, or `digits` without one. "-" for
 * no number. */
enum { CLI_NUMBER = 48 };
void cli_number_text(double value, double error, int digits, char text[CLI_NUMBER]);

/* "| NAME |" with the last part of a path, without .json: what tells the runs of an
 * experiment apart. */
void cli_print_label(const char *path);

/* `limn compare --reach METRIC=VALUE` of the runs that are the arguments: when
 * evaluations in training were first as good as that, and the best of each run. */
lm_status cli_compare_reach(const cli_context *cli, const char *text);

#endif
