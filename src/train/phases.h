/* All phases of a model as compiled programs, and a step of training, which runs each of
 * them as its rule says. */
#ifndef LIMN_TRAIN_PHASES_H
#define LIMN_TRAIN_PHASES_H

#include "train/phase.h"

typedef struct lm_phases {
    const lm_model *model;      /* borrowed, as the settings */
    const lm_settings *trainer; /* of lm_trainer_options */
    int batch;
    lm_turns turns;
    lm_program *programs[LM_MAX_PHASES]; /* NULL: the model does without */
    /* Of each phase's latest run; it may have been some steps ago. */
    bool ran[LM_MAX_PHASES];
    lm_phase_result results[LM_MAX_PHASES];
    lm_str members[LM_MAX_PHASES]; /* lm_phase_describe */
} lm_phases;

/* Which phases there are, and what a step reads: `turns`. batch: images of a run. */
lm_status lm_phases_init(const lm_model *model, const lm_settings *trainer, int batch,
                         lm_phases *phases);
/* Variables must have been added (lm_checkpoint_add_vars). */
lm_status lm_phases_compile(lm_phases *phases, lm_engine *engine);
void lm_phases_release(lm_phases *phases);

/* As if no phase had run yet. */
void lm_phases_forget(lm_phases *phases);

/* What a step is given. */
typedef struct lm_step_input {
    const uint8_t *pixels; /* turns.reads batches, one after the other */
    const int32_t *labels;
    uint64_t seed;
    int64_t step; /* done before this one */
    double share; /* of the run that is done, for learning rate schedules */
    int halvings; /* learning rates are halved so often */
} lm_step_input;
/* LM_NUMERIC when a loss or a gradient's norm is not finite: the message names phase and
 * first bad tensor, and the phases that come later have not run. */
lm_status lm_phases_run(lm_phases *phases, const lm_step_input *input);

/* Calls `see` with each number that the phases had to say in a step, named as in the log;
 * lists are left out. */
typedef void lm_phases_see(void *user, const char *name, double value);
lm_status lm_phases_visit(const lm_phases *phases, int64_t step, lm_phases_see *see,
                          void *user);

/* Of all programs: from now on timed or not; what was timed, added. */
void lm_phases_profile(lm_phases *phases, bool on);
lm_status lm_phases_add_profile(const lm_phases *phases, lm_profile *profile);

/* Results of the first phase, which speak for the step where one number has to. */
lm_phase_result lm_phases_first(const lm_phases *phases);
/* For people: "loss 0.1234", or, of several phases, "discriminator 1.3863, generator
 * 0.6931". */
enum { LM_LOSSES_TEXT = 160 };
void lm_phases_text(const lm_phases *phases, char text[LM_LOSSES_TEXT]);
/* For the log: what the phases have to say, as lm_phase_describe; of several phases also
 * each one's "NAME_loss" and "NAME_grad_norm". */
lm_status lm_phases_describe(const lm_phases *phases, lm_str *members);

#endif
