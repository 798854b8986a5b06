/* A run opened for use: its model on an engine, with the weights of one checkpoint. */
#ifndef LIMN_TRAIN_OPENED_H
#define LIMN_TRAIN_OPENED_H

#include "train/checkpoint.h"

typedef struct lm_run_choice {
    const char *run;                /* the run directory */
    const char *checkpoint;         /* NULL: the newest; "best"; else a file */
    bool raw;                       /* the weights themselves, not their average */
    const char *const *assignments; /* "engine.conv=onednn": how to compute, not what */
    int n_assignments;
} lm_run_choice;

typedef struct lm_opened_run {
    lm_run run;
    lm_model *model;
    lm_engine *engine;    /* has these weights and nothing else of the model */
    bool raw;             /* of what was chosen */
    lm_train_state state; /* of the checkpoint */
} lm_opened_run;

/* On failure there is nothing to close. */
lm_status lm_run_open(const lm_run_choice *choice, lm_opened_run *opened);
void lm_run_close(lm_opened_run *opened); /* after what uses the engine */

#endif
