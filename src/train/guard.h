/* The watch over a run: fed with what its phases log and its evaluations find, told
 * through notices, kept in checkpoints. */
#ifndef LIMN_TRAIN_GUARD_H
#define LIMN_TRAIN_GUARD_H

#include "train/checkpoint.h"
#include "train/phases.h"
#include "train/watch.h"

/* What is done when a symptom appears. */
typedef enum lm_on_collapse {
    LM_COLLAPSE_WARN,    /* it is told */
    LM_COLLAPSE_STOP,    /* and the run ends, with everything saved */
    LM_COLLAPSE_ROLLBACK /* or goes back to its last healthy checkpoint */
} lm_on_collapse;

typedef struct lm_guard {
    const lm_run *run;
    lm_watch *watch;
    double *numbers; /* of the watch, as they were saved last */
    int count;
} lm_guard;

/* Looks out for the family's symptoms. run and model are borrowed. */
lm_status lm_guard_init(const lm_run *run, const lm_model *model, lm_guard *guard);
void lm_guard_release(lm_guard *guard);

/* Goes on as at `step`, whose checkpoint this is: what the watch knew then, and what an
 * evaluation at that step has found since. An older file's watch begins anew. */
lm_status lm_guard_load(lm_guard *guard, const char *path, int64_t step);
/* What a checkpoint has to hold of it; valid until the next call. */
lm_checkpoint_more lm_guard_save(lm_guard *guard);

/* Looks at the evaluation of the step, if the log has one. */
lm_status lm_guard_look_at_eval(lm_guard *guard, int64_t step);
/* Looks at a step that was made, and tells. alarm->begins: this has begun. */
lm_status lm_guard_look(lm_guard *guard, const lm_phases *phases,
                        const lm_train_state *state, double seconds, lm_notice *alarm);

#endif
