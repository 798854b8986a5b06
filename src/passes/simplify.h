/* Rules that replace one node by a simpler one. Private to the room.
 *
 * A rule sees a node whose sources are simple already, and returns its replacement, or
 * NULL when it does not fit. What rules build goes through lm_simplify again, so a rule
 * need only take one step. Each step lowers the number of nodes, of elements computed, or
 * moves toward a normal form (constants to the right, subtraction instead of negation),
 * so that there is an end.
 *
 * Rules keep NaN and infinities: x * 0 and x - x stay. Signs of zeros may change. */
#ifndef LIMN_PASSES_SIMPLIFY_H
#define LIMN_PASSES_SIMPLIFY_H

#include "graph/graph.h"

typedef struct lm_rule {
    lm_kind kind;
    lm_node *(*apply)(lm_graph *g, lm_node *node);
} lm_rule;

/* In order of trial; each ends with a NULL function. */
extern const lm_rule lm_ew_rules[];    /* simplify_ew.c */
extern const lm_rule lm_shape_rules[]; /* simplify_shape.c */

/* Applies rules until none fits. NULL gives NULL. */
lm_node *lm_simplify(lm_graph *g, lm_node *node);

/* Build and simplify. */
lm_node *lm_simple_build(lm_graph *g, lm_kind kind, lm_node *const *src, int n_src,
                         const lm_attr *attr, const lm_node *like);
lm_node *lm_simple_ew(lm_graph *g, lm_ew code, lm_node *a, lm_node *b);

#endif
