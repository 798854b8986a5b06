/* What the passes share: the driver that rebuilds a graph, and small questions about
 * nodes. Private to the room. */
#ifndef LIMN_PASSES_REWRITE_H
#define LIMN_PASSES_REWRITE_H

#include "graph/graph.h"

/* A rebuild under way. Rules see the old node and its rewritten sources. */
typedef struct lm_rewrite {
    lm_graph *from, *to;
    lm_node **map;   /* by old id: the new node, NULL where the roots need none */
    const int *uses; /* by old id: edges and roots that read it */
    void *user;
} lm_rewrite;

/* Returns the node of rewrite->to that stands for `old`: of the same shape and dtype.
 * NULL only after a failure, which the graph has recorded. */
typedef lm_node *(*lm_rewrite_rule)(lm_rewrite *rewrite, const lm_node *old,
                                    lm_node *const *src);

/* Rebuilds what the roots of `from` need into a new graph, sources first. New nodes take
 * the labels of the old. */
lm_status lm_rewrite_graph(lm_graph *from, lm_rewrite_rule rule, void *user,
                           lm_graph **to);

/* The rule that changes nothing. */
lm_node *lm_rewrite_same(lm_rewrite *rewrite, const lm_node *old, lm_node *const *src);

/* ---- questions --------------------------------------------------------------- */

/* A CONST whose elements are all the same number. */
bool lm_is_uniform(const lm_node *node);
bool lm_is_uniform_of(const lm_node *node, double value);
bool lm_is_ew(const lm_node *node, lm_ew code);

#endif
