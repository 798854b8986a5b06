/* What is noticed of a run while it trains: something that begins or ends goes to the log
 * and to the host. */
#ifndef LIMN_TRAIN_NOTICES_H
#define LIMN_TRAIN_NOTICES_H

#include "train/checkpoint.h"

/* A row of the log ("notice", "begins", "text") and a line for the host: a warning where
 * something begins. */
lm_status lm_notice_tell(const lm_run *run, const lm_train_state *state, double seconds,
                         const lm_notice *notice);

/* The family's watch over a run. */
typedef struct lm_notices {
    const lm_run *run;
    const lm_model *model;
    void *memory; /* the watch's; NULL: the family has none */
} lm_notices;

/* Sees what the run's log holds already, of which nothing is told again. run and model
 * are borrowed. */
lm_status lm_notices_init(const lm_run *run, const lm_model *model, lm_notices *notices);
void lm_notices_release(lm_notices *notices);

/* Looks at a row that was logged, and tells. members: what phases say, as in
 * lm_log_row. */
lm_status lm_notices_look(lm_notices *notices, const lm_train_state *state,
                          double seconds, const char *members);

#endif
