/* The trainer: one loop for every family. */
#ifndef LIMN_TRAIN_TRAINER_H
#define LIMN_TRAIN_TRAINER_H

#include "train/checkpoint.h"
#include "train/guard.h"
#include "train/phases.h"

/* What the live line shows; also handed out once before the first step (step 0). */
typedef struct lm_progress {
    const lm_run *run;
    int64_t step, images, parameters;
    double loss;        /* of the first phase */
    const char *losses; /* lm_phases_text */
    double images_per_second;
    double seconds;     /* of training, over all sessions of the run */
    double share;       /* of the run that is done, 0 .. 1 */
    double eta;         /* seconds left; negative: not known yet */
    double startup;     /* seconds from the program's start to the first step's */
    const char *event;  /* "saved checkpoints/..": something worth a line, else NULL */
    const char *eval;   /* "fid 12.3": the latest evaluation; NULL: none */
    const char *doing;  /* "drawing": part of an evaluation that is under way, and */
    double doing_share; /* what is done of it; NULL: it trains */
} lm_progress;

/* Hooks run on the calling thread; NULL: none. */
typedef struct lm_train_hooks {
    void *user;
    bool (*stop)(void *user); /* asked after every step; true: save and end */
    void (*progress)(void *user, const lm_progress *progress);
} lm_train_hooks;

/* NULL and 0 mean "not given". With `resume`, family and data come from the run, settings
 * that are given must agree with it, and only the length may change. */
typedef struct lm_train_request {
    const char *family, *data, *preset, *out;
    const char *const *assignments; /* "key=value" */
    int n_assignments;
    lm_limits limits; /* none: what the run had; of a new run: the
                       * preset's steps, else 10 minutes */
    int size;         /* edge of the images, cropped and resized to it; 0: as they are */
    int workers;      /* threads that prepare batches; used if workers_given, */
    bool workers_given; /* else chosen by the number of threads */
    double began;       /* lm_now() at the program's start; 0: at this call */
    uint64_t seed;
    bool seed_given, resume;
    int64_t save_every, snapshot_every, log_every; /* steps; 0: see training_setup.c */
    int keep;                                      /* checkpoints; 0: 2 */
    int snapshot_count, snapshot_steps;            /* 0: 64 images, 25 steps */
    int64_t eval_every;       /* steps; 0: no evaluations. By the snapshots' sampler */
    int64_t eval_n;           /* images; 0: 1000 */
    const char *eval_metrics; /* "fid,kid"; NULL: "fid" */
    const char *keep_best;    /* lm_run_eval_spec.best */
    lm_on_collapse on_collapse;
    lm_train_hooks hooks;
    lm_profile *profile; /* of the steps of this call, added to it; NULL: none */
} lm_train_request;

typedef struct lm_train_result {
    lm_train_state state;
    int64_t new_steps;    /* made by this call; 0: the run was at its limit already */
    double loss, seconds; /* first phase's loss of the last step, 0 without new ones */
    char losses[LM_LOSSES_TEXT]; /* lm_phases_text; "" without */
    double startup;    /* seconds from the program's start to the first step's, */
    double first_step; /* and to its end; 0: no step */
    double data_wait;  /* seconds in which this call's steps waited for data */
    char checkpoint[1024], sheet[1024]; /* paths of the last ones, "" none */
    char best[1024];                    /* path of the best checkpoint, if this call */
    char eval[96]; /* found one; "fid 12.3", the last evaluation; "" none */
} lm_train_result;

/* A run that goes back to its last healthy checkpoint does so three times at most, each
 * time with other random numbers and half the learning rate.
 *
 * LM_INTERRUPTED: stopped by the hook with everything saved. LM_UNHEALTHY: stopped
 * because of what the message says, with everything saved. LM_NUMERIC: the loss was not
 * finite; the message names the first bad tensor, and the last good checkpoint is kept.
 */
lm_status lm_train(const lm_train_request *request, lm_train_result *result);

#endif
