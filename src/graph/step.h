/* A step: what one kernel computes. Passes group nodes into steps, backends lower them.
 */
#ifndef LIMN_GRAPH_STEP_H
#define LIMN_GRAPH_STEP_H

#include "graph/graph.h"

/* A single node, a cluster of elementwise-like nodes (LM_K_ELEMENTWISE, reshapes that
 * keep the iteration order, and closing reduce_sums), or a chain of nodes that one kernel
 * computes sample by sample.
 *
 * Single node: in[i] is node->src[i], in order, duplicates kept; out[0] is the node.
 * Chain of a gradient: nodes are norm_sums, the norm_dstats of these, the norm_grad that
 * takes both in, then perhaps slices of its channels (at most LM_CHAIN_PARTS), and sums
 * of it or of these over all but the first and last axis; in is x, stats, gamma, beta, g
 * and perhaps r; out is what is read outside: the norm_sums or not, either the gradient
 * or the slices, the sums. Chain of statistics: a concat of channels (at most
 * LM_CHAIN_PARTS, and more than one row of them) and its group_stats; in is what the
 * concat's are, out is both. Cluster: nodes in topological order; in holds the distinct
 * values that are read from memory; out those that are written because something outside
 * needs them. Scalar constants (CONST without data), IOTA and PHILOX are computed inside,
 * never read.
 *
 * The iteration space of a cluster is `space`. Every node inside has the space's element
 * count after broadcasting, or is a broadcast source; a closing reduce_sum reads the
 * space and writes a smaller value, and nothing inside reads it. In full:
 * - nodes lists all that is computed inside, uniform CONSTs too; a node may be in several
 *   clusters (it is computed in each). Every source of a node inside is in nodes or in.
 * - The source of a BROADCAST inside is in `in`, or a uniform CONST. So is the key of a
 *   PHILOX. All other values, in or inside, are full: one element for each of the space.
 * - When all full values have the same shape, it is the space. Otherwise (a RESHAPE is
 *   inside) the space is their common refinement without axes of size 1: an axis of a
 *   full value is a product of consecutive axes of the space.
 * - Closing reduce_sums of one cluster all split the space into the same
 *   [outer, reduced, inner], and are always in out.
 * - An in value may be a RESHAPE or another view of what is in memory. */
enum { LM_CHAIN_PARTS = 4 };

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
