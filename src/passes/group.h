/* From nodes to steps to an order. Private to the room. */
#ifndef LIMN_PASSES_GROUP_H
#define LIMN_PASSES_GROUP_H

#include "passes/schedule.h"

/* Whether a node alone makes a step: neither a leaf that is given nor a view. */
bool lm_makes_step(const lm_node *node);

/* Steps of one node each. */
lm_status lm_group_single(lm_node *const *nodes, int n_nodes, lm_arena *arena,
                          lm_step **steps, int *n_steps);
/* The same with clusters; see step.h. A step's place is that of its last node. */
lm_status lm_group_clusters(lm_graph *graph, lm_node *const *nodes, int n_nodes,
                            lm_arena *arena, lm_step **steps, int *n_steps);

/* Sorts the steps so that values come before their readers, and assigns after the readers
 * of what they overwrite: in the given order as far as possible or, with `reorder`, by
 * memory. */
lm_status lm_order_steps(lm_graph *graph, lm_step *steps, int n_steps, bool reorder);

#endif
