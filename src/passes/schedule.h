/* Steps in a linear order. */
#ifndef LIMN_PASSES_SCHEDULE_H
#define LIMN_PASSES_SCHEDULE_H

#include "graph/step.h"

typedef struct lm_schedule {
    lm_graph *graph; /* not owned */
    lm_step *steps;
    int n_steps;
    lm_arena arena; /* owns the steps */
} lm_schedule;

typedef struct lm_schedule_options {
    bool fuse;    /* make clusters */
    bool reorder; /* order by memory; else by node id */
} lm_schedule_options;

/* Groups and orders everything that the graph's roots need. Views and leaves make no
 * step. An assign makes a step of its own, after every reader of its slice. */
lm_status lm_schedule_build(lm_graph *graph, const lm_schedule_options *options,
                            lm_schedule *schedule);
void lm_schedule_release(lm_schedule *schedule);

/* True when out[o] of the step may live in the memory of in[i], which dies here: each
 * element is read before it is written, and no other element's value depends on it. */
bool lm_step_may_alias(const lm_step *step, int o, int i);

#endif
