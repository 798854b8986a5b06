/* What the files of reverse mode share: grad.c walks the graph, the others hold the rules
 * in tables without holes: what has no gradient says so with lm_grad_none. */
#ifndef LIMN_GRAPH_GRAD_INTERNAL_H
#define LIMN_GRAPH_GRAD_INTERNAL_H

#include "graph/grad.h"

lm_grad_rule lm_grad_kind_rule(lm_kind kind); /* not for ew and call */
lm_grad_rule lm_grad_ew_rule(lm_ew code);
lm_grad_rule lm_grad_composite_rule(lm_composite composite);

/* The entry of everything without a gradient. Does nothing; the walk stops before it. */
void lm_grad_none(lm_graph *g, lm_node *node, lm_node *cotangent, lm_node **d);

/* One node for a + b where a composite can take both in, else NULL. */
lm_node *lm_grad_fuse_terms(lm_graph *g, lm_node *a, lm_node *b);

/* Gradients of y with the nodes of `wrt` taken as independent: a path that enters one of
 * them ends there. */
lm_status lm_grad_partial(lm_graph *g, lm_node *y, lm_node *cotangent, int count,
                          lm_node *const *wrt, lm_node **out);

#endif
