/* Which phases run in which step, how often, and what an update of theirs has to know.
 * All of it is a function of the step and the model's rules, so that a run continues
 * without having kept anything. */
#ifndef LIMN_TRAIN_TURNS_H
#define LIMN_TRAIN_TURNS_H

#include "families/family.h"

typedef struct lm_turns {
    lm_phase_rule rules[LM_MAX_PHASES]; /* every 0: the model does without the phase */
    int groups[LM_MAX_PHASES];          /* what each updates */
    int count;                          /* phases of the family */
    int reads;                          /* batches that a step reads */
} lm_turns;

/* LM_ARG when a rule is out of range, or when no phase runs in every step. */
lm_status lm_turns_init(const lm_model *model, lm_turns *turns);

/* How often the phase runs in the step, 0: not at all. Steps count from 0. */
int lm_turns_runs(const lm_turns *turns, int phase, int64_t step);

/* An update of a parameter group. */
typedef struct lm_turn {
    int64_t number; /* of the group's updates, from 1 */
    /* Batches of the run that were needed so far, this update's included, and how many
     * of them since the group's update before. */
    int64_t seen, since;
} lm_turn;
lm_turn lm_turns_at(const lm_turns *turns, int phase, int64_t step, int run);

#endif
