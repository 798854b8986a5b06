/* Where every value lives. Static: offsets in one arena, decided before the first run. */
#ifndef LIMN_PASSES_PLAN_H
#define LIMN_PASSES_PLAN_H

#include "passes/schedule.h"

typedef enum lm_place {
    LM_PLACE_NONE,  /* never in memory (inside a cluster, or not needed) */
    LM_PLACE_ARENA, /* offset: bytes from the arena's base */
    LM_PLACE_VAR,   /* index: the graph's variable; offset: bytes from its start */
    LM_PLACE_INPUT, /* index: number of the input in `inputs` */
    LM_PLACE_CONST  /* index: number in `constants` */
} lm_place;

typedef struct lm_location {
    lm_place place;
    int index;
    int64_t offset; /* always bytes, a view's included */
} lm_location;

/* A value that is made right in a variable (LM_PLACE_VAR, though no PARAM) still changes
 * at every run. The assign that it is for has nothing left to do: skip is set. A concat
 * whose parts are all made in place is skipped too; where only some are, the pointers of
 * those parts equal their destination, and copying a part onto itself does no harm. */
typedef struct lm_plan {
    lm_location *of; /* by node id */
    int n_nodes;
    int64_t arena_bytes;
    int64_t *workspace; /* per step: byte offset in the arena, -1 none */
    lm_node **inputs;
    int n_inputs;
    lm_node **constants; /* CONST nodes that some kernel reads from memory */
    int n_constants;
    bool *skip;    /* per step: nothing to run (assign or copy whose value is in place) */
    int *last_use; /* by node id: last step that reads it, -1 never, n_steps: output */
    lm_arena arena;
} lm_plan;

typedef struct lm_plan_options {
    size_t (*element_size)(lm_dtype dtype);
    const size_t *workspace; /* per step, bytes; NULL: none */
    bool in_place;           /* outputs may take the place of dying inputs; parts of a
                                concat and values of an assign are made in place */
    bool reuse;              /* off: every value has memory of its own */
} lm_plan_options;

/* Greedy: the largest value first, at the lowest offset free over its life; long lives
 * count for more in further tries, the best of which is taken. */
lm_status lm_plan_build(const lm_schedule *schedule, const lm_plan_options *options,
                        lm_plan *plan);
void lm_plan_release(lm_plan *plan);

/* No two values that live at the same time share a byte (other than by permission).
 * Run after every plan in debug builds and by the tests. */
lm_status lm_plan_check(const lm_schedule *schedule, const lm_plan_options *options,
                        const lm_plan *plan);

#endif
