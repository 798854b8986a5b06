/* Graph to graph: simplification and the choice of composites. Every pass rebuilds what
 * the roots need into a new graph, so dead code goes by itself and equal nodes meet. An
 * output that is a param which the program assigns becomes a copy of it: outputs show
 * values from before the assigns. */
#ifndef LIMN_PASSES_PASSES_H
#define LIMN_PASSES_PASSES_H

#include "passes/plan.h"

/* Dead code only: copies what the roots need. */
lm_status lm_pass_copy(lm_graph *from, lm_graph **to);

/* Folds constants and identities, cancels reshape and permute chains, turns
 * add(mul(a,b),c) of single use into fma, add of disjoint pads into concat. Never folds
 * x * 0 or x - x: NaN must survive. */
lm_status lm_pass_simplify(lm_graph *from, lm_graph **to);

/* Replaces every call for which keep() is false by its body (repeatedly). */
typedef bool (*lm_keep_call)(void *user, const lm_node *call);
lm_status lm_pass_inline(lm_graph *from, lm_keep_call keep, void *user, lm_graph **to);

/* Makes conv_block and conv_block_wgrad of convolutions and what surrounds them, where
 * has() says that there is a kernel for the call. */
lm_status lm_pass_join_conv(lm_graph *from, lm_keep_call has, void *user, lm_graph **to);

/* Makes one sum of those that add up the same elements in different shapes, and takes
 * sums over many axes from sums over some of them that are wanted anyway. */
lm_status lm_pass_share_sums(lm_graph *from, lm_graph **to);

/* Makes cheap values (elementwise, random, broadcast, concat, norm_act) once more for
 * readers that come late, where the arena gets smaller by not keeping them. The order of
 * steps decides what is late, so this is the last pass and knows how steps are made and
 * placed. Values of fewer bytes than `least` are left alone.
 */
typedef struct lm_repeat_options {
    lm_schedule_options schedule;
    lm_plan_options plan; /* no workspaces */
    int64_t least;
} lm_repeat_options;
lm_status lm_pass_repeat(lm_graph *from, const lm_repeat_options *options, lm_graph **to);

#endif
