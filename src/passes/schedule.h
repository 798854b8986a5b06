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
 * step (IOTA, which is computed, does). An assign makes a step of its own, in = {param,
 * value}, after every reader of its slice. */
lm_status lm_schedule_build(lm_graph *graph, const lm_schedule_options *options,
                            lm_schedule *schedule);
void lm_schedule_release(lm_schedule *schedule);

/* True when out[o] of the step may live in the memory of in[i], which dies here: each
 * element is read before it is written, and no other element's value depends on it.
 * Holds for kernels that compute the nodes of a cluster in order, element by element or
 * tile by tile, even when operands are read from memory at each use. */
bool lm_step_may_alias(const lm_step *step, int o, int i);

/* Views are other names for memory of their source: reshapes, slices that are one block,
 * sums over the only rank. */
bool lm_is_view(const lm_node *node);
/* The node whose memory holds `node`: itself unless it is a view. *offset, if asked for,
 * is the first element's position in it. */
lm_node *lm_view_root(const lm_node *node, int64_t *offset);

/* The params whose memory a step reads: lm_view_root(in[i]), NULL when in[i] is not
 * (a view of) a param, or when nothing is read (in[0] of an assign). */
const lm_node *lm_step_reads_param(const lm_step *step, int i);
/* Whether two params share an element of a variable. */
bool lm_params_overlap(const lm_node *a, const lm_node *b);

#endif
