/* A plan while it is made. Private to the room.
 *
 * Values are named by the id of the node that makes them; views have no memory of their
 * own. A value is alive from the step that writes it (birth) to the last that reads it,
 * both included. Values that share memory on purpose are members of one block: the value
 * that a block was made for, parts made in place inside a concat, and results written
 * over dying inputs. Blocks are what gets an offset.
 *
 * Invariants, kept by every function that adds a member:
 * - a member lies inside its block: within + bytes <= block bytes;
 * - two members whose bytes overlap are never alive at the same time, save that one may
 * be born at the step where the other dies, if lm_step_may_alias says so, and that a
 * concat lies over its own parts, which hold the same numbers;
 * - a block is alive while any member is; of its range, only what living members cover
 *   is taken from others. */
#ifndef LIMN_PASSES_PLAN_INTERNAL_H
#define LIMN_PASSES_PLAN_INTERNAL_H

#include "passes/plan.h"

typedef struct lm_block {
    int64_t bytes;  /* 0: merged into another */
    int64_t offset; /* in the arena, once placed */
    int64_t tried;  /* the same while it is only tried out */
    double weight;  /* the heaviest is placed first */
    int start, end;
    int first; /* a member's id, -1: a workspace, or merged */
} lm_block;

typedef struct lm_planner {
    const lm_schedule *schedule;
    const lm_plan_options *options;
    lm_plan *plan;
    int *birth;      /* by id: the step that makes it, -1: none does */
    int *block;      /* by id: -1: not in the arena */
    int64_t *bytes;  /* by id, of values that are made */
    int64_t *within; /* by id: offset in the block */
    int *next;       /* by id: the next member of the block, -1: last */
    lm_block *blocks;
    int n_blocks;
    lm_arena scratch; /* owns the arrays above */
} lm_planner;

/* in[i] of a step as memory: whose it is and the first byte in it. False when the step
 * does not read it (in[0] of an assign). */
bool lm_planner_read(const lm_planner *planner, const lm_step *step, int i, int *root,
                     int64_t *offset, int64_t *bytes);

/* plan_inplace.c, in the order in which they must run. */
void lm_plan_assigns_in_place(lm_planner *planner);
void lm_plan_concats_in_place(lm_planner *planner);
void lm_plan_dying_inputs(lm_planner *planner);

#endif
