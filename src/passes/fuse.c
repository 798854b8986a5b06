#include "passes/group.h"
lm_status lm_group_clusters(lm_graph *graph, lm_node *const *nodes, int n_nodes,
                            lm_arena *arena, lm_step **steps, int *n_steps) {
    return lm_group_single(nodes, n_nodes, arena, steps, n_steps);
}
