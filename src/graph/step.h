/* A step: what one kernel computes. Passes group nodes into steps, backends lower them.
 */
#ifndef LIMN_GRAPH_STEP_H
#define LIMN_GRAPH_STEP_H

#include "graph/graph.h"

/* A single node, or a cluster of elementwise-like nodes (LM_K_ELEMENTWISE, reshapes that
 * keep the iteration order, and closing reduce_sums).
 *
 * Single node: in[i] is node->src[i], in order, duplicates kept; out[0] is the node.
 * Cluster: nodes in topological order; in holds the distinct values that are read from
 * memory; out those that are written because something outside needs them. Scalar
 * constants (CONST without data), IOTA and PHILOX are computed inside, never read.
 *
 * The iteration space of a cluster is `space`. Every node inside has the space's element
 * count after broadcasting, or is a broadcast source; a closing reduce_sum reads the
 * space and writes a smaller value, and nothing inside reads it. */
typedef struct lm_step {
    lm_node *const *nodes;
    int n_nodes;
    lm_node *const *in;
    int n_in;
    lm_node *const *out;
    int n_out;
    bool cluster;
    lm_shape space; /* clusters only */
} lm_step;

#endif
