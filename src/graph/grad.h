/* Reverse-mode differentiation: gradients are ordinary nodes of the same closed set. */
#ifndef LIMN_GRAPH_GRAD_H
#define LIMN_GRAPH_GRAD_H

#include "graph/graph.h"

/* d y / d wrt[i], contracted with `seed` (y's shape; NULL: ones) into out[i], which is
 * NULL where y does not depend on wrt[i] (a symbolic zero, never a tensor of zeros).
 * Works on its own results: any order. Cotangents add up in ascending node order. */
lm_status lm_grad(lm_graph *g, lm_node *y, lm_node *seed, int count, lm_node *const *wrt,
                  lm_node **out);

/* The same for several ys with a seed each (NULL: ones for all). */
lm_status lm_grad_many(lm_graph *g, int n_y, lm_node *const *y, lm_node *const *seed,
                       int count, lm_node *const *wrt, lm_node **out);

/* A rule writes the cotangent of each source into d (left NULL: none). Failures are
 * recorded in the graph. There is a rule for each kind (grad_kinds.c), elementwise code
 * (grad_ew.c) and composite (grad_composite.c), or an entry that says: none. */
typedef void (*lm_grad_rule)(lm_graph *g, lm_node *node, lm_node *cotangent, lm_node **d);

#endif
