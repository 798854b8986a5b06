/* What the files of the trainer share: all that lives while a run trains. */
#ifndef LIMN_TRAIN_TRAINING_H
#define LIMN_TRAIN_TRAINING_H

#include "train/drawn.h"
#include "train/notices.h"
#include "train/run_eval.h"
#include "train/trainer.h"

typedef struct lm_training {
    lm_train_request request; /* with its defaults filled in */
    lm_run run;
    lm_dataset *set;
    lm_loader *loader;
    lm_model *model;
    lm_engine *engine;
    lm_phases phases;
    lm_drawer *drawer;
    lm_drawn_source sheet; /* the same noises each time */
    lm_run_eval *eval;     /* NULL: there are no evaluations */
    int64_t evaluated;     /* step of the latest, -1 none */
    const char *doing;     /* of an evaluation under way, else NULL */
    double doing_share;
    double stopped_at; /* clock while training stands still, 0: it does not */
    lm_train_state state;
    uint8_t *pixels; /* what a step reads: its batches, one after the other */
    int32_t *labels;
    int64_t last_step;   /* INT64_MAX: no limit by steps */
    double before;       /* seconds of earlier sessions */
    double began;        /* clock at this session's first step */
    double rate_time;    /* clock and images at the last progress report, */
    int64_t rate_images; /* for the current speed */
    double rate;
    double startup;     /* seconds from the program's start to the first step's */
    double logged_wait; /* seconds of waiting for data in the log's rows so far */
    bool logged;        /* this session has a row in the log */
    char losses[LM_LOSSES_TEXT]; /* of the latest step */
    int64_t saved_step;          /* of the newest checkpoint, -1 none */
    lm_notices notices;
    lm_guard guard;
    lm_train_result *result;
} lm_training;

/* ---- training_setup.c -------------------------------------------------------- */

/* From the request alone. To be torn down in every case. */
lm_status lm_training_set_up(lm_training *t);
void lm_training_tear_down(lm_training *t);
/* Weights, position and log as they were when this checkpoint was written. */
lm_status lm_training_load(lm_training *t, const char *path, lm_log_end *end);

/* ---- training_clock.c -------------------------------------------------------- */

/* Of all sessions, without the time of evaluations. */
double lm_training_seconds(const lm_training *t);
/* Share of the run that is done: the limit that is nearest. */
double lm_training_share(const lm_training *t);
bool lm_training_is_finished(const lm_training *t);
/* The current speed, over a second at least. */
void lm_training_measure_rate(lm_training *t);
int64_t lm_training_step_images(const lm_training *t); /* that a step reads */
/* Tells who watches; event may be NULL. */
void lm_training_report(lm_training *t, const char *event);
bool lm_training_wants_stop(const lm_training *t);

/* ---- training_records.c: what a run leaves behind ---------------------------- */

lm_status lm_training_log(lm_training *t);
/* A checkpoint of this step, unless there is one. */
lm_status lm_training_save(lm_training *t);
/* What to go back to, unless something is suspected. */
lm_status lm_training_save_healthy(lm_training *t);
lm_status lm_training_snapshot(lm_training *t);
bool lm_training_evaluation_is_due(const lm_training *t);
/* What it evaluates is saved first, so that no resume goes back behind it. The clock of
 * training stands still. A number that cannot be had is no reason to end a long run. */
lm_status lm_training_evaluate(lm_training *t, bool *stopped);

/* ---- training_recovery.c: when training goes wrong --------------------------- */

/* To the last healthy checkpoint; LM_UNHEALTHY: there is none, or it did so too often. */
lm_status lm_training_roll_back(lm_training *t, const char *why);
/* What has begun was told; this decides. */
lm_status lm_training_react(lm_training *t, const lm_notice *alarm);

#endif
