/* How long values live in a schedule, and which had better be made again. Private to the
 * room.
 *
 * A cheap value that is read early (in the forward pass) and late (in the backward pass)
 * can be made once more for its late readers. Then its life has a gap: it is kept from
 * `born` to `early_end`, and again from `late_start` on. What it is made of must be alive
 * at `late_start`: it is anyway, or is kept longer, or is cheap as well and made again
 * too. */
#ifndef LIMN_PASSES_LIVES_H
#define LIMN_PASSES_LIVES_H

#include "passes/passes.h"

typedef struct lm_use {
    int step;
    struct lm_use *next;
} lm_use;

/* A value that a step writes, named by the id of its node. */
typedef struct lm_life {
    int64_t bytes;  /* 0: no step writes it into the arena */
    int born, last; /* steps, both included */
    int held;       /* until here its place is its own: last, or the step before */
    lm_use *uses;   /* steps that read it */
    bool whole;     /* must live without a gap */
    uint32_t copy;  /* number of the copy for late readers, 0: none */
    int early_end, late_start; /* of one with a copy */
} lm_life;

typedef struct lm_lives {
    const lm_schedule *schedule;
    lm_life *of;       /* by node id */
    int *first, *last; /* by node id: steps that compute it, -1: none does */
    int64_t *live;     /* by step: bytes in use */
    int n_nodes;
    uint32_t copies;
    int64_t least;  /* smaller values are not made again */
    lm_arena arena; /* owns all of it */
} lm_lives;

lm_status lm_lives_init(lm_lives *lives, const lm_schedule *schedule, const lm_plan *plan,
                        const lm_repeat_options *options);
void lm_lives_release(lm_lives *lives);

/* Decides what is made again, as long as that lowers the peak. */
lm_status lm_lives_shorten(lm_lives *lives);

/* Whether a value is in memory at a step. A copy is, when `late`. */
bool lm_lives_has(const lm_lives *lives, const lm_node *value, int step, bool *late);
/* Values that are made again where they are needed, rather than kept. */
bool lm_is_cheap(const lm_node *node);

#endif
