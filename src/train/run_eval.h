/* Evaluations of a run while it trains: a few images are drawn and judged against the
 * run's own data, by the evaluator that `limn eval` uses. Nothing that training depends
 * on is touched: its weights are those with and without. */
#ifndef LIMN_TRAIN_RUN_EVAL_H
#define LIMN_TRAIN_RUN_EVAL_H

#include "train/checkpoint.h"
#include "train/drawn.h"

typedef struct lm_run_eval_spec {
    const char *metrics; /* "fid,kid" */
    const char *best;    /* that of them by which a checkpoint is the best; NULL: the
                          * first, "none": no checkpoint is */
    int64_t n;           /* images to draw */
} lm_run_eval_spec;

/* Whether the names can be had. LM_ARG names the option. */
lm_status lm_run_eval_check(const lm_run_eval_spec *spec);

/* What is evaluated; borrowed. */
typedef struct lm_run_eval_subject {
    const lm_run *run;
    const lm_dataset *set; /* the run's data */
    lm_engine *engine;
    lm_drawer *drawer; /* from that engine */
} lm_run_eval_subject;

/* `step`: where the run stands; a best checkpoint of later steps does not count. */
typedef struct lm_run_eval lm_run_eval;
lm_status lm_run_eval_new(const lm_run_eval_spec *spec,
                          const lm_run_eval_subject *subject, int64_t step,
                          lm_run_eval **eval);
void lm_run_eval_free(lm_run_eval *eval);

/* The run stands at this step now: a best checkpoint of later ones counts no more. */
lm_status lm_run_eval_go_back(lm_run_eval *eval, int64_t step);

typedef struct lm_run_eval_result {
    char text[96]; /* "fid 12.3 (floor 0.8)", for people */
    bool is_best;  /* better than all before */
} lm_run_eval_result;

/* Draws, judges, writes RUN/eval/step-...json, saves the state as checkpoints/best if it
 * is that (with metric and value in its metadata), and at last writes the row of the log:
 * `seconds` of training are behind it. The hook is called as by lm_evaluator_run, also
 * while drawing; it may be NULL. */
lm_status lm_run_eval_at(lm_run_eval *eval, const lm_train_state *state, double seconds,
                         const lm_eval_hook *hook, lm_run_eval_result *result);
#endif
